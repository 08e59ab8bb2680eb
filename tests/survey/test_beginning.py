"""The start_date that suits an account is found from its first record."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from activecampaign_dagster import cli
from activecampaign_dagster.commands.beginning import about_start
from activecampaign_dagster.components.source import ActiveCampaignSource
from activecampaign_dagster.orchestration.partitions import partitions
from activecampaign_dagster.sandbox.server import Sandbox
from tests.helpers import serving

BEGAN = datetime(2021, 3, 31, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("2021-03-01", []),
        ("2021-01-15", ["Set start_date to 2021-03-01: the first 2 partitions of each stream "]),
        ("2021-04-10", ["Set start_date to 2021-03-01: records were made before 2021-04-01, "]),
    ],
)
def test_a_start_date_that_does_not_suit_is_told_with_the_one_that_does(
    start: str, said: list[str]
) -> None:
    found = about_start(BEGAN, partitions("month", start, "UTC"))
    assert [line[: len(start)] for line, start in zip(found, said, strict=True)] == said


def test_the_month_is_that_of_the_accounts_zone() -> None:
    [found] = about_start(BEGAN, partitions("day", "2020-01-01", "Europe/Berlin"))
    assert found.startswith("Set start_date to 2021-04-01: the first 456 partitions ")


def test_a_week_that_begins_in_the_month_before_suits() -> None:
    assert about_start(BEGAN, partitions("week", "2021-03-01", "UTC")) == []


@pytest.mark.parametrize("began", [None, datetime(1900, 1, 1, tzinfo=UTC)])
def test_nothing_is_said_without_a_first_record(began: datetime | None) -> None:
    assert about_start(began, partitions("month", "2020-01-01", "UTC")) == []


def check(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, folder: Path, *options: str) -> str:
    """What `activecampaign check` prints."""
    monkeypatch.setenv("ACTIVECAMPAIGN_URL", sandbox.url)
    monkeypatch.setenv("ACTIVECAMPAIGN_API_KEY", sandbox.api_key)
    monkeypatch.setenv("ACTIVECAMPAIGN_DATABASE", str(folder / "a.duckdb"))
    settings = {"requests_per_second": 0, "streams": ["contacts", "deals"]}
    account = ActiveCampaignSource.model_validate(settings).account()
    monkeypatch.setattr(cli, "configured", lambda: [account])
    result = CliRunner().invoke(cli.main, ["check", *options])
    assert result.exit_code == 0, result.output
    return result.output


def test_check_tells_the_month_of_the_first_record(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with serving() as sandbox:
        account = sandbox.account
        first = min(contact["cdate"] for contact in account.truth("contacts").values())
        made = [deal["cdate"] for deal in account.truth("deals").values() if deal.get("cdate")]
        month = f"{datetime.fromisoformat(min(first, *made)).astimezone(UTC):%Y-%m}-01"
        said = check(sandbox, monkeypatch, tmp_path)
        orders = ("orders[id]", "ASC"), ("orders[cdate]", "ASC")
        firsts = [r for r in sandbox.requests if ("limit", "20") in r.params]
        asked = sorted(r.path for r in firsts for order in orders if order in r.params)
        report = check(sandbox, monkeypatch, tmp_path, "--json")
    assert f"Set start_date to {month}: the first " in said
    assert json.loads(report)["accounts"][0]["began"][:7] <= month[:7]
    assert asked == ["contacts", "deals"]


def test_nothing_is_said_where_records_do_not_come_in_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with serving() as sandbox:
        oldest = min(sandbox.account.contacts.live)
        sandbox.account.update_contact(oldest, cdate="2026-01-01T00:00:00-06:00")
        said = check(sandbox, monkeypatch, tmp_path)
    assert "start_date" not in said
