"""Asks an account how many records it has of what syncs would read, a request for each stream."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.api.errors import (
    AddressError,
    ApiError,
    CredentialsError,
)
from activecampaign_dagster.streams.declaration import Stream
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.survey import probes
from activecampaign_dagster.sync.unavailable import lacking


@dataclass(frozen=True, slots=True)
class Total:
    """The number of records of a stream, or why it cannot be read.

    rows: None if the account does not say. unavailable: the feature that the account lacks.
    """

    rows: int | None = None
    error: str | None = None
    unavailable: str | None = None


def totals(client: Client, source: Source) -> dict[str, Total]:
    """Stream → its total, for each whose pages syncs of the enabled streams would read.

    What comes with the pages of another stream is not asked for. Raises AddressError and
    CredentialsError.
    """
    enabled = (t.stream for t in source.stream_tables if t.name in source.enabled)
    read = {stream.name: stream for stream in map(_read_for, enabled)}
    return dict(zip(read, client.executor.map(partial(_total, client), read.values()), strict=True))


def _read_for(stream: Stream) -> Stream:
    """The stream on whose number of records the cost of a stream depends."""
    name = stream.parent or (stream.each and stream.each.stream)
    return STREAMS[name] if name else stream


def _total(client: Client, stream: Stream) -> Total:
    if stream.endpoint.is_single:
        return Total(1)
    try:
        return Total(probes.total(client, stream))
    except (CredentialsError, AddressError):
        raise
    except ApiError as error:
        return Total(error=str(error), unavailable=lacking(stream, error))
