"""One sensor over several accounts: it asks each by itself, and none holds up another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from activecampaign_dagster.components.source import ActiveCampaignSource
from activecampaign_dagster.orchestration.automation import rounds
from activecampaign_dagster.sandbox.server import Sandbox
from tests.orchestration.setup import QUICK, Setup, environment, small

CHANGES = {"trigger": {"on_change": "1 minute"}, "streams": ["contacts"]}


@pytest.fixture
def shop_sandbox() -> Iterator[Sandbox]:
    with Sandbox(small(seed=2, contacts=30), requests_per_second=None) as served:
        yield served


@pytest.fixture
def two(
    sandbox: Sandbox, shop_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Setup]:
    """Two accounts, the second of which is asked every five minutes only."""
    shop = {
        **QUICK,
        **CHANGES,
        "name": "shop",
        "table_prefix": "shop_",
        "url_variable": "SHOP_URL",
        "api_key_variable": "SHOP_API_KEY",
        "trigger": {"on_change": "5 minutes"},
    }
    sources = [ActiveCampaignSource.model_validate(s) for s in ({**QUICK, **CHANGES}, shop)]
    with environment(monkeypatch, tmp_path, ACTIVECAMPAIGN=sandbox, SHOP=shop_sandbox) as instance:
        yield Setup(sources, instance, tmp_path / "warehouse.duckdb")


def tick(setup: Setup, name: str, cursor: str | None = None) -> tuple[list[str], str, str]:
    """A tick of a sensor: (the jobs that it starts, why others do not, cursor)."""
    context = dg.build_sensor_context(
        instance=setup.instance,
        cursor=cursor,
        repository_def=setup.definitions.get_repository_def(),
    )
    data = setup.definitions.resolve_sensor_def(name).evaluate_tick(context)
    jobs = [str(request.job_name) for request in data.run_requests or ()]
    return jobs, data.skip_message or "", str(data.cursor)


def test_there_is_one_sensor_for_each_purpose(two: Setup) -> None:
    found = {s.name: s.minimum_interval_seconds for s in two.definitions.sensors or ()}
    assert found == {"first_sync": 60, "drift": 3600, "on_change": 60}


def test_an_account_that_is_started_by_hand_is_in_none_of_them(tmp_path: Path) -> None:
    sources = [
        ActiveCampaignSource.model_validate(QUICK),
        ActiveCampaignSource.model_validate({**QUICK, "name": "shop", "trigger": "manual"}),
    ]
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        found = Setup(sources, instance, tmp_path / "warehouse.duckdb").definitions
    for sensor in found.sensors or ():
        assert {target.job_name for target in sensor.targets} == {"activecampaign__full_refresh"}


def test_accounts_are_synced_first_and_then_when_they_change_each_by_itself(
    two: Setup, shop_sandbox: Sandbox, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ["activecampaign__full_refresh", "shop__full_refresh"]
    assert sorted(tick(two, "first_sync")[0]) == first
    two.run("activecampaign__full_refresh")
    assert tick(two, "first_sync")[0] == ["shop__full_refresh"]
    two.run("shop__full_refresh")
    assert tick(two, "first_sync")[1] == (
        "activecampaign and shop: The account has been synced before."
    )

    shop_sandbox.account.add_contact()
    jobs, _, cursor = tick(two, "on_change")
    assert jobs == ["shop__incremental_sync"]
    # the shop is asked every five minutes only, and no run has taken the change in yet
    before = len(shop_sandbox.requests)
    sandbox.account.add_contact()
    jobs, _, cursor = tick(two, "on_change", cursor)
    assert jobs == ["activecampaign__incremental_sync"]
    assert len(shop_sandbox.requests) == before

    monkeypatch.setenv("ACTIVECAMPAIGN_API_KEY", "wrong")
    long_ago = json.dumps(json.loads(cursor) | {"asked": {}})
    shop_sandbox.account.add_contact(udate=datetime.now(UTC) + timedelta(minutes=1))
    assert tick(two, "on_change", long_ago)[0] == ["shop__incremental_sync"]

    for contact in list(shop_sandbox.account.contacts.live)[:10]:
        shop_sandbox.account.delete_contact(contact)
    jobs, _, cursor = tick(two, "drift")
    assert jobs == ["shop__full_refresh"]
    jobs, reason, _ = tick(two, "drift", cursor)
    assert not jobs
    assert reason.startswith("activecampaign: ")
    assert "The API key is not accepted" in reason


def test_an_account_that_does_not_answer_holds_up_no_other_and_is_not_asked_twice(
    two: Setup, shop_sandbox: Sandbox, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("activecampaign", "shop"):
        two.run(f"{name}__full_refresh")
    monkeypatch.setattr(rounds, "_PATIENCE", 2.0)
    sandbox.latency = 8.0
    shop_sandbox.account.add_contact()
    asked = len(sandbox.requests)
    jobs, _, cursor = tick(two, "on_change")
    assert jobs == ["shop__incremental_sync"]
    assert "activecampaign: The account has not answered yet." in tick(two, "on_change", cursor)[1]
    assert len(sandbox.requests) - asked <= 1


def test_the_cursor_of_a_sensor_of_one_account_is_read_on(two: Setup) -> None:
    old = json.dumps({"contacts": ["2026-01-01T00:00:00+00:00"]})
    read = rounds._Cursor.read(old, two.accounts[:1])
    assert read.kept == {"activecampaign": json.loads(old)}
    assert rounds._Cursor.read(read.write(), two.accounts) == read
