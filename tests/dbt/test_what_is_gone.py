"""What was deleted, moved or renamed in an account, and what the marts make of it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from activecampaign_dagster.streams.declaration import SyncType
from activecampaign_dagster.streams.source import Source, default_stream_tables
from tests.dbt.conftest import NOW, Observed
from tests.helpers import Warehouse

pytestmark = pytest.mark.slow

FUNNEL = """
    select pipeline_id, created_month, deals_reached, won_deals, conversion_to_won
    from marts.sales_funnel where stage_position = 1 order by all
"""


SIZES = {"contacts": 30, "deals": 120, "field_values": 20}


@pytest.fixture(scope="module")
def first_sync(make_observed) -> Path:
    """The database of the account after its first sync."""
    observed = make_observed(5, **SIZES)
    observed.sync(at=NOW)
    return observed.dbt.database


@pytest.fixture(scope="module")
def first_build(make_observed, first_sync) -> Path:
    """The same after its first build."""
    observed = make_observed(5, **SIZES)
    shutil.copy(first_sync, observed.dbt.database)
    observed.dbt.build()
    return observed.dbt.database


@pytest.fixture
def synced(make_observed, first_sync) -> Observed:
    """The account, synced and never built, with a database of its own."""
    observed = make_observed(5, **SIZES)
    shutil.copy(first_sync, observed.dbt.database)
    return observed


@pytest.fixture
def built(make_observed, first_build) -> Observed:
    """The account, synced and built, with a database of its own."""
    observed = make_observed(5, **SIZES)
    shutil.copy(first_build, observed.dbt.database)
    return observed


def test_deals_stay_in_the_funnel_and_in_the_forecast_when_their_stage_is_deleted(built):
    dbt, account = built.dbt, built.account
    funnel = dbt.rows(FUNNEL)
    forecast = "select * from marts.forecast order by account, stage_id, currency"
    expected = {(r["stage_id"], r["currency"]): r["win_rate"] for r in dbt.rows(forecast)}
    last = account.stages_of(1)[-1]
    # without its deals, which the account would move
    dbt.execute(f"delete from activecampaign.deal_stages where id = {last}")
    dbt.build(tests=True)
    assert dbt.rows(FUNNEL) == funnel
    assert any(row["won_deals"] for row in funnel if row["pipeline_id"] == 1)
    found = {(r["stage_id"], r["currency"]): r["win_rate"] for r in dbt.rows(forecast)}
    assert {key: rate for key, rate in found.items() if key[0] != last} == {
        key: rate for key, rate in expected.items() if key[0] != last
    }


def test_a_deal_that_a_full_table_drops_keeps_its_history_and_no_test_fails(built):
    stream_tables = tuple(
        replace(stream_table, sync_type=SyncType.FULL_TABLE)
        if stream_table.name == "deals"
        else stream_table
        for stream_table in default_stream_tables()
    )
    built.warehouse = Warehouse(built.dbt.database, Source(stream_tables=stream_tables))
    deal = built.dbt.rows("select max(deal_id) as d from marts.deals where status = 'open'")[0]
    built.account.delete_deal(deal["d"])
    built.sync(at=NOW + timedelta(hours=1))
    built.dbt.build(tests=True, variables={"as_of": ""})
    visits = built.dbt.rows(
        "select ended_by, is_deal_missing from marts.deal_stage_history where deal_id = $1",
        [deal["d"]],
    )
    assert visits == [{"ended_by": "deleted", "is_deal_missing": True}]
    assert not built.dbt.rows("from marts.deals where deal_id = $1", [deal["d"]])
    assert (
        built.dbt.rows(
            "select count(*) as n from marts.deal_stage_history where not is_deal_missing"
        )[0]["n"]
        > 100
    )


def test_an_account_under_a_new_name_is_one_account(synced):
    synced.warehouse = Warehouse(synced.dbt.database, Source(name="shop"))
    synced.sync(at=NOW + timedelta(hours=1))
    synced.dbt.build("+pipelines", "+contacts")
    for mart in ("deals", "pipelines", "contacts"):
        accounts = synced.dbt.rows(f"select distinct account from marts.{mart}")
        assert accounts == [{"account": "shop"}]


def test_a_stage_of_no_pipeline_is_a_row_of_pipeline_stages(synced):
    synced.dbt.execute('update activecampaign.deal_stages set "group" = null where id = 2')
    synced.dbt.build(tests=True)
    rows = synced.dbt.rows(
        "select pipeline_id, is_pipeline_missing from marts.pipeline_stages "
        "where stage_id = 2 and not is_stage_missing"
    )
    assert rows == [{"pipeline_id": 0, "is_pipeline_missing": True}]


def test_a_deleted_deal_stops_ageing(synced):
    deals = synced.account.truth("deals")
    deal = min(n for n, d in deals.items() if not d["isDisabled"] and d["status"] == "0")
    synced.account.delete_deal(deal)
    synced.sync(at=NOW + timedelta(days=1))
    synced.dbt.build("+deals")
    (row,) = synced.dbt.rows("from marts.deals where deal_id = $1", [deal])
    days = (NOW + timedelta(days=1) - row["created_at"]) / timedelta(days=1)
    assert row["is_deleted"]
    assert row["days_open"] == row["age_days"] == pytest.approx(days, abs=0.01)


def test_fields_whose_names_collide_keep_a_column_each(synced):
    for tag in ("SIZE_3", "SIZE", "_SIZE"):
        synced.account.add_field("Size")
        newest = max(synced.account.visible_ids("fields"))
        synced.account.update_record("fields", newest, perstag=tag)
    synced.sync(at=NOW)
    fields = synced.dbt.rows("select count(*) as n from activecampaign.custom_fields")[0]["n"]
    synced.dbt.execute(
        "update activecampaign.custom_fields set perstag = case id "
        f"when {newest} then '_SIZE' when {newest - 1} then 'SIZE' else 'SIZE_{newest}' end "
        f"where id > {newest - 3}"
    )
    synced.dbt.build("+contact_custom_fields_wide")
    columns = synced.dbt.rows("describe marts.contact_custom_fields_wide")
    names = {column["column_name"] for column in columns}
    assert {"size", f"size_{newest}", f"size_{newest}_{newest}"} <= names
    assert len(columns) == fields + 6


def test_an_owner_who_left_keeps_the_name(built):
    deals = built.dbt.rows(
        "select owner_id, owner, count(*) as deals from marts.deals where owner is not null "
        "group by all order by deals desc"
    )
    built.account.delete_user(deals[0]["owner_id"])
    built.sync(at=NOW + timedelta(hours=1))
    built.dbt.build(tests=True)
    rows = built.dbt.rows(
        "select distinct owner, is_owner_missing from marts.deals where owner_id = $1",
        [deals[0]["owner_id"]],
    )
    assert rows == [{"owner": deals[0]["owner"], "is_owner_missing": True}]


VALUES = "select currency, sum(value)::double as v from {} where currency is not null group by 1"
VERSIONS = "select count(*) as n from snapshots.deals_snapshot"


def test_a_currencys_decimals_can_be_corrected_and_the_history_follows(built):
    dbt = built.dbt
    events = VALUES.format("intermediate.int_deals__events")
    before = {row["currency"]: row["v"] for row in dbt.rows(events)}
    versions = dbt.rows(VERSIONS)
    dbt.execute("update seeds.currency_decimals set decimals = 2 where currency = 'JPY'")
    dbt.build_rows("+pipeline_daily", "+deals")  # without the seed
    after = {row["currency"]: row["v"] for row in dbt.rows(events)}
    assert before["JPY"] > 0
    assert after == before | {"JPY": pytest.approx(before["JPY"] / 100)}
    assert dbt.rows(VERSIONS) == versions


def test_a_snapshot_that_was_made_of_units_goes_on_with_minor_units(built):
    dbt = built.dbt
    snapshot = "from snapshots.deals_snapshot order by deal_id"
    before, daily = dbt.rows(snapshot), dbt.rows("from marts.pipeline_daily order by all")
    dbt.execute(
        "create or replace table snapshots.deals_snapshot as "
        "select s.* exclude value_minor_units, d.value "
        "from snapshots.deals_snapshot as s join marts.deals as d using (account, deal_id)"
    )
    dbt.build("+deals", "+pipeline_daily")
    assert dbt.rows(snapshot) == before
    assert dbt.rows("from marts.pipeline_daily order by all") == daily
