"""From the account to the spool: one read, checked, filtered and counted record by record."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from activecampaign_dagster.api.client import PAGE_SIZE, Client, Page, Params
from activecampaign_dagster.api.created_walk import CreatedWalk
from activecampaign_dagster.api.errors import PermissionDeniedError, RequestError
from activecampaign_dagster.api.id_walk import IdWalk
from activecampaign_dagster.api.keys import keys
from activecampaign_dagster.api.newest_first_walk import NewestFirstWalk
from activecampaign_dagster.api.page_walk import PageWalk
from activecampaign_dagster.api.printable import counted
from activecampaign_dagster.api.stamps import first_stamp
from activecampaign_dagster.api.walks import OffsetWalk, State, Walk, read
from activecampaign_dagster.streams.declaration import (
    ByCreation,
    ById,
    ByOffset,
    ByPage,
    NewestFirst,
)
from activecampaign_dagster.streams.source import StreamTable
from activecampaign_dagster.sync.children import (
    nest,
    owner_name,
    spool_keys,
    take_children,
    unlisted_name,
)
from activecampaign_dagster.sync.plan import Child, Read
from activecampaign_dagster.sync.request import Mode
from activecampaign_dagster.sync.spool import Arrival, Spool
from activecampaign_dagster.warehouse.clock import Clock, offsets_in
from activecampaign_dagster.warehouse.tables import OTHER_FIELDS

_REPORT_SECONDS = 10.0
_MOST_NEW_COLUMNS = 300  # of undeclared fields; more of them take memory in every later sync
_CLOCK_SKEW = timedelta(hours=1)  # how far this machine's clock may be ahead of the account's
_STAMP = timedelta(seconds=1)  # stamps and the account's clock are whole seconds


class Extraction:
    """One read under way: takes pages and spools what they hold.

    clock: what is known of the account's so far; the stamps of the pages add to it.
    parents: what fills in the parameter of the path, one walk for each (see `Each`).
    undeclared: stream → fields that nobody declared and that have a column.
    landed: the enabled streams of which a full sync has landed. is_again: records are spooled once
    more, behind an earlier reading.
    """

    def __init__(
        self,
        read: Read,
        client: Client,
        spool: Spool,
        log: logging.Logger,
        clock: Clock,
        parents: Sequence[str] = (),
        *,
        landed: Set[str] = frozenset(),
        undeclared: Mapping[str, Set[str]] = MappingProxyType({}),
        is_again: bool = False,
    ) -> None:
        self.read = read
        self._client = client
        self._spool = spool
        self._log = log
        self._clock = clock
        self._parents = parents
        self._landed = landed
        self._undeclared = undeclared
        self._is_again = is_again
        self._parent: tuple[str, str] | None = None  # the parameter of the path, and its value
        # the ids of children that records list are no fields that nobody knows
        self._lists = {
            name
            for beside in (child.beside for child in read.children)
            for name in (beside.listed, beside.array, beside.include.partition(".")[0])
        }
        self._shapes: dict[str, dict[tuple[str, ...], Set[str]]] = {}
        self._began = self._reported = time.monotonic()
        self.requests = 0
        self.offsets: set[datetime] = set()  # that stamps had, see `warehouse.clock`
        self.progress = spool.progress
        self._rows_before = spool.progress.rows
        self._announced: int | None = None  # the total beside the first page
        self._came: set[str] = set()  # of records, where they are to be counted

    @property
    def began(self) -> datetime:
        """When the read began: by the account's clock, which stamps what changes meanwhile."""
        return self.progress.began or self._spool.began

    @property
    def watermark(self) -> datetime | None:
        """The newest stamp, but none from which on changes may have been missed.

        That is what comes after the read began, where stamps in the future lie as well.
        """
        newest = self.progress.newest
        return newest and min(newest, self.began - _STAMP)

    def run(self) -> None:
        """Read to the end, from where an earlier process stopped. Raises the errors of `api`."""
        resumed = self._spool.resumed
        if resumed and self.progress.rows:
            self._log.info("%s: resuming after %s", self.read.name, self._received)
        if self.read.stream.each:
            self._walk_each(self.read.stream.each.parameter)
        else:
            self._walk_all(resumed=resumed)
        self._note_arrivals()
        # a short read says enough by what it landed
        if self._reported > self._began:
            self._report()

    def _walk_all(self, *, resumed: bool) -> None:
        path = self.read.stream.endpoint.path
        walk = self._walk_for(self.read, self._spool.walk)
        self._walk(walk, walk.state, path)
        changed = self.read.changed_since(self.began - self.read.margin - _CLOCK_SKEW)
        if resumed and changed:
            # what changed behind the part that was read before the kill
            self._read_again(changed, walk.state)
        elif self._is_short:
            self._log.info(
                "%s: the API returned fewer records than it reported; reading again", self.read.name
            )
            self._read_again(self.read, walk.state)

    def _walk_each(self, parameter: str) -> None:
        """Walk the path of each parent in turn, going on with the one that was not finished.

        A parent without records may have no such path, and that of one may not be readable; but if
        no parent has one, the account lacks the feature.
        """
        saved = self._spool.walk or {"parent": "", "walk": None}
        refused: list[RequestError | PermissionDeniedError] = []
        for parent in sorted(self._parents):
            if parent < saved["parent"]:
                continue
            inner = saved["walk"] if parent == saved["parent"] else None
            walk = self._walk_for(self.read, inner)
            self._parent = (parameter, parent)
            path = self.read.stream.endpoint.path.format(**{parameter: quote(parent, safe="")})
            try:
                self._walk(walk, partial(_state_at, parent, walk), path)
            except (RequestError, PermissionDeniedError) as error:
                refused.append(error)
                if error.status != 404:
                    self.progress.left_out += 1
                    self.note(f"{error} Its rows stay as they are.")
        if refused and len(refused) == len(self._parents):
            raise refused[0]

    @property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self._clock.read_in)

    @property
    def _received(self) -> str:
        # more than there are, where pages overlap or are read again
        return f"{counted(self.progress.rows, 'record')} received"

    @property
    def _is_short(self) -> bool:
        """Whether fewer records came than the account said had changed.

        Then a page may have been short by mishap, and the watermark would pass over what it lacks.
        It may also be a record that was deleted meanwhile, or a total that counts others, too: so
        one more reading is all the total is trusted with.
        """
        is_filtered = self.read.mode is Mode.INCREMENTAL and self.read.stream.can_filter
        return is_filtered and len(self._came) < (self._announced or 0)

    def _read_again(self, read_: Read, state: Callable[[], State]) -> None:
        """Spool another reading behind the first; records that come twice are landed once."""
        again = Extraction(read_, self._client, self._spool, self._log, self._clock, is_again=True)
        again._walk(self._walk_for(read_, None), state, read_.stream.endpoint.path)
        self.requests += again.requests

    def newest(self) -> Page:
        """One more page: the records added last, if the collection can be asked for them."""
        self.requests += 1
        stream = self.read.stream
        params: dict[str, str | int] = {**stream.endpoint.params, "limit": PAGE_SIZE}
        if isinstance(stream.walk, ById | ByCreation | NewestFirst) and stream.walk.order:
            params[stream.walk.order] = "DESC"
        return self._client.page(stream.endpoint.path, stream.endpoint.collection, params)

    def _walk(self, walk: Walk, state: Callable[[], State], path: str) -> None:
        """Take every page of `walk`; `state` is where a later process goes on."""
        endpoint = self.read.stream.endpoint
        ask = self._client.single if endpoint.is_single else self._client.page

        def fetch(params: Params) -> Page:
            self.requests += 1
            page = ask(path, endpoint.collection, params)
            if endpoint.shape:
                declared, zone = endpoint.shape.declared, self._zone
                page.records[:] = [
                    declared(record, zone) if isinstance(record, dict) else record
                    for record in page.records
                ]
            return page

        pages = read(walk, fetch, self._client.executor, lambda: self._client.in_flight)
        spooled = state()  # the walk counts a page before it is spooled, which may fail
        try:
            for page in pages:
                # before the next page, which may not come: one that was alone is no progress
                if self.progress.pages and time.monotonic() - self._reported > _REPORT_SECONDS:
                    self._report()
                self._take(page)
                spooled = state()
                if self._spool.segment_is_full:
                    self._spool.close_segment(spooled)
            spooled = state()
        finally:
            self._spool.close_segment(spooled)

    def note(self, text: str) -> None:
        """Say something about this read in the log and in its outcome, once."""
        if text not in self.progress.notes:
            self.progress.notes.append(text)
            self._log.warning("%s: %s", self.read.name, text)

    def _take(self, page: Page) -> None:
        stream = self.read.stream
        if self.read.mode is Mode.INCREMENTAL:
            self._came.update(keys(page.records, stream.key_of))
        if self.progress.pages == 0:
            self._announced = page.total
        # a page behind a cursor may count only what lies behind it
        self.progress.total = max(self.progress.total, page.total or 0)
        if page.at:
            self.progress.began = min(page.at, self.progress.began or page.at)
            self.progress.ahead = (datetime.now(UTC) - page.at).total_seconds()
        self.progress.pages += 1
        self.progress.rows += len(page.records)
        self._note_offsets(page)
        if self._parent:
            name, parent = self._parent
            for record in page.records:
                if isinstance(record, dict):
                    record[name] = parent
        nest(stream, page)
        records = [record for record in page.records if self._counts(record)]
        parents: dict[str, Any] = {}
        if self.read.children:
            parents = {key: record for record in records if (key := stream.key_of(record))}
        if self.read.children and (self._is_again or not self.read.main):
            spool_keys(self._spool, owner_name(stream), list(parents))
        if self.read.main:
            self._add(self.read.main, self._without_listed(records))
        elif not self.read.children:
            self._spool.add(stream.name, records, stream.key_of)
        if self.read.children and page.records:
            unlisted = take_children(
                self.read.children, page, parents, self._zone, self.progress, self._add_child
            )
            for child in self.read.children:
                spool_keys(self._spool, unlisted_name(child), unlisted.get(child.name, []))

    def _note_offsets(self, page: Page) -> None:
        """Note what stamps show of the account's clock, before others are read by it."""
        seen = offsets_in(self.read.stream, page.records)
        self.offsets |= seen
        if not self._clock.agrees(seen):
            self._clock = self._clock.after(self.offsets)

    def _without_listed(self, records: list[Any]) -> list[Any]:
        listed = self.read.listed
        return [
            {k: v for k, v in r.items() if k not in listed or not isinstance(v, list)}
            if isinstance(r, dict) and not listed.isdisjoint(r)
            else r
            for r in records
        ]

    def _add_child(self, child: Child, records: list[dict[str, Any]]) -> None:
        self._add(child.stream_table, records)

    def _counts(self, record: Any) -> bool:
        """Whether a record is within the read's span; also notes the newest stamp."""
        stream = self.read.stream
        if not isinstance(record, dict):
            return True
        stamp = first_stamp(record, stream.stamps)
        if stamp is None:
            self.progress.stubs += bool(stream.stub and record.get(stream.stub.flag))
            return True
        since, until = self.read.since, self.read.until
        is_filtered = stream.can_filter
        if (since and stamp < since) or (until and stamp >= until):
            # how the API reads offsets is not known: up to a day off is no wonder
            slack = self.read.margin + timedelta(days=1)
            is_far = (since and stamp < since - slack) or (until and stamp > until + slack)
            if is_filtered and is_far:
                self.note("The API returned records outside the date filter; they were left out.")
            return False
        self.progress.newest = max(stamp, self.progress.newest or stamp)
        return True

    def _note_arrivals(self) -> None:
        """Say what comes of children that did not come as they should."""
        for child in self.read.children:
            arrived = self.progress.arrivals.get(child.name, Arrival.WHOLE)
            if arrived is not Arrival.WHOLE:
                self.note(f"{_reason(child, arrived)}; {self._remedy(child, arrived)}")

    def _remedy(self, child: Child, arrived: Arrival) -> str:
        pivot = self.read.pivot
        if child.is_kept and not child.stream_table.stream.beside_only:
            path = child.stream_table.stream.endpoint.path
            return f"{child.name} are taken from /{path} instead."
        if pivot is None or pivot.child != child.name:
            return f"{child.name} stay as they are, because the account lists them nowhere else."
        if arrived is Arrival.IGNORED and child.name in self._landed:
            return f"{pivot.column} are taken from what earlier syncs landed of {child.name}."
        if arrived is Arrival.IGNORED:
            return (
                f"{pivot.column} stay as they are. To fill them, enable {child.name} and run a "
                f"full sync."
            )
        when = "this window is read again" if self.read.until else "the next sync reads them"
        return (
            f"{pivot.column} of these {self.read.stream.name} stay as they are until {when}. If "
            f"this recurs, enable {child.name}."
        )

    def _add(self, stream_table: StreamTable, records: list[Any]) -> None:
        """Spool records for a table, noticing fields that nobody declared."""
        if not stream_table.stores_all:
            stores = stream_table.stores
            records = [
                {key: r[key] for key in r if stores(key)} if isinstance(r, dict) else r
                for r in records
            ]
        shapes = self._shapes.setdefault(stream_table.name, {})
        for place, record in enumerate(records):
            if isinstance(record, dict):
                shape = tuple(record)
                if shape not in shapes:
                    shapes[shape] = self._beyond_columns(stream_table, shape)
                if beyond := shapes[shape]:
                    records[place] = {k: v for k, v in record.items() if k not in beyond}
                    records[place][OTHER_FIELDS] = {k: record[k] for k in beyond}
        self._spool.add(stream_table.name, records, stream_table.stream.key_of)

    def _beyond_columns(self, stream_table: StreamTable, shape: Sequence[str]) -> Set[str]:
        """Note the undeclared fields of a record, and return those that become no columns."""
        extras = self.progress.extras.setdefault(stream_table.name, [])
        declared = {field.name for field in stream_table.stream.fields} | self._lists
        there = self._undeclared.get(stream_table.name, frozenset())
        new = [k for k in shape if k not in declared and k not in extras and "\0" not in k]
        room = max(_MOST_NEW_COLUMNS - len(there | set(extras)), 0)
        fresh = [key for key in new if key not in there]
        beyond = frozenset(fresh[room:])
        extras += [key for key in new if key not in beyond]
        if beyond:
            if OTHER_FIELDS not in extras:
                extras.append(OTHER_FIELDS)
            self.note(
                f"{stream_table.name} has more than {_MOST_NEW_COLUMNS} undeclared fields: the "
                f"rest is kept as JSON in the column {OTHER_FIELDS}."
            )
        return beyond

    def _report(self) -> None:
        """One line on how far the read is."""
        self._reported = time.monotonic()
        seconds = self._reported - self._began
        rows, total = self.progress.rows, self.progress.total
        read_now = rows - self._rows_before
        share = left = ""
        if 0 < rows <= total:
            share = f" of {total} ({rows / total:.0%})"
        if rows < total and read_now:
            left = f", about {(total - rows) * seconds / read_now:.0f} s left"
        children = len(self.read.children)
        self._log.info(
            "%s%s: %s%s, %s, %.1f requests/s, %.0f s%s",
            self.read.stream.name,
            f" with {children} children" if children > 1 else "",
            self._received,
            share,
            counted(self.progress.pages, "page"),
            self.requests / seconds if seconds else 0.0,
            seconds,
            left,
        )

    def _walk_for(self, read_: Read, state: State | None) -> Walk:
        """The walk that the stream declares, from `state` on."""
        key = read_.stream.key_of
        match read_.stream.walk:
            case ById(order=order, after=after, before=before):
                return IdWalk(
                    read_.filters, order=order, after=after, before=before, key=key, state=state
                )
            case ByCreation(stamp=stamp, order=order, after=after):
                return CreatedWalk(
                    read_.filters,
                    stamp=stamp,
                    order=order,
                    after=after,
                    key=key,
                    state=state,
                    warn=self.note,
                )
            case NewestFirst(stamp=stamp, order=order, lookback=lookback):
                return NewestFirstWalk(
                    read_.filters,
                    stamp=stamp,
                    order=order,
                    until=read_.since and read_.since - lookback,
                    key=key,
                    state=state,
                    warn=self.note,
                )
            case ByPage(number=number, size=size, rows=rows):
                return PageWalk(
                    read_.filters, number=number, size=size, key=key, limit=rows, state=state
                )
            case ByOffset(rows=rows):
                return OffsetWalk(read_.filters, key=key, limit=rows, state=state)


def _state_at(parent: str, walk: Walk) -> State:
    return {"parent": parent, "walk": walk.state()}


def _reason(child: Child, arrived: Arrival) -> str:
    include = f"include={child.beside.include}"
    return (
        f"The API ignored {include}" if arrived is Arrival.IGNORED else f"{include} omitted records"
    )
