"""What one run shall read, and how."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Mode(StrEnum):
    """What a run reads of the incremental streams; FULL_TABLE streams are always read whole."""

    INCREMENTAL = "incremental"  # what changed since the watermark; everything the first time
    FULL = "full"  # everything, which also reveals deletions
    WINDOW = "window"  # what was last changed within a span of time


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span [start, end) of replication-key time."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None or self.start >= self.end:
            raise ValueError(f"not a span of time with zones: {self.start} to {self.end}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRequest:
    """What one run shall do: the streams to read, how, and under which id it is recorded.

    at: the moment that its rows are stamped with; None: what the account's clock shows when the
    first stream has been read. rests: what seldom changes may be left for a later sync (see
    `rhythm`). compares: children that came in full beside their parents are held against the
    account's totals, with one request each.
    """

    streams: frozenset[str]
    mode: Mode
    sync_id: str
    window: Window | None = None
    at: datetime | None = None
    rests: bool = False
    compares: bool = False

    @property
    def may_leave(self) -> bool:
        """Whether it leaves for a later sync what was read lately."""
        return self.rests and self.mode is Mode.INCREMENTAL
