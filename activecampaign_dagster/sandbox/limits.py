"""The account's rate limit."""

from __future__ import annotations

import math
import threading
import time
from collections import deque

WINDOW = 1.0


class RateLimit:
    """So many requests in any `WINDOW` seconds, for everybody who uses the account together.

    ActiveCampaign API: 5 requests per second per account; 429 with `Retry-After` in whole seconds.
    A refused request does not count. `rate` None: no limit.
    """

    def __init__(self, rate: int | None) -> None:
        self.rate = rate
        self._spent: deque[float] = deque()
        self._lock = threading.Lock()

    def admit(self, now: float) -> int | None:
        """None when a request at `now` (monotonic) may pass, else the seconds to wait."""
        if self.rate is None:
            return None
        with self._lock:
            self._drop(now)
            if len(self._spent) < self.rate:
                self._spent.append(now)
                return None
            return max(1, math.ceil(self._spent[len(self._spent) - self.rate] + WINDOW - now))

    def spend(self, count: int) -> None:
        """Requests of somebody else, now; what is beyond the limit is spent as well."""
        now = time.monotonic()
        with self._lock:
            self._drop(now)
            self._spent.extend([now] * count)

    def left(self, now: float) -> int:
        """Count the requests that may pass now."""
        with self._lock:
            self._drop(now)
            return max(0, (self.rate or 0) - len(self._spent))

    def _drop(self, now: float) -> None:
        while self._spent and self._spent[0] <= now - WINDOW:
            self._spent.popleft()
