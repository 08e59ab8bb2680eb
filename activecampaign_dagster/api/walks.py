"""Walks over a collection that return every record that is live from their start to their end,
whatever is added, changed or deleted between the requests, as long as the API sends right pages
and, where there is no cursor, keeps its order.

A walk is a pure coordinator: `requests(room)` names the requests to send next, `take(request,
page)` digests an answer, `state()` is what a later process needs to go on. `read` drives one with
requests in flight together. A record may come more than once, never not at all.

Facts used (API v3 documentation and recorded responses): `id_greater` with `orders[id]` works on
contacts only; deals can be ordered by `cdate` and filtered by `filters[created_after]`, inclusive,
but how that filter reads a time-zone offset is not documented; the rest has plain offsets, in an
order that nobody promises (without `orders`, deals were recorded in none that is known). A page
shorter than the limit is taken for the last one; `meta.total` may be missing and is only ever a
hint here. Before what did not come is deleted, it is compared with it (see `sync/census.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from typing import Any, Protocol

from activecampaign_dagster.api.client import PAGE_SIZE, Page, Params
from activecampaign_dagster.api.keys import KeyOf, keys, numeric_id
from activecampaign_dagster.api.overlap import Patience, Seen

State = dict[str, Any]  # JSON


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One page to fetch: its parameters, and what the walk wants to know when it arrives."""

    params: Params
    lane: Any


class Walk(Protocol):
    """What `read` needs of a walk."""

    def requests(self, room: int) -> list[Request]:
        """Up to `room` requests that can be sent now; none when all is read or under way."""

    def take(self, request: Request, page: Page) -> Page | None:
        """Digest an answer; returns the page if it is to be delivered."""

    def state(self) -> State:
        """Where to go on after the pages delivered so far, as JSON."""


def read(
    walk: Walk,
    fetch: Callable[[Params], Page],
    executor: Executor,
    in_flight: Callable[[], int],
) -> Iterator[Page]:
    """Drive `walk` to its end, with up to `in_flight()` requests under way; yields its pages."""
    pending: dict[Future[Page], Request] = {}

    def send() -> None:
        room = max(in_flight() - len(pending), 0 if pending else 1)
        for request in walk.requests(room):
            pending[executor.submit(fetch, request.params)] = request

    try:
        send()
        while pending:
            finished, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in [future for future in pending if future in finished]:
                page = walk.take(pending.pop(future), future.result())
                send()  # what comes next travels while this page is digested
                if page is not None:
                    yield page
    finally:
        for future in pending:
            future.cancel()


class OffsetWalk:
    """Offset pages that overlap by one row.

    This relies on records keeping their order among each other from one request to the next: then
    a page that shows one already seen leaves no gap before it. The API does not promise that, and
    a list that comes in another order may skip records; the count of what came guards deletions.

    When a page shows none already seen, the list has shifted, and the walk steps back until one
    does or it is at the start. Pages may be in flight together: which of two was answered first
    does not matter to the argument.

    filters: further parameters of every request. key: what tells records apart. limit: rows per
    page, at least 2.
    """

    def __init__(
        self,
        filters: Params | None = None,
        *,
        key: KeyOf = numeric_id,
        limit: int = PAGE_SIZE,
        state: State | None = None,
    ) -> None:
        if limit < 2:
            raise ValueError("overlapping pages need a limit of at least 2")
        self._filters = dict(filters or {})
        self._key = key
        self._limit = limit
        self._offset: int = state["offset"] if state else 0
        self._seen = Seen(state["seen"] if state else ())
        self._total = 0
        self._waiting: dict[int, Request] = {}
        self._arrived: dict[int, Page] = {}
        self._patience = Patience()
        self._done = bool(state and state["done"])

    def state(self) -> State:
        """The offset to go on from, and the records that the page there must join on to."""
        return {"offset": self._offset, "seen": self._seen.last(), "done": self._done}

    def requests(self, room: int) -> list[Request]:
        """The page that comes next, then those after it as far as the total suggests."""
        out: list[Request] = []
        offset = self._offset
        while len(out) < room and not self._done:
            if offset != self._offset and offset >= self._reach():
                break
            if offset not in self._waiting and offset not in self._arrived:
                params = {**self._filters, "limit": self._limit, "offset": offset}
                self._waiting[offset] = Request(params, offset)
                out.append(self._waiting[offset])
            offset += self._limit - 1
        return out

    def take(self, request: Request, page: Page) -> Page:
        """Join what has arrived on to what was read."""
        if self._waiting.get(request.lane) is request:
            del self._waiting[request.lane]
            self._arrived[request.lane] = page
        self._total = max(self._total, page.total or 0)
        while not self._done and self._offset in self._arrived:
            self._join(self._arrived.pop(self._offset))
        return page

    def _join(self, page: Page) -> None:
        found = keys(page.records, self._key)
        joins = self._joins(page, found)
        self._patience.count(new=joins and self._seen.add(found))
        if not joins:
            self._offset = max(0, self._offset - self._limit)
            self._arrived.clear()
            self._waiting.clear()
        elif self._ends(page):
            self._done = True
        else:
            self._offset += len(page.records) - 1

    def _reach(self) -> float:
        """The offset up to which pages are asked for before the one before them has come."""
        return self._total

    def _joins(self, page: Page, found: list[str]) -> bool:  # noqa: ARG002
        """Whether no record lies between a page and those read before it."""
        return self._offset == 0 or self._seen.any_of(found)

    def _ends(self, page: Page) -> bool:
        """Whether nothing is to be read behind a page that joins."""
        return len(page.records) < self._limit
