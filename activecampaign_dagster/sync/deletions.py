"""Deletions between full syncs: which streams are searched, when, and what a search leads to."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import duckdb

from activecampaign_dagster.api.client import PAGE_SIZE, Client, Page, Params
from activecampaign_dagster.api.errors import ApiError, LoopError
from activecampaign_dagster.api.order import FOLD
from activecampaign_dagster.api.stamps import write_stamp
from activecampaign_dagster.api.walks import OffsetWalk, Walk, read
from activecampaign_dagster.streams.declaration import ByCreation, Stream, SyncType
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.sync.axis import Axis, axis_of
from activecampaign_dagster.sync.outcomes import Outcome
from activecampaign_dagster.sync.plan import Read
from activecampaign_dagster.sync.ranges import DoubtError, Rows
from activecampaign_dagster.sync.request import Mode, SyncRequest
from activecampaign_dagster.sync.search import Search
from activecampaign_dagster.warehouse import vanished
from activecampaign_dagster.warehouse.delivery import Landed
from activecampaign_dagster.warehouse.ledger import (
    OFFSETS_HONOURED,
    TOTALS_FOLLOW_FILTERS,
    StreamState,
)
from activecampaign_dagster.warehouse.warehouse import WarehouseError

_AT_LEAST = "at-least"
LEFT = "deletions_left"  # per stream: rows too many that a search did not find, until a full sync
_FEWEST = 25  # requests that a search may send of a small stream: five seconds' worth
# how far dates may be off: where offsets count not at all, an hour that clocks repeat; where it is
# not known what counts, any zone and a filter by days
_MARGINS = {"yes": timedelta(0), "no": FOLD}
_WIDEST_MARGIN = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found out. keys: of rows to mark. cut_short: the budget would not do."""

    keys: Set[int] = frozenset()
    requests: int = 0
    cut_short: bool = False
    doubt: str | None = None


@dataclass(slots=True, eq=False)
class _Case:
    """A stream that landed, its outcomes so far, and when its read began. total: asked since."""

    read: Read
    outcomes: list[Outcome]
    began: datetime
    axis: Axis
    total: int | None = None


class Deletions:
    """Searches what was read incrementally, side by side with the reads that are still under way.

    An outcome is held until it is known what is gone. A search that fails, or that finds that
    something does not add up, marks nothing: the next full sync tells.
    """

    def __init__(
        self,
        source: Source,
        request: SyncRequest,
        client: Client,
        log: logging.Logger,
        facts: Mapping[str, str],
        states: Mapping[str, StreamState],
    ) -> None:
        self._source = source
        self._request = request
        self._client = client
        self._log = log
        self._facts = facts
        self._states = states
        self.pending: dict[Future[Any], _Case] = {}

    def begin(
        self, threads: Executor, read: Read, outcomes: Sequence[Outcome], began: datetime
    ) -> list[Outcome]:
        """Begin with what landed; returns the outcomes that need not wait."""
        main = read.main
        is_asked = self._source.searches and self._request.mode is Mode.INCREMENTAL
        if not is_asked or main is None or read.mode is not Mode.INCREMENTAL or not outcomes:
            return list(outcomes)
        name = read.stream.name
        honoured = self._facts.get(f"{OFFSETS_HONOURED}:{name}", "")
        axis = axis_of(read.stream, _MARGINS.get(honoured, _WIDEST_MARGIN))
        is_off = self._facts.get(f"{TOTALS_FOLLOW_FILTERS}:{name}") == "no"
        if axis is None or is_off or main.sync_type is SyncType.FULL_TABLE:
            return list(outcomes)
        case = _Case(read, list(outcomes), began, axis)
        self.pending[threads.submit(self._total, read.stream)] = case
        return []

    def settled(self) -> list[Outcome]:
        """The outcomes of streams of which nothing is gone: they need no database."""
        outcomes: list[Outcome] = []
        for future in [future for future in self.pending if future.done()]:
            case, error = self.pending[future], future.exception()
            if isinstance(error, ApiError):
                del self.pending[future]
                outcomes += self._without(case, error)
            elif error is None and not isinstance(future.result(), Found):
                case.total = future.result()
                if case.total is None or not self._is_worth_it(case):
                    del self.pending[future]
                    outcomes += self._completed(case, Found(requests=1), {}, ())
        return outcomes

    def go_on(
        self, threads: Executor, db: duckdb.DuckDBPyConnection, future: Future[Any]
    ) -> list[Outcome]:
        """Take the next step of a search; returns its stream's outcomes if it was the last."""
        case = self.pending.pop(future)
        try:
            result = future.result()
            if isinstance(result, Found):
                return self._end(db, case, result)
            walk, main = case.read.stream.walk, case.read.main
            assert main is not None  # noqa: S101
            stamp = walk.stamp if isinstance(walk, ByCreation) else None
            rows = Rows(*vanished.live_keys(db, main, stamp))
            self.pending[threads.submit(self._search, case, rows, result)] = case
        except WarehouseError:
            self.pending[future] = case
            raise
        except Exception as error:
            return self._without(case, error)
        return []

    def _without(self, case: _Case, error: Exception) -> list[Outcome]:
        """The outcomes of a stream whose search failed."""
        found = Found(requests=1, doubt=str(error) or type(error).__name__)
        self._log.info("%s: %r", case.read.stream.name, error, exc_info=error)
        notes = self._notes(case, found)
        return self._completed(case, found, {}, notes)

    def release(self) -> list[Outcome]:
        """The outcomes that are held, as the run ends early: nothing is marked."""
        held = [outcome for case in self.pending.values() for outcome in case.outcomes]
        self.pending.clear()
        return held

    def _total(self, stream: Stream) -> int | None:
        endpoint = stream.endpoint
        return self._client.first(endpoint.path, endpoint.collection, endpoint.params).total

    def _beyond(self, case: _Case) -> int:
        """How many more live rows the table has than the account records."""
        name = case.read.stream.name
        landed = next(o.landed for o in case.outcomes if o.stream_table.name == name)
        return landed.live_rows - (case.total or 0)

    def _is_worth_it(self, case: _Case) -> bool:
        """Whether there are rows too many, but for those that an earlier search did not find."""
        beyond = self._beyond(case)
        left, is_least = self._left(case.read.stream.name)
        return beyond > 0 and beyond != left and not (is_least and beyond > left)

    def _pass_of(self, stream: str) -> str:
        state = self._states.get(stream)
        return state.last_pass_at.isoformat() if state and state.last_pass_at else "never"

    def _left(self, stream: str) -> tuple[int, bool]:
        """What a search since the last full sync left, and whether it had not seen all."""
        number, _, rest = self._facts.get(f"{LEFT}:{stream}", "").partition(" ")
        least, _, last_pass = rest.partition(" ")
        if not number.isdecimal() or last_pass != self._pass_of(stream):
            return 0, False
        return int(number), least == _AT_LEAST

    def _search(self, case: _Case, rows: Rows, total: int) -> Found:
        """Search for what is gone, and be sure of it."""
        endpoint = case.read.stream.endpoint
        budget = max(math.ceil(total / PAGE_SIZE), _FEWEST)
        search = Search(case.axis, rows, total, budget=budget, filters=endpoint.params)
        requests = 0

        def fetch(params: Params) -> Page:
            nonlocal requests
            requests += 1
            return self._client.page(endpoint.path, endpoint.collection, params)

        try:
            for _ in self._drive(search, fetch):
                pass
            missing = search.missing
            if missing and case.axis.slack:
                missing = missing - self._changed(case, fetch)
        except (DoubtError, LoopError) as doubt:
            return Found(requests=1 + requests, doubt=str(doubt))
        except ApiError as error:
            return Found(requests=1 + requests, doubt=str(error))
        return Found(missing, 1 + requests, search.is_cut_short)

    def _drive(self, walk: Walk, fetch: Callable[[Params], Page]) -> Iterator[Page]:
        return read(walk, fetch, self._client.executor, lambda: self._client.in_flight)

    def _changed(self, case: _Case, fetch: Callable[[Params], Page]) -> set[int]:
        """The keys of the records that changed since the incremental read.

        A creation stamp that was changed puts a record where no page was looked at.
        """
        stream = case.read.stream
        after = stream.changes and stream.changes.after
        if not after:
            raise DoubtError("the API does not tell which records changed meanwhile")
        since = write_stamp(case.began - self._source.overlap)
        filters: dict[str, str | int] = {**stream.endpoint.params, after: since}
        filters[case.axis.order] = "ASC"
        walk = OffsetWalk(filters, key=stream.key_of)
        totals, found = set[int | None](), set[int]()

        def counted(params: Params) -> Page:
            page = fetch(params)
            totals.add(page.total)
            found.update(key for r in page.records if (key := case.axis.key(r)) is not None)
            return page

        for _ in self._drive(walk, counted):
            pass
        if totals != {len(found)}:
            raise DoubtError("records change too quickly to tell which were deleted")
        return found

    def _end(self, db: duckdb.DuckDBPyConnection, case: _Case, found: Found) -> list[Outcome]:
        """Mark what is gone, note what is left, and complete the outcomes."""
        stream, main = case.read.stream, case.read.main
        assert main is not None  # noqa: S101
        at = case.outcomes[0].at
        facts = self._facts_after(case, found)
        gone: Mapping[str, vanished.Gone] = {}
        if found.keys or facts:
            gone = vanished.mark(
                db, self._source, main, found.keys,
                at=at, sync_id=self._request.sync_id, facts=facts,
            )  # fmt: skip
        notes = self._notes(case, found)
        if main.name in gone:
            self._log.info(
                "%s: %s deleted, found by %s requests",
                *(stream.name, gone[main.name].deleted, found.requests),
            )
        return self._completed(case, found, gone, notes)

    def _facts_after(self, case: _Case, found: Found) -> dict[str, str]:
        """What is noted, so that what cannot be found is not searched for in every sync."""
        if found.doubt or found.requests <= 1:
            return {}
        left = max(self._beyond(case) - len(found.keys), 0)
        if left == self._left(case.read.stream.name)[0]:
            return {}
        least = _AT_LEAST if found.cut_short else "all"
        name = case.read.stream.name
        return {f"{LEFT}:{name}": f"{left} {least} {self._pass_of(name)}"}

    def _notes(self, case: _Case, found: Found) -> list[str]:
        """What is to be said of a search, which is logged, too."""
        notes = list(self._remarks(case, found))
        for note in notes:
            self._log.warning("%s: %s", case.read.stream.name, note)
        return notes

    def _remarks(self, case: _Case, found: Found) -> Iterator[str]:
        path, rest = case.read.stream.endpoint.path, "the next full sync finds them."
        left = self._beyond(case) - len(found.keys)
        if found.doubt:
            yield (
                f"Deleted records of /{path} could not be searched for: {found.doubt.rstrip('.')}. "
                "Nothing was marked as deleted; the next full sync finds them."
            )
        elif found.cut_short:
            yield (
                f"finding {left} more deleted records of /{path} would take as many requests as a "
                f"full read: {rest}"
            )
        elif found.requests > 1 and left > 0:
            yield f"The search did not find {left} deleted records of /{path}: {rest}"

    def _completed(
        self,
        case: _Case,
        found: Found,
        gone: Mapping[str, vanished.Gone],
        notes: Sequence[str],
    ) -> list[Outcome]:
        """The outcomes with what is gone, and those of children that did not land with them."""
        name, outcomes = case.read.stream.name, []
        for outcome in case.outcomes:
            completed = outcome
            if outcome.stream_table.name == name:
                completed = replace(
                    outcome,
                    total=outcome.total if case.total is None else case.total,
                    searched=found.requests,
                    requests=outcome.requests + found.requests,
                    notes=(*outcome.notes, *notes),
                )
            outcomes.append(_with(completed, gone.get(outcome.stream_table.name)))
        held = {outcome.stream_table.name for outcome in outcomes}
        for child in gone.keys() & self._request.streams - held:
            nothing = Landed(
                inserted=0, updated=0, unchanged=0, deleted=0, rejected=0,
                live_rows=0, deleted_rows=0, new_columns=(),
            )  # fmt: skip
            empty = replace(
                case.outcomes[0], stream_table=self._source.table_of(child), landed=nothing,
                rows_read=0, stubs=0, pages=0, requests=0, seconds=0.0, notes=(), total=None,
            )  # fmt: skip
            outcomes.append(_with(empty, gone[child]))
        return outcomes


def _with(outcome: Outcome, gone: vanished.Gone | None) -> Outcome:
    """An outcome with the rows that were marked after it landed."""
    if gone is None:
        return outcome
    landed = replace(
        outcome.landed,
        deleted=outcome.landed.deleted + gone.deleted,
        live_rows=gone.live_rows,
        deleted_rows=gone.deleted_rows,
    )
    return replace(outcome, landed=landed)
