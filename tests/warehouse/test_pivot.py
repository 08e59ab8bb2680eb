"""Custom field values: read with their contacts, and what happens where that does not work."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.faults import always, changed, error, nth
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.sync.outcomes import SyncError
from activecampaign_dagster.sync.request import Mode
from activecampaign_dagster.warehouse import merge
from activecampaign_dagster.warehouse.pivot import unique_labels
from tests.helpers import Warehouse, live, serving
from tests.sync.truth import differences

STREAMS = ("contacts", "custom_fields", "custom_field_values")


def paths(sandbox: Sandbox) -> Counter[str]:
    """What was asked for since the last time, by path."""
    found = Counter(request.path for request in sandbox.requests)
    sandbox.reset_stats()
    return found


def assert_right(sandbox: Sandbox, warehouse: Warehouse) -> None:
    for name, table in warehouse.tables(STREAMS).items():
        assert differences(sandbox.account, live(table), name) == []


def test_contacts_and_values_cost_no_request_more_than_contacts(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    warehouse.sync(sandbox, streams=STREAMS)
    assert paths(sandbox) == {"contacts": 3, "fields": 1}
    assert_right(sandbox, warehouse)


@pytest.mark.parametrize("mode", [Mode.FULL, Mode.INCREMENTAL])
def test_an_ignored_include_is_noticed_and_the_values_are_read_by_themselves(
    sandbox: Sandbox, warehouse: Warehouse, mode: Mode
) -> None:
    sandbox.account.include_honoured = False
    for _ in range(2):
        outcomes = warehouse.sync(sandbox, mode, streams=STREAMS)
        assert paths(sandbox)["fieldValues"] == 6
        assert "ignored include=fieldValues" in outcomes["contacts"].notes[0]
        assert "from /fieldValues instead" in outcomes["contacts"].notes[0]
        assert set(outcomes) == set(STREAMS)
        assert_right(sandbox, warehouse)
    before = warehouse.tables(STREAMS)
    warehouse.sync(sandbox, mode, streams=STREAMS)
    assert warehouse.tables(STREAMS) == before, "running it again changes nothing"
    sandbox.account.delete_field_value(sandbox.account.values.live[0])
    contact = sandbox.account.add_contact()
    sandbox.account.set_field_value(contact, 1, "Chef d'équipe")
    warehouse.sync(sandbox, mode, streams=STREAMS)
    assert_right(sandbox, warehouse)


def test_without_the_stream_of_values_custom_fields_come_from_what_was_landed(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    sandbox.account.include_honoured = False
    outcomes = warehouse.sync(sandbox, streams=["contacts"])
    assert set(outcomes) == {"contacts"}
    assert "enable custom_field_values" in outcomes["contacts"].notes[0]
    found = warehouse.query('select distinct "customFields" from activecampaign.contacts')
    assert found == [(None,)], "nothing is known about them"
    warehouse.sync(sandbox, streams=STREAMS)
    warehouse.query("""update activecampaign.contacts set "customFields" = '{}'""")
    outcomes = warehouse.sync(sandbox, streams=["contacts"])
    assert "what earlier syncs landed" in outcomes["contacts"].notes[0]
    assert_right(sandbox, warehouse)


def left_out(body: dict[str, list[object]]) -> None:
    body["fieldValues"].pop()


def ignored(body: dict[str, list[object]]) -> None:
    del body["fieldValues"]
    for contact in body["contacts"]:
        contact.pop("fieldValues")


@pytest.mark.parametrize(
    ("change", "page"), [(left_out, 1), (left_out, 2), (ignored, 1), (ignored, 2), (ignored, 3)]
)
def test_after_values_were_left_out_once_their_contacts_are_read_again(
    sandbox: Sandbox, warehouse: Warehouse, change: Callable[..., None], page: int
) -> None:
    account = sandbox.account
    warehouse.sync(sandbox, streams=["contacts"])
    for contact in account.contacts.live:
        account.update_contact(contact, phone="0123")
        account.set_field_value(contact, 1, "new")
    before = warehouse.table("contacts")
    watermark = "select watermark from activecampaign._streams where stream = 'contacts'"
    reached = warehouse.query(watermark)
    sandbox.faults.append(nth({page}, changed(change), "contacts"))
    outcome = warehouse.sync(sandbox, Mode.INCREMENTAL, streams=["contacts"])["contacts"]
    assert outcome.notes == (
        "include=fieldValues omitted records; customFields of these contacts stay as they are "
        "until the next sync reads them. If this recurs, enable "
        "custom_field_values.",
    )
    for number, row in warehouse.table("contacts").items():
        assert row["customFields"] == before[number]["customFields"]
        assert row["phone"] == "0123"
    assert warehouse.query(watermark) == reached
    assert warehouse.sync(sandbox, Mode.INCREMENTAL, streams=["contacts"])["contacts"].notes == ()
    assert differences(account, warehouse.live("contacts"), "contacts") == []


@pytest.mark.parametrize("enabled", [True, False])
def test_an_ignored_include_leaves_custom_fields_as_they_are_if_nobody_reads_the_values(
    sandbox: Sandbox, warehouse: Warehouse, enabled: bool
) -> None:
    warehouse.sync(sandbox, streams=["contacts"] if enabled else STREAMS)
    if not enabled:  # what is in their table is from before
        warehouse.source = Source(enabled=Source().enabled - {"custom_field_values"})
        warehouse.query('update activecampaign.custom_field_values set "value" = null')
    before = warehouse.table("contacts")
    sandbox.account.include_honoured = False
    moved = sandbox.account.contacts.live[0]
    sandbox.account.update_contact(moved, phone="0123")
    outcome = warehouse.sync(sandbox, Mode.INCREMENTAL, streams=["contacts"])["contacts"]
    assert "stay as they are. To fill them, enable custom_field_values" in outcome.notes[0]
    after = warehouse.table("contacts")
    assert after[moved]["phone"] == "0123"
    for number, row in before.items():
        assert after[number]["customFields"] == row["customFields"]
    # up to when the read began, give or take a second
    reached = "select watermark >= max(udate) - interval '3 seconds' from activecampaign._streams"
    reached += ", activecampaign.contacts where stream = 'contacts' group by watermark"
    assert warehouse.query(reached) == [(True,)]


def test_contacts_that_change_while_the_fields_cannot_be_read_keep_their_custom_fields(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    warehouse.sync(sandbox, streams=["contacts"])
    before = warehouse.table("contacts")
    for contact in sandbox.account.contacts.live:
        sandbox.account.update_contact(contact, phone="0123")
    sandbox.account.add_contact()
    sandbox.faults.append(always(error(422), "fields"))
    with pytest.raises(SyncError, match="refused"):
        warehouse.sync(sandbox, Mode.INCREMENTAL, streams=["contacts"])
    after = warehouse.table("contacts")
    assert len(after) == len(before) + 1
    for number, row in before.items():
        assert after[number]["phone"] == "0123"
        assert after[number]["customFields"] == row["customFields"]


def test_an_include_that_leaves_records_out_is_noticed(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    def shorten(body: dict[str, list[object]]) -> None:
        if "contacts" in body and len(body.get("fieldValues", ())) > 100:
            del body["fieldValues"][100:]

    sandbox.faults.append(lambda *_: changed(shorten))
    outcomes = warehouse.sync(sandbox, streams=STREAMS)
    assert "omitted records" in outcomes["contacts"].notes[0]
    assert_right(sandbox, warehouse)


def test_only_the_values_of_changed_contacts_are_read_incrementally(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    warehouse.sync(sandbox, streams=STREAMS)
    paths(sandbox)
    account = sandbox.account
    account.set_field_value(account.contacts.live[0], 1, "new")
    account.set_field_value(account.contacts.live[-1], 2, "new")
    outcomes = warehouse.sync(sandbox, Mode.INCREMENTAL, streams=STREAMS)
    assert paths(sandbox) == {"contacts": 1, "fields": 1}
    landed = outcomes["custom_field_values"].landed
    assert landed.inserted + landed.updated == 2
    assert_right(sandbox, warehouse)


def test_values_alone_are_found_through_their_contacts(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    warehouse.source = Source(pivots=False)
    warehouse.sync(sandbox, streams=STREAMS)
    assert paths(sandbox) == {"contacts": 3, "fields": 1, "fieldValues": 6}
    sandbox.account.set_field_value(sandbox.account.contacts.live[0], 1, "new")
    warehouse.sync(sandbox, Mode.INCREMENTAL, streams=["custom_field_values"])
    assert paths(sandbox) == {"contacts": 1}
    found = warehouse.live("custom_field_values")
    assert differences(sandbox.account, found, "custom_field_values") == []


@pytest.mark.parametrize("touches", [True, False])
def test_whether_a_value_moves_its_contact_decides_what_incremental_runs_see(
    sandbox: Sandbox, warehouse: Warehouse, touches: bool
) -> None:
    account = sandbox.account
    account.field_values_touch_contact = touches
    for contact in account.contacts.live:
        account.update_contact(contact, udate="2021-05-05T12:00:00-05:00")
    account.update_contact(account.contacts.live[0])
    warehouse.sync(sandbox, streams=STREAMS)
    account.set_field_value(account.contacts.live[-1], 1, "new")
    warehouse.sync(sandbox, Mode.INCREMENTAL, streams=STREAMS)
    missed = differences(account, warehouse.live("custom_field_values"), "custom_field_values")
    assert bool(missed) is not touches
    warehouse.sync(sandbox, streams=STREAMS)
    assert_right(sandbox, warehouse)


def test_the_fields_alone_bring_no_contacts(sandbox: Sandbox, warehouse: Warehouse) -> None:
    warehouse.sync(sandbox, streams=["custom_fields"])
    assert paths(sandbox) == {"fields": 1}


def test_more_fields_than_a_page_keep_their_tags(warehouse: Warehouse) -> None:
    account = Account.generate(seed=2, contacts=40, deals=1, field_values=50)
    for number in range(205):
        account.add_field(f"Field number {number}")
    with serving(account) as sandbox:
        for field in account.fields.fields:
            account.set_field_value(account.contacts.live[0], field, f"value {field}")
        warehouse.sync(sandbox, streams=STREAMS)
        assert_right(sandbox, warehouse)
    row = warehouse.live("contacts")[account.contacts.live[0]]
    assert len(json.loads(row["customFields"])) == len(account.fields.fields)


@pytest.mark.parametrize("at_once", [7, 1_000])
def test_fields_are_made_in_parts_as_they_are_in_one_go(
    sandbox: Sandbox, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(merge, "_MADE_AT_ONCE", at_once)
    warehouse.sync(sandbox, streams=STREAMS)
    assert_right(sandbox, warehouse)
    first, last = min(sandbox.account.contacts.live), max(sandbox.account.contacts.live)
    for contact in (first, last, sandbox.account.add_contact()):
        sandbox.account.set_field_value(contact, 1, "Chef d'équipe")
    outcomes = warehouse.sync(sandbox, streams=STREAMS)
    assert_right(sandbox, warehouse)
    landed = outcomes["contacts"].landed
    assert (landed.inserted, landed.updated) == (1, 2)
    before = warehouse.tables(STREAMS)
    warehouse.sync(sandbox, streams=STREAMS)
    assert warehouse.tables(STREAMS) == before, "running it again changes nothing"


def test_a_tag_that_two_fields_share_gets_the_id_of_the_later() -> None:
    fields = [("10", "COLOUR"), ("9", "COLOUR"), ("9", "COLOUR"), ("11", "")]
    assert unique_labels(fields) == {"9": "COLOUR", "10": "COLOUR_10", "11": "11"}


def test_a_tag_with_an_id_may_be_another_fields_own_tag() -> None:
    tags = ("SIZE_3", "SIZE", "SIZE")
    fields = [(str(i), tag) for i, tag in enumerate(tags, 1)]
    assert unique_labels(fields) == {"1": "SIZE_3", "2": "SIZE", "3": "SIZE_3_3"}


def test_custom_fields_that_are_not_kept_cost_nothing(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    stream_tables = tuple(
        replace(t, keep=frozenset({"id", "email", "cdate", "udate"})) if t.name == "contacts" else t
        for t in Source().stream_tables
    )
    warehouse.source = Source(stream_tables=stream_tables)
    warehouse.sync(sandbox, streams=["contacts"])
    assert paths(sandbox) == {"contacts": 3}
    assert warehouse.query('select distinct "customFields" from activecampaign.contacts') == [
        (None,)
    ]


def retag(sandbox: Sandbox, tags: dict[str, str]) -> None:
    """From now on the account calls custom fields otherwise: the tag of before → that of now."""

    def change(body: dict[str, list[dict[str, str]]]) -> None:
        for field in body["fields"]:
            field["perstag"] = tags.get(field["perstag"], field["perstag"])

    sandbox.faults[:] = [always(changed(change), "fields")]


def by_contact(warehouse: Warehouse) -> dict[int, dict[str, str]]:
    found = warehouse.query('select id, "customFields" from activecampaign.contacts')
    return {number: json.loads(fields) for number, fields in found}


@pytest.mark.parametrize(
    "left_out",
    [
        set(),
        {"custom_fields"},
        {"custom_field_values"},
        {"custom_fields", "custom_field_values"},
    ],
)
def test_every_row_follows_tags_that_change_places_in_the_sync_that_sees_them(
    sandbox: Sandbox, warehouse: Warehouse, left_out: set[str]
) -> None:
    warehouse.source = Source(enabled=Source().enabled - left_out)
    warehouse.sync(sandbox)
    before = by_contact(warehouse)
    first, second, *_ = sorted({tag for fields in before.values() for tag in fields})
    retag(sandbox, {first: second, second: first})
    moved = sandbox.account.contacts.live[0]
    sandbox.account.update_contact(moved, phone="0123")
    warehouse.sync(sandbox, Mode.INCREMENTAL)
    swapped = {first: second, second: first}
    for number, fields in by_contact(warehouse).items():
        assert fields == {swapped.get(tag, tag): v for tag, v in before[number].items()}
    retag(sandbox, {first: second, second: "NEW_TAG"})
    warehouse.sync(sandbox, Mode.INCREMENTAL)
    for number, fields in by_contact(warehouse).items():
        now = {first: second, second: "NEW_TAG"}
        assert fields == {now.get(tag, tag): v for tag, v in before[number].items()}
