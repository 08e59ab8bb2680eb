"""Records created in one second, which a cursor cannot tell apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

Stamp = tuple[float, str]
"""A record's creation in seconds since 1970, and as it was written."""


@dataclass(frozen=True, slots=True, eq=False)
class Arrived:
    """The records of a page as the walk by creation sees them: a key and a stamp for each.

    stamps: None for records that have none.
    """

    keys: list[str]
    stamps: list[Stamp | None]

    @property
    def dated(self) -> list[Stamp]:
        """The stamps that there are."""
        return [stamp for stamp in self.stamps if stamp]

    @property
    def dated_keys(self) -> list[str]:
        """The keys of the records that have a stamp."""
        pairs = zip(self.keys, self.stamps, strict=True)
        return [key for key, stamp in pairs if stamp]

    def up_to(self, position: float) -> int:
        """How many records come before the last one with a stamp up to `position`, and it."""
        counted = enumerate(self.stamps, start=1)
        return max((i for i, stamp in counted if stamp and stamp[0] <= position), default=0)

    def before(self, position: float) -> int:
        """How many records come before the first one with a stamp beyond `position`."""
        counted = enumerate(self.stamps)
        return next((i for i, stamp in counted if stamp and stamp[0] > position), len(self.keys))


@dataclass(slots=True, eq=False)
class Ties:
    """The records that have come at one cursor, up to its stamp, which are passed by offsets.

    Nobody promises their order, so that they may change places from one page to the next: as many
    as there are offsets must have come, else they are to be passed once more.
    """

    _round: set[str] = field(default_factory=set)  # since the offset was 0
    _ever: set[str] = field(default_factory=set)  # but for stubs that may lie beyond the stamp

    def all_of(self, found: Iterable[str]) -> bool:
        """Whether all of `found` have come before."""
        return all(key in self._round or key in self._ever for key in found)

    def any_of(self, found: Iterable[str]) -> bool:
        """Whether one of `found` has come before."""
        return any(key in self._round or key in self._ever for key in found)

    def add(self, arrived: Arrived, position: float) -> None:
        """Take in a page that does not lead beyond `position`."""
        self._ever.update(arrived.keys[: arrived.up_to(position)])
        self._round.update(arrived.keys)

    def is_whole(self, arrived: Arrived, position: float, offset: int) -> bool:
        """Whether with a page that leads beyond, all have come; if not, the next round begins."""
        here = set(arrived.keys[: arrived.before(position)])
        if offset + len(here) <= len(here | self._round | self._ever):
            return True
        end = min(arrived.before(position), arrived.up_to(position))
        self._ever.update(arrived.keys[:end])
        self._round.clear()
        return False
