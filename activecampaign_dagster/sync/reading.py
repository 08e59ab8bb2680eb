"""Reads one collection into the spool, without what makes its pages fail."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from activecampaign_dagster.api.client import PAGE_SIZE, Client
from activecampaign_dagster.api.errors import (
    AddressError,
    ApiError,
    CredentialsError,
    RequestError,
)
from activecampaign_dagster.sync.deliver import Complete
from activecampaign_dagster.sync.extract import Extraction
from activecampaign_dagster.sync.plan import Child, Read
from activecampaign_dagster.sync.spool import Spool
from activecampaign_dagster.sync.totals import Totals
from activecampaign_dagster.warehouse.clock import Clock


class Reading:
    """Drives reads to their end; used from several threads.

    totals: how many records the account counts. compares: whether children that come with a full
    read are to be held against them. undeclared: stream → fields that nobody declared and that have
    a column. in_full: the enabled streams of which a full sync has landed. landed: stream → when
    it was landed last. began: when this sync did. clock: what is known of the account's by now.
    """

    def __init__(
        self,
        client: Client,
        staging: Path,
        log: logging.Logger,
        totals: Totals,
        *,
        compares: bool,
        undeclared: Mapping[str, Set[str]],
        in_full: Set[str],
        landed: Mapping[str, datetime | None],
        began: datetime,
        clock: Clock,
    ) -> None:
        self._client = client
        self._staging = staging
        self._log = log
        self._totals = totals
        self._compares = compares
        self._undeclared = undeclared
        self._in_full = in_full
        self._landed = landed
        self._began = began
        self.clock = clock

    def whole(self, read: Read, parents: Sequence[str] = ()) -> Complete:
        """Read to the end, without what makes the pages of the read fail."""
        try:
            return self._extract(read, parents)
        except ApiError as error:
            refused = self._refused(read, error)
            if not refused:
                raise
        kept = tuple(child for child in read.children if child.name not in refused)
        pivot = None if read.pivoted and read.pivoted.name in refused else read.pivot
        complete = self._extract(replace(read, children=kept, pivot=pivot), parents)
        left_out = tuple(child for child in read.children if child.name in refused)
        for child in left_out:
            complete.extraction.note(
                f"include={child.beside.include} makes /{read.stream.endpoint.path} fail: "
                f"{refused[child.name]}"
            )
        return replace(complete, refused=left_out)

    def _refused(self, read: Read, error: ApiError) -> dict[str, ApiError]:
        """The children that cannot be asked for beside the pages of a read, with what happens."""
        refused: dict[str, ApiError] = {}
        is_answer = error.status is not None  # one that never came says nothing about an include
        if read.children and is_answer and not isinstance(error, AddressError | CredentialsError):
            self._probe(read, ())
            borne: list[Child] = []  # together, as they may be too many
            # what has no path of its own goes first
            for child in sorted(
                read.children, key=lambda each: not each.stream_table.stream.beside_only
            ):
                try:
                    self._probe(read, (*borne, child))
                except ApiError as caused:
                    refused[child.name] = caused
                else:
                    borne.append(child)
            if not refused and isinstance(error, RequestError):  # some page of them fails
                refused = {child.name: error for child in read.children}
        return refused

    def _probe(self, read: Read, children: Sequence[Child]) -> None:
        """Ask for a page with what comes beside it."""
        asked = replace(read, children=tuple(children), since=None, until=None)
        endpoint, params = read.stream.endpoint, {**asked.filters, "limit": PAGE_SIZE}
        self._client.page(endpoint.path, endpoint.collection, params)

    def _extract(self, read: Read, parents: Sequence[str]) -> Complete:
        began = time.monotonic()
        landed = (self._landed.get(stream_table.name) for stream_table in read.stream_tables)
        spool = Spool(
            self._staging / read.name / read.mode,
            f"{self._client.base_url} {read.fingerprint}",
            self._began,
            resumable=read.stream.replication_key is not None,
            landed=max(filter(None, landed), default=None),
        )
        if spool.outdated:
            self._log.info(
                "%s: this host has an unfinished read that is older than the last sync. It is "
                "discarded, and reading starts over.",
                read.name,
            )
        extraction = Extraction(
            read,
            self._client,
            spool,
            self._log,
            self.clock,
            parents,
            undeclared=self._undeclared,
            landed=self._in_full,
        )
        if read.is_full and self._compares:
            children = (child.stream_table.stream for child in read.children if child.is_kept)
            self._totals.ask(stream for stream in children if stream.has_own_pages)
        extraction.run()
        expected = self._expected(read) if read.is_full and spool.resumed else {}
        return Complete(read, spool, extraction, expected, time.monotonic() - began)

    def if_short(self, alone: Read, rows: int) -> Complete | None:
        """Read a child by its own path, if the account still counts more than `rows` that came."""
        stream = alone.stream
        self._totals.forget(stream.name)
        self._totals.ask([stream])
        lacking = self._totals.lacking(stream, rows)
        if not lacking:
            return None
        complete = self.whole(alone)
        parent = alone.parent.endpoint.path if alone.parent else ""
        complete.extraction.note(
            f"{lacking} records of {stream.name} (or more) did not come with /{parent}, according "
            f"to /{stream.endpoint.path}: they are read from there."
        )
        return complete

    def asked_again(self, complete: Complete) -> Complete:
        """The same read with what the account holds now, where rows would be deleted in doubt."""
        return replace(complete, newest=complete.extraction.newest())

    def _expected(self, read: Read) -> dict[str, int]:
        """After a kill, what was deleted since must not be landed as live: ask for the totals."""
        totals = {}
        for stream_table in read.stream_tables:
            if not stream_table.stream.has_own_pages:
                continue
            endpoint = stream_table.stream.endpoint
            page = self._client.first(endpoint.path, endpoint.collection, endpoint.params)
            # without a total nothing can be told: no count is right
            totals[stream_table.name] = -1 if page.total is None else page.total
        return totals
