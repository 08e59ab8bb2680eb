"""Ranges of a collection that are read side by side, and which of them to halve next.

A walk by a cursor can only ask for the page behind its last record, so one range has one request
under way. To have more, a range is split, and each part is read on its own:

    one range    |==page==>.........................................|
    halved       |==page==>..........|  |==page==>..................|
    again        |==page==>..........|  |==page==>....|  |==page==>.|

The range with most rows left is halved first, so one that turns out dense is shared by all. How
many rows are left is an estimate from the page read last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from activecampaign_dagster.api.walks import Request

# Half a page is wasted where two ranges meet. The more requests are under way, the longer each
# takes and the longer a range that is left over would be read alone.
_PAGES_WORTH_A_LANE, _FEWEST_UNDER_WAY = 4, 4


@dataclass(slots=True, eq=False)
class Lane:
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


L = TypeVar("L", bound=Lane)


class Lanes(list[L], Generic[L]):
    """The ranges of one walk. limit: rows per page."""

    def __init__(self, lanes: Iterable[L], *, limit: int) -> None:
        super().__init__(lanes)
        self._limit = limit

    def requests(
        self,
        room: int,
        ask: Callable[[L], Request],
        halve: Callable[[int], Request | None],
    ) -> list[Request]:
        """Up to `room` requests: the next page of each range, then halves while there is room.

        ask: the request for a range's next page. halve: makes a new range with at least so many
        rows and gives its first request, None if no range has enough.
        """
        under_way = max(room + sum(lane.waiting for lane in self), _FEWEST_UNDER_WAY)
        worth = self._limit * max(_PAGES_WORTH_A_LANE * _FEWEST_UNDER_WAY // under_way, 1)
        idle = [lane for lane in self if not lane.done and not lane.waiting]
        out = [ask(lane) for lane in idle[:room]]
        while len(out) < room and (request := halve(worth)):
            out.append(request)
        return out


def to_halve(lanes: Iterable[L], rows_left: Callable[[L], float], worth: int) -> L | None:
    """The range with most rows left; None if either half would have fewer than `worth`."""
    fullest = max(lanes, key=rows_left, default=None)
    return fullest if fullest and rows_left(fullest) >= 2 * worth else None
