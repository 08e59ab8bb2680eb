"""The walk through pages that are numbered from one, as JSON:API paths have them."""

from __future__ import annotations

from activecampaign_dagster.api.client import PAGE_SIZE, Page, Params
from activecampaign_dagster.api.keys import KeyOf, keys, numeric_id
from activecampaign_dagster.api.overlap import Patience, Seen
from activecampaign_dagster.api.walks import Request, State


class PageWalk:
    """Page after page, up to the first that is not full.

    Pages cannot overlap here, so that a record which is deleted behind the walk hides another one
    until the next reading: for collections that are small and seldom change.

    filters: further parameters of every request. number, size: the parameters for the number of a
    page and for how many rows it may have. key: what tells records apart. limit: rows per page.
    """

    def __init__(
        self,
        filters: Params | None = None,
        *,
        number: str,
        size: str,
        key: KeyOf = numeric_id,
        limit: int = PAGE_SIZE,
        state: State | None = None,
    ) -> None:
        self._filters = {**(filters or {}), size: limit}
        self._number = number
        self._key = key
        self._limit = limit
        self._page: int = state["page"] if state else 1
        self._done = bool(state and state["done"])
        self._asked: int | None = None
        self._seen = Seen()
        self._patience = Patience()

    def state(self) -> State:
        """The page to go on from."""
        return {"page": self._page, "done": self._done}

    def requests(self, room: int) -> list[Request]:
        """The page that comes next."""
        if self._done or self._asked == self._page or not room:
            return []
        self._asked = self._page
        return [Request({**self._filters, self._number: self._page}, self._page)]

    def take(self, request: Request, page: Page) -> Page:
        """Go on to the next page, if this one is full."""
        self._patience.count(new=self._seen.add(keys(page.records, self._key)))
        self._done = len(page.records) < self._limit
        self._page = request.lane + 1
        return page
