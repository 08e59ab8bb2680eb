"""One sync: plan, read side by side, land each stream as soon as it is complete."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.api.errors import (
    ActiveCampaignError,
    AddressError,
    CredentialsError,
    PermanentError,
)
from activecampaign_dagster.sync import tables
from activecampaign_dagster.sync.account_lock import account_lock
from activecampaign_dagster.sync.extract import Extraction, personalisation_tags
from activecampaign_dagster.sync.land import Batch, Landed, ShiftedError, land
from activecampaign_dagster.sync.plan import Read, plan
from activecampaign_dagster.sync.source import Source, SyncRequest, Target
from activecampaign_dagster.sync.stage import Staging
from activecampaign_dagster.sync.warehouse import Connect


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a sync did for one stream. requests and seconds are those of the read that fed it."""

    target: Target
    landed: Landed
    is_full: bool
    since: datetime | None
    until: datetime | None
    rows_read: int
    stubs: int
    pages: int
    requests: int
    seconds: float
    resumed: bool
    notes: tuple[str, ...]


class SyncError(Exception):
    """Some streams could not be read; the others have been landed.

    failures: stream name → what went wrong. is_permanent: no retry can help.
    """

    def __init__(self, failures: Mapping[str, Exception]) -> None:
        self.failures = dict(failures)
        self.is_permanent = all(isinstance(e, PermanentError) for e in failures.values())
        names: dict[str, list[str]] = {}
        for name, error in failures.items():
            names.setdefault(str(error), []).append(name)
        super().__init__("; ".join(f"{', '.join(ns)}: {text}" for text, ns in names.items()))


def sync(
    source: Source,
    request: SyncRequest,
    *,
    client: Client,
    connect: Connect,
    staging: Path,
    log: logging.Logger,
) -> Iterator[Outcome]:
    """Bring the requested streams up to date; yields each stream's outcome once it is committed.

    Raises SyncError at the end if streams failed, at once if nothing can be read at all
    (CredentialsError, AddressError), and WarehouseError if the database cannot be used.
    staging: the folder for what was read and is not landed yet.
    """
    with connect() as db:
        tables.create(db, source)
        known = tables.watermarks(db, source)
    with account_lock(client.base_url, log, limited=client.is_limited):
        reads = plan(source, request, known)
        yield from _Run(source, request, client, connect, staging, log).outcomes(reads)


class _Run:
    """The reads under way, each in a thread of its own, and the single writer."""

    def __init__(
        self,
        source: Source,
        request: SyncRequest,
        client: Client,
        connect: Connect,
        staging: Path,
        log: logging.Logger,
    ) -> None:
        self._source = source
        self._request = request
        self._client = client
        self._connect = connect
        self._staging = staging
        self._log = log
        self._tags: Future[dict[str, str]] = Future()
        self._seconds: dict[Read, float] = {}

    def outcomes(self, reads: tuple[Read, ...]) -> Iterator[Outcome]:
        """Read all side by side, land what is complete, and raise for the rest at the end."""
        failures: dict[str, Exception] = {}
        with ThreadPoolExecutor(len(reads) + 1, thread_name_prefix="read") as threads:
            pending = {threads.submit(self._extract, read): read for read in reads}
            try:
                while pending:
                    finished, _ = wait(pending, return_when=FIRST_COMPLETED)
                    for future in finished:
                        read = pending.pop(future)
                        try:
                            staged, extraction = future.result()
                            yield from self._land(read, staged, extraction)
                        except ShiftedError:
                            staged.remove()
                            pending[threads.submit(self._extract, read)] = read
                        except (AddressError, CredentialsError):
                            raise
                        except ActiveCampaignError as error:
                            self._log.error("%s", error)
                            names = [t.name for t in read.targets] or [read.stream.name]
                            failures |= dict.fromkeys(names, error)
                        else:
                            if extraction.facts["include"] is False and read.side:
                                again = Read(stream=read.side.stream, main=read.side)
                                pending[threads.submit(self._extract, again)] = again
            finally:
                if pending:
                    self._client.stop()
        if failures:
            raise SyncError(failures)

    def _extract(self, read: Read) -> tuple[Staging, Extraction]:
        began = time.monotonic()
        mode = "window" if read.until else "incremental" if read.since else "full"
        is_fields = read.stream.name == "custom_fields"
        staged = Staging(
            self._staging / read.name / mode,
            f"{self._client.base_url} {read}",
            self._request.at,
            resumable=read.stream.replication_key is not None,
        )
        extraction = Extraction(read, self._client, staged, self._log, self._tags.result)
        try:
            extraction.run()
        except BaseException as error:
            if is_fields:
                self._tags.set_exception(error)
            raise
        if is_fields:
            self._tags.set_result(personalisation_tags(extraction.fields))
        self._seconds[read] = time.monotonic() - began
        return staged, extraction

    def _land(self, read: Read, staged: Staging, extraction: Extraction) -> Iterator[Outcome]:
        facts = extraction.facts
        watermark = facts["watermark"] and datetime.fromisoformat(facts["watermark"])
        moves_on = read.until is None  # a window says nothing about what lies after it
        for target in read.targets:
            if target is read.side and facts["include"] is False:
                continue
            batch = Batch(
                target=target,
                files=staged.files(target.name),
                longest=staged.longest,
                extras=facts["extras"].get(target.name, ()),
                is_full=read.is_full,
                watermark=watermark if moves_on and target.stream.replication_key else None,
                sync_id=self._request.sync_id,
                at=self._request.at,
                expected=self._expected(read, staged) if target is read.main else None,
            )
            with self._connect() as db:
                landed = land(db, self._source, batch)
            yield Outcome(
                target=target,
                landed=landed,
                is_full=read.is_full,
                since=read.since,
                until=read.until,
                rows_read=facts["rows"],
                stubs=facts["stubs"] if target is read.main else 0,
                pages=facts["pages"],
                requests=extraction.requests,
                seconds=self._seconds[read],
                resumed=staged.resumed,
                notes=tuple(facts["notes"]),
            )
        staged.remove()

    def _expected(self, read: Read, staged: Staging) -> int | None:
        """After a kill, what was deleted since must not be landed as live: ask for the total."""
        if not (read.is_full and staged.resumed):
            return None
        stream = read.stream
        return self._client.page(stream.path, stream.collection, {"limit": 1}).total
