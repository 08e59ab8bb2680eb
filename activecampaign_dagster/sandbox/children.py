"""Records that belong to others: as many as asked for, made from seed and id when they are read."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from random import Random
from typing import Any

from activecampaign_dagster.sandbox.store import StampIndex
from activecampaign_dagster.sandbox.templates import Record

# the facts of a generated record: its number, its parent's slot, its place among its siblings
Tell = Callable[[int, int, int], Record]


@dataclass(frozen=True, slots=True)
class Parents:
    """The generated records of a collection, as they were at first; stamps by slot."""

    ids: Sequence[int]
    created: Callable[[int], int]
    updated: Callable[[int], int]

    def slot(self, parent: int) -> int | None:
        """Find a parent among the generated ones; None for one that came later."""
        slot = bisect_left(self.ids, parent)
        return slot if slot < len(self.ids) and self.ids[slot] == parent else None


class Children:
    """The records of one collection, numbered parent by parent.

    A record's facts are what its story tells: ids of others, instants, values; `complete` adds
    what the story tells of a later record. Nothing is kept for
    a generated record; `added` holds the facts of later ones, `changed` facts that are different by
    now, `changes` fields that were overwritten verbatim.
    """

    def __init__(
        self,
        owner: str,
        parents: Parents,
        count: int,
        seed: int,
        tell: Tell,
        most: int | None = None,
        complete: Callable[[int, Record], Record] | None = None,
        *,
        even: bool = False,
    ) -> None:
        self.parent_fact = owner
        self.parents = parents
        self.added: dict[int, Record] = {}
        self.changed: dict[int, Record] = {}
        self.changes: dict[int, dict[str, Any]] = {}
        self._asked = count
        self._last: int | None = None
        self._seed = seed
        self._most = most
        self._tell = tell
        self._complete = complete
        self._even = even
        self._added_of: dict[int, list[int]] = {}
        self._orphaned: list[int] = []
        self._starts: array[int] | None = None
        self._live: array[int] | None = None
        self._by_created: StampIndex | None = None
        self._counters: dict[tuple[str, int | None], Counter[int]] = {}

    @property
    def starts(self) -> array[int]:
        """Count the records that belong to the parents before each slot."""
        if self._starts is None:
            self._starts = self._spread()
        return self._starts

    @property
    def _count(self) -> int:
        """Count the generated records."""
        return self.starts[-1]

    def _spread(self) -> array[int]:
        parents = len(self.parents.ids)
        return spread(self._seed, self._asked, parents, self._most, even=self._even)

    @property
    def live(self) -> array[int]:
        """The ids that are in the account, ascending."""
        if self._live is None:
            live = array("I", range(1, self._count + 1))
            for slot in sorted(self._orphaned, reverse=True):
                del live[self.starts[slot] : self.starts[slot + 1]]
            live.extend(self.added)
            self._live = live
        return self._live

    def __len__(self) -> int:
        return len(self.live)

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        position = bisect_left(self.live, number)
        return position < len(self.live) and self.live[position] == number

    def place(self, number: int) -> tuple[int, int]:
        """The parent's slot and the place among the siblings of a generated record."""
        starts = self.starts
        slot = bisect_right(starts, number - 1) - 1
        return slot, number - 1 - starts[slot]

    def facts(self, number: int) -> Record:
        """Tell what is known of a record."""
        if number not in self.added:
            known = self._generated(number)
        elif self._complete is not None:
            known = self._complete(number, self.added[number])
        else:
            known = self.added[number]
        return known | self.changed[number] if number in self.changed else known

    def _generated(self, number: int) -> Record:
        return self._tell(number, *self.place(number))

    def parent_of(self, number: int) -> int:
        """The record that this one belongs to."""
        if number in self.added:
            return int(self.added[number][self.parent_fact])
        return self.parents.ids[self.place(number)[0]]

    def of_parent(self, parent: int) -> list[int]:
        """The ids of a parent's records."""
        found: list[int] = []
        slot = self.parents.slot(parent)
        if slot is not None:
            low = bisect_left(self.live, self.starts[slot] + 1)
            found.extend(self.live[low : bisect_right(self.live, self.starts[slot + 1])])
            if self.added and found and found[-1] > self._count:
                found = [number for number in found if number <= self._count]
        return found + self._added_of.get(parent, [])

    @property
    def by_created(self) -> StampIndex:
        """The live ids by creation, built when first asked for."""
        if self._by_created is None:
            self._by_created = StampIndex((self.facts(n)["created"], n) for n in self.live)
        return self._by_created

    def count_by(self, fact: str, status: int | None = None) -> Counter[int]:
        """Count the records that name each id in a fact; `status`: only those that have it."""
        if (fact, status) not in self._counters:
            told = map(self.facts, self.live)
            self._counters[fact, status] = Counter(
                facts[fact] for facts in told if status is None or facts["status"] == status
            )
        return self._counters[fact, status]

    def _recount(self, number: int, by: int) -> None:
        facts = self.facts(number) if self._counters else {}
        for (fact, status), counter in self._counters.items():
            if status is None or facts["status"] == status:
                counter[facts[fact]] += by

    def add(self, facts: Record) -> int:
        """A further record; returns its id."""
        number = self._last = (self._count if self._last is None else self._last) + 1
        self.added[number] = facts
        self._added_of.setdefault(int(facts[self.parent_fact]), []).append(number)
        if self._live is not None:
            self._live.append(number)
        if self._by_created is not None:
            self._by_created.add(facts["created"], number)
        self._recount(number, 1)
        return number

    def change(self, number: int, **facts: Any) -> None:
        """Tell other facts of a record from now on; KeyError when it is not there."""
        if number not in self:
            raise KeyError(number)
        self._recount(number, -1)
        self.changed[number] = self.changed.get(number, {}) | facts
        self._recount(number, 1)

    def remove(self, number: int) -> None:
        """Take a record away, leaving nothing of it; KeyError when it is not there."""
        if number not in self:
            raise KeyError(number)
        self._recount(number, -1)
        if self._by_created is not None:
            self._by_created.remove(self.facts(number)["created"], number)
        del self.live[bisect_left(self.live, number)]
        self.changed.pop(number, None)
        self.changes.pop(number, None)
        if number in self.added:
            self._added_of[int(self.added.pop(number)[self.parent_fact])].remove(number)

    def orphan(self, parent: int) -> None:
        """Take all records of a parent away, without making up the others first."""
        slot = self.parents.slot(parent)
        if self._live is None and slot is not None and not self._added_of.get(parent):
            self._orphaned.append(slot)
            return
        for number in self.of_parent(parent):
            self.remove(number)


class Log(Children):
    """Children that are numbered as they came: a higher id never has an earlier stamp.

    They are made up parent by parent like any others; a serial says which one of those it is.
    """

    @cached_property
    def _serials(self) -> array[int]:
        """The serials in the order of ids."""
        tell, place = self._tell, super().place
        moments = ((tell(n, *place(n))["created"], n) for n in range(1, self._count + 1))
        return array("I", (serial for _, serial in sorted(moments)))

    @cached_property
    def _numbers(self) -> array[int]:
        """The ids in the order of serials."""
        numbers = array("I", bytes(4 * self._count))
        for number, serial in enumerate(self._serials, start=1):
            numbers[serial - 1] = number
        return numbers

    def place(self, number: int) -> tuple[int, int]:
        """The parent's slot and the place among the siblings of a generated record."""
        return super().place(self._serials[number - 1])

    def _generated(self, number: int) -> Record:
        return self._tell(self._serials[number - 1], *self.place(number))

    def _of_slot(self, slot: int) -> array[int]:
        return self._numbers[self.starts[slot] : self.starts[slot + 1]]

    @property
    def live(self) -> array[int]:
        """The ids that are in the account, ascending."""
        if self._live is None and self._orphaned:
            gone = {number for slot in self._orphaned for number in self._of_slot(slot)}
            there = (number for number in range(1, self._count + 1) if number not in gone)
            self._live = array("I", [*there, *self.added])
        return super().live

    def of_parent(self, parent: int) -> list[int]:
        """The ids of a parent's records."""
        slot = self.parents.slot(parent)
        generated = [] if slot is None else sorted(filter(self.__contains__, self._of_slot(slot)))
        return generated + self._added_of.get(parent, [])


def spread(
    seed: int, count: int, parents: int, most: int | None = None, *, even: bool = False
) -> array[int]:
    """Running totals of records per parent; neighbours differ from the mean by ± the same.

    `most` is how many one parent may have; what is beyond is cut off. `even`: all have as many.
    """
    mean, extra = divmod(count, parents) if parents else (0, 0)
    spare = 0 if even else min(2, mean)
    random = Random(seed)
    draw = random.random
    sizes: list[int] = []
    for _ in range(parents // 2):
        shift = int(draw() * (spare + 1))
        sizes += (mean + shift, mean - shift)
    if parents % 2:
        sizes.append(mean)
    if extra:
        sizes = [
            size + ((slot + 1) * extra // parents - slot * extra // parents)
            for slot, size in enumerate(sizes)
        ]
    if most is not None:
        sizes = [min(size, most) for size in sizes]
    return array("I", accumulate(sizes, initial=0))
