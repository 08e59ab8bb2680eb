"""Whether a log comes in the order of its stamps, as far as its pages show."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from activecampaign_dagster.api.stamps import parse_stamp

# Where clocks go back, an order by the digits of stamps is off from the order in time by this.
FOLD = timedelta(hours=1)

Mark = tuple[float, float]
"""A stamp in seconds, by time and by its digits: nobody documents which of them orders go by."""


def mark(moment: datetime) -> Mark:
    """The mark of a moment as its stamp was written."""
    return moment.timestamp(), moment.replace(tzinfo=UTC).timestamp()


def marks(records: Iterable[Any], stamp: str) -> list[Mark]:
    """The marks of the records that have a proper stamp."""
    found = (parse_stamp(r.get(stamp)) for r in records if isinstance(r, dict))
    return [mark(moment) for moment in found if moment]


@dataclass(slots=True)
class Order:
    """What pages have shown of an order: that it is broken, that it is kept, or nothing yet.

    Records with equal stamps, or with none, show nothing.
    """

    is_proven: bool = False
    is_broken: bool = False

    def check(self, newest_first: Sequence[Mark]) -> None:
        """Look at the marks of a page, which should not grow by time or by digits."""
        pairs = list(itertools.pairwise(newest_first))
        if all(a[0] >= b[0] for a, b in pairs) or all(a[1] >= b[1] for a, b in pairs):
            self.is_proven |= any(a[0] > b[0] and a[1] > b[1] for a, b in pairs)
        else:
            self.is_broken = True

    def ends_before(self, page: Sequence[Mark], until: datetime) -> bool:
        """Whether all that follows a page is older than `until`, as the page itself is."""
        limit = (until - FOLD).timestamp()
        return self.is_proven and bool(page) and all(each[0] < limit for each in page)
