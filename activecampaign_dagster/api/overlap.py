"""How walks by offsets know that no record lies between one page and the next."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from activecampaign_dagster.api.errors import LoopError

_REMEMBERED = 20  # pages
_PATIENCE = 50  # requests without a new record before a walk is called a loop


class Seen:
    """The records of the pages read last: enough to tell whether a page joins on to them."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._pages: deque[list[str]] = deque([list(keys)])
        self._count = Counter(self._pages[0])

    def add(self, keys: list[str]) -> bool:
        """Remember a page; returns whether any of it was new."""
        new = not all(key in self._count for key in keys)
        self._pages.append(keys)
        self._count.update(keys)
        if len(self._pages) > _REMEMBERED:
            self._count -= Counter(self._pages.popleft())
        return new

    def any_of(self, keys: Iterable[str]) -> bool:
        """Whether one of `keys` is remembered."""
        return any(key in self._count for key in keys)

    def last(self) -> list[str]:
        """The page added last."""
        return self._pages[-1]


class Patience:
    """Counts requests that bring nothing new, and gives up with a LoopError."""

    def __init__(self) -> None:
        self._fruitless = 0
        self._fruitful = 0

    def count(self, *, new: bool) -> None:
        """One more page, with or without new records."""
        if new:
            self._fruitful += 1
            self._fruitless = 0
            return
        self._fruitless += 1
        # stepping back over all that was read is legitimate, so what was read counts
        if self._fruitless > _PATIENCE + 2 * self._fruitful:
            raise LoopError(
                "Loop detected: the API keeps returning the same records for every page."
            )
