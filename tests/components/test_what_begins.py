"""What an account's settings let begin by itself: schedules by the clock, sensors by interval."""

from __future__ import annotations

from typing import Any

import pytest

from activecampaign_dagster.components.source import ActiveCampaignSource, together
from activecampaign_dagster.orchestration.triggers import share

HOURLY = ("incremental", ["0 * * * *"], "UTC")
SUNDAYS = ("full", ["0 3 * * 0"], "UTC")
WORKING_DAYS = {"at": ["08:00", "17:30"], "days": ["monday", "friday"]}


def schedules(**settings: Any) -> set[tuple[str, tuple[str, ...], str]]:
    """Mode, cron expressions and time zone of each schedule."""
    found = set()
    for schedule in ActiveCampaignSource(**settings).definitions().schedules or ():
        crons = schedule.cron_schedule
        listed = (crons,) if isinstance(crons, str) else tuple(crons)
        mode = "full" if "full" in schedule.name else "incremental"
        found.add((mode, listed, schedule.execution_timezone or "UTC"))
    return found


def sensors(**settings: Any) -> dict[str, int | None]:
    """Name → seconds between two ticks."""
    found = ActiveCampaignSource(**settings).definitions().sensors or ()
    return {s.name.removeprefix("activecampaign__"): s.minimum_interval_seconds for s in found}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [HOURLY, SUNDAYS]),
        ({"full_sync": "never"}, [HOURLY]),
        ({"trigger": "manual"}, []),
        ({"trigger": "on_change"}, [SUNDAYS]),
        ({"trigger": {"every": "30 minutes"}}, [("incremental", ["*/30 * * * *"], "UTC"), SUNDAYS]),
        (
            {"trigger": {"cron": ["0 6 * * *", "0 18 * * 1"]}, "full_sync": "never"},
            [("incremental", ["0 6 * * *", "0 18 * * 1"], "UTC")],
        ),
        (
            {"trigger": WORKING_DAYS, "timezone": "Europe/Berlin"},
            [
                ("incremental", ["0 8 * * 1,5", "30 17 * * 1,5"], "Europe/Berlin"),
                ("full", ["0 3 * * 0"], "Europe/Berlin"),
            ],
        ),
        (
            {"full_sync": {"every": "1 day"}, "timezone": "Europe/Berlin"},
            [HOURLY, ("full", ["0 0 * * *"], "UTC")],
        ),
    ],
)
def test_schedules_are_those_of_the_triggers(
    settings: dict[str, Any], expected: list[tuple[str, list[str], str]]
) -> None:
    assert schedules(**settings) == {(mode, tuple(crons), zone) for mode, crons, zone in expected}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"first_sync": 60, "drift": 3600}),
        ({"trigger": "on_change"}, {"first_sync": 60, "drift": 3600, "on_change": 60}),
        (
            {"trigger": {"on_change": "5 minutes"}, "drift": {"every": "2 hours"}},
            {"first_sync": 60, "drift": 7200, "on_change": 300},
        ),
        ({"drift": "never"}, {"first_sync": 60}),
        ({"trigger": "manual"}, {}),
    ],
)
def test_sensors_are_those_of_the_triggers(
    settings: dict[str, Any], expected: dict[str, int]
) -> None:
    assert sensors(**settings) == expected


def test_of_several_accounts_intervals_are_spread_and_times_are_as_written() -> None:
    written: list[dict[str, Any]] = [
        {"name": "activecampaign"},
        {"name": "shop", "trigger": {"at": ["08:00"]}, "full_sync": {"cron": "0 4 * * 6"}},
    ]
    sources = [ActiveCampaignSource(**each) for each in written]
    together(sources)
    crons = {
        schedule.name: list(schedule.cron_schedule)
        for source in sources
        for schedule in source.definitions().schedules or ()
    }
    assert crons["shop__incremental_sync_schedule"] == ["0 8 * * *"]
    assert crons["shop__full_refresh_schedule"] == ["0 4 * * 6"]
    part = share("activecampaign")
    assert crons["activecampaign__incremental_sync_schedule"] == [f"{int(part * 60)} * * * *"]
    later, minute = divmod(int(part * 240), 60)
    assert crons["activecampaign__full_refresh_schedule"] == [f"{minute} {3 + later} * * 0"]
