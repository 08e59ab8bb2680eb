"""The times at which an account is synced: from the words of users to cron expressions."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

from activecampaign_dagster.orchestration.dagster_internals import cron_ticks, is_valid_cron

DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_SECONDS = {
    "second": 1,
    "sec": 1,
    "s": 1,
    "minute": 60,
    "min": 60,
    "m": 60,
    "hour": 3600,
    "h": 3600,
}
_SECONDS |= {"day": 86_400, "d": 86_400, "week": 604_800, "w": 604_800}
_DAY = 1440


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """The times at which runs begin.

    crons: each a cron expression, read in `timezone`; none: never by the clock.
    poll_seconds: how often the account is asked whether anything changed; None: not at all.
    interval: the time between any two runs by the clock, where it is always the same.
    """

    crons: tuple[str, ...] = ()
    timezone: str = "UTC"
    poll_seconds: int | None = None
    interval: timedelta | None = None

    @property
    def is_manual(self) -> bool:
        """Whether runs begin by hand only."""
        return not self.crons and self.poll_seconds is None

    def ticks(self, start: datetime) -> Iterator[datetime]:
        """The moments from `start` on when runs begin, as Dagster works them out, with DST."""
        if self.crons:
            yield from cron_ticks(start, self.crons, self.timezone)

    def longest_gap(self, start: datetime | None = None) -> timedelta | None:
        """The longest time between two runs by the clock in the year after `start` (now)."""
        if self.interval:
            return self.interval
        start = start or datetime.now(UTC)
        year = itertools.takewhile(
            lambda tick: tick < start + timedelta(days=400), self.ticks(start)
        )
        gaps = [b - a for a, b in itertools.pairwise(itertools.islice(year, 2000))]
        return max(gaps, default=timedelta(days=366)) if self.crons else None


MANUAL = Trigger()


def span(text: str) -> timedelta:
    """The time in "30 minutes", "2 h", "day"; ValueError if it is not a time span."""
    found = re.fullmatch(r"\s*(\d*)\s*([a-z]+?)s?\s*", text.lower())
    if not found or found[2] not in _SECONDS or found[1].strip("0") == "" != found[1]:
        raise ValueError(
            f"{text!r} is not a time span: write for example 30 minutes, 2 hours, 1 day"
        )
    try:
        return timedelta(seconds=int(found[1] or 1) * _SECONDS[found[2]])
    except (OverflowError, ValueError):  # more digits than Python reads, too
        raise ValueError(f"{text[:20]!r}… is too long: write for example 1 day") from None


def every(text: str, share: float = 0.0) -> tuple[str, ...]:
    """Cron expressions, to be read in UTC, for an interval; ValueError if there is none.

    UTC, because an interval is the same length on the days when clocks change. share: how much of
    the interval runs begin after its start, from 0 up to 1.
    """
    length, rest = divmod(span(text), timedelta(minutes=1))
    if rest or not length:
        raise ValueError(
            f"{text!r} is not a whole number of minutes, which schedules need: write for example "
            "1 minute"
        )
    later = int(length * share)
    if length == 7 * _DAY:
        days, minutes = divmod(later, _DAY)
        return (f"{minutes % 60} {minutes // 60} * * {days}",)
    if _DAY % length:
        fits = [m for m in range(1, _DAY + 1) if _DAY % m == 0]
        near = [max(m for m in fits if m < length), *[m for m in fits if m > length][:1]]
        raise ValueError(
            f"{text!r} does not divide the day evenly: choose {' or '.join(map(_in_words, near))}, "
            "or write a cron expression"
        )
    if length < 60 and 60 % length == 0:
        first = f"{later}-59" if later else "*"
        return (f"{first}/{length} * * * *" if length > 1 else "* * * * *",)
    if length < _DAY and length % 60 == 0:
        hour, minute = divmod(later, 60)
        hours = f"{hour}-23" if hour else "*"
        return (f"{minute} {hours}/{length // 60} * * *" if length > 60 else f"{minute} * * * *",)
    starts = range(later, _DAY, length)
    return _grouped([time(s // 60, s % 60) for s in starts], "*")


def share(name: str) -> float:
    """The part of an interval by which an account's runs begin later than at its start, 0 up to 1.

    It depends on the name alone, so that runs of many accounts are spread and stay where they are.
    """
    return int.from_bytes(sha256(name.encode()).digest()[:4]) / 2**32


def at(times: Sequence[str], days: Sequence[str] = ()) -> tuple[str, ...]:
    """Cron expressions for times of the day ("08:00") on weekdays ("monday"; none: every day)."""
    if not times:
        raise ValueError('no time is listed: write for example ["08:00"]')
    moments = []
    for text in times:
        found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text.strip())
        if not found:
            raise ValueError(f"{text!r} is not a time of day: write for example 08:00 or 17:30")
        moments.append(time(int(found[1]), int(found[2])))
    numbers = sorted({DAYS.index(day) for day in days})
    return _grouped(moments, ",".join(map(str, numbers)) or "*")


def cron_mistake(text: str) -> str | None:
    """A sentence about an invalid cron expression; None if it is valid."""
    if not is_valid_cron(text) or len(text.split()) not in (1, 5):
        return (
            f"invalid cron expression {text!r}: it needs minute, hour, day of month, month and day "
            'of week, for example "0 6 * * 1-5" for 6:00 on working days'
        )
    return None


def zone_exists(name: str) -> bool:
    """Whether there is an IANA time zone of that name."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _grouped(moments: Sequence[time], days: str) -> tuple[str, ...]:
    """As few cron expressions as possible: one for each minute of the hour."""
    hours: dict[int, set[int]] = {}
    for moment in moments:
        hours.setdefault(moment.minute, set()).add(moment.hour)
    return tuple(
        f"{minute} {','.join(map(str, sorted(found)))} * * {days}"
        for minute, found in sorted(hours.items())
    )


def _in_words(span: int) -> str:
    if span == _DAY:
        return "1 day"
    return f"{span // 60} hours" if span % 60 == 0 and span > 60 else f"{span} minutes"
