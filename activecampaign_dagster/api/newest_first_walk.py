"""The walk through a log that is only added to: newest records first, as far back as needed.

    newest                                      until                            oldest
      |  page one        |                        |                                |
                       |  page two          |
                                          |  page three          |  <- all older: the end

Pages overlap by a record, as in any walk by offsets. Records added at the front while the walk
reads shift the others down, so that a page shows some once more: they come with the next sync,
and leave no gap. Records deleted shift the others up: a page that shows none already seen, and
does not begin above the oldest one read, is stepped back from.

The end is only believed where the order is proven: a page must have shown stamps that fall, and
none that rise. Otherwise the walk goes on to the end of the collection, and says so if stamps rose.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

from activecampaign_dagster.api.client import PAGE_SIZE, Page, Params
from activecampaign_dagster.api.keys import KeyOf, numeric_id
from activecampaign_dagster.api.order import Mark, Order, marks
from activecampaign_dagster.api.tail_walk import TailWalk
from activecampaign_dagster.api.walks import OffsetWalk, Request, State, Walk


class NewestFirstWalk:
    """An append-only log, down to the first page that is older than `until` as a whole.

    filters: further parameters of every request. stamp: the field with the time of a record.
    order: the parameter that orders by it; "" where the path has none and lists its oldest records
    first, so that they are read from the end by `meta.total`. until: the watermark less the
    overlap; None reads all records. key: what tells records apart. limit: rows per page. warn:
    called with a sentence when the order does not hold, and all records are read instead.
    """

    def __init__(
        self,
        filters: Params | None = None,
        *,
        stamp: str,
        order: str,
        until: datetime | None,
        key: KeyOf = numeric_id,
        limit: int = PAGE_SIZE,
        state: State | None = None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        filters = {**(filters or {}), **({order: "DESC"} if order else {})}
        self._all = partial(OffsetWalk, filters, key=key, limit=limit)
        self._warn = warn
        self._part: _Part | None = None
        is_all = until is None or bool(state and state["is_all"])
        inner = state["walk"] if state and state["is_all"] == is_all else None
        if until is None or is_all:
            self._walk: Walk = self._all(state=inner)
            return
        make = partial(DescendingWalk, order=order) if order else TailWalk
        self._walk = self._part = make(
            filters, stamp=stamp, until=until, key=key, limit=limit, state=inner
        )

    def state(self) -> State:
        """Where to go on, newest first or through all records."""
        return {"is_all": self._part is None, "walk": self._walk.state()}

    def requests(self, room: int) -> list[Request]:
        """The page that comes next, then those after it as far as they seem to be needed."""
        return self._walk.requests(room)

    def take(self, request: Request, page: Page) -> Page | None:
        """Join what has arrived on to what was read, or begin to read all."""
        taken = self._walk.take(request, page)
        if self._part and self._part.doubt:
            self._warn(f"{self._part.doubt}; reading all records instead.")
            self._part, self._walk = None, self._all()
        return taken


class _Part(Walk, Protocol):
    """A walk that reads a part of the records; `doubt`: why it cannot be relied on."""

    doubt: str | None


class DescendingWalk(OffsetWalk):
    """Overlapping offset pages, newest first, down to the first that is older than `until`."""

    def __init__(
        self,
        filters: Params,
        *,
        order: str,
        stamp: str,
        until: datetime,
        key: KeyOf,
        limit: int,
        state: State | None,
    ) -> None:
        super().__init__(filters, key=key, limit=limit, state=state)
        self.doubt: str | None = None
        self._order_by = order
        self._stamp = stamp
        self._until = until
        self._order = Order(is_proven=bool(state and state["is_proven"]))
        self._oldest: list[float] | None = state["oldest"] if state else None
        self._needed = 0.0  # the offset up to which there seem to be records since `until`

    def state(self) -> State:
        """As of the pages by offsets, with what they have shown of the order."""
        return {
            **super().state(),
            "is_proven": self._order.is_proven,
            "oldest": self._oldest,
        }

    def _reach(self) -> float:
        return min(super()._reach(), self._needed)

    def _joins(self, page: Page, found: list[str]) -> bool:
        """Whether a page shows a record already seen, or begins above the oldest one read."""
        if super()._joins(page, found):
            return True
        if not (self._order.is_proven and self._oldest):
            return False
        first = marks(page.records[:1], self._stamp)
        return bool(first) and all(map(operator.gt, first[0], self._oldest))

    def _ends(self, page: Page) -> bool:
        found = marks(page.records, self._stamp)
        self._order.check(found)
        if self._order.is_broken:
            self.doubt = f"{self._order_by}=DESC did not return the newest records first"
        known = [self._oldest] if self._oldest else []
        self._oldest = [min(values) for values in zip(*known, *found, strict=True)] or None
        self._needed = self._offset + len(page.records) * _pages_to(self._until, found)
        return super()._ends(page) or self._order.ends_before(found, self._until)


def _pages_to(until: datetime, found: Sequence[Mark]) -> float:
    """How many pages like this one there seem to be from its start down to `until`."""
    if not found or found[0] == found[-1]:
        return math.inf
    newest, oldest = found[0][0], found[-1][0]
    return (newest - until.timestamp()) / (newest - oldest)
