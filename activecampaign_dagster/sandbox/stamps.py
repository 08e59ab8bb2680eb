"""Instants and the ways the API writes and reads them.

Inside the sandbox an instant is a whole number of seconds since 1970 (UTC). ActiveCampaign API:
every ISO stamp is written in the account's zone with that day's offset, nearly always that of
Chicago; `created_timestamp` and `updated_timestamp` are the same wall clock without an offset.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

CHICAGO = ZoneInfo("America/Chicago")
DAY = 86_400
# of the account that writes and reads: its zone, and the seconds that its hours begin before UTC's
_zone: ContextVar[tuple[ZoneInfo, int]] = ContextVar("zone", default=(CHICAGO, 0))

_WITHIN_HOUR = tuple(b":%02d:%02d" % divmod(second, 60) for second in range(3600))
_FILTER = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})"
    r"(?:[T ](\d{2}):(\d{2})(?::(\d{2})(\.\d{1,9})?)?\s?(Z|[+-]\d{2}:?\d{2})?)?"
)


class DateFilter(StrEnum):
    """Ways to read the offset of a date filter; outside ActiveCampaign nobody knows which holds."""

    OFFSET_HONOURED = "offset_honoured"
    OFFSET_DROPPED = "offset_dropped"
    DIGITS_AS_UTC = "digits_as_utc"


@contextmanager
def in_zone(zone: ZoneInfo) -> Iterator[None]:
    """Write stamps in a zone, and read those without an offset in it, until the block ends."""
    offset = datetime(2020, 1, 1, tzinfo=zone).utcoffset() or timedelta(0)
    token = _zone.set((zone, int(offset.total_seconds()) % 3600))
    try:
        yield
    finally:
        _zone.reset(token)


@lru_cache(maxsize=65_536)
def _hour(begin: int, zone: ZoneInfo) -> tuple[bytes, bytes, bytes]:
    text = datetime.fromtimestamp(begin, tz=zone).isoformat().encode()
    return text[:13], text[:10] + b" " + text[11:13], text[-6:]


def _parts(epoch: int) -> tuple[bytes, bytes, bytes, bytes]:
    """Day and hour in both spellings, the offset, and the rest of the hour."""
    zone, ahead = _zone.get()
    rest = (epoch + ahead) % 3600
    return *_hour(epoch - rest, zone), _WITHIN_HOUR[rest]


def iso(epoch: int) -> bytes:
    """`2018-09-12T16:51:30-05:00`."""
    day, _, offset, within = _parts(epoch)
    return day + within + offset


def naive(epoch: int) -> bytes:
    """`2018-09-12 16:51:30`, the same clock."""
    _, plain, _, within = _parts(epoch)
    return plain + within


def utc(epoch: int) -> bytes:
    """`2018-09-12T21:51:30.000Z`: custom objects alone write their stamps in UTC."""
    return datetime.fromtimestamp(epoch, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z").encode()


def both(epoch: int) -> tuple[bytes, bytes]:
    """`iso` and `naive` at once."""
    day, plain, offset, within = _parts(epoch)
    return day + within + offset, plain + within


def mislabelled(epoch: int) -> str:
    """UTC digits with the account's offset, hours in the future west of Greenwich.

    ActiveCampaign API: recorded in the `udate` of dealGroups and dealStages after a stage was
    deleted.
    """
    digits = datetime.fromtimestamp(epoch, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return digits + iso(epoch)[-6:].decode()


def seconds(moment: datetime) -> int:
    """An aware datetime as whole seconds since 1970, fractions cut off."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} needs a time zone")
    return math.floor(moment.timestamp())


def parse(value: object) -> int | None:
    """Read a caller's stamp (aware datetime, ISO text, seconds) as seconds, else None."""
    if isinstance(value, datetime):
        return seconds(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        return parse_filter(value, DateFilter.OFFSET_HONOURED)
    return None


def parse_filter(text: str, reading: DateFilter) -> int | None:
    """The first whole second that is not before a date filter's value; None if it is no date.

    ActiveCampaign API: dates, `YYYY-MM-DD HH:MM:SS` and RFC 3339 are accepted.
    """
    match = _FILTER.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        digits = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0)
        )
        return _instant(digits, zone, reading) + (1 if fraction and float(fraction) > 0 else 0)
    except (ValueError, OverflowError):
        return None


def _instant(digits: datetime, zone: str | None, reading: DateFilter) -> int:
    if reading is DateFilter.DIGITS_AS_UTC:
        return seconds(digits.replace(tzinfo=UTC))
    if zone is None or reading is DateFilter.OFFSET_DROPPED:
        return seconds(digits.replace(tzinfo=_zone.get()[0]))
    if zone == "Z":
        return seconds(digits.replace(tzinfo=UTC))
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    east = -minutes if zone[0] == "-" else minutes
    return seconds(digits.replace(tzinfo=UTC) - timedelta(minutes=east))
