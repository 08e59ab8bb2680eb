"""Answers that must have come whole after a while.

The read time-out counts from one piece of an answer to the next, and urllib3's total time-out ends
where the body begins: an answer that comes byte by byte would be read without end.
"""

from __future__ import annotations

import io
import time


class _Deadline(io.RawIOBase):
    """A stream that can be read until a moment, by the monotonic clock."""

    def __init__(self, raw: io.RawIOBase, end: float) -> None:
        self._raw = raw
        self._end = end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        if time.monotonic() > self._end:
            raise TimeoutError
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def within(seconds: float, stream: io.BufferedReader) -> io.BufferedReader:
    """`stream`, for so many seconds from now; reading on after that raises TimeoutError."""
    return io.BufferedReader(_Deadline(stream.detach(), time.monotonic() + seconds))
