"""What an account's stamps show of its clock, and what is kept of it."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest

from activecampaign_dagster.sandbox import faults
from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.warehouse import builds, clock
from activecampaign_dagster.warehouse.clock import ZONES, Clock, offsets_in
from activecampaign_dagster.warehouse.file import connect
from tests.helpers import Warehouse, serving
from tests.sync.everything import source

ODD = {"udate": "2024-01-15T12:00:00+01:23"}  # an offset that no zone has

STAMPS = ("createdTimestamp", "updatedTimestamp")
VALUES = """
    select id, epoch("createdTimestamp"), epoch("updatedTimestamp")
    from activecampaign.deal_custom_field_values order by id
"""


def seen_in(stamp: str | None, stream: str = "contacts") -> set[datetime]:
    declared = STREAMS[stream]
    return offsets_in(declared, ["no record", {declared.replication_key: stamp}])


def days(zone: str, first: str, last: str) -> set[datetime]:
    """What stamps of a zone show from one noon to another one, every five days."""
    moment, end = (datetime.fromisoformat(f"{day}T12:00:00+00:00") for day in (first, last))
    stamps = []
    while moment <= end:
        stamps.append(moment.astimezone(ZoneInfo(zone)).isoformat())
        moment += timedelta(days=5)
    return set().union(*map(seen_in, stamps))


def sync(warehouse: Warehouse, zone: str, *rules: faults.Rule) -> dict[str, str]:
    """Read the contacts of an account; what is then known of it."""
    account = Account.generate(contacts=40, deals=0, field_values=0, zone=zone)
    with serving(account) as sandbox:
        sandbox.faults = list(rules)
        warehouse.sync(sandbox, streams=["contacts"])
    return dict(warehouse.query("select fact, value from activecampaign._account_facts"))


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse.duckdb")


@pytest.mark.parametrize("zone", ZONES)
def test_a_year_of_stamps_shows_a_zone_with_the_same_hours(zone: str) -> None:
    seen = days(zone, "2025-01-01", "2025-12-31")
    found = Clock().after(seen)
    assert found.zone
    assert days(found.zone, "2025-01-01", "2025-12-31") == seen
    assert Clock.noted(found.facts) == found


def test_duckdb_reads_clocks_of_all_zones_as_python_does() -> None:
    clocks = ["2020-01-15 12:00:00", "2025-07-15 12:00:00", "2026-01-15 12:00:00"]
    with duckdb.connect() as db:
        for zone in ZONES:
            for text in clocks:
                sql = f"select timestamp '{text}' at time zone '{zone}'"
                (read,) = db.execute(sql).fetchone()
                assert read == datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)), zone


def test_chicago_comes_before_zones_with_the_same_offsets() -> None:
    winter = days("America/Mexico_City", "2025-01-01", "2025-02-20")
    assert Clock().after(winter).zone == "America/Chicago"


def test_what_is_seen_in_winter_and_in_summer_counts_together() -> None:
    summer = days("America/Bogota", "2025-06-01", "2025-06-30")
    winter = days("America/Bogota", "2025-12-01", "2025-12-31")
    known = Clock().after(summer)
    assert known.zone == "America/Chicago"
    assert Clock.noted(known.facts).after(winter).zone == "America/Bogota"


def test_a_zone_that_is_known_stays_where_others_agree_as_well() -> None:
    known = Clock().after(days("Australia/Adelaide", "2025-01-01", "2025-12-31"))
    later = known.after(days("Australia/Darwin", "2026-06-01", "2026-08-31"))
    assert later.zone == "Australia/Adelaide"


def test_digits_of_utc_with_the_accounts_offset_spoil_nothing() -> None:
    """The last hours of summer time, whose digits in UTC are those of the next day."""
    seen = seen_in("2025-11-03T02:30:00-05:00")
    assert Clock().after(seen | days("America/Chicago", "2025-01-01", "2025-12-31")).zone


@pytest.mark.parametrize(
    "stamp", ["2025-07-01T12:00:00Z", "1850-01-01T00:00:00-05:50", "2025-07-01 12:00:00", "", None]
)
def test_stamps_that_tell_nothing_of_the_account_are_left_out(stamp: str | None) -> None:
    assert not seen_in(stamp)


def test_streams_that_may_write_their_stamps_in_utc_tell_nothing() -> None:
    assert seen_in("2025-07-01T12:00:00+00:00", "deals")
    assert not seen_in("2025-07-01T12:00:00+00:00", "account_contacts")


def test_a_sync_notes_the_zone_with_the_days_that_it_rests_on(warehouse: Warehouse) -> None:
    facts = sync(warehouse, "Australia/Adelaide")
    assert facts["time_zone"] == "Australia/Adelaide"
    assert {day.split()[1] for day in facts["offsets_seen"].split(", ")} == {"+0930", "+1030"}


def test_stamps_beside_a_page_are_read_in_the_zone_that_its_records_show(tmp_path: Path) -> None:
    """Values come without an offset beside deals."""
    names = ("deals", "deal_custom_fields", "deal_custom_field_values")
    warehouse = Warehouse(tmp_path / "warehouse.duckdb", source(*names))
    account = Account.generate(contacts=50, deals=150, stub_share=0, zone="Australia/Adelaide")
    with serving(account) as sandbox:
        warehouse.sync(sandbox)
    values = account.truth("dealCustomFieldData").values()
    assert warehouse.query(VALUES) == sorted(
        (int(value["id"]), *(datetime.fromisoformat(value[stamp]).timestamp() for stamp in STAMPS))
        for value in values
    )
    assert len(values) > 100


def test_a_later_sync_that_shows_another_zone_replaces_it(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    assert sync(warehouse, "America/Chicago")["time_zone"] == "America/Chicago"
    caplog.set_level(logging.INFO)
    facts = sync(warehouse, "Australia/Adelaide")
    assert facts["time_zone"] == "Australia/Adelaide"
    assert "-0600" not in facts["offsets_seen"]
    assert "are read as times of Australia/Adelaide" in caplog.text


def test_offsets_of_no_zone_are_told_and_change_nothing(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    rule = faults.always(faults.record("contacts", **ODD))
    facts = sync(warehouse, "Australia/Adelaide", rule)
    assert "time_zone" not in facts
    assert "+0123" in facts["offsets_seen"]
    assert "are read as times of America/Chicago" in caplog.text
    assert sync(warehouse, "Australia/Adelaide")["time_zone"] == "Australia/Adelaide"
    caplog.clear()
    assert sync(warehouse, "Australia/Adelaide", rule)["time_zone"] == "Australia/Adelaide"
    assert "are read as times of Australia/Adelaide" in caplog.text


def test_an_account_whose_stamps_have_no_offset_has_no_zone(warehouse: Warehouse) -> None:
    def strip(body: dict) -> None:
        for record in body.get("contacts", []):
            record["cdate"] = record["udate"] = "2024-01-15 12:00:00"

    facts = sync(warehouse, "Australia/Adelaide", faults.always(faults.changed(strip)))
    assert facts.keys().isdisjoint({"time_zone", "offsets_seen"})


def test_models_are_due_when_the_zone_changes_not_when_it_is_confirmed(
    warehouse: Warehouse,
) -> None:
    sync(warehouse, "America/Chicago")
    with connect(warehouse.path) as db:
        known = builds.streams(db)
        clock.note(db, "activecampaign", Clock())
        assert builds.streams(db) == known
        clock.note(db, "activecampaign", Clock("Asia/Tokyo"))
        moved = builds.streams(db)
    for before, after in zip(known, moved, strict=True):
        assert before.keys() == after.keys()
        assert all(before[stream] != after[stream] for stream in before)
