"""A page that is short by mishap ends a walk, but deletes nothing that the account still has."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest

from activecampaign_dagster.sandbox import faults
from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.faults import Request, Rule, always, changed, nth
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.registry import CORE, STREAMS
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.sync.outcomes import Outcome
from activecampaign_dagster.sync.request import Mode
from tests.helpers import Warehouse, live, serving
from tests.sync.truth import differences

VALUES_ALONE = Source(pivots=False)
READS = {  # streams, the path that is read, the source, how many records
    "contacts": (("contacts",), "contacts", Source(), 230),
    "deals": (("deals",), "deals", Source(), 150),
    "users": (("users",), "users", Source(), 8),
    "values through contacts": (("custom_field_values",), "contacts", Source(), 230),
    "contacts and values": (("contacts", "custom_field_values"), "contacts", Source(), 230),
    "values": (("custom_field_values",), "fieldValues", VALUES_ALONE, 500),
}
pytestmark = pytest.mark.usefixtures("no_waits")
BOOKS = (
    "select * exclude (last_synced_at, last_sync_id, last_pass_at) from activecampaign._streams "
    "order by all"
)


def cut(path: str, *, to: slice) -> Rule:
    """The first page of a path lacks records, and nothing else says so."""

    def shorten(body: dict[str, Any]) -> None:
        body[path] = body[path][to]

    return nth({1}, changed(shorten), path)


def assert_right(sandbox: Sandbox, warehouse: Warehouse, *names: str) -> None:
    for name, table in warehouse.tables(names or CORE).items():
        assert differences(sandbox.account, live(table), name) == []


@pytest.mark.usefixtures("synced")
@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("to", [slice(0), slice(-1)], ids=["empty", "one record short"])
def test_a_short_first_page_deletes_nothing_and_the_next_full_sync_is_right(
    warehouse: Warehouse, read: str, to: slice
) -> None:
    streams, path, warehouse.source, size = READS[read]
    with serving() as sandbox:
        before, books = warehouse.tables(streams), warehouse.query(BOOKS)
        first = sandbox.account.contacts.live[0]
        sandbox.account.update_contact(first, phone="0123")
        sandbox.faults.append(cut(path, to=to))
        outcomes = warehouse.sync(sandbox, streams=streams)
        came = 0 if to.stop == 0 else min(size, 100) - 1
        for name in streams:
            assert outcomes[name].landed.deleted == 0
            assert outcomes[name].notes == (
                f"The account reports {size} records of /{path}, but returned {came}: nothing is "
                "deleted until a full sync reads them all.",
            )
        after = warehouse.tables(streams)
        assert {name: set(live(table)) for name, table in after.items()} == {
            name: set(live(table)) for name, table in before.items()
        }
        if "contacts" in streams:
            expected = "0123" if came else before["contacts"][first]["phone"]
            assert after["contacts"][first]["phone"] == expected, "what came is landed"
        assert warehouse.query(BOOKS) == books, "it was no full sync and moved no watermark"
        sandbox.account.delete_contact(sandbox.account.contacts.live[-1])
        sandbox.account.delete_deal(sandbox.account.deals.live[-1])
        sandbox.account.delete_user(3)
        outcomes = warehouse.sync(sandbox)
        for name in streams:
            assert outcomes[name].notes == ()
            assert outcomes[name].landed.deleted > 0
        if warehouse.source is not VALUES_ALONE:
            streams = CORE
        assert_right(sandbox, warehouse, *streams)


@pytest.mark.usefixtures("synced")
@pytest.mark.parametrize("read", ["contacts", "deals", "values through contacts"])
@pytest.mark.parametrize("to", [slice(0), slice(-1), slice(1, None)], ids=["empty", "end", "start"])
def test_a_short_page_of_changes_hides_none_of_them(
    warehouse: Warehouse, read: str, to: slice
) -> None:
    streams, path, _, _ = READS[read]
    warehouse.source = Source(overlap=timedelta(minutes=10))
    with serving() as sandbox:
        change_some(sandbox.account)
        sandbox.faults.append(cut(path, to=to))
        outcomes = warehouse.sync(sandbox, Mode.INCREMENTAL, streams=streams)
        assert_right(sandbox, warehouse, *streams)
        assert outcomes[streams[0]].requests == 2


@pytest.mark.usefixtures("synced")
def test_a_total_that_counts_more_than_the_changes_costs_a_request_and_holds_nothing_up(
    warehouse: Warehouse,
) -> None:
    streams = ("contacts", "deals")
    before = warehouse.query("select max(watermark) from activecampaign._streams")
    with serving() as sandbox:
        change_some(sandbox.account)
        sandbox.faults.append(always(faults.total("1000")))
        for _ in range(2):
            outcomes = warehouse.sync(sandbox, Mode.INCREMENTAL, streams=streams)
            assert [outcomes[name].requests for name in streams] == [2, 2]
            assert [outcomes[name].notes for name in streams] == [(), ()]
        assert_right(sandbox, warehouse, *streams)
    assert warehouse.query("select max(watermark) from activecampaign._streams") > before


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("to", [slice(0), slice(-1)], ids=["empty", "one record short"])
def test_a_first_sync_that_a_short_page_ends_is_noted_and_the_next_sync_reads_the_rest(
    warehouse: Warehouse, read: str, to: slice
) -> None:
    streams, path, warehouse.source, size = READS[read]
    with serving() as sandbox:
        sandbox.faults.append(cut(path, to=to))
        outcomes = warehouse.sync(sandbox, streams=streams)
        for name in streams:
            assert f"reports {size} records of /{path}, but " in outcomes[name].notes[0]
        outcomes = warehouse.sync(sandbox, Mode.INCREMENTAL, streams=streams)
        assert {note for name in streams for note in outcomes[name].notes} == set()
        assert_right(sandbox, warehouse, *streams)


def test_an_account_that_always_says_it_has_more_is_not_read_from_the_start_for_ever(
    warehouse: Warehouse,
) -> None:
    with serving() as sandbox:
        sandbox.faults.append(always(faults.total("1000"), "contacts"))
        syncs = [Mode.FULL, Mode.INCREMENTAL, Mode.INCREMENTAL]
        done = [warehouse.sync(sandbox, mode, streams=["contacts"])["contacts"] for mode in syncs]
        assert [outcome.read.is_full for outcome in done] == [True, True, False]
        assert [len(outcome.notes) for outcome in done] == [1, 1, 0]
        assert_right(sandbox, warehouse, "contacts")


def test_without_contacts_in_the_warehouse_their_values_are_kept_all_the_same(
    warehouse: Warehouse,
) -> None:
    account = Account.generate(seed=1, contacts=40, deals=10, field_values=60)
    with serving(account) as sandbox:
        warehouse.sync(sandbox, streams=["custom_field_values"])
        for streams in (["custom_field_values"], ["custom_field_values", "contacts"]):
            sandbox.faults[:] = [cut("contacts", to=slice(0))]
            outcome = warehouse.sync(sandbox, streams=streams)["custom_field_values"]
            assert outcome.landed.deleted == 0
            assert len(outcome.notes) == 1
        assert_right(sandbox, warehouse, "custom_field_values")


@pytest.mark.parametrize("style", ["absent", "null", "present"])
def test_what_was_deleted_is_deleted_whatever_is_known_of_the_total(
    warehouse: Warehouse, style: str
) -> None:
    with serving() as sandbox:
        sandbox.account.meta = dict.fromkeys(
            (s.endpoint.collection for s in STREAMS.values()), style
        )
        warehouse.sync(sandbox)
        delete_some(sandbox.account)
        outcomes = warehouse.sync(sandbox)
        assert_deleted(outcomes)
        assert_right(sandbox, warehouse)


@pytest.mark.usefixtures("synced")
def test_what_is_deleted_while_it_is_read_is_deleted_at_once(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with serving() as sandbox:
        account, asked = sandbox.account, set[str]()

        def change(request: Request, _: int) -> None:
            # after the first page of each, which has said how many there are
            if {request.path} & asked & {"contacts", "deals"}:
                for _ in range(5):
                    account.delete_contact(account.contacts.live[-20])
                    account.delete_deal(account.deals.live[-20])
                account.add_contact()
                account.add_deal()
            asked.add(request.path)

        sandbox.faults.append(change)
        outcomes = warehouse.sync(sandbox)
        sandbox.faults.clear()
        assert "contacts+custom_field_values: asking again" in caplog.text
        assert "deals: asking again" in caplog.text
        for name in ("contacts", "deals", "custom_field_values"):
            assert outcomes[name].landed.deleted > 0
            assert outcomes[name].notes == ()
        warehouse.sync(sandbox)
        assert_right(sandbox, warehouse)


@pytest.mark.usefixtures("synced")
def test_what_is_added_before_it_is_asked_again_does_not_hold_up_what_was_deleted(
    warehouse: Warehouse,
) -> None:
    with serving() as sandbox:

        def lose_one(body: dict[str, Any]) -> None:
            """Deleted while it is read: the total beside the page counts it still."""
            sandbox.account.delete_user(int(body["users"].pop(0)["id"]))

        def add_one(_: Request, number: int) -> None:
            if number == 2:
                sandbox.account.add_user("Ada", "Newfield")

        sandbox.faults += [nth({1}, changed(lose_one), "users"), add_one]
        outcome = warehouse.sync(sandbox, Mode.INCREMENTAL, streams=["users"])["users"]
        assert (outcome.requests, outcome.notes, outcome.landed.deleted) == (2, (), 1)


def change_some(account: Account) -> None:
    for contact, deal in zip(account.contacts.live[3:6], account.deals.live[3:6], strict=True):
        account.update_contact(contact, phone="0123")
        account.set_field_value(contact, 1, "other")
        account.update_deal(deal, title="other")


def delete_some(account: Account) -> None:
    for _ in range(7):
        account.delete_contact(account.contacts.live[len(account.contacts) // 2])
        account.delete_deal(account.deals.live[len(account.deals) // 2])
    account.delete_user(3)


def assert_deleted(outcomes: dict[str, Outcome]) -> None:
    for name in ("contacts", "deals", "users", "custom_field_values"):
        assert outcomes[name].landed.deleted > 0
        assert outcomes[name].notes == ()


@pytest.mark.usefixtures("synced")
def test_while_the_total_is_too_large_nothing_is_deleted(warehouse: Warehouse) -> None:
    with serving() as sandbox:
        delete_some(sandbox.account)
        sandbox.faults.append(always(faults.total("1000")))
        outcomes = warehouse.sync(sandbox)
        assert outcomes["contacts"].landed.deleted == 0
        assert (
            "reports 1000 records of /contacts, but returned 223" in outcomes["contacts"].notes[0]
        )
        assert (
            "reports 1000 records of /campaigns, but returned 40" in outcomes["campaigns"].notes[0]
        )
        sandbox.faults.clear()
        assert_deleted(warehouse.sync(sandbox))
        assert_right(sandbox, warehouse)


@pytest.mark.parametrize("total", ["present", "absent"])
@pytest.mark.usefixtures("synced")
def test_a_record_that_is_there_when_asked_again_is_kept_even_if_the_number_is_right(
    warehouse: Warehouse, total: str
) -> None:
    with serving() as sandbox:

        def shorten(body: dict[str, Any]) -> None:
            body["users"].pop()
            sandbox.account.delete_user(int(body["users"][0]["id"]))
            sandbox.account.meta["users"] = total

        sandbox.faults.append(nth({1}, changed(shorten), "users"))
        outcome = warehouse.sync(sandbox, streams=["users"])["users"]
        assert "still has records of /users that it did not return (at least 1)" in outcome.notes[0]
        assert outcome.landed.live_rows == 8
        sandbox.faults.clear()
        warehouse.sync(sandbox, streams=["users"])
        assert_right(sandbox, warehouse, "users")


@pytest.mark.usefixtures("synced")
def test_a_record_without_a_usable_id_counts_as_read(warehouse: Warehouse) -> None:
    with serving() as sandbox:
        sandbox.account.delete_user(8)
        sandbox.faults.append(always(faults.record("users", id="abc"), "users"))
        outcome = warehouse.sync(sandbox, Mode.INCREMENTAL, streams=["users"])["users"]
        assert outcome.notes == ()
        assert outcome.landed.deleted == 2
