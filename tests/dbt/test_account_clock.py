"""Stamps without an offset are read by the clock of the account that they come from."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from activecampaign_dagster.streams.registry import CORE, STREAMS
from activecampaign_dagster.streams.source import Source, StreamTable
from tests.dbt.conftest import NOW, Dbt, Observed
from tests.helpers import Warehouse, serving

pytestmark = pytest.mark.slow

# account → its zone, and the one that its stamps are to be read in
ZONES = {
    "chicago": ("America/Chicago", "America/Chicago"),
    "adelaide": ("Australia/Adelaide", "Australia/Adelaide"),
    "paris": ("Europe/Paris", "Europe/Berlin"),  # which has the same hours
    "unknown": ("Australia/Adelaide", "America/Chicago"),
}
# of the last one only a stream is read whose stamps are not looked at
STREAMS_OF = dict.fromkeys(ZONES, CORE) | {"unknown": ("campaigns",)}
STAMPS = {  # our name → the API's
    "last_opened_at": "last_open_date",
    "last_clicked_at": "last_click_date",
    "last_machine_opened_at": "last_mpp_open_date",
}
CONTACTS = ("stg_activecampaign__contacts", "contacts")
CLOCKS = ["2025-07-01 12:00:00", "2025-12-31 23:30:00", "2026-01-15 00:30:00"]


def sync(observed: Observed, dbt: Dbt, name: str, hours: int = 0) -> Warehouse:
    """Land an account under a name in a database."""
    stream_tables = tuple(
        StreamTable(STREAMS[each], f"{name}_{each}", STREAMS[each].sync_type)
        for each in STREAMS_OF[name]
    )
    warehouse = Warehouse(dbt.database, Source(name=name, stream_tables=stream_tables))
    with serving(observed.account) as sandbox:
        warehouse.sync(sandbox, at=NOW + timedelta(hours=hours), streams=STREAMS_OF[name])
    return warehouse


@pytest.fixture(scope="module")
def accounts(make_observed) -> dict[str, Observed]:
    """Accounts whose contacts open and click, all in the database of the first one."""
    made = {}
    for seed, (name, (zone, _)) in enumerate(ZONES.items()):
        made[name] = make_observed(seed, contacts=30, deals=5, field_values=30, zone=zone)
        account = made[name].account
        for number, contact in enumerate(account.contacts.live[:9]):
            clock = CLOCKS[number % len(CLOCKS)]
            account.update_contact(contact, **dict.fromkeys(STAMPS.values(), clock))
    dbt = made["chicago"].dbt
    for name, observed in made.items():
        sync(observed, dbt, name)
    dbt.build("+contacts", "+campaign_performance")
    return made


def read_in(zone: str, text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)) if text else None


@pytest.mark.parametrize("name", ZONES)
def test_campaigns_are_counted_when_they_were_by_the_accounts_clock(accounts, name):
    rows = accounts["chicago"].dbt.rows(
        "select campaign_id, counted_at from marts.campaign_performance where account = ?", [name]
    )
    truth = accounts[name].account.truth("campaigns")
    assert {row["campaign_id"]: row["counted_at"] for row in rows} == {
        number: read_in(ZONES[name][1], campaign["updated_timestamp"])
        for number, campaign in truth.items()
    }


@pytest.mark.parametrize("name", ["chicago", "adelaide", "paris"])
def test_contacts_open_and_click_when_they_did_by_the_accounts_clock(accounts, name):
    assert_contacts_agree(accounts, name, ZONES[name][1])


def assert_contacts_agree(accounts, name: str, zone: str) -> None:
    rows = accounts["chicago"].dbt.rows(
        f"select contact_id, {', '.join(STAMPS)} from marts.contacts where account = ?", [name]
    )
    found = {row.pop("contact_id"): row for row in rows}
    assert sum(any(row.values()) for row in found.values()) >= 9
    assert found == {
        number: {ours: read_in(zone, contact.get(theirs)) for ours, theirs in STAMPS.items()}
        for number, contact in accounts[name].account.truth("contacts").items()
    }


def test_rows_that_no_sync_wrote_follow_when_the_account_shows_another_zone(
    accounts, make_observed
):
    dbt = accounts["chicago"].dbt
    fact = "account = 'adelaide' and fact = 'time_zone'"
    dbt.execute(
        f"update activecampaign._account_fact_entries set value = 'Asia/Tokyo' where {fact}"
    )
    dbt.build(*CONTACTS)
    assert_contacts_agree(accounts, "adelaide", "Asia/Tokyo")
    assert_contacts_agree(accounts, "paris", "Europe/Berlin")
    dbt.execute(
        f"update activecampaign._account_fact_entries set value = 'Australia/Adelaide' where {fact}"
    )
    dbt.build(*CONTACTS)
    assert_contacts_agree(accounts, "adelaide", "Australia/Adelaide")


def test_models_of_a_database_without_facts_read_stamps_as_before(accounts):
    dbt = accounts["chicago"].dbt
    dbt.execute("alter view activecampaign._account_facts rename to aside")
    dbt.build(*CONTACTS)
    assert_contacts_agree(accounts, "adelaide", "America/Chicago")
    dbt.execute("alter view activecampaign.aside rename to _account_facts")
    dbt.build(*CONTACTS)
    assert_contacts_agree(accounts, "adelaide", "Australia/Adelaide")
