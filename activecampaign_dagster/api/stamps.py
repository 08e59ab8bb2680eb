"""Stamps as the API writes them, made into moments."""

from __future__ import annotations

from datetime import datetime
from typing import Any

# What stands for "never" in one system or another lies outside. Inside, a margin or a time zone
# leads to no year that has no date.
_FIRST_YEAR, _LAST_YEAR = 1000, 9998


def as_moment(text: Any) -> datetime | None:
    """An ISO stamp with an offset; None for anything else, zero dates and far-off years included.

    Years before 1000 are no dates in the tables either (see `sync/cast.py`).
    """
    if not text:
        return None
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo and _FIRST_YEAR <= found.year <= _LAST_YEAR else None
