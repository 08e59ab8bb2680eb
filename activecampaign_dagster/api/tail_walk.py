"""The walk through a log without an order: from its end, which is found by the total.

    offset 0                                                    total
      |  first page  |                                            |
                                              |  last page, short |
                                    |  page  | <- read backwards, overlapping
                     |  page, all older | <- the end

The oldest records come first, and new ones are added behind the last: offsets stay what they are,
so that reading backwards leaves no gap. Records deleted shift those behind them to lower offsets,
where a page shows more of what was seen.
"""

from __future__ import annotations

from datetime import datetime

from activecampaign_dagster.api.client import Page, Params
from activecampaign_dagster.api.keys import KeyOf, keys
from activecampaign_dagster.api.order import Order, marks
from activecampaign_dagster.api.overlap import Patience, Seen
from activecampaign_dagster.api.walks import Request, State

_MOST_BEYOND = 3  # as many pages may be added while the end is looked for


class TailWalk:
    """An append-only log, oldest first, from its end back to the first page older than `until`.

    It has one request under way at a time: few pages are needed from one sync to the next.
    `doubt`: why it cannot be relied on, such as that there is no total; None while it can.
    """

    def __init__(
        self,
        filters: Params,
        *,
        stamp: str,
        until: datetime,
        key: KeyOf,
        limit: int,
        state: State | None,
    ) -> None:
        if limit < 2:
            raise ValueError("overlapping pages need a limit of at least 2")
        self.doubt: str | None = None
        self._filters = filters
        self._stamp = stamp
        self._until = until
        self._key = key
        self._limit = limit
        self._offset: int = state["offset"] if state else 0
        self._seen = Seen(state["seen"] if state else ())
        self._is_backward = bool(state and state["is_backward"])
        self._order = Order(is_proven=bool(state and state["is_proven"]))
        self._done = bool(state and state["done"])
        self._waiting: Request | None = None
        self._patience = Patience()
        self._beyond = 0  # full pages where the total says the end is

    def state(self) -> State:
        """The offset to go on from, and the records that the page there must join on to."""
        return {
            "offset": self._offset,
            "seen": self._seen.last(),
            "is_backward": self._is_backward,
            "is_proven": self._order.is_proven,
            "done": self._done,
        }

    def requests(self, room: int) -> list[Request]:
        """The page that comes next."""
        if self._done or self._waiting or not room:
            return []
        params = {**self._filters, "limit": self._limit, "offset": self._offset}
        self._waiting = Request(params, self._offset)
        return [self._waiting]

    def take(self, request: Request, page: Page) -> Page:
        """Find the end, then join pages on to one another backwards."""
        if request is not self._waiting:
            return page
        self._waiting = None
        found = marks(page.records, self._stamp)
        self._order.check(found[::-1])
        if self._order.is_broken:
            self.doubt = f"The API did not return the records in the order of their {self._stamp}"
            return page
        if not self._is_backward:
            self._look_for_end(page)
        if self._is_backward and self._joins(page):
            is_older = self._order.ends_before(found, self._until)
            self._done = self._offset == 0 or is_older
            self._offset = max(0, self._offset - self._limit + 1)
        return page

    def _look_for_end(self, page: Page) -> None:
        """Go to where the total says the end is; a page that is not full proves it."""
        if len(page.records) < self._limit and (page.records or self._offset == 0):
            self._is_backward = True
            self._seen.add(keys(page.records, self._key))
        elif page.total is None:
            self.doubt = "The API does not report how many records there are"
        elif self._offset == 0:
            self._offset = max(page.total - self._limit, 0) + self._limit // 2
        elif page.records and self._beyond < _MOST_BEYOND:
            self._beyond += 1
            self._offset += self._limit
        else:
            self.doubt = "The API reports a wrong number of records"

    def _joins(self, page: Page) -> bool:
        """Whether a page shows a record already seen; if not, the next page is another.

        When all those seen last are deleted, the way leads to the end, and back from there again.
        """
        found = keys(page.records, self._key)
        joins = self._seen.any_of(found)
        if not joins and len(found) < self._limit and (found or self._offset == 0):
            self._seen = Seen()
            joins = True
        self._patience.count(new=joins and self._seen.add(found))
        if not joins:
            self._offset = max(0, self._offset + (self._limit if found else -self._limit // 2))
        return joins
