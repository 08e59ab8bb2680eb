"""The walk by id: pages behind the highest id read so far, over id ranges side by side.

    id   1 ........ 40 ................. 100 ............... 180 .............. ∞
                    ^                     ^                    ^
         read       position    to read   bound = position     position        bound: none
         |---- range one ----------------|---- range two ----------------------|

`position` is the highest id that was read in a range, and the cursor of its next request: the page
begins behind it. A range ends at its `bound`, which the next range begins behind. Ids are unique,
so there are no ties. Where the ids end is told by the last page, asked for once when the range
without an end is beyond the total: ids are at least as many as records, so that until then the
total is a guess at the highest id that is too low or right.
"""

from __future__ import annotations

from dataclasses import replace

from activecampaign_dagster.api.client import PAGE_SIZE, Page, Params
from activecampaign_dagster.api.errors import LoopError, OrderError
from activecampaign_dagster.api.keys import KeyOf, numeric_id
from activecampaign_dagster.api.lanes import Lane, Lanes, to_halve
from activecampaign_dagster.api.walks import Request, State


class IdWalk:
    """A collection in the order of its ids, where the API takes an id to begin behind.

    The only walk that makes numbers of keys.

    filters: further parameters of every request. order: the parameter that orders by id. after:
    the one that begins behind an id. before: the one that ends before an id, None where there is
    none; it only saves what two ranges would both be sent, so a server may ignore it. key: gives
    a record's id as digits. limit: rows per page.
    """

    def __init__(
        self,
        filters: Params | None = None,
        *,
        order: str = "orders[id]",
        after: str = "id_greater",
        before: str | None = "id_less",
        key: KeyOf = numeric_id,
        limit: int = PAGE_SIZE,
        state: State | None = None,
    ) -> None:
        self._filters = dict(filters or {})
        self._order = order
        self._after = after
        self._before = before
        self._key = key
        self._limit = limit
        lanes = state["lanes"] if state else [(0, None)]
        self._lanes = Lanes([Lane(*lane) for lane in lanes], limit=limit)
        self._top = 0
        self._asked_for_last = False

    def state(self) -> State:
        """The ranges that are left."""
        return {"lanes": [(lane.position, lane.bound) for lane in self._lanes if not lane.done]}

    def requests(self, room: int) -> list[Request]:
        """The next page of each range, then halves of ranges while there is room."""
        return self._lanes.requests(room, self._next_page, self._halve)

    def _next_page(self, lane: Lane) -> Request:
        lane.waiting = True
        params: dict[str, str | int] = {self._order: "ASC", "limit": self._limit}
        if lane.position:
            params[self._after] = int(lane.position)
        if self._before and lane.bound is not None:
            params[self._before] = int(lane.bound) + 1
        return Request({**self._filters, **params}, lane)

    def _halve(self, worth: int) -> Request | None:
        fullest = to_halve(self._lanes, lambda lane: lane.rows_left(self._top), worth)
        if fullest is None:
            return self._last_page()
        end = self._top if fullest.bound is None else fullest.bound
        # whole pages, so that ranges of ids without gaps end where a page ends
        half = (end - fullest.position) // 2 // self._limit * self._limit
        lane = Lane(fullest.position + half, fullest.bound, fullest.rows, fullest.span)
        fullest.bound = lane.position
        self._lanes.append(lane)
        return self._next_page(lane)

    def _last_page(self) -> Request | None:
        """The request for the last page, once, if a range without an end is beyond the total."""
        is_open = any(
            lane.bound is None and lane.rows and not lane.done and lane.position > self._top
            for lane in self._lanes
        )
        if self._asked_for_last or not is_open:
            return None
        self._asked_for_last = True
        return Request({**self._filters, self._order: "DESC", "limit": self._limit}, None)

    def take(self, request: Request, page: Page) -> Page | None:
        """Advance the range. OrderError if the page is not in id order beyond the cursor."""
        found = [i for i in dict.fromkeys(map(self._number, page.records)) if i is not None]
        if request.lane is None:
            return self._take_last(page, found)
        lane: Lane = request.lane
        lane.waiting = False
        self._top = max(self._top, page.total or 0)
        if found != sorted(found) or (found and found[0] <= lane.position):
            raise OrderError(
                f"The API did not honour {self._order}=ASC with {self._after}, so records may be "
                f"missing. Please report this."
            )
        end = lane.bound
        if found:
            lane.passed(found[-1], len(found))
        elif len(page.records) >= self._limit:
            raise LoopError("Loop detected: a full page held no record with a usable id.")
        lane.done = len(page.records) < self._limit or (end is not None and lane.position >= end)
        return page if end is None or lane.position <= end else self._between(page, 0, end)

    def _take_last(self, page: Page, found: list[int]) -> Page | None:
        """Let the range without an end stop before the last page, if that is what `page` is."""
        self._top = max(found, default=0)
        last = next((lane for lane in self._lanes if lane.bound is None), None)
        if last is None or last.done or len(found) < 2 or found != sorted(found, reverse=True):
            return None
        last.bound = max(found[-1] - 1, last.position)
        last.done = not last.waiting and last.position == last.bound
        return self._between(page, last.position, self._top)

    def _between(self, page: Page, position: float, bound: float) -> Page:
        """A page without the records that other ranges hold: those beyond `position` to `bound`."""
        numbers = zip(page.records, map(self._number, page.records), strict=True)
        records = [record for record, i in numbers if i is None or position < i <= bound]
        return replace(page, records=records)

    def _number(self, record: object) -> int | None:
        key = self._key(record)
        return int(key) if key else None
