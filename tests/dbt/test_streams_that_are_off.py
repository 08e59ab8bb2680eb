"""Models of streams that are off, or that the account does not have, are there and empty."""

from __future__ import annotations

from datetime import timedelta

import duckdb
import pytest

from activecampaign_dagster.streams.source import Source
from tests.dbt.conftest import NOW, Observed

pytestmark = pytest.mark.slow

UNBUILT = {"calendar", "currency_decimals"}  # which are the same for every account


def marts(observed: Observed) -> dict[str, int]:
    """Mart → how many rows it has."""
    names = observed.dbt.rows(
        "select table_name from information_schema.tables where table_schema = 'marts' order by all"
    )
    return {
        (name := row["table_name"]): observed.dbt.rows(f"select count(*) as n from marts.{name}")[
            0
        ]["n"]
        for row in names
        if row["table_name"] not in UNBUILT
    }


def test_before_any_sync_all_marts_are_empty(make_observed, built):
    observed = make_observed(50)
    duckdb.connect(observed.dbt.database).close()
    observed.dbt.build(tests=True)
    assert marts(observed) == dict.fromkeys(marts(built), 0)


def test_with_deals_alone_the_marts_about_deals_are_filled_and_the_others_empty(make_observed):
    observed = make_observed(51)
    observed.warehouse.source = Source(enabled=frozenset({"deals"}))
    observed.sync(at=NOW, streams=("deals",))
    observed.dbt.build(tests=True)
    rows = marts(observed)
    assert rows["deals"] == len(observed.account.truth("deals"))
    assert rows["win_rates"] > 0
    assert rows["contacts"] == rows["campaign_performance"] == 0


def test_a_stream_that_a_project_does_without_counts_as_never_read(make_observed):
    observed = make_observed(52)
    observed.sync(at=NOW)
    observed.dbt.build(variables={"activecampaign_without": ["contacts", "campaigns"]})
    rows = marts(observed)
    assert rows["contacts"] == rows["campaign_performance"] == 0
    assert rows["deals"] == len(observed.account.truth("deals"))


def test_columns_that_a_table_lacks_are_empty(make_observed):
    """As when a user leaves a field out, or the table is of an earlier release."""
    observed = make_observed(53)
    observed.sync(at=NOW)
    observed.dbt.execute("alter table activecampaign.deals drop column nextdate")
    observed.dbt.execute("alter table activecampaign.contacts drop column phone")
    observed.dbt.build(tests=True)
    [found] = observed.dbt.rows(
        "select count(next_action_at) as dates, count(*) as deals from marts.deals"
    )
    assert found == {"dates": 0, "deals": len(observed.account.truth("deals"))}


def test_a_stream_that_is_switched_on_later_fills_its_marts(make_observed):
    observed = make_observed(54)
    observed.warehouse.source = Source(enabled=frozenset({"deals"}))
    observed.sync(at=NOW, streams=("deals",))
    observed.dbt.build()
    observed.warehouse.source = Source()
    observed.sync(at=NOW + timedelta(hours=1))
    observed.dbt.build(tests=True)
    assert marts(observed)["contacts"] == len(observed.account.truth("contacts"))


def test_sources_have_the_columns_of_the_tables_that_syncs_make(built, manifest):
    declared = {
        (source["name"], name.lower()): column["data_type"]
        for source in manifest["sources"].values()
        for name, column in source["columns"].items()
    }
    landed = built.dbt.rows(
        "select table_name, lower(column_name) as column_name, "
        "replace(data_type, ' WITH TIME ZONE', 'TZ') as data_type "
        "from duckdb_columns() where schema_name = 'activecampaign' and table_name[1] <> '_'"
    )
    assert len(landed) > 100
    for column in landed:
        name = (column["table_name"], column["column_name"])
        assert declared[name] == column["data_type"], name
