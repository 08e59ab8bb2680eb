"""Whatever happens between builds, incremental models end as if they had been built anew."""

from __future__ import annotations

import os
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.streams.declaration import SyncType
from activecampaign_dagster.streams.registry import CORE, STREAMS
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.sync.request import Mode
from tests.dbt.conftest import NOW, Observed
from tests.helpers import Warehouse, serving

pytestmark = pytest.mark.slow

KEYS = {
    "intermediate.int_contacts__custom_fields": "contact_id",
    "intermediate.int_contacts__deal_totals": "contact_id",
    "intermediate.int_deals__versions": "deal_id, version",
    "intermediate.int_deals__observations": "deal_id, observation_number",
    "intermediate.int_deals__changes": "deal_id, attribute, change_number",
    "intermediate.int_deals__events": "deal_id, event_number",
    "intermediate.int_deals__segments": "deal_id, interval_number",
    "intermediate.int_deals__stage_intervals": "deal_id, interval_number",
    "intermediate.int_deals__described": "deal_id",
    "marts.contact_custom_fields": "custom_field_value_id",
    "marts.contact_custom_fields_wide": "contact_id",
    "marts.contacts": "contact_id",
}
HISTORIES = int(os.environ.get("HISTORIES", "2"))  # ten take two minutes
MODELS = [table.split(".")[1] for table in KEYS]


class History:
    """Two accounts in one database, the second with tables from which rows vanish."""

    def __init__(self, observed: Observed, seed: int) -> None:
        self.dbt = observed.dbt
        self.random = Random(seed)
        self.now = NOW
        vanishing = tuple(
            StreamTable(STREAMS[name], f"two_{name}", SyncType.FULL_TABLE) for name in CORE
        )
        second = Account.generate(
            seed=seed + 100, now=NOW, clock=observed.clock, contacts=30, deals=40, field_values=90
        )
        self.clock = observed.clock
        self.sides = [
            (observed.account, observed.warehouse),
            (second, Warehouse(self.dbt.database, Source(name="two", stream_tables=vanishing))),
        ]

    def go_on(self) -> None:
        """Days with changes, after each of which the accounts are synced, one of them or both."""
        for _ in range(self.random.randint(1, 3)):
            self.now += timedelta(hours=self.random.randint(1, 60))
            self.clock.now = self.now
            for account, warehouse in self.random.sample(self.sides, self.random.randint(1, 2)):
                account.churn(self.random, self.random.choice([0, 3, 20]))
                self.change_fields(account)
                mode = self.random.choice([Mode.FULL, Mode.INCREMENTAL])
                with serving(account) as sandbox:
                    warehouse.sync(sandbox, mode, at=self.now)

    def change_fields(self, account: Account) -> None:
        """Values that differ, and at times a field that is new, renamed, retyped or gone."""
        fields = account.visible_ids("fields")
        for contact in self.random.sample(account.contacts.live, 3):
            account.set_field_value(contact, self.random.choice(fields), self.random.random())
        match self.random.randrange(6):
            case 0:
                account.add_field(f"New {self.random.randrange(100)}")
            case 1:
                account.delete_field(self.random.choice(fields))
            case 2:
                account.update_record("fields", self.random.choice(fields), perstag="RENAMED")
            case 3:
                account.update_record("fields", self.random.choice(fields), type="number")

    def meddle(self) -> None:
        """Rows of the first account that vanish, or that arrive late and with an old stamp."""
        for table, column in {
            "contacts": '"firstName"',
            "deals": "currency",
            "custom_field_values": '"value"',
        }.items():
            picked = f"hash(id, {self.random.random()}) % 12"
            self.dbt.execute(
                f"delete from activecampaign.{table} where {picked} = 0; "
                f"update activecampaign.{table} set {column} = 'eur', _synced_at = "
                f"timestamptz '2020-01-01' + interval {self.random.randrange(10**6)} second "
                f"where {picked} = 1"
            )

    def contents(self) -> dict[str, list[dict[str, Any]]]:
        """All rows, but for what moves on with every sync and changes nothing."""
        lasting = "columns(name -> name not in ('known_until', 'known_at'))"
        return {
            table: self.dbt.rows(f"select {lasting} from {table} order by account, {key}")
            for table, key in KEYS.items()
        }


@pytest.mark.parametrize("seed", range(21, 21 + HISTORIES))
def test_any_history_leaves_the_incremental_models_as_if_built_anew(make_observed, seed):
    observed = make_observed(seed, contacts=40, deals=50, field_values=120)
    history = History(observed, seed)
    for account, warehouse in history.sides:
        with serving(account) as sandbox:
            warehouse.sync(sandbox, at=NOW)
    select = [f"+{model}" for model in MODELS]
    observed.dbt.build(*select)
    for number in range(2):
        history.go_on()
        if number == 1:
            history.meddle()
        observed.dbt.build_rows(*select)
    grown = history.contents()
    assert all(
        {row["account"] for row in rows} == {"activecampaign", "two"} for rows in grown.values()
    )
    observed.dbt.run("run", "--full-refresh", "--select", *MODELS)
    rebuilt = history.contents()
    for table in KEYS:
        assert grown[table] == rebuilt[table], table


def test_a_table_of_an_older_model_that_lacks_a_column_is_compared_row_by_row(make_observed):
    table, column = "intermediate.int_contacts__custom_fields", "observed_at"
    observed = make_observed(7, contacts=12, deals=5, field_values=40)
    model = table.split(".")[1]
    with serving(observed.account) as sandbox:
        observed.warehouse.sync(sandbox, at=NOW)
        observed.dbt.build(f"+{model}")
        observed.dbt.execute(f"alter table {table} drop column {column}")
        observed.account.churn(Random(7), 20)
        observed.warehouse.sync(sandbox, at=NOW + timedelta(hours=1))
    observed.dbt.build(f"+{model}")
    query = f"select * exclude {column} from {table} order by {KEYS[table]}"
    grown = observed.dbt.rows(query)
    observed.dbt.run("run", "--full-refresh", "--select", model)
    assert grown == observed.dbt.rows(query)


def test_a_history_that_an_older_release_made_is_made_anew(make_observed):
    """Its tables have other columns and other versions, and deals were a table with their ages."""
    observed = make_observed(7, contacts=12, deals=30, field_values=0)
    query = "from marts.deal_stage_history order by deal_id, step_number"
    observed.sync(at=NOW)
    observed.dbt.build("+deal_stage_history", "+deals")
    built, deals = observed.dbt.rows(query), observed.dbt.rows("from marts.deals order by deal_id")
    for made_by_others in ("versions", "observations", "changes", "segments", "described"):
        observed.dbt.execute(f"drop table intermediate.int_deals__{made_by_others} cascade")
    for table in ("events", "stage_intervals"):
        observed.dbt.execute(
            f"""
            alter table intermediate.int_deals__{table} drop column changed_by_id;
            update intermediate.int_deals__{table} set history_version = 1, starts_at = null
            """
        )
    observed.dbt.execute("drop view if exists marts.deals; create table marts.deals (deal_id int)")
    observed.dbt.build("+deal_stage_history", "+deals")
    assert observed.dbt.rows(query) == built
    assert observed.dbt.rows("from marts.deals order by deal_id") == deals


def test_contacts_of_an_older_model_are_worked_out_anew_and_lose_the_columns_of_before(
    make_observed,
):
    observed = make_observed(7, contacts=12, deals=20, field_values=0)
    for contact in observed.account.contacts.live[:5]:
        observed.account.update_contact(contact, last_open_date="2026-02-28 23:30:00")
    observed.sync(at=NOW)
    observed.dbt.build("+contacts")
    query = "from marts.contacts order by contact_id"
    built = observed.dbt.rows(query)
    observed.dbt.execute(
        """
        alter table marts.contacts drop column last_engaged_at;
        alter table marts.contacts drop column last_deal_change_at;
        alter table marts.contacts drop column subscribed_lists;
        alter table marts.contacts add column first_touch_at timestamptz;
        alter table marts.contacts add column last_touch_at timestamptz;
        update marts.contacts set status = 'reachable', last_touch_at = created_at
        """
    )
    observed.dbt.build_rows("contacts")
    assert observed.dbt.rows(query) == built
    assert {row["status"] for row in built} == {"not bounced"}


def test_these_are_all_incremental_models(manifest):
    incremental = {
        node["name"]
        for node in manifest["nodes"].values()
        if node["config"].get("materialized") == "incremental"
    }
    assert incremental == set(MODELS)


def test_a_column_that_a_table_of_an_older_model_lacks_is_filled_for_all_its_rows(make_observed):
    """Also for the deals of which nothing has changed."""
    observed = make_observed(8, contacts=5, deals=40, field_values=5)
    observed.sync(at=NOW)
    observed.dbt.build("+deals")
    tables = ("int_deals__segments", "int_deals__stage_intervals")
    queries = [f"from intermediate.{table} order by {KEYS['intermediate.' + table]}"
               for table in tables]  # fmt: skip
    queries.append("select deal_id, closed_currency, closed_value from marts.deals order by all")
    before = [observed.dbt.rows(query) for query in queries]
    assert any(row["closed_currency"] for row in before[-1])
    for table in tables:
        observed.dbt.execute(f"alter table intermediate.{table} drop column currency")
    observed.dbt.execute(
        "drop view marts.deals; "
        "alter table intermediate.int_deals__described drop column closed_currency; "
        "update intermediate.int_deals__described set row_version = 0"
    )
    observed.dbt.build("+deals")
    assert [observed.dbt.rows(query) for query in queries] == before
