"""The request budget: how many requests may begin per second, for everything in this process.

ActiveCampaign allows 5 requests per second and account, shared by all keys and integrations, and
answers 429 with `Retry-After: <seconds>` beyond that (API v3 documentation, rate limits).
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# Timers and the quickest trip seen so far are this exact.
_MARGIN = 0.01  # seconds
# How much later than its sending a request may have begun on the server by the time its answer
# took; beyond this the time was spent on the answer, not on the way there.
_MOST_LATE = 0.1  # seconds
_REMEMBERED = 50  # answers of a path, the quickest of which counts
_ENOUGH = 5  # answers before the quickest is taken for it
_SLOWEST = 8.0  # seconds per window when other integrations keep us at 429


@dataclass(slots=True, eq=False)
class Slot:
    """A request that counts against the limit. sent: when its last byte was; None: not yet."""

    path: str = ""
    sent: float | None = None
    late: float | None = None  # by how much the server may have seen it later; None: no answer


class Budget:
    """A sliding window: at most `per_second` requests begin within any second of the server's.

    A request may have been under way for longer than the quickest one on its path by as much as
    its answer took longer: by that much longer it counts. `per_second=None` sets no limit. A 429
    pauses everyone and widens the window by half; each request that goes through narrows it by
    2 %, so the pace recovers after about twenty.
    """

    def __init__(
        self,
        per_second: int | None = 5,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.per_second = per_second
        self.latency = 0.0  # seconds from request to answer, moving average
        self._limit = per_second or 0
        self._clock = clock
        self._window = 1 + _MARGIN
        self._taken: list[Slot] = []
        self._trips: dict[str, deque[float]] = {}
        self._lateness: deque[float] = deque(maxlen=_REMEMBERED)
        self._paused_until = 0.0
        self._changed = threading.Condition()
        self._turn = threading.Lock()
        self._stopped = False

    @contextmanager
    def slot(self, path: str = "") -> Iterator[Slot]:
        """Wait until a request for `path` may begin; send it inside the block."""
        slot = Slot(path)
        if self.per_second is not None:
            with self._turn:
                self._wait(slot)
        try:
            yield slot
        finally:
            with self._changed:
                slot.sent = self._clock()
                self._changed.notify_all()

    def stop(self) -> None:
        """Let nobody begin a request any more: those who wait raise InterruptedError."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _wait(self, slot: Slot) -> None:
        with self._changed:
            while (delay := self._delay(self._clock())) != 0 and not self._stopped:
                self._changed.wait(delay)
            if self._stopped:
                raise InterruptedError("stopped")
            self._taken.append(slot)

    def _delay(self, now: float) -> float | None:
        """Seconds until the next request may begin; None: until something happens."""
        if now < self._paused_until:
            return self._paused_until - now
        self._taken = [slot for slot in self._taken if self._free_at(slot) > now]
        if len(self._taken) < self._limit:
            return 0
        first = min(map(self._free_at, self._taken))
        return None if math.isinf(first) else max(first - now, 0.001)

    def _free_at(self, slot: Slot) -> float:
        """When a request no longer counts."""
        if slot.sent is None:
            return math.inf
        late = max(self._lateness, default=_MOST_LATE) if slot.late is None else slot.late
        return slot.sent + late + self._window

    def answered(self, slot: Slot) -> None:
        """The answer to the request in `slot` has begun to arrive."""
        with self._changed:
            assert slot.sent is not None  # noqa: S101
            seconds = self._clock() - slot.sent
            self.latency += 0.2 * (seconds - self.latency)
            trips = self._trips.setdefault(slot.path, deque(maxlen=_REMEMBERED))
            trips.append(seconds)
            slot.late = _MOST_LATE
            if len(trips) >= _ENOUGH:
                slot.late = min(seconds - min(trips), _MOST_LATE)
                self._lateness.append(slot.late)
            self._changed.notify_all()

    def refused(self, retry_after: float) -> None:
        """The server said 429: nobody sends for `retry_after` seconds, then more slowly."""
        with self._changed:
            now = self._clock()
            if now >= self._paused_until:  # one step for a whole burst of 429s
                self._window = min(self._window * 1.5, _SLOWEST)
            self._paused_until = max(self._paused_until, now + retry_after)
            self._changed.notify_all()

    def accepted(self, limit: int | None, remaining: int | None) -> None:
        """A request went through; `limit` and `remaining` come from RateLimit-* if present.

        A limit below ours is adopted. What is used up beyond our own requests belongs to other
        integrations and is counted as if it were ours.
        """
        if self.per_second is None:
            return
        with self._changed:
            self._window = max(self._window * 0.98, 1 + _MARGIN)
            if limit is not None:
                self._limit = max(1, min(self.per_second, limit))
            if limit is not None and remaining is not None:
                now = self._clock()
                ours = sum(slot.sent is None or now - slot.sent < 1 for slot in self._taken)
                others = min(self._limit, limit - remaining - ours)
                self._taken.extend(Slot(sent=now, late=0.0) for _ in range(others))
