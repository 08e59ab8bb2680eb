"""A run that is stopped says so in a sentence, not in a stack trace."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from activecampaign_dagster.orchestration.dagster_internals import (
    InterruptedRunError,
    MessageOnlyError,
)

_STOPPED = (
    "The run was stopped by a signal {}. Rows that were loaded are kept, and the next run resumes."
)


class StoppedRun(MessageOnlyError, InterruptedRunError):  # noqa: N818
    """SIGTERM or Ctrl-C ended a run: Dagster ends it as interrupted and shows the message."""

    def __init__(self, while_: str) -> None:
        message = _STOPPED.format(while_)
        super().__init__(  # type: ignore[no-untyped-call]
            message, user_code_process_error_infos=[]
        )
        self.show_message(message, "Interrupted")


@contextmanager
def stops_in_a_sentence(while_: str) -> Iterator[None]:
    """Let a signal that ends the block end the run in a sentence; while_: "while it …"."""
    before = sys.unraisablehook
    sys.unraisablehook = _without_signals(before)
    try:
        yield
    except StoppedRun:
        raise
    except (InterruptedRunError, KeyboardInterrupt):
        raise StoppedRun(while_) from None
    finally:
        sys.unraisablehook = before


def _without_signals(
    hook: Callable[[sys.UnraisableHookArgs], object],
) -> Callable[[sys.UnraisableHookArgs], None]:
    """A hook that shows no trace of a signal that comes while a generator is being closed."""

    def show(unraisable: sys.UnraisableHookArgs) -> None:
        if not issubclass(unraisable.exc_type, InterruptedRunError | KeyboardInterrupt):
            hook(unraisable)

    return show
