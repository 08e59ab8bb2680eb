"""One sync: plan, read side by side, land each stream as soon as it is complete."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import duckdb

from activecampaign_dagster.api.client import Client, Page
from activecampaign_dagster.api.errors import (
    ActiveCampaignError,
    AddressError,
    CredentialsError,
    PermanentError,
)
from activecampaign_dagster.api.walks import record_id
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.sync.account_lock import account_lock, staging_lock
from activecampaign_dagster.sync.extract import Extraction
from activecampaign_dagster.sync.plan import Read, plan
from activecampaign_dagster.sync.request import SyncRequest
from activecampaign_dagster.sync.spool import SideLoads, Staging, forget
from activecampaign_dagster.warehouse import migrate, tables
from activecampaign_dagster.warehouse.binding import claim
from activecampaign_dagster.warehouse.completeness import Census
from activecampaign_dagster.warehouse.land import Batch, Landed, ShiftedError, UnsureError, land
from activecampaign_dagster.warehouse.pivot import personalisation_tags, stored_tags
from activecampaign_dagster.warehouse.retention import keep_to_settings
from activecampaign_dagster.warehouse.warehouse import Connect

# To open and close the database takes longer than to land a small stream, so that streams which
# end about together are landed together.
_GATHER_SECONDS = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a sync did for one stream. requests and seconds are those of the read that fed it."""

    stream_table: StreamTable
    read: Read
    landed: Landed
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
        alike: dict[str, list[str]] = {}
        for name, error in failures.items():
            alike.setdefault(_reason(error), []).append(name)
        super().__init__("\n".join(self._line(*each) for each in alike.items()))

    def _line(self, reason: str, names: list[str]) -> str:
        texts = {str(self.failures[name]) for name in names}
        return f"{', '.join(names)}: {texts.pop() if len(texts) == 1 else reason}"


def _reason(error: Exception) -> str:
    """What went wrong, the same for all streams that it happened to: an outage is one line."""
    path = getattr(error, "path", None)
    return str(error).replace(f"GET {path} on ", "GET … on ") if path else str(error)


def sync(
    source: Source,
    request: SyncRequest,
    *,
    client: Client,
    connect: Connect,
    staging: Path,
    log: logging.Logger,
) -> Generator[Outcome]:
    """Bring the requested streams up to date; yields each stream's outcome once it is committed.

    Raises SyncError at the end if streams failed, at once if nothing can be read at all
    (CredentialsError, AddressError), and WarehouseError if the database cannot be used or holds
    another account.
    staging: the folder for what was read and is not landed yet. Close the generator if you leave it
    before its end: until then it holds the account and the staging folder.
    """
    with connect() as db:
        tables.create(db, source)
        claim(db, source, client.base_url)
        migrate.retype(db, source)
        keep_to_settings(db, source, request.at)
        known = tables.watermarks(db, source)
        tags = stored_tags(db, source)
        has_values = "custom_field_values" in source.enabled & tables.read_in_full(db, source)
    with (
        staging_lock(staging, log, run=request.sync_id),
        account_lock(
            client.base_url, log, limited=client.per_second is not None, run=request.sync_id
        ),
    ):
        reads = plan(source, request, known)
        run = _Run(source, request, client, connect, staging, log, tags, has_values=has_values)
        yield from run.outcomes(reads)


@dataclass(frozen=True, slots=True)
class _Complete:
    """A read that is staged to its end.

    expected: rows by table that the account must have. newest: a page asked for after the read.
    """

    read: Read
    staged: Staging
    extraction: Extraction
    expected: Mapping[str, int]
    seconds: float
    newest: Page | None = None


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
        tags: dict[str, str],
        *,
        has_values: bool,
    ) -> None:
        self._source = source
        self._stored_tags = tags
        self._has_values = has_values
        self._request = request
        self._client = client
        self._connect = connect
        self._staging = staging
        self._log = log
        self._tags: Future[dict[str, str] | None] = Future()
        # what is to be read (once more), as the first read showed
        self._again: list[tuple[Read, Callable[[], _Complete]]] = []

    def outcomes(self, reads: tuple[Read, ...]) -> Iterator[Outcome]:
        """Read all side by side, land what is complete, and raise for the rest at the end."""
        failures: dict[str, Exception] = {}
        with ThreadPoolExecutor(len(reads) + 1, thread_name_prefix="read") as threads:
            pending = {threads.submit(self._extract, read): read for read in reads}
            try:
                while pending:
                    wait(pending, return_when=FIRST_COMPLETED)
                    finished, _ = wait(pending, timeout=_GATHER_SECONDS)
                    complete = []
                    for future in finished:
                        read = pending.pop(future)
                        error = future.exception()
                        if error is None:
                            complete.append(future.result())
                        elif isinstance(error, ActiveCampaignError):
                            self._log.error("%s", error)
                            names = [t.name for t in read.stream_tables] or [read.stream.name]
                            failures |= dict.fromkeys(names, error)
                        else:
                            raise error
                    yield from self._land(complete)
                    hopeless = (AddressError, CredentialsError)
                    for error in failures.values():
                        if isinstance(error, hopeless):
                            raise error
                    for read, again in self._again:
                        pending[threads.submit(again)] = read
                    self._again.clear()
            finally:
                if pending:
                    self._client.stop()
        if failures:
            raise SyncError(failures)

    def _extract(self, read: Read) -> _Complete:
        began = time.monotonic()
        is_fields = read.stream.name == "custom_fields"
        staged = Staging(
            self._staging / read.name / read.mode,
            f"{self._client.base_url} {read.fingerprint}",
            self._request.at,
            resumable=read.stream.replication_key is not None,
        )
        extraction = Extraction(
            read, self._client, staged, self._log, self._tags.result, has_values=self._has_values
        )
        try:
            extraction.run()
        except BaseException:
            if is_fields:
                self._tags.set_result(self._stored_tags or None)
            raise
        if is_fields:
            self._tags.set_result(personalisation_tags(extraction.fields))
        expected = self._expected(read) if read.is_full and staged.resumed else {}
        seconds = time.monotonic() - began
        return _Complete(read, staged, extraction, expected, seconds)

    def _land(self, complete: list[_Complete]) -> Iterator[Outcome]:
        """Land what was read through one connection; yields outcomes once it is closed."""
        if not complete:
            return
        outcomes: list[Outcome] = []
        try:
            with self._connect() as db:
                # while this was read, another first sync may have landed another account
                claim(db, self._source, self._client.base_url)
                for each in complete:
                    try:
                        outcomes += self._landed(db, each)
                    except ShiftedError:
                        each.staged.remove()
                        self._again.append((each.read, partial(self._extract, each.read)))
                    except UnsureError as doubt:
                        self._log.info("%s: asking again, for %s", each.read.name, doubt)
                        self._again.append((each.read, partial(self._asked_again, each)))
        finally:
            yield from outcomes

    def _landed(self, db: duckdb.DuckDBPyConnection, complete: _Complete) -> list[Outcome]:
        """Land one read, all that it feeds in one transaction, and forget what was staged."""
        read, staged, progress = complete.read, complete.staged, complete.staged.progress
        came = progress.side_loads if read.include else SideLoads.WHOLE
        ignored, without_side = came == SideLoads.IGNORED, came not in {None, SideLoads.WHOLE}
        stream_tables = [t for t in read.stream_tables if not (without_side and t is read.side)]
        watermark = complete.extraction.watermark
        lacks = read.include and read.custom_fields and not progress.has_custom_fields
        # a window says nothing about what lies after it; contacts without their custom fields are
        # read again, unless those come with the values or would not come then either
        moves_on = read.until is None and (not lacks or ignored or (without_side and read.side))
        fills = read.include is None or (ignored and not read.side and self._has_values)
        batches = [
            Batch(
                stream_table=stream_table,
                files=staged.files(stream_table.name),
                size=staged.sizes[stream_table.name],
                longest=staged.longest,
                extras=progress.extras.get(stream_table.name, ()),
                is_full=read.is_full,
                watermark=watermark if moves_on and stream_table.stream.replication_key else None,
                sync_id=self._request.sync_id,
                at=self._request.at,
                expected=complete.expected.get(stream_table.name),
                absent=frozenset({"customFields"} if lacks else ()),
                tags=self._tags.result() if read.custom_fields and fills else None,
            )
            for stream_table in stream_tables
        ]
        landed = self._merged(db, complete, batches) if batches else []
        forget(self._staging, {stream_table.name for stream_table in stream_tables})
        staged.remove()
        if without_side and read.side:
            side = Read(stream=read.side.stream, main=read.side, custom_fields=read.custom_fields)
            self._again.append((side, partial(self._extract, side)))
        return [
            Outcome(
                stream_table=stream_table,
                read=read,
                landed=counts,
                rows_read=progress.rows,
                stubs=progress.stubs if stream_table is read.main else 0,
                pages=progress.pages,
                requests=complete.extraction.requests,
                seconds=complete.seconds,
                resumed=staged.resumed,
                notes=tuple(progress.notes),
            )
            for stream_table, counts in zip(stream_tables, landed, strict=True)
        ]

    def _merged(
        self, db: duckdb.DuckDBPyConnection, complete: _Complete, batches: list[Batch]
    ) -> list[Landed]:
        """Merge batches into their tables, with what is known about how many records there are."""
        stream, staged, newest = complete.read.stream, complete.staged, complete.newest
        census = Census(
            path=stream.endpoint.path,
            total=newest.total if newest else staged.progress.total or None,
            newest=[i for r in newest.records if (i := record_id(r))] if newest else None,
            segments=() if complete.read.main else staged.files(stream.name),
        )
        landed = land(db, self._source, batches, staged.folder, census)
        for doubt in {each.doubt for each in landed if each.doubt}:
            complete.extraction.note(doubt)
        return landed

    def _asked_again(self, complete: _Complete) -> _Complete:
        """The same read with what the account holds now, where rows would be deleted in doubt."""
        return replace(complete, newest=complete.extraction.newest())

    def _expected(self, read: Read) -> dict[str, int]:
        """After a kill, what was deleted since must not be landed as live: ask for the totals."""
        totals = {}
        for stream_table in read.stream_tables:
            stream = stream_table.stream
            page = self._client.page(stream.endpoint.path, stream.endpoint.collection, {"limit": 1})
            # without a total nothing can be told: no count is right
            totals[stream_table.name] = -1 if page.total is None else page.total
        return totals
