"""Signals that come while DuckDB works are heard, also where it swallows what their handler raises.

DuckDB looks for optional packages now and then, and takes any exception in Python's import for the
lack of one: also the one by which SIGTERM or Ctrl-C is to end the program. And while an exception
ends a query in Python, DuckDB's own threads go on with it, and the next query waits for them.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_KNOCK_AGAIN = 2.0  # seconds


@contextmanager
def heard_signals() -> Iterator[list[Callable[[], None]]]:
    """Give a signal to its handler once more if the block goes on in spite of it.

    Yields a list, for what is to be called before that.
    """
    first: list[Callable[[], None]] = []
    if threading.current_thread() is not threading.main_thread():
        yield first  # signals are for the main thread alone
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
        for call in first:
            call()
        before[number](number, frame)

    for number in _SIGNALS:
        if callable(before[number]):
            signal.signal(number, hear)
    try:
        yield first
    except Exception:
        if came:  # it may be what became of the query
            before[came[-1]](came[-1], None)
        raise
    finally:
        ended.set()
        for number in _SIGNALS:
            if signal.getsignal(number) is hear:
                signal.signal(number, before[number])
    if came:
        before[came[-1]](came[-1], None)
