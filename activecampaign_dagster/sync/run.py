"""One sync: plan, read side by side, land each stream as soon as it is complete."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.api.errors import (
    ActiveCampaignError,
    AddressError,
    CredentialsError,
    PermissionDeniedError,
)
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.sync import rhythm
from activecampaign_dagster.sync.account_lock import account_lock, staging_lock
from activecampaign_dagster.sync.deletions import Deletions
from activecampaign_dagster.sync.deliver import Complete, Deliveries
from activecampaign_dagster.sync.outcomes import Outcome, SyncError, UnforeseenError
from activecampaign_dagster.sync.plan import Child, Read, plan
from activecampaign_dagster.sync.reading import Reading
from activecampaign_dagster.sync.request import SyncRequest
from activecampaign_dagster.sync.shortfalls import Shortfalls
from activecampaign_dagster.sync.spool import forget
from activecampaign_dagster.sync.totals import Totals
from activecampaign_dagster.sync.unavailable import not_on_plan, why_unavailable
from activecampaign_dagster.warehouse import clock, ledger, migrate, tables
from activecampaign_dagster.warehouse.binding import bind, refuse_others
from activecampaign_dagster.warehouse.clock import Clock
from activecampaign_dagster.warehouse.delivery import Landed
from activecampaign_dagster.warehouse.land import ShiftedError, UnsureError, land
from activecampaign_dagster.warehouse.ledger import StreamState
from activecampaign_dagster.warehouse.retention import keep_to_settings
from activecampaign_dagster.warehouse.scratch import one_thread
from activecampaign_dagster.warehouse.warehouse import Warehouse, WarehouseError, commit

# To open and close the database takes longer than to land a small stream, so that streams which
# end about together are landed together.
_GATHER_SECONDS = 0.3
# A transaction of its own for each small stream takes a lake twice as long.
_TOGETHER_BYTES = 5_000_000


def sync(
    source: Source,
    request: SyncRequest,
    *,
    client: Client,
    warehouse: Warehouse,
    log: logging.Logger,
    tell_begun: Callable[[Sequence[str]], None] = lambda _: None,
) -> Generator[Outcome]:
    """Bring the requested streams up to date; yields each stream's outcome once it is committed.

    tell_begun: is told the names of the streams that are going to be read, once that is known.
    Raises SyncError at the end if streams failed, at once if nothing can be read at all
    (CredentialsError, AddressError), and WarehouseError if the database cannot be used or holds
    another account.
    Close the generator if you leave it before its end: until then it holds the account and this
    host's folder for what was read and is not landed yet.
    """
    staging = warehouse.location.folder("staging") / source.name
    with warehouse.connect() as db, one_thread(db):
        migrate.prepare(db, source)
        facts = ledger.facts(db, source.name)
        refuse_others(db, source, facts, client.base_url, warehouse.location.catalogue)
        keep_to_settings(db, source, request.at or datetime.now(UTC))
        known = commit(db, partial(_known, db, source, facts))  # as of one moment
    with (
        staging_lock(staging, log, run=request.sync_id),
        account_lock(
            client.base_url,
            log,
            limited=client.per_second is not None,
            run=request.sync_id,
            warehouse=warehouse,
            tables=source.stream_tables[0].table,
        ) as still_held,
    ):
        run = _Run(source, request, client, warehouse, staging, log, known, still_held)
        yield from run.outcomes(tell_begun)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the warehouse knows before a sync.

    in_full: the enabled streams of which a full sync has landed. undeclared: stream → fields that
    nobody declared and that have a column.
    """

    watermarks: Mapping[str, datetime]
    states: Mapping[str, StreamState]
    facts: Mapping[str, str]
    in_full: set[str]
    undeclared: Mapping[str, set[str]]


def _known(db: duckdb.DuckDBPyConnection, source: Source, facts: Mapping[str, str]) -> Known:
    states = ledger.states(db, source.name)
    return Known(
        watermarks=ledger.watermarks(source, states),
        states=states,
        facts=facts,
        in_full=ledger.read_in_full(states) & source.enabled,
        undeclared=tables.undeclared(db, source),
    )


class _Run:
    """The reads under way, each in a thread of its own, and the single writer."""

    def __init__(
        self,
        source: Source,
        request: SyncRequest,
        client: Client,
        warehouse: Warehouse,
        staging: Path,
        log: logging.Logger,
        known: Known,
        still_held: Callable[[], None],
    ) -> None:
        self._source = source
        self._request = request
        self._client = client
        self._warehouse = warehouse
        self._still_held = still_held
        self._staging = staging
        self._log = log
        self._known = known
        self._totals = Totals(client, known.facts)
        self._shortfalls = Shortfalls(source, request, self._totals, known.facts)
        self._deliveries = Deliveries(source, request, known.in_full, self._totals)
        self._deletions = Deletions(source, request, client, log, known.facts, known.states)
        self._pending: dict[Future[Any], Read] = {}
        self._waiting: list[Read] = []  # for the records of their parents
        self._held: list[Complete] = []  # for the definitions that name what they are made of
        # what is to be read (once more), as the first read showed
        self._again: list[tuple[Read, Callable[[], Complete | None]]] = []
        self._failures: dict[str, ActiveCampaignError] = {}
        self._unavailable: dict[str, str] = {}  # streams that are not there to be read, and why
        self._denied: dict[str, ActiveCampaignError] = {}  # those without permission among them
        self._landed_streams: set[str] = set()
        self._parents_spooled: dict[str, list[Any]] = {}
        self._began = request.at or datetime.now(UTC)
        self._reading = Reading(
            client,
            staging,
            log,
            self._totals,
            compares=request.compares,
            undeclared=known.undeclared,
            in_full=known.in_full,
            landed={name: state.last_synced_at for name, state in known.states.items()},
            began=self._began,
            clock=Clock.noted(known.facts),
        )

    def outcomes(self, tell_begun: Callable[[Sequence[str]], None]) -> Iterator[Outcome]:
        """Read all side by side, land what is complete, and raise for the rest at the end."""
        reads = self._plan()
        tell_begun([table.name for read in reads for table in read.stream_tables])
        self._waiting = [read for read in reads if read.stream.each]
        self._again = [(r, partial(self._reading.whole, r)) for r in reads if not r.stream.each]
        with ThreadPoolExecutor(len(reads) + 1, thread_name_prefix="read") as threads:
            try:
                while self._again or self._pending or self._waiting or self._deletions.pending:
                    self._begin(threads)
                    yield from self._land(self._finished(), threads)
                    self._raise_if_hopeless()
            except Exception:
                self._client.stop()
                yield from self._deletions.release()
                raise
            finally:
                if self._pending or self._deletions.pending:
                    self._client.stop()
        self._note_unavailable()
        if not self._landed_streams and not self._failures:
            self._failures = self._denied  # a key that may read nothing at all
        if self._failures:
            raise SyncError(self._failures)

    def _raise_if_hopeless(self) -> None:
        """Raise what keeps everything from being read: a wrong address or key."""
        for error in self._failures.values():
            if isinstance(error, AddressError | CredentialsError):
                raise error

    def _plan(self) -> tuple[Read, ...]:
        source, request, known = self._source, self._request, self._known
        early = rhythm.by_total(source, request, known.states, self._began)
        self._totals.ask(each.stream for each in early)
        beyond = {
            each.name: self._totals.beyond(each.stream, known.states[each.name].live_rows)
            for each in early
        }
        apart = self._shortfalls.apart()
        return plan(
            source,
            request,
            known.watermarks,
            resting=rhythm.resting(source, request, known.states, self._began)
            | {name for name in apart if self._pauses(source.table_of(name))},
            apart=apart,
            due=rhythm.due(source, request, known.states, beyond, self._began),
            landed={name for name, state in known.states.items() if state.last_synced_at},
        )

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
            parent = read.stream.each.stream if read.stream.each else ""
            if parent in self._unavailable:
                self._unavailable |= dict.fromkeys(_feeds(read), self._unavailable[parent])
            elif parent in self._failures:
                self._failures |= dict.fromkeys(_feeds(read), self._failures[parent])
            else:
                self._pending[threads.submit(self._reading.whole, read, self._parents(read))] = read

    def _parents(self, read: Read) -> Sequence[str]:
        """The keys of the landed records for each of which a path is read."""
        each = read.stream.each
        assert each is not None  # noqa: S101
        if each.stream in self._parents_spooled:
            return self._parents_spooled[each.stream]
        with self._warehouse.connect() as db:
            return tables.values_of(db, self._source.table_of(each.stream), each.column)

    def _finished(self) -> list[Complete]:
        """The reads that are complete by now and can land; failed ones are noted."""
        wait([*self._pending, *self._deletions.pending], return_when=FIRST_COMPLETED)
        finished, _ = wait(self._pending, timeout=_GATHER_SECONDS if self._pending else 0)
        complete, self._held = self._held, []
        for future in finished:
            read = self._pending.pop(future)
            error = future.exception()
            if error is None:
                complete += [result] if (result := future.result()) else []
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
        if (why := why_unavailable(read, error)) is not None:
            self._leave_out(read, why, error)
            return
        if read.stream.name in self._shortfalls.verified:
            self._log.warning(
                "%s: %s Records that came with its parents are kept.", read.name, error
            )
            return
        if not isinstance(error, ActiveCampaignError):
            self._log.info("%s: %r", read.name, error, exc_info=error)
            error = UnforeseenError(error)
        self._log.error("%s: %s", read.name, error)
        self._failures |= dict.fromkeys(_feeds(read), error)

    def _leave_out(self, read: Read, why: str, error: BaseException) -> None:
        """Go on without streams that are not there; said once, not in every sync."""
        alone = [c for c in read.children if read.main and c.stream_table.stream.has_own_pages]
        self._read_alone(read, alone)
        names = [name for name in _feeds(read) if name not in {child.name for child in alone}]
        self._unavailable |= dict.fromkeys(names, why)
        if isinstance(error, PermissionDeniedError):
            self._denied |= dict.fromkeys(names, error)
        if any(self._is_news(name, why) for name in names):
            self._log.warning("%s: %s", read.name, why)

    def _is_news(self, name: str, why: str) -> bool:
        """Whether an earlier sync has not said yet why a stream is left out."""
        states = self._known.states
        return name not in states or states[name].unavailable != why

    def _note_unavailable(self) -> None:
        states, new = self._known.states, self._unavailable
        changed: dict[str, str | None] = {
            name: why
            for name, why in new.items()
            if name in states and (states[name].unavailable != why or name in self._landed_streams)
        }
        if changed:
            with self._warehouse.connect() as db:
                ledger.note_unavailable(db, self._source.name, changed)

    def _land(self, complete: list[Complete], threads: ThreadPoolExecutor) -> Iterator[Outcome]:
        """Land what was read through one connection; yields outcomes once it is closed.

        What is to be searched for deletions waits for that, which begins once it has landed.
        """
        outcomes = self._deletions.settled()
        left, apart = list(complete), False
        searched = [future for future in self._deletions.pending if future.done()]
        try:
            while left or searched:
                group = left[:1]
                try:
                    with self._warehouse.connect() as db, one_thread(db):
                        # while this was read, another first sync may have landed another account
                        self._bind(db)
                        while searched:
                            future = searched.pop()
                            outcomes += self._deletions.go_on(threads, db, future)
                        while left:
                            group = left[:1] if apart else _together(left)
                            landed = self._merge(db, group)
                            del left[: len(group)]
                            for each in group:
                                outcomes += self._followed(threads, db, each, landed)
                except WarehouseError:
                    raise
                except Exception as error:
                    if not left:
                        raise
                    if len(group) > 1:
                        apart = True  # whose error it is shows once each lands by itself
                    else:
                        self._go_without(left.pop(0), error)
        finally:
            yield from outcomes

    def _bind(self, db: duckdb.DuckDBPyConnection) -> None:
        """Make sure that the account is still this sync's, and the tables are the account's."""
        self._still_held()
        bind(db, self._source, self._client.base_url, self._warehouse.location.catalogue)

    def _followed(
        self,
        threads: ThreadPoolExecutor,
        db: duckdb.DuckDBPyConnection,
        complete: Complete,
        landed: Mapping[str, Landed],
    ) -> list[Outcome]:
        """What follows from what has landed: an error fails its streams, and nothing lands again.

        What was spooled is gone by then, and would land as no records at all.
        """
        try:
            found = self._outcomes(db, complete, landed)
            return self._deletions.begin(threads, complete.read, found, complete.extraction.began)
        except WarehouseError:
            raise
        except Exception as error:
            self._go_without(complete, error)
            return []

    def _go_without(self, complete: Complete, error: Exception) -> None:
        """Note that what was read has to be read or asked for once more, or failed to land."""
        read = complete.read
        if isinstance(error, UnsureError):
            self._log.info("%s: asking again, for %s", read.name, error)
            self._again.append((read, partial(self._reading.asked_again, complete)))
            return
        complete.spool.remove()
        if isinstance(error, ShiftedError):
            self._again.append((read, partial(self._reading.whole, read)))
        else:
            self._fail(read, error)

    def _merge(self, db: duckdb.DuckDBPyConnection, group: Sequence[Complete]) -> dict[str, Landed]:
        """Land what reads brought, in one transaction."""
        deliveries = []
        for complete in group:
            self._deliveries.learn(db, complete)
            self._learn_parents(db, complete)
            self._learn_clock(db, complete.extraction.offsets)
            deliveries.append(self._deliveries.make(db, complete))
        return land(db, self._source, [each for each in deliveries if each.batches])

    def _outcomes(
        self, db: duckdb.DuckDBPyConnection, complete: Complete, all_landed: Mapping[str, Landed]
    ) -> list[Outcome]:
        """What became of a read's streams, and what follows from it; forgets what was spooled."""
        read, spool = complete.read, complete.spool
        names = [stream_table.name for stream_table in read.stream_tables]
        landed = {name: all_landed[name] for name in names if name in all_landed}
        for doubt in {each.doubt for each in landed.values() if each.doubt}:
            complete.extraction.note(doubt)
        forget(self._staging, set(landed))
        spool.remove()
        self._landed_streams |= set(landed)
        self._shortfalls.note_uncounted(db, complete, landed)
        short = self._shortfalls.find(db, complete, landed)
        self._shortfalls.verified |= {child.name for child in short}
        missing = [*self._deliveries.missing(complete), *complete.refused]
        self._shortfalls.note_refused(db, complete, {child.name for child in missing})
        self._read_alone(read, missing)
        for child in short:
            alone, rows = self._alone(read, child), landed[child.name].live_rows
            self._again.append((alone, partial(self._reading.if_short, alone, rows)))
        for child in read.children if read.is_full else ():
            feature = self._totals.absent.get(child.name)
            if feature and not spool.progress.children.get(child.name):
                why = not_on_plan(feature)
                self._unavailable[child.name] = why
                if self._is_news(child.name, why):  # no warning: the child's table is whole
                    self._log.info("%s: %s", child.name, why)
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
                at=self._deliveries.stamp(complete),
                total=self._totals.of(stream_table.name),
            )
            for stream_table in read.stream_tables
            if stream_table.name in landed
        ]

    def _pauses(self, stream_table: StreamTable) -> bool:
        return rhythm.pauses(stream_table, self._request, self._known.states, self._began)

    def _alone(self, read: Read, child: Child) -> Read:
        return Read(stream=child.stream_table.stream, main=child.stream_table, parent=read.stream)

    def _read_alone(self, read: Read, children: Sequence[Child]) -> None:
        """Read children by their own paths, unless that was done lately."""
        for child in children:
            is_possible = child.is_kept and not child.stream_table.stream.beside_only
            if not is_possible or self._pauses(child.stream_table):
                continue
            alone = self._alone(read, child)
            if alone.stream.each:
                self._waiting.append(alone)
            else:
                self._again.append((alone, partial(self._reading.whole, alone)))

    def _learn_clock(self, db: duckdb.DuckDBPyConnection, seen: set[datetime]) -> None:
        """Note what stamps of a read show of the account's clock, and say what changes by it."""
        before = self._reading.clock
        self._reading.clock = found = before.after(seen)
        if found != before:
            commit(db, lambda: clock.note(db, self._source.name, found))
        if not found.agrees(seen):
            offsets = ", ".join(sorted({f"{day:%z}" for day in seen}))
            self._log.warning(
                "No time zone has the offsets of the account's timestamps (%s): timestamps "
                "without an offset are read as times of %s.",
                offsets,
                found.read_in,
            )
        elif found.read_in != before.read_in:
            self._log.info(
                "Timestamps without an offset are read as times of %s, because the account's "
                "other timestamps have its offsets.",
                found.read_in,
            )

    def _learn_parents(self, db: duckdb.DuckDBPyConnection, complete: Complete) -> None:
        """Keep the values for which other paths are read, of a read that lands in no table."""
        read = complete.read
        columns = {
            r.stream.each.column
            for r in self._waiting
            if r.stream.each and r.stream.each.stream == read.stream.name
        }
        for column in columns if read.main is None else ():
            files = complete.spool.files(read.stream.name)
            self._parents_spooled[read.stream.name] = tables.spooled_values(db, files, column)


def _together(complete: Sequence[Complete]) -> list[Complete]:
    """The reads at the head of a list that land in one transaction: small ones, of which none
    brings rows of another one's streams or names what they are made of."""
    size, streams = 0, set[str]()
    for number, each in enumerate(complete):
        size += sum(each.spool.sizes.values())
        brought = {*_feeds(each.read), *(child.name for child in each.read.children)}
        is_alike = (each.read.pivot is None) == (complete[0].read.pivot is None)
        if number and (size > _TOGETHER_BYTES or brought & streams or not is_alike):
            return list(complete[:number])
        streams |= brought
    return list(complete)


def _feeds(read: Read) -> list[str]:
    """The streams that fail if a read does."""
    return [t.name for t in read.stream_tables] or [read.stream.name]
