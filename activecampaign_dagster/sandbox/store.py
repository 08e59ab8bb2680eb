"""Ids that exist, with the stamps of creation and change, are kept compactly and in order."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any

_SCRAMBLE = 2_654_435_761
_UNSCRAMBLE = pow(_SCRAMBLE, -1, 1 << 32)
_LOW = (1 << 32) - 1


def tie_key(stamp: int, record: int) -> int:
    """Sorts by stamp, and inside one stamp in an order that is not by id."""
    return stamp << 32 | (record * _SCRAMBLE & _LOW)


class StampIndex:
    """Ids ordered by a stamp; ids that share a second come in an order that is not by id.

    The real order inside one second is not known, so nothing may lean on it.
    """

    def __init__(self, pairs: Iterable[tuple[int, int]]) -> None:
        self.keys = array("Q", sorted(tie_key(stamp, record) for stamp, record in pairs))

    def __len__(self) -> int:
        return len(self.keys)

    def add(self, stamp: int, record: int) -> None:
        """Put one id at its place."""
        key = tie_key(stamp, record)
        self.keys.insert(bisect_left(self.keys, key), key)

    def remove(self, stamp: int, record: int) -> None:
        """Take one id away."""
        del self.keys[bisect_left(self.keys, tie_key(stamp, record))]

    def span(self, after: int | None, before: int | None) -> tuple[int, int]:
        """Positions of the stamps in [after, before); a null stamp (0) is in no bounded span."""
        if after is None and before is None:
            return 0, len(self.keys)
        low = bisect_left(self.keys, max(after or 1, 1) << 32)
        high = len(self.keys) if before is None else bisect_left(self.keys, max(before, 0) << 32)
        return low, max(low, high)

    def ids(self, low: int, high: int) -> Iterator[int]:
        """The ids at positions [low, high)."""
        return ((key & _LOW) * _UNSCRAMBLE & _LOW for key in self.keys[low:high])


class Rows:
    """The ids of one collection with their stamps (seconds; 0 stands for null).

    `ids` holds every id there ever was in ascending order, the position of an id is its slot in all
    per-record arrays; `live` holds the ids now in the account; `changes` what differs from the
    generated record.
    """

    def __init__(self, ids: array[int], created: array[int], updated: array[int]) -> None:
        self.ids = ids
        self.live = array("I", ids)
        self.created = created
        self.updated = updated
        self.changes: dict[int, dict[str, Any]] = {}
        self._by_created: StampIndex | None = None
        self._by_updated: StampIndex | None = None

    def __len__(self) -> int:
        return len(self.live)

    def __contains__(self, record: object) -> bool:
        if not isinstance(record, int):
            return False
        position = bisect_left(self.live, record)
        return position < len(self.live) and self.live[position] == record

    def slot(self, record: int) -> int:
        """Find where a live record's data is kept; KeyError when it is not in the account."""
        if record not in self:
            raise KeyError(record)
        return bisect_left(self.ids, record)

    @property
    def next_id(self) -> int:
        """The id the next record gets; ids are never used twice."""
        return self.ids[-1] + 1 if self.ids else 1

    @property
    def by_created(self) -> StampIndex:
        """The live ids by creation, built when first asked for."""
        if self._by_created is None:
            self._by_created = self._index(self.created)
        return self._by_created

    @property
    def by_updated(self) -> StampIndex:
        """The live ids by their update stamp, built when first asked for."""
        if self._by_updated is None:
            self._by_updated = self._index(self.updated)
        return self._by_updated

    def _index(self, stamps: array[int]) -> StampIndex:
        if len(self.live) == len(self.ids):
            return StampIndex(zip(stamps, self.ids, strict=True))
        return StampIndex((stamps[self.slot(record)], record) for record in self.live)

    def add(self, created: int, updated: int) -> int:
        """A new record; returns its id."""
        record = self.next_id
        self.ids.append(record)
        self.live.append(record)
        self.created.append(created)
        self.updated.append(updated)
        if self._by_created is not None:
            self._by_created.add(created, record)
        if self._by_updated is not None:
            self._by_updated.add(updated, record)
        return record

    def restamp(
        self, record: int, *, created: int | None = None, updated: int | None = None
    ) -> None:
        """Move a record's stamps."""
        slot = self.slot(record)
        if created is not None:
            if self._by_created is not None:
                self._by_created.remove(self.created[slot], record)
                self._by_created.add(created, record)
            self.created[slot] = created
        if updated is not None:
            if self._by_updated is not None:
                self._by_updated.remove(self.updated[slot], record)
                self._by_updated.add(updated, record)
            self.updated[slot] = updated

    def change(self, record: int, changes: dict[str, Any]) -> None:
        """Lay further differences over a record."""
        if changes:
            self.changes[record] = self.changes.get(record, {}) | changes

    def remove(self, record: int) -> None:
        """Take a record out of the account."""
        slot = self.slot(record)
        if self._by_created is not None:
            self._by_created.remove(self.created[slot], record)
        if self._by_updated is not None:
            self._by_updated.remove(self.updated[slot], record)
        del self.live[bisect_left(self.live, record)]
        self.changes.pop(record, None)
