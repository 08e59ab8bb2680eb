"""Signals that come while DuckDB works are heard, also where it swallows what their handler raises.

DuckDB looks for optional packages now and then, and takes any exception in Python's import for the
lack of one: also the one by which SIGTERM or Ctrl-C is to end the program.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_KNOCK_AGAIN = 2.0  # seconds


@contextmanager
def heard_signals() -> Iterator[None]:
    """Give a signal to its handler once more if the block goes on in spite of it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are for the main thread alone
        return
    before: dict[int, Any] = {number: signal.getsignal(number) for number in _SIGNALS}
    came: list[int] = []
    main, ended = threading.main_thread(), threading.Event()

    def knock() -> None:
        while not ended.wait(_KNOCK_AGAIN) and main.ident:
            signal.pthread_kill(main.ident, came[-1])

    def hear(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) == 1:
            threading.Thread(target=knock, daemon=True).start()
        before[number](number, frame)

    for number in _SIGNALS:
        if callable(before[number]):
            signal.signal(number, hear)
    try:
        yield
    finally:
        ended.set()
        for number in _SIGNALS:
            if signal.getsignal(number) is hear:
                signal.signal(number, before[number])
    if came:
        before[came[-1]](came[-1], None)
