"""Two accounts in one database, in which the same ids stand for different things."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest

from activecampaign_dagster.report.page import Synced, render
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.warehouse.file import connect
from tests.dbt.conftest import NOW, Observed
from tests.helpers import Warehouse, serving

pytestmark = pytest.mark.slow

NAMES = ("activecampaign", "two")
ZONES = ("America/Chicago", "Australia/Adelaide")
WITHOUT_ACCOUNT = {"calendar", "currency_decimals"}
LAST = 2  # of the syncs
# what keeps rows from build to build, with what it is made of
REMEMBERING = ("+config.materialized:incremental", "+resource_type:snapshot")


def sync(observed: Observed, dbt, name: str, number: int) -> None:
    """Land an account under a name in a database, which need not be its own."""
    stream_tables = tuple(
        StreamTable(each, f"{name}_{each.name}", each.sync_type) for each in STREAMS.values()
    )
    source = Source(name=name, stream_tables=stream_tables, enabled=frozenset(STREAMS))
    warehouse = Warehouse(dbt.database, source)
    with serving(observed.account) as sandbox:
        warehouse.sync(sandbox, at=NOW + timedelta(hours=number))


@pytest.fixture(scope="module")
def databases(make_observed):
    """dbt on a database of both accounts, and on one of each alone, through the same days."""
    both = make_observed(30)
    alone = {
        name: make_observed(seed, zone=zone)
        for name, seed, zone in zip(NAMES, (31, 32), ZONES, strict=True)
    }
    random = Random(3)
    for number in range(LAST + 1):
        for name, observed in alone.items():
            if number:
                observed.clock.now = NOW + timedelta(hours=number)
                observed.account.churn(random, 30)
            sync(observed, observed.dbt, name, number)
            sync(observed, both.dbt, name, number)
        for dbt in (both.dbt, *(observed.dbt for observed in alone.values())):
            if number == LAST:
                dbt.build(tests=dbt is both.dbt)
            elif number:
                dbt.build_rows(*REMEMBERING)
            else:
                dbt.build(*REMEMBERING)
    return both.dbt, {name: observed.dbt for name, observed in alone.items()}


def test_the_report_names_the_accounts_and_tells_their_pipelines_apart(databases):
    both, alone = databases
    with connect(both.database) as db:
        page = render(db, Synced(NOW)).html
    assert "ActiveCampaign (activecampaign, two)" in page
    assert "activecampaign: New business" in page
    assert "two: New business" in page
    with connect(alone["two"].database) as db:
        assert ": New business" not in render(db, Synced(NOW)).html


@pytest.mark.parametrize("schema", ["intermediate", "marts"])
def test_every_table_holds_of_each_account_what_it_would_hold_of_it_alone(databases, schema):
    both, alone = databases
    tables = both.rows(
        f"select table_name as t from duckdb_tables() where schema_name = '{schema}'"
    )
    compared = {row["t"] for row in tables} - WITHOUT_ACCOUNT
    assert len(compared) > 4
    with connect(both.database) as db:
        for name, dbt in alone.items():
            db.execute(f"attach '{dbt.database}' as {name}_alone (read_only)")
            for table in compared:
                theirs = db.table(f"{name}_alone.{schema}.{table}")
                columns = ", ".join(f'"{column}"' for column in theirs.columns)
                theirs = theirs.project(columns)
                ours = db.table(f"{schema}.{table}").filter(f"account = '{name}'").project(columns)
                assert ours, f"{table} of {name}"
                assert not ours.except_(theirs), f"{table} of {name}"
                assert not theirs.except_(ours), f"{table} of {name}"
