"""Which span of time a run reads, and what the watermark makes of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.faults import always, changed, error
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.sandbox.stamps import DateFilter
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.sync.outcomes import SyncError
from activecampaign_dagster.sync.request import Mode, Window
from tests.helpers import Warehouse, serving
from tests.sync.truth import differences, truth

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(params=list(DateFilter), ids=str)
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """An account that reads the offsets of date filters in each of the three possible ways."""
    account = Account.generate(
        seed=5, contacts=230, deals=150, field_values=100, date_filter=request.param
    )
    with serving(account) as server:
        yield server


def watermarks(warehouse: Warehouse) -> dict[str, Any]:
    return dict(
        warehouse.query(
            "select stream, watermark from activecampaign._streams where watermark is not null"
        )
    )


def stamped(sandbox: Sandbox, stream: str, key: str) -> dict[int, datetime]:
    """When each record was last changed; stubs left out."""
    records = truth(sandbox.account, stream).items()
    return {i: datetime.fromisoformat(r[key]) for i, r in records if r.get(key)}


def test_every_change_since_the_last_run_is_seen_however_offsets_are_read(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    account = sandbox.account
    warehouse.sync(sandbox, streams=["deals", "contacts"])
    for hours in (23, 12, 6, 5, 1, 0):
        stamp = NOW - timedelta(hours=hours)
        account.update_deal(account.deals.live[hours], title=f"{hours} h ago", mdate=stamp)
        account.update_contact(account.contacts.live[hours], phone=f"{hours}", udate=stamp)
        warehouse.sync(sandbox, Mode.INCREMENTAL, streams=["deals", "contacts"])
        for name in ("deals", "contacts"):
            assert differences(account, warehouse.live(name), name) == []


def test_a_window_lands_what_was_changed_in_it_and_nothing_else(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    stamps = {
        "deals": stamped(sandbox, "deals", "mdate"),
        "contacts": stamped(sandbox, "contacts", "udate"),
    }
    every = sorted(stamps["deals"].values())
    window = Window(every[40], every[90])  # half-open: the first belongs to it, the last does not
    for _ in range(2):
        warehouse.sync(sandbox, Mode.WINDOW, streams=list(stamps), window=window)
        for name, of in stamps.items():
            inside = {i for i, stamp in of.items() if window.start <= stamp < window.end}
            landed = {i for i, row in warehouse.table(name).items() if not row.get("isDisabled")}
            assert landed == inside
        before = warehouse.tables(stamps)
    warehouse.sync(sandbox, Mode.WINDOW, streams=list(stamps), window=window)
    assert warehouse.tables(stamps) == before
    assert watermarks(warehouse) == {}, "a window says nothing about the rest"


def test_adjoining_windows_add_up_to_the_whole(sandbox: Sandbox, warehouse: Warehouse) -> None:
    every = sorted(stamped(sandbox, "deals", "mdate").values())
    cuts = [every[0], every[50], every[51], every[100], every[-1] + timedelta(seconds=1)]
    for start, end in itertools.pairwise(cuts):
        if start < end:
            warehouse.sync(sandbox, Mode.WINDOW, streams=["deals"], window=Window(start, end))
    missing = [
        line
        for line in differences(sandbox.account, warehouse.live("deals"), "deals")
        if not sandbox.account.truth("deals")[int(line.split()[1].split(".")[0])].get("isDisabled")
    ]
    assert missing == []


@pytest.fixture
def plain() -> Iterator[Sandbox]:
    with serving() as server:
        yield server


@pytest.mark.usefixtures("synced")
def test_a_window_leaves_the_watermark_alone(plain: Sandbox, warehouse: Warehouse) -> None:
    before = watermarks(warehouse)
    plain.account.update_deal(plain.account.deals.live[0], title="new")
    window = Window(NOW - timedelta(days=1), NOW + timedelta(days=1))
    warehouse.sync(plain, Mode.WINDOW, streams=["deals", "contacts"], window=window)
    assert watermarks(warehouse) == before
    assert warehouse.table("deals")[plain.account.deals.live[0]]["title"] == "new"


def test_the_watermark_is_never_in_the_future(plain: Sandbox, warehouse: Warehouse) -> None:
    ahead = NOW + timedelta(hours=5)
    plain.account.update_deal(plain.account.deals.live[0], mdate=ahead)
    plain.account.update_contact(plain.account.contacts.live[0], udate=ahead)
    warehouse.sync(plain, streams=["deals", "contacts"])
    assert max(watermarks(warehouse).values()) <= datetime.now(UTC)
    assert warehouse.table("deals")[plain.account.deals.live[0]]["mdate"] == ahead


@pytest.mark.parametrize("year_one", ["0001-01-01T00:00:00-05:00", "0001-01-01T00:00:00+14:00"])
def test_stamps_of_the_first_years_are_no_dates_and_no_watermark(
    plain: Sandbox, warehouse: Warehouse, year_one: str
) -> None:
    def ancient(body: dict[str, Any]) -> None:
        for contact in body["contacts"]:
            contact["udate"] = year_one

    plain.faults.append(always(changed(ancient), "contacts"))
    outcome = warehouse.sync(plain, streams=["contacts"])["contacts"]
    assert {row["udate"] for row in warehouse.table("contacts").values()} == {None}
    assert warehouse.query('select distinct "value" from activecampaign._rejected_values') == [
        (year_one,)
    ]
    assert outcome.landed.rejected == 230
    created = max(row["cdate"] for row in warehouse.table("contacts").values())
    assert watermarks(warehouse) == {"contacts": created}
    warehouse.sync(plain, Mode.INCREMENTAL, streams=["contacts"])
    assert watermarks(warehouse) == {"contacts": created}


@pytest.mark.parametrize("behind", [-30, -2, 0, 2, 30])
@pytest.mark.parametrize("ahead", [False, True], ids=["stamps of the past", "one of the future"])
def test_a_change_made_while_a_long_read_goes_on_is_seen_whatever_the_clocks_say(
    plain: Sandbox, warehouse: Warehouse, behind: int, ahead: bool
) -> None:
    warehouse.source = Source(overlap=timedelta(minutes=10))
    account, clock = plain.account, [NOW - timedelta(hours=behind)]
    account.clock = lambda: clock[0]
    first, last = account.contacts.live[0], account.contacts.live[-1]
    if ahead:
        account.update_contact(account.contacts.live[1], udate=NOW + timedelta(days=90))

    asked = []

    def change(request: Any, _: int) -> None:
        asked.append(request.path)
        if request.path == "contacts" and asked.count("contacts") == 2:
            account.update_contact(first, phone="1")
            clock[0] += timedelta(minutes=40)
            account.update_contact(last, phone="2")

    plain.faults.append(change)
    warehouse.sync(plain, streams=["contacts"])
    assert warehouse.table("contacts")[first]["phone"] != "1", "it was read before"
    assert warehouse.table("contacts")[last]["phone"] == "2"
    clock[0] += timedelta(minutes=40)
    warehouse.sync(plain, Mode.INCREMENTAL, streams=["contacts"])
    assert differences(account, warehouse.live("contacts"), "contacts") == []


@pytest.mark.usefixtures("synced")
def test_streams_without_a_replication_key_have_no_watermark(warehouse: Warehouse) -> None:
    assert set(watermarks(warehouse)) == {"deals", "contacts", "custom_field_values"}


@pytest.mark.usefixtures("synced")
def test_a_failed_read_leaves_the_watermark_and_deletes_nothing(
    plain: Sandbox, warehouse: Warehouse
) -> None:
    before, mark = warehouse.table("deals"), watermarks(warehouse)
    plain.account.delete_deal(plain.account.deals.live[0])
    plain.account.add_deal()
    plain.faults.append(lambda r, _: error(400) if ("offset", "99") in r.params else None)
    plain.faults.append(lambda r, n: error(400) if n % 2 == 0 else None)
    with pytest.raises(SyncError):
        warehouse.sync(plain, streams=["deals"])
    assert warehouse.table("deals") == before
    assert watermarks(warehouse) == mark


@pytest.mark.usefixtures("synced")
def test_an_incremental_run_without_changes_takes_a_request_per_stream(
    plain: Sandbox, warehouse: Warehouse
) -> None:
    plain.reset_stats()
    outcomes = warehouse.sync(plain, Mode.INCREMENTAL)
    assert len(plain.requests) <= 8
    assert all(o.landed.inserted == o.landed.updated == 0 for o in outcomes.values())


def test_a_filter_that_is_ignored_is_made_up_for_here(plain: Sandbox, warehouse: Warehouse) -> None:
    stamps = stamped(plain, "deals", "mdate")
    every = sorted(stamps.values())
    window = Window(every[100], every[120])

    def ignore(request: Any, _: int) -> None:
        kept = [pair for pair in request.params if "updated" not in pair[0]]
        request.params[:] = kept

    plain.faults.append(ignore)
    outcome = warehouse.sync(plain, Mode.WINDOW, streams=["deals"], window=window)["deals"]
    landed = {i for i, row in warehouse.table("deals").items() if not row["isDisabled"]}
    assert landed == {i for i, stamp in stamps.items() if window.start <= stamp < window.end}
    assert "outside the date filter" in outcome.notes[0]


@pytest.mark.usefixtures("synced")
def test_a_table_of_another_name_is_read_from_the_start(
    plain: Sandbox, warehouse: Warehouse
) -> None:
    warehouse.query("drop table activecampaign.deals")
    landed = warehouse.sync(plain, Mode.INCREMENTAL, streams=["deals"])["deals"].landed
    assert landed.live_rows == len(plain.account.deals)


def test_one_failing_stream_is_named_with_its_path(plain: Sandbox, warehouse: Warehouse) -> None:
    plain.faults.append(always(error(400), "dealGroups"))
    with pytest.raises(SyncError, match=r"deal_groups: GET dealGroups on 127\.0\.0\.1"):
        warehouse.sync(plain, streams=["deal_groups", "users"])
