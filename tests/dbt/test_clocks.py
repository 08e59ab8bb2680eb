"""A clock that is wrong for a while changes no history: neither this machine's nor a sync's."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.dbt.conftest import NOW, Observed

pytestmark = pytest.mark.slow

YEAR = timedelta(days=365)
SNAPSHOTS = {
    "deals": "deal_id",
    "deal_stages": "stage_id",
    "deal_groups": "pipeline_id",
    "users": "user_id",
}
MODELS = ("+deals", "+deal_stage_history", "+pipeline_daily", "+pipeline_stages")
AS_OF = {"as_of": (NOW + timedelta(days=10)).isoformat()}


SIZES = {"contacts": 5, "deals": 120, "field_values": 0, "stub_share": 0}


@pytest.fixture(scope="module")
def first_build(make_observed) -> Path:
    observed = make_observed(31, **SIZES)
    observed.sync(at=NOW)
    build(observed)
    return observed.dbt.database


@pytest.fixture
def observed(make_observed, first_build) -> Observed:
    """An account that was synced and built at NOW, with a database of its own."""
    observed = make_observed(31, **SIZES)
    shutil.copy(first_build, observed.dbt.database)
    return observed


def build(observed: Observed) -> None:
    """With the tests of what was built: keys, order of intervals, sums."""
    tested = ("--indirect-selection=cautious", "--exclude-resource-type=unit_test")
    observed.dbt.run("build", "--select", *MODELS, *tested, variables=AS_OF)


def open_deals(observed: Observed) -> list[int]:
    truth = observed.account.truth("deals")
    found = [deal for deal, row in truth.items() if row["status"] == "0" and not row["isDisabled"]]
    assert len(found) > 9
    return found


def change(observed: Observed, deals: list[int], at: datetime) -> None:
    """Move deals to another stage, rename stages, a pipeline and a user."""
    observed.clock.now = at
    account = observed.account
    for deal in deals:
        stages = account.stages_of(account.pipeline_of(deal))
        here = int(account.truth("deals")[deal]["stage"])
        account.move_deal(deal, stages[(stages.index(here) + 1) % len(stages)])
    for collection in ("dealStages", "dealGroups"):
        for record in account.visible_ids(collection):
            account.update_record(collection, record, title=f"{collection} {record} of {at:%d %b}")
    account.update_record("users", 1, firstName=f"{at:%d %b}")


def present(observed: Observed, deals: list[int]) -> dict[int, tuple[Any, ...]]:
    """Each deal's stage now and since when, from the history."""
    rows = observed.dbt.rows("from marts.deal_stage_history where is_current")
    return {
        row["deal_id"]: (row["stage_id"], row["stage"], row["is_stage_missing"], row["entered_at"])
        for row in rows
        if row["deal_id"] in deals
    }


def expected(observed: Observed, deals: list[int], at: datetime) -> dict[int, tuple[Any, ...]]:
    truth, stages = observed.account.truth("deals"), observed.account.truth("dealStages")
    return {
        deal: (int(truth[deal]["stage"]), stages[int(truth[deal]["stage"])]["title"], False, at)
        for deal in deals
    }


def assert_in_order(observed: Observed) -> None:
    for name, key in SNAPSHOTS.items():
        rows = observed.dbt.rows(
            f"select {key}, dbt_valid_from as starts, dbt_valid_to as ends, lead(dbt_valid_from) "
            f"over (partition by account, {key} order by dbt_valid_from) as next "
            f"from snapshots.{name}_snapshot"
        )
        for row in rows:
            assert row["ends"] is None or row["starts"] < row["ends"], (name, row)
            assert row["ends"] == row["next"], (name, row)


@pytest.mark.parametrize("builds", [1, 3])
def test_after_builds_with_a_clock_that_was_a_year_ahead_the_present_stage_is_there(
    observed, builds
):
    first, second = open_deals(observed)[:6], open_deals(observed)[3:9]
    for day in range(1, builds + 1):
        change(observed, first, NOW + timedelta(days=day))
        observed.sync(at=NOW + timedelta(days=day) + YEAR)
        build(observed)
    later = NOW + timedelta(days=builds + 1)
    change(observed, second, later)
    observed.sync(at=later + timedelta(hours=1))
    build(observed)
    assert_in_order(observed)
    assert present(observed, second) == expected(observed, second, later)
    deals = observed.dbt.rows("select max(updated_at) as at from marts.deals")
    assert deals == [{"at": later}]
    only_first = [deal for deal in first if deal not in second]
    assert present(observed, only_first) == expected(
        observed, only_first, NOW + timedelta(days=builds)
    )
    latest = observed.dbt.rows("select max(day) as day from marts.pipeline_daily")
    assert latest == [{"day": (NOW + timedelta(days=10)).date()}]


def test_what_such_a_clock_has_left_in_snapshots_of_an_older_version_is_put_in_order(observed):
    """Rows as an older version left them, whose stamps were the machine's."""
    deals = open_deals(observed)[:6]
    moves = [NOW + timedelta(days=day) for day in (1, 2, 3, 4)]
    for move in moves:
        change(observed, deals, move)
        observed.sync(at=move + timedelta(hours=1))
        build(observed)
    was = present(observed, deals)
    assert was == expected(observed, deals, moves[-1])
    wrong = f"in ('{moves[1] + timedelta(hours=1)}', '{moves[2] + timedelta(hours=1)}')"
    for name in SNAPSHOTS:
        for column in ("dbt_valid_from", "dbt_valid_to", "observed_at", "dbt_updated_at"):
            observed.dbt.execute(
                f"update snapshots.{name}_snapshot set {column} = {column} + interval 1 year "
                f"where {column} {wrong}"
            )
    build(observed)
    assert_in_order(observed)
    assert present(observed, deals) == was
    kept = observed.dbt.rows("select max(dbt_updated_at) as at from snapshots.deals_snapshot")
    assert kept[0]["at"] > NOW + timedelta(days=300)


def test_a_record_that_vanished_and_came_back_is_present_whatever_stamps_it_had(observed):
    """Its old version ended when a clock ahead said so; nothing tells when it did."""
    for name, key in SNAPSHOTS.items():
        observed.dbt.execute(
            f"insert into snapshots.{name}_snapshot by name select * replace ("
            "dbt_valid_from + interval 1 year as dbt_valid_from, dbt_valid_from + "
            f"interval 2 year as dbt_valid_to, md5({key}::varchar) as dbt_scd_id) "
            f"from snapshots.{name}_snapshot"
        )
    build(observed)
    assert_in_order(observed)
    rows = observed.dbt.rows("select distinct is_stage_missing from marts.deals")
    assert rows == [{"is_stage_missing": False}]


def test_a_deal_whose_row_has_a_stamp_ahead_counts_and_is_open_now(observed):
    """Also while nothing in it changes: its version is the present one, from next year on."""
    deal = open_deals(observed)[0]
    observed.dbt.execute(
        f"update activecampaign.deals set _synced_at = _synced_at + interval 1 year, value = 777 "
        f"where id = {deal}"
    )
    build(observed)
    rows = observed.dbt.rows("select max(dbt_valid_from) as at from snapshots.deals_snapshot")
    assert rows == [{"at": NOW}]
    # as an older version would have snapped it
    observed.dbt.execute(
        "update snapshots.deals_snapshot set dbt_valid_from = dbt_valid_from + interval 1 year, "
        "observed_at = observed_at + interval 1 year where dbt_valid_to is null"
    )
    build(observed)
    rows = observed.dbt.rows("select max(observed_at) as at from intermediate.int_deals__events")
    assert rows == [{"at": NOW}]


def test_a_record_that_vanishes_has_vanished_when_the_last_sync_of_its_account_began(observed):
    synced = NOW + timedelta(days=1)
    observed.sync(at=synced)
    last = max(observed.account.visible_ids("dealStages"))
    observed.dbt.execute(f"delete from activecampaign.deal_stages where id = {last}")
    observed.dbt.execute(
        "insert into activecampaign._stream_entries by name select 'other' as account, stream, "
        "'other_' || table_name as table_name, last_synced_at + interval 1 day as last_synced_at, "
        "1 as entry, false as is_withdrawn "
        "from activecampaign._streams"
    )
    build(observed)
    rows = observed.dbt.rows(
        f"select dbt_valid_to from snapshots.deal_stages_snapshot where stage_id = {last}"
    )
    assert rows == [{"dbt_valid_to": synced}]


def test_no_sql_asks_the_machine_for_the_time(manifest):
    """But for tests of a row's own (unit tests) and before the first sync."""
    asking = re.compile(
        r"\b(now|today|get_current_time(stamp)?)\s*\(|\bcurrent_(time|date)|run_started"
    )
    own = {"activecampaign"}
    nodes = [*manifest["nodes"].values(), *manifest["macros"].values()]
    found = {
        node["name"]
        for node in nodes
        if node["package_name"] in own
        and asking.search(node.get("raw_code") or node.get("macro_sql") or "")
    }
    assert found == {"last_synced_at", "synced_at", "duckdb__snapshot_get_time"}


def test_todays_date_is_that_of_the_last_sync(observed):
    observed.sync(at=NOW + timedelta(days=3))
    observed.dbt.build(*MODELS, variables={"as_of": ""})
    day = (NOW + timedelta(days=3)).astimezone(UTC).date()
    assert observed.dbt.rows("select max(day) as d from marts.pipeline_daily") == [{"d": day}]
    [calendar] = observed.dbt.rows("select max(day) as d from marts.calendar")
    assert calendar["d"].year == day.year
