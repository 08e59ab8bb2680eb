"""The walk by creation: pages from the stamp of the last record on, over ranges of time.

    time     08:00      08:07           08:07                    08:20
    record     a   b   c   d   e   f   g   h   i ................... z
    page one  |-------------------|
    page two               |-------------------|
                           ^                   ^
                           cursor of page two  position once it is taken

`position` is the creation time of the last record read, `cursor` the same as the API wrote it. The
filter takes records created at the cursor or later, so a page must show one that was read before
it (d, e). If it does not, the filter reads stamps in another way than they are written.

Ties: when a page ends at the cursor it began with, the records of that second are passed by
offsets. So are records without a stamp.

A range ends at its `bound`, the time of the record at which the next range begins (its `entry`).
That record is only known when the first page of the next range has come. Until then the new range
has a `parent`, and if it finds nothing the parent learns a `ceiling`: beyond it there is nothing
before its bound.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from activecampaign_dagster.api.client import PAGE_SIZE, Page, Params
from activecampaign_dagster.api.keys import KeyOf, keys, numeric_id
from activecampaign_dagster.api.lanes import Lane, Lanes, to_halve
from activecampaign_dagster.api.overlap import Patience, Seen
from activecampaign_dagster.api.stamps import parse_stamp, write_stamp
from activecampaign_dagster.api.ties import Arrived, Stamp, Ties
from activecampaign_dagster.api.walks import OffsetWalk, Request, State

_HOUR = 3600.0  # by which stamps are out of order where clocks go back


@dataclass(slots=True, eq=False)
class _TimeLane(Lane):
    """A range of creation time: the position in seconds, and how to ask for what follows it."""

    cursor: str | None = None  # the stamp as the API wrote it
    offset: int = 0
    before: str | None = None  # the cursor before this one
    entry: str | None = None  # the record at which the next range begins
    ceiling: float = 0.0  # no records between here and the bound
    parent: _TimeLane | None = None
    seen: Seen = field(default_factory=Seen)
    ties: Ties = field(default_factory=Ties)
    patience: Patience = field(default_factory=Patience)

    @classmethod
    def load(cls, state: State) -> _TimeLane:
        """The range that `save` made JSON of."""
        return cls(**{**state, "seen": Seen(state["seen"])})

    def save(self) -> State:
        """Where the range goes on, as JSON."""
        names = ("position", "bound", "cursor", "offset", "before", "entry")
        return {**{name: getattr(self, name) for name in names}, "seen": self.seen.last()}

    def joins(self, arrived: Arrived) -> bool:
        """Whether a page shows that no record lies between it and those read before."""
        dated = arrived.dated
        is_first = self.cursor is None or self.parent is not None
        is_at_cursor = is_first or (bool(dated) and dated[0][0] == self.position)
        if is_at_cursor and not self.offset:
            return True
        # a record without a stamp proves nothing of the filter, which may not hold for it
        proof = arrived.keys if self.offset else arrived.dated_keys
        return self.seen.any_of(proof) or self.ties.any_of(proof)

    def step_back(self, limit: int) -> bool:
        """Go back by a page, as the record to join on to may have been deleted; False if none."""
        if self.offset:
            self.offset = max(0, self.offset - limit)
        elif self.before:
            self.cursor, self.before, self.ties = self.before, None, Ties()
        else:
            return False
        return True

    def advance(self, arrived: Arrived, limit: int) -> None:
        """Move on behind a page that joins."""
        new = self.seen.add(arrived.keys) or not self.ties.all_of(arrived.keys)
        self.patience.count(new=new)
        dated = arrived.dated
        position, cursor = dated[-1] if dated else (self.position, None)
        # a page of stubs says nothing, and the range may begin after its own first record
        is_past = self.bound is not None and bool(dated) and position > self.bound + _HOUR
        ends = len(arrived.keys) < limit or is_past or self.entry in arrived.keys
        moves = cursor is not None and (position > self.position or self.cursor is None)
        if not ends and not moves:
            self.ties.add(arrived, self.position)
            self.offset += len(arrived.keys) - 1
        elif self.offset and not self.ties.is_whole(arrived, self.position, self.offset):
            self.offset = 0
        elif ends:
            self.done = True
        else:
            self.before, self.cursor, self.offset = self.cursor, cursor, 0
            self.ties = Ties()
            self.passed(position, len(arrived.keys))


class CreatedWalk:
    """A collection in the order of its creation stamps, where the API filters by them.

    If the filter or the order does not hold, the walk starts again with overlapping offset pages.

    filters: further parameters of every request. stamp: the field with the time of creation.
    order: the parameter that orders by it. after: the filter that it is given to. key: what tells
    records apart. limit: rows per page. now: seconds since 1970, where records end. warn: called
    with a sentence when order or filter do not hold.
    """

    def __init__(
        self,
        filters: Params | None = None,
        *,
        stamp: str = "cdate",
        order: str = "orders[cdate]",
        after: str = "filters[created_after]",
        key: KeyOf = numeric_id,
        limit: int = PAGE_SIZE,
        state: State | None = None,
        now: float | None = None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._filters = {**(filters or {}), order: "ASC"}
        self._stamp = stamp
        self._order = order
        self._after = after
        self._key = key
        self._limit = limit
        self._now = time.time() if now is None else now
        self._warn = warn
        self._offsets: OffsetWalk | None = None
        lanes = [_TimeLane(0.0)]
        if state and state["offsets"]:
            self._offsets = self._by_offsets(state["offsets"])
        elif state:
            lanes = [_TimeLane.load(lane) for lane in state["lanes"]]
        self._lanes = Lanes(lanes, limit=limit)

    def _by_offsets(self, state: State | None = None) -> OffsetWalk:
        return OffsetWalk(self._filters, key=self._key, limit=self._limit, state=state)

    def state(self) -> State:
        """The ranges that are left; those without a page of their own are still their parents'."""
        lanes = [lane.save() for lane in self._lanes if not lane.done and not lane.parent]
        return {"lanes": lanes, "offsets": self._offsets and self._offsets.state()}

    def requests(self, room: int) -> list[Request]:
        """The next page of each range, then halves of ranges while there is room."""
        if self._offsets:
            return self._offsets.requests(room)
        return self._lanes.requests(room, self._next_page, self._halve)

    def _next_page(self, lane: _TimeLane) -> Request:
        lane.waiting = True
        params: dict[str, str | int] = {"limit": self._limit}
        if lane.cursor:
            params[self._after] = lane.cursor
        if lane.offset:
            params["offset"] = lane.offset
        return Request({**self._filters, **params}, lane)

    def _halve(self, worth: int) -> Request | None:
        halving = {id(lane.parent) for lane in self._lanes if lane.parent}
        whole = [lane for lane in self._lanes if not lane.parent and id(lane) not in halving]
        fullest = to_halve(whole, lambda lane: lane.rows_left(lane.ceiling or self._now), worth)
        if fullest is None:
            return None
        middle = (fullest.position + self._end(fullest)) / 2
        lane = _TimeLane(
            middle,
            rows=fullest.rows,
            span=fullest.span,
            cursor=write_stamp(datetime.fromtimestamp(int(middle), UTC)),
            parent=fullest,
        )
        self._lanes.append(lane)
        return self._next_page(lane)

    def _end(self, lane: _TimeLane) -> float:
        return lane.ceiling or (self._now if lane.bound is None else lane.bound)

    def take(self, request: Request, page: Page) -> Page:
        """Advance the range, or give the ranges up for offsets."""
        lane = request.lane
        if self._offsets:
            return page if isinstance(lane, _TimeLane) else self._offsets.take(request, page)
        lane.waiting = False
        arrived = Arrived(keys(page.records, self._key), list(map(self._created, page.records)))
        pairs = itertools.pairwise(arrived.dated)
        in_order = all(a[0] <= b[0] + _HOUR for a, b in pairs)
        joins = lane.joins(arrived)
        if not in_order or not (joins or lane.step_back(self._limit)):
            self._warn(
                f"{self._order} with {self._after} did not return the record of the cursor; "
                f"reading by offsets from the start instead."
            )
            self._offsets = self._by_offsets()
        elif not joins:
            lane.patience.count(new=False)
        elif lane.parent is None or self._enter(lane, arrived):
            lane.advance(arrived, self._limit)
        return page

    def _enter(self, lane: _TimeLane, arrived: Arrived) -> bool:
        """The first page of a new half: from here on its parent ends where it begins.

        False if it holds nothing that its parent's bound does not: then there is no new range.
        """
        parent, lane.parent = lane.parent, None
        assert parent is not None  # noqa: S101
        first = arrived.dated[0][0] if arrived.dated else None
        if parent.done or first is None or first == parent.bound or first > self._end(parent):
            parent.ceiling = lane.position
            lane.done = True
            return False
        lane.bound, lane.entry, lane.ceiling = parent.bound, parent.entry, parent.ceiling
        parent.bound, parent.entry, parent.ceiling = first, arrived.dated_keys[0], 0.0
        return True

    def _created(self, record: Any) -> Stamp | None:
        text = record.get(self._stamp) if isinstance(record, dict) else None
        moment = parse_stamp(text)
        return (moment.timestamp(), str(text)) if moment else None
