"""What the headers of an answer say; one that makes no sense says nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_LONGEST_INTEGER = 20  # characters, in 64 bits


def date(text: str | None) -> datetime | None:
    """The moment in a header such as Date; without a zone, or with `-0000`, it is naive."""
    try:
        return parsedate_to_datetime(text or "")
    except Exception:
        return None


def utc_date(text: str | None) -> datetime | None:
    """As `date`, where a moment without a zone is meant to be UTC."""
    moment = date(text)
    return moment.replace(tzinfo=UTC) if moment and not moment.tzinfo else moment


def integer(text: str | None) -> int | None:
    """The number in a header, unless it is too large to be meant."""
    fits = text and len(text) < _LONGEST_INTEGER and text.isascii() and text.isdigit()
    return int(text) if text and fits else None
