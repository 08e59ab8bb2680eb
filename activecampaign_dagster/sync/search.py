"""The search for deleted records: counts of ranges, compared, lead to the pages that lack them.

    table     ████████████████████████████████   1,000 rows      account: 999
    cut       ████████████████|███████████████     500 | 500              500 | 499
    again                     |███████|███████         250 | 250              250 | 249
    looked at                         |██ ███|                  a page that shows what is left

Ranges are those of the table's rows in the order of the walk, so that a cut is always in the
middle. All but the last part of a cut are asked for; the last is the rest, except in the first cut,
whose parts must add up to the total: that shows that totals follow the filters. Only ranges where
the table has more rows than the account are cut on; what the account has beyond the table is left
to the next sync.

A count only leads the way. A row is missing if a complete page does not show it, but shows records
on either side of it, or has no end there. So nothing depends on how the API reads the ends of a
range, as long as the page is in order.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from activecampaign_dagster.api.client import PAGE_SIZE, Page, Params
from activecampaign_dagster.api.walks import Request, State
from activecampaign_dagster.sync.axis import Axis
from activecampaign_dagster.sync.ranges import MOST_LOOKS, Cut, DoubtError, Look, Part, Rows

_MOST_PARTS = 4
_NEIGHBOURS = 3  # rows on either side of a range that its page shall show, some may be gone
_FEW_PAGES = 4  # not worth a count where most of them lack a row


class Search:
    """Finds which of a table's rows the account no longer has; driven like a walk.

    total: how many records the account has. budget: the most requests that may be sent, that for
    the total among them. `missing` has the keys that are proven to be gone, `asked` the number of
    requests. is_cut_short: the budget would not do. take raises DoubtError.
    """

    def __init__(
        self,
        axis: Axis,
        rows: Rows,
        total: int,
        *,
        budget: int,
        filters: Params | None = None,
        limit: int = PAGE_SIZE,
    ) -> None:
        self.missing: set[int] = set()
        self.asked = 1
        self.is_cut_short = False
        self._axis = axis
        self._rows = rows
        self._budget = budget
        self._filters = dict(filters or {})
        self._limit = limit
        self._fit = limit - 2 * _NEIGHBOURS  # rows of a range that fit on a page
        self._guessed = len(rows) - sum(rows.is_known)
        self._todo: deque[tuple[Cut, Part | None] | Look] = deque()
        self._open: list[Part] = []
        self._looks: list[Part] = []
        self._unproven: list[tuple[set[int], int]] = []  # rows, and how often they were looked for
        self._gone: set[int] = set()  # rows that no page showed, proven or not
        self._counting = self._looking = 0
        self._settle(Part(0, len(rows), total))

    def state(self) -> State:
        """Nothing: a search that was stopped begins anew in the next sync."""
        return {}

    def requests(self, room: int) -> list[Request]:
        """Up to `room` requests, cutting ranges into as many parts as there is room for."""
        out: list[Request] = []
        while len(out) < room:
            self._mind_the_budget()
            if self._todo:
                self.asked += 1
                lane = self._todo.popleft()
                self._counting += not isinstance(lane, Look)
                self._looking += isinstance(lane, Look)
                out.append(self._request(lane))
            elif self._open:
                part = max(self._open, key=lambda each: each.surplus)
                self._open.remove(part)
                self._cut(part, 1 + (room - len(out)) // (2 + 2 * len(self._open)))
            elif self._looks and not self._counting:
                self._todo.extend(self._look(part) for part in self._joined())
                self._looks.clear()
            elif self._unproven and not self._counting and not self._looking:
                for rows, tries in self._unproven:
                    part = Part(min(rows), max(rows) + 1)
                    self._todo.append(self._look(part, tries + 1, rows))
                self._unproven.clear()
            else:
                break
        return out

    def _mind_the_budget(self) -> None:
        """Count no further if that leads beyond the budget; what is left is for pages."""
        if not self.is_cut_short:
            needed = len(self._todo) + sum(map(self._least, self._open)) + len(self._joined())
            self.is_cut_short = self.asked + needed > self._budget
        if self.is_cut_short:
            self._open.clear()
            self._todo = deque(lane for lane in self._todo if isinstance(lane, Look))
        if self.asked >= self._budget and (self._todo or self._looks or self._unproven):
            self.is_cut_short = True
            self._todo.clear()
            self._looks.clear()
            self._unproven.clear()

    def _joined(self) -> list[Part]:
        """The ranges to look at, neighbours in one where a page shows both: a block that is gone.

        They are looked at when all is counted.
        """
        joined: list[Part] = []
        for part in sorted(self._looks, key=lambda each: each.low):
            last = joined[-1] if joined else None
            if last and last.high == part.low and last.is_counted and part.is_counted:
                count = (last.count or 0) + (part.count or 0)
                if count <= self._fit:
                    last.high, last.count = part.high, count
                    continue
            joined.append(replace(part))
        return joined

    def _least(self, part: Part) -> int:
        """How many requests a range takes at the least."""
        pages = math.ceil(part.rows / self._fit)
        levels = math.ceil(math.log2(max((part.count or 0) / self._fit, 1)))
        return max(1, min(pages, 1 + levels))

    def _request(self, lane: tuple[Cut, Part | None] | Look) -> Request:
        if isinstance(lane, Look):
            params = self._axis.between(*self._ends(lane.low, lane.high))
            params |= {"limit": self._limit}
            if lane.offset:
                params["offset"] = lane.offset
        else:
            _, part = lane
            params = self._axis.between(*self._ends(part.low, part.high) if part else (None, None))
            params |= {"limit": 1}
        return Request({**self._filters, **params}, lane)

    def _ends(self, low: int, high: int) -> tuple[int | None, int | None]:
        """The positions at which a range of rows begins, and before which it ends."""
        positions, count = self._rows.positions, len(self._rows)
        return (positions[low] if low > 0 else None, positions[high] if high < count else None)

    def _look(self, part: Part, tries: int = 1, before: set[int] | None = None) -> Look:
        """A look at a range with some neighbours that are still there, as far as is known."""
        positions, gone = self._rows.positions, self._gone
        beyond = max(self._axis.margin, self._axis.slack)
        low = bisect_left(positions, positions[part.low] - beyond)
        high = bisect_right(positions, positions[part.high - 1] + beyond)
        for _ in range(_NEIGHBOURS * tries * tries):
            low = next((i for i in range(low - 1, -1, -1) if i not in gone), 0)
            high = 1 + next(
                (i for i in range(high, len(positions)) if i not in gone), len(positions) - 1
            )
        return Look(part, low, high, tries, before)

    def _at(self, row: int, low: int, high: int) -> int | None:
        """The row nearest to `row` within (low, high) at which a range may begin."""
        positions = self._rows.positions
        first = bisect_left(positions, positions[row])
        if first <= low:
            first = bisect_right(positions, positions[row])
        return first if low < first < high else None

    def _pieces(self, part: Part, number: int) -> list[Part]:
        """A range in so many parts, or in fewer where rows share a position."""
        wanted = (part.low + part.rows * i // number for i in range(1, number))
        inner = {self._at(row, part.low, part.high) for row in wanted} - {None}
        ends = [part.low, *sorted(end for end in inner if end is not None), part.high]
        return [Part(low, high) for low, high in itertools.pairwise(ends)]

    def _cut(self, part: Part, number: int) -> None:
        is_first = part.rows == len(self._rows)
        parts = self._pieces(part, min(max(number, 2), _MOST_PARTS))
        cut = Cut(part.count or 0, parts, is_first)
        asked = parts if is_first else parts[:-1]
        cut.waiting = len(asked)
        self._todo.extend((cut, each) for each in asked)

    def _settle(self, part: Part) -> None:
        """Decide what becomes of a range whose records have been counted."""
        if part.surplus <= 0 or not part.rows:
            return
        if (part.count or 0) <= self._fit or len(self._pieces(part, 2)) == 1:
            self._looks.append(part)
        elif self._is_few(part):
            self._looks.extend(self._pieces(part, math.ceil(part.rows / self._fit)))
        else:
            self._open.append(part)

    def _is_few(self, part: Part) -> bool:
        """Whether a range is better looked at than counted: few pages, most of which lack a row."""
        pages = math.ceil(part.rows / self._fit)
        lacking = min(part.surplus, pages)
        is_spread = part.surplus * 10 <= part.rows
        return (
            is_spread
            and pages <= _FEW_PAGES
            and lacking * (1 + math.log2(pages / lacking)) >= pages
        )

    def take(self, request: Request, page: Page) -> Page | None:
        """Digest a count or a page. Raises DoubtError."""
        if isinstance(request.lane, Look):
            self._looking -= 1
            self._take_page(request.lane, page)
        else:
            self._counting -= 1
            cut, part = request.lane
            self._take_count(cut, part, page)
        return None

    def _take_count(self, cut: Cut, part: Part | None, page: Page) -> None:
        count = page.total
        if count is None:
            raise DoubtError("the account does not report how many records a range has")
        if bool(count) != bool(page.records):
            raise DoubtError("a total differs from its page")
        if part is None:
            cut.whole, cut.is_again = count, True
        else:
            self._check_order(page.records, *self._ends(part.low, part.high))
            part.count = count
            cut.waiting -= 1
        if not cut.waiting:
            self._close(cut)

    def _close(self, cut: Cut) -> None:
        """All parts of a cut that are asked for are counted."""
        *others, last = cut.parts
        if cut.is_first:
            if sum(part.count or 0 for part in cut.parts) != cut.whole:
                if cut.is_again:
                    raise DoubtError("the totals of its parts do not add up to the whole")
                self._todo.append((cut, None))  # records may have come or gone meanwhile
                return
        else:
            last.count = cut.whole - sum(part.count or 0 for part in others)
            if last.count < 0:
                raise DoubtError("the totals of its parts are more than the whole")
        for part in cut.parts:
            self._settle(part)

    def _check_order(
        self, records: Iterable[Any], low: int | None = None, high: int | None = None
    ) -> None:
        """Raise DoubtError if records are out of order or not in a range."""
        axis, slack = self._axis, self._axis.slack + self._axis.margin
        found = [p for p in map(axis.position, records) if p is not None]
        if any(b < a - axis.slack for a, b in itertools.pairwise(found)):
            raise DoubtError(f"{axis.order} is ignored")
        if found and low is not None and min(found) < low - slack:
            raise DoubtError(f"{axis.after} is ignored")
        if found and high is not None and max(found) >= high + slack:
            raise DoubtError(f"{axis.before} is ignored")

    def _take_page(self, look: Look, page: Page) -> None:
        total, records = page.total, page.records
        if total is None:
            raise DoubtError("the account does not report how many records a range has")
        low, high = look.low, look.high
        is_bounded = low > 0 or high < len(self._rows)
        if is_bounded and total > high - low + self._guessed + self._limit:
            raise DoubtError(f"{self._axis.after} or {self._axis.before} is ignored")
        self._check_order(records, *self._ends(low, high))
        keys = [self._axis.key(record) for record in records]
        joins = not look.offset or (keys and keys[0] == look.last)
        ends = look.offset + len(keys) >= total
        is_same = look.total in {None, total}
        is_short = not ends and len(keys) < self._limit
        look.total = total
        for key, record in zip(keys, records, strict=True):
            if key is None:
                raise DoubtError("a record has no id")
            look.seen[key] = self._axis.position(record)
        if not joins or not is_same or is_short or (ends and len(look.seen) != total):
            self._todo.append(look.again())  # it changed between two pages, or one was cut short
        elif not ends:
            look.offset, look.last = look.offset + len(keys) - 1, keys[-1]
            self._todo.append(look)
        else:
            self._conclude(look)

    def _conclude(self, look: Look) -> None:
        """Compare a range with all that the account shows of it."""
        rows, part = self._rows, look.part
        lacking = {i for i in range(part.low, part.high) if rows.keys[i] not in look.seen}
        if look.before is not None:
            lacking &= look.before
        elif part.count is not None and len(lacking) != part.surplus:
            # the count was taken at another moment, or one of the two is wrong
            self._todo.append(look.again(before=lacking))
            return
        proper = {i for i in lacking if rows.is_known[i]}
        enclosed = {i for i in proper if self._is_enclosed(look, i)}
        self.missing |= {rows.keys[i] for i in enclosed}
        self._gone |= lacking
        if proper - enclosed and look.tries < MOST_LOOKS:
            self._unproven.append((proper - enclosed, look.tries))

    def _is_enclosed(self, look: Look, row: int) -> bool:
        """Whether a page that does not show a row shows where it would be."""
        shown = [position for position in look.seen.values() if position is not None]
        position, slack = self._rows.positions[row], self._axis.slack
        begins = look.low == 0 or (bool(shown) and min(shown) < position - slack)
        ends = look.high == len(self._rows) or (bool(shown) and max(shown) > position + slack)
        return begins and ends
