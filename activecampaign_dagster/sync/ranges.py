"""Ranges of a table's rows that a search counts, cuts and looks at."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

MOST_LOOKS = 5


class DoubtError(Exception):
    """What the account says does not add up, so that nothing can be concluded from it."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A table's live rows in the order of the walk.

    is_known: 1 where the position is the record's own, 0 where it is a guess.
    """

    positions: array[int]
    keys: array[int]
    is_known: bytearray

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(slots=True, eq=False)
class Part:
    """The rows [low, high) of the table, and how many records the account has there."""

    low: int
    high: int
    count: int | None = None

    @property
    def rows(self) -> int:
        """How many rows of the table it has."""
        return self.high - self.low

    @property
    def is_counted(self) -> bool:
        """Whether the account has been asked."""
        return self.count is not None

    @property
    def surplus(self) -> int:
        """How many more rows the table has than the account."""
        return self.rows - (self.count or 0)


@dataclass(slots=True, eq=False)
class Cut:
    """A range in parts that are counted. is_first: their sum is compared with the total."""

    whole: int
    parts: list[Part]
    is_first: bool = False
    is_again: bool = False
    waiting: int = 0


@dataclass(slots=True, eq=False)
class Look:
    """A range whose records are looked at; several pages of it overlap by a record.

    low, high: the rows that its pages shall show, neighbours among them. tries: how often it was
    looked at. before: what an earlier look did not find.
    """

    part: Part
    low: int
    high: int
    tries: int = 1
    before: set[int] | None = None
    total: int | None = None
    offset: int = 0
    last: int | None = None
    seen: dict[int, int | None] = field(default_factory=dict)

    def again(self, *, before: set[int] | None = None) -> Look:
        """The same range from the start."""
        if self.tries >= MOST_LOOKS:
            raise DoubtError("a range of records is different each time it is read")
        found = self.before if before is None else before
        return Look(self.part, self.low, self.high, self.tries + 1, found)
