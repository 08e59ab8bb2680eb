"""One sync: plan, read side by side, land each stream as soon as it is complete."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import duckdb

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.api.errors import (
    ActiveCampaignError,
    AddressError,
    CredentialsError,
)
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.sync.account_lock import account_lock, staging_lock
from activecampaign_dagster.sync.deliver import Complete, Deliveries
from activecampaign_dagster.sync.extract import Extraction
from activecampaign_dagster.sync.outcomes import Outcome, SyncError, UnforeseenError
from activecampaign_dagster.sync.plan import Read, plan
from activecampaign_dagster.sync.request import SyncRequest
from activecampaign_dagster.sync.spool import Spool, forget
from activecampaign_dagster.warehouse import ledger, migrate, tables
from activecampaign_dagster.warehouse.binding import bind
from activecampaign_dagster.warehouse.land import ShiftedError, UnsureError, land
from activecampaign_dagster.warehouse.retention import keep_to_settings
from activecampaign_dagster.warehouse.warehouse import Connect, WarehouseError

# To open and close the database takes longer than to land a small stream, so that streams which
# end about together are landed together.
_GATHER_SECONDS = 0.3


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
        migrate.prepare(db, source)
        bind(db, source, client.base_url)
        keep_to_settings(db, source, request.at or datetime.now(UTC))
        known = ledger.watermarks(db, source)
        landed = ledger.read_in_full(db, source) & source.enabled
        undeclared = tables.undeclared(db, source)
    with (
        staging_lock(staging, log, run=request.sync_id),
        account_lock(
            client.base_url, log, limited=client.per_second is not None, run=request.sync_id
        ),
    ):
        reads = plan(source, request, known)
        run = _Run(source, request, client, connect, staging, log, landed, undeclared)
        yield from run.outcomes(reads)


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
        landed: set[str],
        undeclared: Mapping[str, set[str]],
    ) -> None:
        self._source = source
        self._request = request
        self._client = client
        self._connect = connect
        self._staging = staging
        self._log = log
        self._streams_landed = landed
        self._undeclared = undeclared
        self._deliveries = Deliveries(source, request, landed)
        self._pending: dict[Future[Complete], Read] = {}
        self._waiting: list[Read] = []  # for the records of their parents
        self._held: list[Complete] = []  # for the definitions that name what they are made of
        # what is to be read (once more), as the first read showed
        self._again: list[tuple[Read, Callable[[], Complete]]] = []
        self._failures: dict[str, ActiveCampaignError] = {}
        self._began = request.at or datetime.now(UTC)

    def outcomes(self, reads: tuple[Read, ...]) -> Iterator[Outcome]:
        """Read all side by side, land what is complete, and raise for the rest at the end."""
        self._waiting = [read for read in reads if read.stream.each]
        self._again = [(r, partial(self._extract, r)) for r in reads if not r.stream.each]
        with ThreadPoolExecutor(len(reads) + 1, thread_name_prefix="read") as threads:
            try:
                while self._again or self._pending or self._waiting:
                    self._begin(threads)
                    yield from self._land(self._finished())
                    for error in self._failures.values():
                        # without the right address and key nothing can be read
                        if isinstance(error, AddressError | CredentialsError):
                            raise error
            finally:
                if self._pending:
                    self._client.stop()
        if self._failures:
            raise SyncError(self._failures)

    def _begin(self, threads: ThreadPoolExecutor) -> None:
        """Begin the reads that need not wait for others any more."""
        for read, extract in self._again:
            self._pending[threads.submit(extract)] = read
        self._again.clear()
        unlanded = [*self._pending.values(), *(each.read for each in self._held)]
        busy = {name for read in unlanded for name in _feeds(read)}
        ready = [r for r in self._waiting if r.stream.each and r.stream.each.stream not in busy]
        for read in ready:
            self._waiting.remove(read)
            self._pending[threads.submit(self._extract, read, self._parents(read))] = read

    def _parents(self, read: Read) -> Sequence[str]:
        """The keys of the landed records for each of which a path is read."""
        each = read.stream.each
        assert each is not None  # noqa: S101
        with self._connect() as db:
            return tables.values_of(db, self._source.table_of(each.stream), each.column)

    def _finished(self) -> list[Complete]:
        """The reads that are complete by now and can land; failed ones are noted."""
        wait(self._pending, return_when=FIRST_COMPLETED)
        finished, _ = wait(self._pending, timeout=_GATHER_SECONDS)
        complete, self._held = self._held, []
        for future in finished:
            read = self._pending.pop(future)
            error = future.exception()
            if error is None:
                complete.append(future.result())
            else:
                self._fail(read, error)
        under_way = {read.stream.name for read in self._pending.values()}
        self._held = [c for c in complete if c.read.pivot and c.read.pivot.labels in under_way]
        # definitions land before what is named by them
        return sorted(
            (each for each in complete if each not in self._held),
            key=lambda each: each.read.pivot is not None,
        )

    def _fail(self, read: Read, error: BaseException) -> None:
        """Note that a read failed, foreseen or not; its neighbours go on."""
        if isinstance(error, WarehouseError) or not isinstance(error, Exception):
            raise error
        if not isinstance(error, ActiveCampaignError):
            self._log.debug("%s: %r", read.name, error, exc_info=error)
            error = UnforeseenError(error)
        self._log.error("%s: %s", read.name, error)
        self._failures |= dict.fromkeys(_feeds(read), error)

    def _extract(self, read: Read, parents: Sequence[str] = ()) -> Complete:
        began = time.monotonic()
        spool = Spool(
            self._staging / read.name / read.mode,
            f"{self._client.base_url} {read.fingerprint}",
            self._began,
            resumable=read.stream.replication_key is not None,
        )
        extraction = Extraction(
            read,
            self._client,
            spool,
            self._log,
            parents,
            undeclared=self._undeclared,
            landed=self._streams_landed,
        )
        extraction.run()
        expected = self._expected(read) if read.is_full and spool.resumed else {}
        return Complete(read, spool, extraction, expected, time.monotonic() - began)

    def _land(self, complete: list[Complete]) -> Iterator[Outcome]:
        """Land what was read through one connection; yields outcomes once it is closed."""
        outcomes: list[Outcome] = []
        left = list(complete)
        try:
            while left:
                try:
                    with self._connect() as db:
                        # while this was read, another first sync may have landed another account
                        bind(db, self._source, self._client.base_url)
                        while left:
                            outcomes += self._landed_or_again(db, left[0])
                            del left[0]
                except WarehouseError:
                    raise
                except Exception as error:
                    failed = left.pop(0)
                    failed.spool.remove()
                    self._fail(failed.read, error)
        finally:
            yield from outcomes

    def _landed_or_again(self, db: duckdb.DuckDBPyConnection, complete: Complete) -> list[Outcome]:
        """Land one read, or note that it has to be read or asked for once more."""
        try:
            return self._landed(db, complete)
        except ShiftedError:
            complete.spool.remove()
            self._again.append((complete.read, partial(self._extract, complete.read)))
        except UnsureError as doubt:
            self._log.info("%s: asking again, for %s", complete.read.name, doubt)
            self._again.append((complete.read, partial(self._asked_again, complete)))
        return []

    def _landed(self, db: duckdb.DuckDBPyConnection, complete: Complete) -> list[Outcome]:
        """Land one read, all that it feeds in one transaction, and forget what was spooled."""
        read, spool = complete.read, complete.spool
        self._deliveries.learn(db, complete)
        delivery = self._deliveries.make(db, complete)
        landed = land(db, self._source, delivery) if delivery.batches else {}
        for doubt in {each.doubt for each in landed.values() if each.doubt}:
            complete.extraction.note(doubt)
        forget(self._staging, set(landed))
        spool.remove()
        for child in self._deliveries.missing(complete):
            alone = Read(
                stream=child.stream_table.stream, main=child.stream_table, parent=read.stream
            )
            self._again.append((alone, partial(self._extract, alone)))
        return [
            Outcome(
                stream_table=stream_table,
                read=read,
                landed=landed[stream_table.name],
                rows_read=spool.progress.rows,
                stubs=spool.progress.stubs if stream_table is read.main else 0,
                pages=spool.progress.pages,
                requests=complete.extraction.requests,
                seconds=complete.seconds,
                resumed=spool.resumed,
                notes=tuple(spool.progress.notes),
                at=delivery.at,
            )
            for stream_table in read.stream_tables
            if stream_table.name in landed
        ]

    def _asked_again(self, complete: Complete) -> Complete:
        """The same read with what the account holds now, where rows would be deleted in doubt."""
        return replace(complete, newest=complete.extraction.newest())

    def _expected(self, read: Read) -> dict[str, int]:
        """After a kill, what was deleted since must not be landed as live: ask for the totals."""
        totals = {}
        for stream_table in read.stream_tables:
            endpoint = stream_table.stream.endpoint
            page = self._client.page(
                endpoint.path, endpoint.collection, {**endpoint.params, "limit": 1}
            )
            # without a total nothing can be told: no count is right
            totals[stream_table.name] = -1 if page.total is None else page.total
        return totals


def _feeds(read: Read) -> list[str]:
    """The streams that fail if a read does."""
    return [t.name for t in read.stream_tables] or [read.stream.name]
