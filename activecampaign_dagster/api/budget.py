"""The request budget: how many requests may begin per second, for everything in this process.

ActiveCampaign allows 5 requests per second and account, shared by all keys and integrations, and
answers 429 with `Retry-After: <seconds>` beyond that (API v3 documentation, rate limits).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# A request counts from the moment its last byte was sent. What the server sees can differ by the
# network's jitter, so the window is 2 % longer than the second that the server counts.
_JITTER = 0.02
_SLOWEST = 8.0  # seconds per window when other integrations keep us at 429


class Budget:
    """A sliding window: at most `per_second` requests begin within any second.

    `per_second=None` sets no limit. A 429 pauses everyone and widens the window by half; each
    request that goes through narrows it by 2 %, so the pace recovers after about twenty.
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
        self._window = 1 + _JITTER
        self._recent: deque[float] = deque()
        self._sending = 0
        self._paused_until = 0.0
        self._changed = threading.Condition()
        self._turn = threading.Lock()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait until a request may begin; send it inside the block."""
        if self.per_second is not None:
            with self._turn:
                self._wait()
        try:
            yield
        finally:
            if self.per_second is not None:
                with self._changed:
                    self._sending -= 1
                    self._recent.append(self._clock())
                    self._changed.notify_all()

    def _wait(self) -> None:
        with self._changed:
            while (delay := self._delay(self._clock())) != 0:
                self._changed.wait(delay)
            self._sending += 1

    def _delay(self, now: float) -> float | None:
        """Seconds until the next request may begin; None: until one being sent is sent."""
        if now < self._paused_until:
            return self._paused_until - now
        while self._recent and now - self._recent[0] >= self._window:
            self._recent.popleft()
        if len(self._recent) + self._sending < self._limit:
            return 0
        if not self._recent:
            return None
        return max(self._recent[0] + self._window - now, 0.001)

    def answered(self, seconds: float) -> None:
        """An answer came `seconds` after its request was sent."""
        self.latency += 0.2 * (seconds - self.latency)

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
            self._window = max(self._window * 0.98, 1 + _JITTER)
            if limit is not None:
                self._limit = max(1, min(self.per_second, limit))
            if limit is not None and remaining is not None:
                now = self._clock()
                ours = sum(now - sent < 1 for sent in self._recent) + self._sending
                others = min(self._limit, limit - remaining - ours)
                self._recent.extend(now for _ in range(others))
