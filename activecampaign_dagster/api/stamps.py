"""Stamps as the API writes them, and as its date filters are sent them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

# Nearly every recorded stamp carries Chicago's offset, so its digits are right even for a reader
# that drops the offset: filters are written the same way. Of accounts elsewhere such a reader would
# be less than a day off, which is the margin of syncs.
CHICAGO = ZoneInfo("America/Chicago")
# What stands for "never" in one system or another lies outside. Inside, a margin or a time zone
# leads to no year that has no date.
_FIRST_YEAR, _LAST_YEAR = 1000, 9998


def parse_stamp(value: Any) -> datetime | None:
    """An ISO stamp with an offset; None for anything else, zero dates and far-off years included.

    Years before 1000 are no dates in the tables either (see `sync/cast.py`).
    """
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if is_proper(moment) else None


def is_proper(moment: datetime) -> bool:
    """Whether a moment has an offset, and a year that stays one in every zone."""
    return moment.tzinfo is not None and _FIRST_YEAR <= moment.year <= _LAST_YEAR


def first_stamp(record: Any, names: Iterable[str]) -> datetime | None:
    """The first of a record's fields called `names` that holds a stamp; None if none does."""
    if not isinstance(record, dict):
        return None
    stamps = (parse_stamp(record.get(name)) for name in names)
    return next((stamp for stamp in stamps if stamp), None)


def write_stamp(moment: datetime) -> str:
    """A moment for a date filter, right whether its offset is honoured or dropped."""
    return moment.astimezone(CHICAGO).isoformat(timespec="seconds")
