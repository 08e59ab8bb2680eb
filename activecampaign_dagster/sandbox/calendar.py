"""Moments of the made-up account follow growth over the years, seasons and office hours."""

from __future__ import annotations

import math
from array import array
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random

from activecampaign_dagster.sandbox.stamps import CHICAGO, DAY, seconds

_SEASON = (0.9, 1.0, 1.15, 1.05, 1.0, 0.95, 0.75, 0.7, 1.1, 1.2, 1.25, 0.85)
_WEEKDAY = (1.1, 1.2, 1.2, 1.1, 0.9, 0.2, 0.15)


def first_day(now: datetime, years: float) -> int:
    """Midnight in Chicago, `years` before `now`."""
    day = (now.astimezone(CHICAGO) - timedelta(days=365.25 * years)).date()
    return seconds(datetime(day.year, day.month, day.day, tzinfo=CHICAGO))


def spread(random: Random, count: int, start: int, end: int, growth: float = 0.35) -> array[int]:
    """`count` ascending instants in [start, end), more of them each year by `growth`."""
    days = max(1, math.ceil((end - start) / DAY))
    weights = []
    for day in range(days):
        date = datetime.fromtimestamp(start + day * DAY + DAY // 2, tz=CHICAGO)
        trend = (1 + growth) ** (day / 365.25)
        weights.append(trend * _SEASON[date.month - 1] * _WEEKDAY[date.weekday()])
    chosen = random.choices(range(days), cum_weights=list(accumulate(weights)), k=count)
    draw = random.random
    instants = []
    for day in chosen:
        # the mean of two draws: most of it between 8 and 18 o'clock
        moment = start + day * DAY + int((draw() + draw()) * 21_600 + 21_600)
        if moment >= end:
            moment = max(start, end - 1 - int(draw() * DAY))
        instants.append(moment)
    instants.sort()
    return array("I", instants)


def ids(count: int, gap: int) -> array[int]:
    """`count` ascending ids from 1, with a hole left by a long-deleted record every `gap` ids."""
    upper = count + count // max(gap - 1, 1) + 2
    numbers = array("I", range(1, upper + 1))
    del numbers[gap - 1 :: gap]
    del numbers[count:]
    return numbers
