"""Walks by a cursor, over ranges side by side: contacts by id, deals by creation time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from activecampaign_dagster.api.client import PAGE_SIZE, Page, Params
from activecampaign_dagster.api.errors import LoopError, OrderError
from activecampaign_dagster.api.stamps import parse_stamp, write_stamp
from activecampaign_dagster.api.walks import (
    OffsetWalk,
    Patience,
    Request,
    Seen,
    State,
    keys,
    record_id,
)

# Half a page is wasted where two ranges meet. The more requests are under way, the longer each
# takes and the longer a range that is left over would be read alone.
_PAGES_WORTH_A_LANE, _FEWEST_UNDER_WAY = 4, 4
_HOUR = 3600.0


@dataclass(slots=True, eq=False)
class _Lane:
    """One range being read: from `position` up to `bound` (None: no end).

    `rows` over `span` is its density, inherited at a split until it has a page of its own.
    """

    position: float
    bound: float | None = None
    rows: int = 0
    span: float = 0.0
    waiting: bool = False
    done: bool = False

    def passed(self, position: float, rows: int) -> None:
        """Move on to `position`, past `rows` records."""
        self.rows, self.span = rows, max(position - self.position, 1.0)
        self.position = position

    def rows_left(self, top: float) -> float:
        """An estimate from the density of the page read last; `top` ends an open range."""
        end = top if self.bound is None else self.bound
        return 0.0 if self.done else max(end - self.position, 0.0) * self.rows / (self.span or 1)


def _pages_worth_a_lane(lanes: Sequence[_Lane], room: int) -> int:
    """How many pages a new range should have at least."""
    under_way = max(room + sum(lane.waiting for lane in lanes), _FEWEST_UNDER_WAY)
    return max(_PAGES_WORTH_A_LANE * _FEWEST_UNDER_WAY // under_way, 1)


class IdWalk:
    """Contacts: `orders[id]=ASC` with `id_greater`, in id ranges side by side.

    A range is halved whenever there is room for another request, the fullest first, so a range
    that turns out dense is shared. Where the ids end is told by the last page, asked for when the
    range without an end is beyond the total. filters: further parameters of every request.
    """

    def __init__(
        self, filters: Params | None = None, *, limit: int = PAGE_SIZE, state: State | None = None
    ) -> None:
        self._filters = dict(filters or {})
        self._limit = limit
        self._lanes = [_Lane(*lane) for lane in (state["lanes"] if state else [(0, None)])]
        # Ids are at least as many as records, so the total is a first guess at the highest.
        self._top = 0
        self._asked_for_last = False

    def state(self) -> State:
        """The ranges that are left."""
        return {"lanes": [(lane.position, lane.bound) for lane in self._lanes if not lane.done]}

    def requests(self, room: int) -> list[Request]:
        """The next page of each range, then halves of ranges while there is room."""
        worth = self._limit * _pages_worth_a_lane(self._lanes, room)
        out: list[Request] = []
        for lane in self._lanes:
            if len(out) < room and not lane.done and not lane.waiting:
                out.append(self._request(lane))
        while len(out) < room and (request := self._another(worth)):
            out.append(request)
        return out

    def _request(self, lane: _Lane) -> Request:
        lane.waiting = True
        params: dict[str, str | int] = {"orders[id]": "ASC", "limit": self._limit}
        if lane.position:
            params["id_greater"] = int(lane.position)
        return Request({**self._filters, **params}, lane)

    def _another(self, worth: int) -> Request | None:
        """A request for half of the fullest range, or for the last page, if worth one.

        worth: how many rows a range of its own should have.
        """
        if not self._lanes:
            return None
        fullest = max(self._lanes, key=lambda lane: lane.rows_left(self._top))
        if fullest.rows_left(self._top) < 2 * worth:
            is_open = any(
                lane.bound is None and lane.rows and not lane.done and lane.position > self._top
                for lane in self._lanes
            )
            if self._asked_for_last or not is_open:
                return None
            self._asked_for_last = True
            params = {**self._filters, "orders[id]": "DESC", "limit": self._limit}
            return Request(params, None)
        end = self._top if fullest.bound is None else fullest.bound
        # whole pages, so that ranges of ids without gaps end where a page ends
        half = (end - fullest.position) // 2 // self._limit * self._limit
        lane = _Lane(fullest.position + half, fullest.bound, fullest.rows, fullest.span)
        fullest.bound = lane.position
        self._lanes.append(lane)
        return self._request(lane)

    def take(self, request: Request, page: Page) -> Page | None:
        """Advance the range. OrderError if the page is not in id order beyond the cursor."""
        found = [i for i in dict.fromkeys(map(record_id, page.records)) if i is not None]
        if request.lane is None:
            return self._take_last(page, found)
        lane: _Lane = request.lane
        lane.waiting = False
        self._top = max(self._top, page.total or 0)
        if found != sorted(found) or (found and found[0] <= lane.position):
            raise OrderError(
                "The API did not honour orders[id]=ASC with id_greater, so records may be missing "
                "from what was read. Please report this."
            )
        end = lane.bound
        if found:
            lane.passed(found[-1], len(found))
        elif len(page.records) >= self._limit:
            raise LoopError("Loop detected: a full page held no record with a usable id.")
        lane.done = len(page.records) < self._limit or (end is not None and lane.position >= end)
        return page if end is None or lane.position <= end else _between(page, 0, end)

    def _take_last(self, page: Page, found: list[int]) -> Page | None:
        """Let the range without an end stop before the last page, if that is what `page` is."""
        self._top = max(found, default=0)
        last = next((lane for lane in self._lanes if lane.bound is None), None)
        if last is None or last.done or len(found) < 2 or found != sorted(found, reverse=True):
            return None
        last.bound = max(found[-1] - 1, last.position)
        last.done = not last.waiting and last.position == last.bound
        return _between(page, last.position, self._top)


def _between(page: Page, position: float, bound: float) -> Page:
    """A page without the records that other ranges hold: those beyond `position` to `bound`."""
    records = [r for r in page.records if (i := record_id(r)) is None or position < i <= bound]
    return replace(page, records=records)


class _Level:
    """What came of the records at one cursor, up to its stamp, which are passed by offsets.

    Nobody promises their order, so that they may change places from one page to the next: as many
    as there are offsets must have come, else they are to be passed once more.
    """

    def __init__(self) -> None:
        self._round: set[str] = set()  # since the offset was 0
        self._ever: set[str] = set()  # but for stubs that may lie beyond the stamp

    def knows(self, found: Iterable[str]) -> bool:
        """Whether all of `found` have come before."""
        return all(key in self._round or key in self._ever for key in found)

    def any_of(self, found: Iterable[str]) -> bool:
        """Whether one of `found` has come before."""
        return any(key in self._round or key in self._ever for key in found)

    def add(self, found: list[str], page: Page, position: float) -> None:
        """A page that does not lead beyond `position`."""
        stamps = enumerate(map(_stamp, page.records), start=1)
        self._ever.update(found[: max((i for i, s in stamps if s and s[0] <= position), default=0)])
        self._round.update(found)

    def is_whole(self, found: list[str], page: Page, position: float, offset: int) -> bool:
        """Whether with a page that does, all have come; if not, the next round begins."""
        stamps = enumerate(map(_stamp, page.records))
        beyond = next((i for i, s in stamps if s and s[0] > position), len(found))
        here = set(found[:beyond])
        if offset + len(here) <= len(here | self._round | self._ever):
            return True
        self.add(found[:beyond], page, position)
        self._round.clear()
        return False


@dataclass(slots=True, eq=False)
class _CreatedLane(_Lane):
    """A range of creation time: the position in seconds, and how to ask for what follows it."""

    cursor: str | None = None  # the stamp as the API wrote it
    offset: int = 0
    before: str | None = None  # the cursor before this one
    entry: str | None = None  # the record at which the next range begins
    ceiling: float = 0.0  # no records between here and the bound
    parent: _CreatedLane | None = None
    seen: Seen = field(default_factory=Seen)
    level: _Level = field(default_factory=_Level)
    patience: Patience = field(default_factory=Patience)


class CreatedWalk:
    """Deals: `orders[cdate]=ASC` with `filters[created_after]`, in time ranges side by side.

    The page at a cursor must show a record that was read before it, else the filter does not read
    stamps as they are written, and the walk starts again with overlapping offset pages (records
    created in one second, and stubs without a stamp, are passed by offsets in any case, until all
    have come). A range ends at the record that the next one began with.

    filters: further parameters of every request. now: seconds since 1970, where records end.
    warn: told when the filter cannot be trusted.
    """

    def __init__(
        self,
        filters: Params | None = None,
        *,
        limit: int = PAGE_SIZE,
        state: State | None = None,
        now: float | None = None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._filters = {**(filters or {}), "orders[cdate]": "ASC"}
        self._limit = limit
        self._now = time.time() if now is None else now
        self._warn = warn
        self._offsets: OffsetWalk | None = None
        self._lanes = [_CreatedLane(0.0)]
        if state and state["offsets"]:
            self._offsets = OffsetWalk(self._filters, limit=limit, state=state["offsets"])
        elif state:
            self._lanes = [_lane_from(lane) for lane in state["lanes"]]

    def state(self) -> State:
        """The ranges that are left; those without a page of their own are still their parents'."""
        lanes = [_lane_state(lane) for lane in self._lanes if not lane.done and not lane.parent]
        return {"lanes": lanes, "offsets": self._offsets and self._offsets.state()}

    def requests(self, room: int) -> list[Request]:
        """The next page of each range, then halves of ranges while there is room."""
        if self._offsets:
            return self._offsets.requests(room)
        worth = self._limit * _pages_worth_a_lane(self._lanes, room)
        out: list[Request] = []
        for lane in self._lanes:
            if len(out) < room and not lane.done and not lane.waiting:
                out.append(self._request(lane))
        while len(out) < room and (request := self._another(worth)):
            out.append(request)
        return out

    def _request(self, lane: _CreatedLane) -> Request:
        lane.waiting = True
        params: dict[str, str | int] = {"limit": self._limit}
        if lane.cursor:
            params["filters[created_after]"] = lane.cursor
        if lane.offset:
            params["offset"] = lane.offset
        return Request({**self._filters, **params}, lane)

    def _another(self, worth: int) -> Request | None:
        """A request for the second half of the fullest range, if it has `worth` rows."""
        halving = {id(lane.parent) for lane in self._lanes if lane.parent}
        whole = [lane for lane in self._lanes if not lane.parent and id(lane) not in halving]
        if not whole:
            return None
        fullest = max(whole, key=self._left)
        if self._left(fullest) < 2 * worth:
            return None
        middle = (fullest.position + self._end(fullest)) / 2
        lane = _CreatedLane(
            middle,
            rows=fullest.rows,
            span=fullest.span,
            cursor=write_stamp(datetime.fromtimestamp(int(middle), UTC)),
            parent=fullest,
        )
        self._lanes.append(lane)
        return self._request(lane)

    def _end(self, lane: _CreatedLane) -> float:
        return lane.ceiling or (self._now if lane.bound is None else lane.bound)

    def _left(self, lane: _CreatedLane) -> float:
        return lane.rows_left(lane.ceiling or self._now)

    def take(self, request: Request, page: Page) -> Page:
        """Advance the range, or give the ranges up for offsets."""
        lane = request.lane
        if self._offsets:
            return page if isinstance(lane, _CreatedLane) else self._offsets.take(request, page)
        lane.waiting = False
        found = keys(page)
        stamps = [s for s in map(_stamp, page.records) if s]
        in_order = all(a[0] <= b[0] + _HOUR for a, b in itertools.pairwise(stamps))
        fresh = lane.cursor is None or lane.parent is not None
        at_cursor = fresh or (bool(stamps) and stamps[0][0] == lane.position)
        joins = at_cursor and not lane.offset
        if not joins:
            # a stub proves nothing of the filter, which may not hold for it
            told = found if lane.offset else _stamped(page)
            joins = lane.seen.any_of(told) or lane.level.any_of(told)
        if not in_order or not (joins or self._step_back(lane)):
            self._warn(
                "orders[cdate] with filters[created_after] did not show the record that the "
                "cursor came from; reading deals by offsets from the start instead."
            )
            self._offsets = OffsetWalk(self._filters, limit=self._limit)
        elif joins and not (lane.parent and not self._enter(lane, page, stamps)):
            self._advance(lane, page, found, stamps)
        else:
            lane.patience.count(new=False)
        return page

    def _step_back(self, lane: _CreatedLane) -> bool:
        """Ask for an earlier page, as the record to join on to may have been deleted."""
        if lane.offset:
            lane.offset = max(0, lane.offset - self._limit)
        elif lane.before:
            lane.cursor, lane.before, lane.level = lane.before, None, _Level()
        else:
            return False
        return True

    def _enter(self, lane: _CreatedLane, page: Page, stamps: list[tuple[float, str]]) -> bool:
        """The first page of a new half: from here on its parent ends where it begins."""
        parent, lane.parent = lane.parent, None
        assert parent is not None  # noqa: S101
        first = stamps[0][0] if stamps else None
        if parent.done or first is None or first == parent.bound or first > self._end(parent):
            parent.ceiling = lane.position
            lane.done = True
            return False
        lane.bound, lane.entry, lane.ceiling = parent.bound, parent.entry, parent.ceiling
        parent.bound, parent.entry, parent.ceiling = first, _stamped(page)[0], 0.0
        return True

    def _advance(
        self, lane: _CreatedLane, page: Page, found: list[str], stamps: list[tuple[float, str]]
    ) -> None:
        lane.patience.count(new=lane.seen.add(found) or not lane.level.knows(found))
        position, cursor = stamps[-1] if stamps else (lane.position, None)
        # a page of stubs says nothing, and the lane may begin after its own first record
        past = lane.bound is not None and bool(stamps) and position > lane.bound + _HOUR
        ends = len(page.records) < self._limit or past or lane.entry in found
        if not ends and (cursor is None or (lane.position >= position and lane.cursor is not None)):
            lane.level.add(found, page, lane.position)
            lane.offset += len(page.records) - 1
        elif lane.offset and not lane.level.is_whole(found, page, lane.position, lane.offset):
            lane.offset = 0
        elif ends:
            lane.done = True
        else:
            lane.before, lane.cursor, lane.offset = lane.cursor, cursor, 0
            lane.level = _Level()
            lane.passed(position, len(found))


def _stamp(record: Any) -> tuple[float, str] | None:
    """A record's cdate in seconds since 1970, and as it was written; None for stubs."""
    text = record.get("cdate") if isinstance(record, dict) else None
    moment = parse_stamp(text)
    return (moment.timestamp(), str(text)) if moment else None


def _stamped(page: Page) -> list[str]:
    """What tells the records of a page apart that have a stamp."""
    return [key for record, key in zip(page.records, keys(page), strict=True) if _stamp(record)]


def _lane_state(lane: _CreatedLane) -> State:
    return {
        "position": lane.position,
        "bound": lane.bound,
        "cursor": lane.cursor,
        "offset": lane.offset,
        "before": lane.before,
        "entry": lane.entry,
        "seen": lane.seen.last(),
    }


def _lane_from(state: State) -> _CreatedLane:
    return _CreatedLane(**{**state, "seen": Seen(state["seen"])})
