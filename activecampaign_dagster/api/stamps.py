"""Stamps as the API writes them, and as its date filters are sent them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

# Every recorded stamp carries Chicago's offset, so its digits are right even for a reader that
# drops the offset: filters are written the same way.
CHICAGO = ZoneInfo("America/Chicago")


def parse_stamp(value: Any) -> datetime | None:
    """An ISO stamp with an offset; None for anything else, zero dates included."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def write_stamp(moment: datetime) -> str:
    """A moment for a date filter, right whether its offset is honoured or dropped."""
    return moment.astimezone(CHICAGO).isoformat(timespec="seconds")
