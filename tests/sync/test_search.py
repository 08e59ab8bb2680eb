"""Deletions are found between full syncs, by few requests, and nothing else is ever marked."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activecampaign_dagster.api.client import Page
from activecampaign_dagster.sandbox import faults
from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.faults import Fault, Request, always, changed
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.sandbox.stamps import DateFilter
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.sync.axis import axis_of
from activecampaign_dagster.sync.outcomes import Outcome
from activecampaign_dagster.sync.ranges import Rows
from activecampaign_dagster.sync.request import Mode
from activecampaign_dagster.sync.search import Search
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.ledger import TOTALS_FOLLOW_FILTERS, store_facts
from tests.helpers import Warehouse, serving

SEARCHING = Source(searches=True, overlap=timedelta(minutes=10))
STREAMS_READ = ("contacts", "deals", "custom_field_values")
pytestmark = pytest.mark.usefixtures("no_waits")


@contextmanager
def synced(contacts: int = 3000, deals: int = 1500, **options: Any) -> Iterator[tuple[Any, ...]]:
    """An account, its server, and a warehouse that has all of it."""
    account = Account.generate(
        seed=3, contacts=contacts, deals=deals, field_values=contacts, **options
    )
    with serving(account) as sandbox, TemporaryDirectory() as folder:
        warehouse = Warehouse(Path(folder) / "a.duckdb", SEARCHING)
        warehouse.sync(sandbox, streams=STREAMS_READ)
        yield account, sandbox, warehouse


def incremental(warehouse: Warehouse, sandbox: Sandbox) -> dict[str, Outcome]:
    return warehouse.sync(sandbox, Mode.INCREMENTAL, streams=STREAMS_READ)


def wrong(account: Account, warehouse: Warehouse) -> set[tuple[str, int]]:
    """The rows that are marked as deleted although the account has their records."""
    stores = {
        "contacts": account.contacts.live,
        "deals": account.deals.live,
        "custom_field_values": account.values.live,
    }
    return {
        (name, key)
        for name, there in stores.items()
        for key in set(there) & (warehouse.table(name).keys() - warehouse.live(name).keys())
    }


def left(account: Account, warehouse: Warehouse, name: str) -> set[int]:
    """The rows that are not marked although their records are gone."""
    return warehouse.live(name).keys() - set(getattr(account, name).live)


def deletable(account: Account, name: str) -> list[int]:
    """Records that are no stubs."""
    if name == "contacts":
        return list(account.contacts.live)
    return [n for n, deal in account.truth("deals").items() if not deal.get("isDisabled")]


def delete(account: Account, name: str, *keys: int) -> None:
    act = account.delete_contact if name == "contacts" else account.delete_deal
    for key in keys:
        act(key)


def test_nothing_gone_costs_one_request_per_keyed_stream_and_nothing_is_asked_of_others() -> None:
    with synced(300, 150) as (_, sandbox, warehouse):
        outcomes = incremental(warehouse, sandbox)
        assert {n: o.searched for n, o in outcomes.items()} == {
            "contacts": 1,
            "deals": 1,
            "custom_field_values": 0,
        }
        warehouse.source = replace(SEARCHING, searches=False)
        assert {o.searched for o in incremental(warehouse, sandbox).values()} == {0}


@pytest.mark.parametrize("name", ["contacts", "deals"])
@pytest.mark.parametrize("number", [1, 2, 4])
def test_deletions_are_found_by_about_log2_requests_each(name: str, number: int) -> None:
    with synced(6000, 6000, stub_share=0, bulk_import=0) as (account, sandbox, warehouse):
        gone = Random(number).sample(deletable(account, name), number)
        delete(account, name, *gone)
        outcome = incremental(warehouse, sandbox)[name]
        assert outcome.landed.deleted == number
        assert left(account, warehouse, name) == set()
        assert wrong(account, warehouse) == set()
        per_deletion = math.log2(6000 / 100) + 2
        assert outcome.searched <= 6 + number * per_deletion


@pytest.mark.parametrize("name", ["contacts", "deals"])
def test_a_block_of_deletions_is_found_by_few_requests(name: str) -> None:
    with synced(3000, 3000, stub_share=0) as (account, sandbox, warehouse):
        order = getattr(account, name).by_created.ids(700, 1700)
        delete(
            account, name, *(list(order) if name == "deals" else account.contacts.live[700:1700])
        )
        outcome = incremental(warehouse, sandbox)[name]
        assert outcome.landed.deleted == 1000
        assert left(account, warehouse, name) == wrong(account, warehouse) == set()
        assert outcome.searched <= 25


def test_children_are_marked_with_their_parents_and_counted_in_the_ledger() -> None:
    with synced(600, 100) as (account, sandbox, warehouse):
        contact = next(c for c in account.contacts.live if account.values.of_parent(c))
        values = set(account.values.of_parent(contact))
        account.delete_contact(contact)
        outcomes = incremental(warehouse, sandbox)
        assert outcomes["custom_field_values"].landed.deleted == len(values)
        gone = warehouse.table("custom_field_values").keys() - warehouse.live("custom_field_values")
        assert gone == values
        for name in ("contacts", "custom_field_values"):
            counts = warehouse.query(
                "select live_rows, deleted_rows from activecampaign._streams "
                f"where stream = '{name}'"
            )
            live = len(warehouse.live(name))
            assert counts == [(live, len(warehouse.table(name)) - live)]
            assert outcomes[name].landed.live_rows == live


def test_stubs_are_no_deletions_and_one_that_was_never_seen_in_full_is_left() -> None:
    with synced(100, 1500, stub_share=0.1) as (account, sandbox, warehouse):
        stubs = [n for n, deal in account.truth("deals").items() if deal.get("isDisabled")]
        shown = deletable(account, "deals")
        account.delete_pipeline(1)
        delete(account, "deals", shown[100], stubs[5])
        outcome = incremental(warehouse, sandbox)["deals"]
        assert wrong(account, warehouse) == set()
        assert left(account, warehouse, "deals") <= {shown[100], stubs[5]}
        assert "full sync" in outcome.notes[0]
        assert incremental(warehouse, sandbox)["deals"].searched == 1, "it is not looked for again"
        warehouse.sync(sandbox, streams=STREAMS_READ)
        assert left(account, warehouse, "deals") == set()


def ignoring(*names: str) -> Callable[[Request, int], Fault | None]:
    """A rule: some parameters have no effect on counts."""

    def rule(request: Request, _: int) -> Fault | None:
        asked = {key for key, _ in request.params}
        if ("limit", "1") in request.params and asked & set(names):
            return faults.total(str(3000 - 1))
        return None

    return rule


def backwards(request: Request, _: int) -> Fault | None:
    """A rule: pages of the search come in the wrong order; the read itself refuses such pages, if
    more than one contact was touched in the last day, which the time of day decides."""
    if request.path != "contacts" or any("updated" in key for key, _ in request.params):
        return None
    return changed(lambda body: body | {"contacts": body["contacts"][::-1]})


LIES = {
    "filters are ignored": ignoring("id_greater", "id_less"),
    "one filter is ignored": ignoring("id_less"),
    "totals are missing": always(faults.without("meta"), "contacts"),
    "totals are null": always(faults.null("meta"), "contacts"),
    "totals are always the same": always(faults.total("2990"), "contacts"),
    "totals are no numbers": always(faults.total("many"), "contacts"),
    "nothing comes": always(
        changed(lambda body: body | {"contacts": []} if "contacts" in body else body), "contacts"
    ),
    "the order is ignored": backwards,
}


@pytest.mark.parametrize("lie", LIES)
def test_an_account_whose_numbers_do_not_add_up_loses_no_row(lie: str) -> None:
    with synced(3000, 50) as (account, sandbox, warehouse):
        account.delete_contact(account.contacts.live[1234])
        sandbox.faults.append(LIES[lie])
        outcome = incremental(warehouse, sandbox)["contacts"]
        assert outcome.landed.deleted == 0
        assert wrong(account, warehouse) == set()
        if "missing" not in lie and "null" not in lie and "no numbers" not in lie:
            assert "Nothing was marked as deleted" in outcome.notes[-1]
        sandbox.faults.clear()
        assert incremental(warehouse, sandbox)["contacts"].landed.deleted == 1


@pytest.mark.parametrize("cut", [slice(-1), slice(1, None), slice(50)])
def test_a_page_that_is_short_by_mishap_marks_nothing_that_is_there(cut: slice) -> None:
    def shorten(request: Request, _: int) -> Fault | None:
        is_page = ("limit", "100") in request.params and "id_greater" in dict(request.params)
        return changed(lambda b: b | {"contacts": b["contacts"][cut]}) if is_page else None

    with synced(3000, 50) as (account, sandbox, warehouse):
        account.delete_contact(account.contacts.live[1234])
        sandbox.faults.append(shorten)
        incremental(warehouse, sandbox)
        assert wrong(account, warehouse) == set()


def test_a_search_that_would_cost_more_than_a_full_read_is_left_to_the_full_sync() -> None:
    with synced(4000, 50) as (account, sandbox, warehouse):
        delete(account, "contacts", *Random(1).sample(list(account.contacts.live), 400))
        outcome = incremental(warehouse, sandbox)["contacts"]
        assert outcome.searched <= 40
        assert "would take as many requests" in outcome.notes[-1]
        assert wrong(account, warehouse) == set()
        account.delete_contact(account.contacts.live[0])
        assert incremental(warehouse, sandbox)["contacts"].searched == 1, "not in every sync"
        assert warehouse.sync(sandbox, streams=STREAMS_READ)["contacts"].landed.live_rows == 3599
        account.delete_contact(account.contacts.live[0])
        assert incremental(warehouse, sandbox)["contacts"].landed.deleted == 1


def test_what_was_added_meanwhile_is_no_deletion() -> None:
    with synced(300, 50) as (account, sandbox, warehouse):

        def add(request: Request, _: int) -> None:
            if request.path == "contacts" and ("limit", "1") in request.params:
                account.add_contact()

        sandbox.faults.append(add)
        outcome = incremental(warehouse, sandbox)["contacts"]
        assert (outcome.landed.deleted, outcome.searched, outcome.notes) == (0, 1, ())


@pytest.mark.parametrize("date_filter", DateFilter)
def test_deals_are_found_however_offsets_are_read(date_filter: DateFilter) -> None:
    options: dict[str, Any] = {"date_filter": date_filter, "stub_share": 0}
    with synced(100, 1500, **options) as (account, sandbox, warehouse):
        delete(account, "deals", *Random(2).sample(deletable(account, "deals"), 2))
        incremental(warehouse, sandbox)
        assert wrong(account, warehouse) == set()
        assert left(account, warehouse, "deals") == set()


def test_where_totals_are_known_not_to_follow_filters_nothing_is_searched() -> None:
    with synced(300, 50) as (account, sandbox, warehouse):
        facts = {f"{TOTALS_FOLLOW_FILTERS}:contacts": "no"}
        store_facts(lambda: connect(warehouse.path), "activecampaign", facts)
        account.delete_contact(account.contacts.live[7])
        outcomes = incremental(warehouse, sandbox)
        assert (outcomes["contacts"].searched, outcomes["deals"].searched) == (0, 1)


CHANGES = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=12)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(before=CHANGES, during=CHANGES, ties=st.booleans())
def test_changes_during_a_search_never_lead_to_a_wrong_mark(
    before: list[int], during: list[int], *, ties: bool
) -> None:
    with synced(400, 400, bulk_import=150) as (account, sandbox, warehouse):
        if ties:
            account.ties = Random(1)

        def change(seed: int) -> None:
            rng = Random(seed)
            act = rng.randrange(8)
            if act < 2:
                account.delete_contact(rng.choice(account.contacts.live))
            elif act < 4:
                account.delete_deal(rng.choice(account.deals.live))
            elif act == 4:
                account.add_contact()
            elif act == 5:
                account.add_deal()
            else:
                deal, other = rng.sample(list(account.deals.live), 2)
                stamp = account.truth("deals")[other].get("cdate")
                account.update_deal(deal, **({"cdate": stamp} if stamp and act == 7 else {}))

        for seed in before:
            change(seed)
        left_to_do = list(during)

        def meanwhile(request: Request, _: int) -> None:
            if request.path in {"contacts", "deals"} and left_to_do:
                change(left_to_do.pop())

        sandbox.faults.append(meanwhile)
        incremental(warehouse, sandbox)
        assert wrong(account, warehouse) == set()


# the search by itself, over ids


def asked(search: Search, live: list[int], *, room: int = 2) -> int:
    """Answer a search of ids to its end; returns the number of requests."""
    while requests := search.requests(room):
        for request in requests:
            params = request.params
            low = bisect_left(live, int(params.get("id_greater", 0)) + 1)
            high = max(bisect_left(live, int(params.get("id_less", 10**18))), low)
            first = low + int(params.get("offset", 0))
            shown = live[first : min(high, first + int(params["limit"]))]
            page = Page([{"id": str(key)} for key in shown], {"meta": {"total": high - low}})
            search.take(request, page)
    return search.asked


def search_of(number: int, live: list[int], budget: int = 10**9) -> Search:
    axis = axis_of(STREAMS["contacts"])
    assert axis
    keys = array("q", range(1, number + 1))
    return Search(axis, Rows(keys, keys, bytearray([1]) * number), len(live), budget=budget)


@settings(max_examples=60, deadline=None)
@given(
    number=st.integers(1, 3000),
    gone=st.sets(st.integers(1, 3000), max_size=60),
    block=st.tuples(st.integers(1, 3000), st.integers(0, 1500)),
    room=st.integers(1, 8),
)
def test_a_search_without_a_budget_finds_all_that_is_gone_and_nothing_else(
    number: int, gone: set[int], block: tuple[int, int], room: int
) -> None:
    gone = (gone | set(range(block[0], sum(block)))) & set(range(1, number + 1))
    live = [key for key in range(1, number + 1) if key not in gone]
    search = search_of(number, live)
    if gone:
        asked(search, live, room=room)
    assert search.missing == gone


def test_a_million_records_are_searched_within_a_few_requests() -> None:
    everything = range(1, 1_000_001)
    for gone, most in (({777_777}, 18), (set(range(500_000, 501_000)), 40)):
        live = [key for key in everything if key not in gone]
        search = search_of(1_000_000, live)
        assert asked(search, live) <= most
        assert search.missing == gone
