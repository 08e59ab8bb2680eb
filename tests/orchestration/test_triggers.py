"""When runs begin: intervals, times of the day, cron, on both sides of a change of clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest

from activecampaign_dagster.orchestration.triggers import (
    Trigger,
    at,
    cron_mistake,
    every,
    share,
    span,
)

BERLIN = ZoneInfo("Europe/Berlin")
SPRING = datetime(2025, 3, 30, tzinfo=BERLIN)  # 02:00 becomes 03:00
AUTUMN = datetime(2025, 10, 26, tzinfo=BERLIN)  # 03:00 becomes 02:00


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10 seconds", 10),
        ("30 minutes", 1800),
        ("1 hour", 3600),
        ("2h", 7200),
        ("day", 86_400),
        ("1 week", 604_800),
        ("5 min", 300),
    ],
)
def test_a_span_of_time_is_read_as_people_write_it(text: str, expected: int) -> None:
    assert span(text) == timedelta(seconds=expected)


@pytest.mark.parametrize(
    "text", ["", "0 minutes", "-5 minutes", "1.5 hours", "fortnight", "1 month"]
)
def test_what_is_no_span_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time span"):
        span(text)


@pytest.mark.parametrize("text", ["999999999999 days", "9" * 5000 + " weeks"])
def test_a_span_that_no_clock_counts_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is too long"):
        span(text)


@pytest.mark.parametrize("text", ["10 seconds", "90 seconds"])
def test_a_schedule_needs_whole_minutes(text: str) -> None:
    with pytest.raises(ValueError, match="whole number of minutes"):
        every(text)


@pytest.mark.parametrize("length", [1, 5, 15, 45, 60, 90, 96, 240, 720, 1440, 10080])
def test_an_interval_is_as_long_as_it_says_on_every_day_of_the_year(length: int) -> None:
    ticks = Trigger(crons=every(f"{length} minutes") if length != 10080 else every("1 week")).ticks(
        SPRING - timedelta(days=1)
    )
    assert {b - a for a, b in pairwise(islice(ticks, 200))} == {timedelta(minutes=length)}


@pytest.mark.parametrize(
    ("text", "neighbours"),
    [
        ("7 minutes", "6 minutes or 8 minutes"),
        ("50 minutes", "48 minutes or 60 minutes"),
        ("7 hours", "6 hours or 8 hours"),
        ("23 hours", "12 hours or 1 day"),
        ("2 days", "1 day"),
    ],
)
def test_an_interval_that_does_not_divide_the_day_is_refused_with_its_neighbours(
    text: str, neighbours: str
) -> None:
    with pytest.raises(ValueError, match=f"the day evenly: choose {neighbours}, or write a cron"):
        every(text)


def test_no_times_of_the_day_are_refused() -> None:
    with pytest.raises(ValueError, match="no time is listed"):
        at([])


def local_times(trigger: Trigger, start: datetime, count: int) -> list[str]:
    return [f"{t.astimezone(BERLIN):%d %H:%M %Z}" for t in islice(trigger.ticks(start), count)]


def test_a_time_of_the_day_stays_the_same_when_the_clocks_change() -> None:
    trigger = Trigger(crons=at(["08:00"]), timezone="Europe/Berlin")
    assert local_times(trigger, SPRING - timedelta(days=1), 3) == [
        "29 08:00 CET",
        "30 08:00 CEST",
        "31 08:00 CEST",
    ]


def test_a_time_that_does_not_exist_is_the_next_one_that_does() -> None:
    trigger = Trigger(crons=at(["02:30"]), timezone="Europe/Berlin")
    assert local_times(trigger, SPRING, 2) == ["30 03:00 CEST", "31 02:30 CEST"]


def test_a_time_that_comes_twice_counts_once() -> None:
    trigger = Trigger(crons=at(["02:30"]), timezone="Europe/Berlin")
    assert [t[:8] for t in local_times(trigger, AUTUMN, 2)] == ["26 02:30", "27 02:30"]


def test_several_times_on_some_days_are_told_apart() -> None:
    trigger = Trigger(
        crons=at(["06:15", "18:15", "12:00"], ["saturday", "monday"]), timezone="Europe/Berlin"
    )
    assert len(trigger.crons) == 2
    ticks = [t.astimezone(BERLIN) for t in islice(trigger.ticks(SPRING), 4)]
    assert [f"{t:%a %H:%M}" for t in ticks] == ["Mon 06:15", "Mon 12:00", "Mon 18:15", "Sat 06:15"]


def test_the_longest_gap_is_the_one_over_the_weekend() -> None:
    trigger = Trigger(crons=("0 6 * * 1-5",))
    assert trigger.longest_gap(datetime(2025, 1, 1, tzinfo=UTC)) == timedelta(days=3)


def test_a_manual_trigger_has_no_ticks() -> None:
    assert list(Trigger().ticks(SPRING)) == []
    assert Trigger().longest_gap() is None


@pytest.mark.parametrize("cron", ["0 6 * * 1-5", "*/5 * * * *", "@daily", "0 0 1 * *"])
def test_cron_expressions_that_dagster_takes_are_right(cron: str) -> None:
    assert cron_mistake(cron) is None


@pytest.mark.parametrize("cron", ["", "daily", "61 * * * *", "* * * *", "0 6 * * * *"])
def test_other_cron_expressions_are_explained(cron: str) -> None:
    assert "invalid cron expression" in str(cron_mistake(cron))


@pytest.mark.parametrize(
    "text", ["1 minute", "5 minutes", "45 minutes", "1 hour", "90 minutes", "2 hours", "1 day"]
)
@pytest.mark.parametrize("part", [0.0, 0.3, 0.999])
def test_an_interval_keeps_its_length_wherever_in_it_runs_begin(text: str, part: float) -> None:
    ticks = list(islice(Trigger(crons=every(text, part)).ticks(SPRING), 60))
    assert {b - a for a, b in pairwise(ticks)} == {span(text)}
    later = (ticks[0] - datetime(2025, 1, 1, tzinfo=UTC)) % span(text)
    assert later == timedelta(minutes=int(span(text) / timedelta(minutes=1) * part))


def test_a_week_is_kept_too() -> None:
    assert every("1 week", 0.5) == ("0 12 * * 3",)


def test_accounts_have_shares_of_an_interval_that_are_spread_and_stay_as_they_are() -> None:
    assert share("shop") == share("shop")
    quarters = [int(share(f"client_{number}") * 4) for number in range(100)]
    assert all(15 <= quarters.count(quarter) <= 35 for quarter in range(4))
