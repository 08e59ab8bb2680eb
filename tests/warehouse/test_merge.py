"""What becomes of rows: newer versions, stubs, deletions, odd values, undeclared fields."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.faults import always, changed, record
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.declaration import SyncType
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.sync.request import Mode, Window
from activecampaign_dagster.warehouse import scratch
from activecampaign_dagster.warehouse.tables import HELPERS
from activecampaign_dagster.warehouse.warehouse import WarehouseError
from tests.helpers import Warehouse, serving
from tests.sync.truth import differences

FULL, INCREMENTAL = Mode.FULL, Mode.INCREMENTAL
SQL_NAMES = (
    *HELPERS,
    "b",
    "found",
    "is_stub",
    "n",
    "place",
    "t",
    "typed",
    "v",
    "verdict",
    "version",
)


def deals(sandbox: Sandbox, warehouse: Warehouse, mode: Mode = FULL) -> Any:
    return warehouse.sync(sandbox, mode, streams=["deals"])["deals"].landed


def rejected(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.query(
        'select stream, id, "column", "value" from activecampaign._rejected_values order by all'
    )


def with_deals(**settings: Any) -> Source:
    """The source with other settings of the stream deals."""
    stream_tables = [
        replace(t, **settings) if t.name == "deals" else t for t in Source().stream_tables
    ]
    return Source(stream_tables=tuple(stream_tables))


def visible_deal(sandbox: Sandbox) -> int:
    truth = sandbox.account.truth("deals")
    return next(i for i, deal in truth.items() if not deal.get("isDisabled"))


@pytest.mark.parametrize("mode", [FULL, INCREMENTAL])
@pytest.mark.usefixtures("synced")
def test_a_stub_never_overwrites_a_full_deal(
    sandbox: Sandbox, warehouse: Warehouse, mode: Mode
) -> None:
    before = warehouse.live("deals")
    deal = visible_deal(sandbox)
    sandbox.account.hide_pipeline(sandbox.account.pipeline_of(deal))
    sandbox.account.update_deal(deal, title="renamed in secret")
    landed = deals(sandbox, warehouse, mode)
    assert landed.inserted == landed.deleted == 0
    assert warehouse.live("deals") == before
    assert warehouse.table("deals")[deal]["_hidden_at"]


@pytest.mark.parametrize("sync_type", SyncType)
@pytest.mark.parametrize("mode", Mode)
def test_a_deal_is_marked_as_hidden_by_any_read_that_brings_its_stub_and_only_once(
    sandbox: Sandbox, warehouse: Warehouse, mode: Mode, sync_type: SyncType
) -> None:
    warehouse.source = with_deals(sync_type=sync_type)
    deals(sandbox, warehouse)
    before = warehouse.table("deals")
    stubs = {i for i, deal in sandbox.account.truth("deals").items() if deal["isDisabled"]}
    assert {i for i, row in before.items() if row["_hidden_at"]} == stubs
    deal = visible_deal(sandbox)
    sandbox.account.hide_pipeline(sandbox.account.pipeline_of(deal))
    sandbox.account.update_deal(deal)  # so that an incremental read and the window bring it
    now = datetime.now(UTC)
    window = Window(now - timedelta(hours=1), now + timedelta(hours=1))
    read = partial(
        warehouse.sync,
        sandbox,
        mode,
        streams=["deals"],
        window=window if mode is Mode.WINDOW else None,
    )
    outcome = read(at=now)["deals"]
    hidden = warehouse.table("deals")
    assert hidden[deal] == before[deal] | {
        "_hidden_at": now,
        "_synced_at": now,
        "_sync_id": hidden[deal]["_sync_id"],
    }
    assert hidden[deal]["_sync_id"] != before[deal]["_sync_id"]
    changed = [i for i, row in hidden.items() if row != before[i]]
    assert outcome.landed.updated == len(changed) >= 1
    assert read()["deals"].landed.updated == 0
    assert warehouse.table("deals") == hidden


@pytest.mark.usefixtures("synced")
def test_a_hidden_deal_that_no_incremental_read_brings_stays_unmarked(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    before = warehouse.table("deals")
    full = {i: row for i, row in before.items() if not row["isDisabled"]}
    oldest = min(full, key=lambda i: full[i]["mdate"])
    sandbox.account.hide_pipeline(sandbox.account.pipeline_of(oldest))
    deals(sandbox, warehouse, INCREMENTAL)
    assert warehouse.table("deals")[oldest] == before[oldest]


@pytest.mark.parametrize("sync_type", SyncType)
@pytest.mark.parametrize("changes", [{}, {"title": "changed in secret", "value": 4200}])
def test_a_deal_that_is_visible_again_is_as_in_the_account_and_not_marked(
    sandbox: Sandbox, warehouse: Warehouse, changes: dict[str, Any], sync_type: SyncType
) -> None:
    warehouse.source = with_deals(sync_type=sync_type)
    deals(sandbox, warehouse)
    before = warehouse.live("deals")
    deal = visible_deal(sandbox)
    pipeline = sandbox.account.pipeline_of(deal)
    sandbox.account.hide_pipeline(pipeline)
    if changes:
        sandbox.account.update_deal(deal, **changes)
    deals(sandbox, warehouse)
    assert warehouse.live("deals") == before
    sandbox.account.show_pipeline(pipeline)
    now = datetime.now(UTC)
    warehouse.sync(sandbox, streams=["deals"], at=now)
    assert differences(sandbox.account, warehouse.live("deals"), "deals") == []
    row = warehouse.table("deals")[deal]
    assert row["_hidden_at"] is None
    assert row["_synced_at"] == now
    assert (row["title"] == "changed in secret") == bool(changes)


@pytest.mark.usefixtures("synced")
def test_an_older_version_in_full_says_that_the_deal_is_visible_and_no_more(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    deal = visible_deal(sandbox)
    before = warehouse.live("deals")
    sandbox.account.hide_pipeline(sandbox.account.pipeline_of(deal))
    deals(sandbox, warehouse)
    sandbox.account.show_pipeline(sandbox.account.pipeline_of(deal))
    sandbox.account.update_deal(deal, title="from a lagging replica", mdate="2020-01-01T00:00:00Z")
    deals(sandbox, warehouse)
    assert warehouse.live("deals") == before
    assert warehouse.table("deals")[deal]["_hidden_at"] is None


@pytest.mark.parametrize("sync_type", SyncType)
def test_a_hidden_deal_that_is_deleted_is_both(
    sandbox: Sandbox, warehouse: Warehouse, sync_type: SyncType
) -> None:
    warehouse.source = with_deals(sync_type=sync_type)
    deals(sandbox, warehouse)
    deal = visible_deal(sandbox)
    sandbox.account.hide_pipeline(sandbox.account.pipeline_of(deal))
    deals(sandbox, warehouse)
    hidden = warehouse.table("deals")[deal]
    sandbox.account.delete_deal(deal)
    now = datetime.now(UTC)
    warehouse.sync(sandbox, streams=["deals"], at=now)
    if sync_type is SyncType.FULL_TABLE:
        assert deal not in warehouse.table("deals")
        return
    row = warehouse.table("deals")[deal]
    assert row == hidden | {"_deleted_at": now, "_synced_at": now, "_sync_id": row["_sync_id"]}


@pytest.mark.usefixtures("synced")
def test_a_deal_of_a_deleted_pipeline_is_hidden_and_stays_as_it_was(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    before = warehouse.live("deals")
    deal = visible_deal(sandbox)
    sandbox.account.delete_pipeline(sandbox.account.pipeline_of(deal))
    deals(sandbox, warehouse)
    assert warehouse.live("deals") == before
    assert warehouse.table("deals")[deal]["_hidden_at"]


def test_a_stub_that_changes_is_hidden_since_it_was_first_read(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    deal = next(i for i, row in sandbox.account.truth("deals").items() if row["isDisabled"])
    deals(sandbox, warehouse)
    before = warehouse.table("deals")[deal]
    sandbox.account.update_deal(deal, title="another title")
    deals(sandbox, warehouse)
    after = warehouse.table("deals")[deal]
    assert after["title"] == "another title"
    assert after["_synced_at"] > before["_synced_at"] == before["_hidden_at"]
    assert after["_hidden_at"] == before["_hidden_at"]


@pytest.mark.usefixtures("synced")
def test_only_tables_of_streams_with_stubs_say_what_is_hidden(warehouse: Warehouse) -> None:
    assert warehouse.query(
        "select table_name from duckdb_columns() where column_name = '_hidden_at'"
    ) == [("deals",)]


@pytest.mark.usefixtures("synced")
def test_a_table_from_before_the_mark_gains_it_and_its_stubs_are_marked(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    before = warehouse.table("deals")
    warehouse.query("alter table activecampaign.deals drop column _hidden_at")
    sandbox.account.hide_pipeline(sandbox.account.pipeline_of(visible_deal(sandbox)))
    # an incremental read of another stream brings no deal
    warehouse.sync(sandbox, INCREMENTAL, streams=["users"])
    assert warehouse.table("deals") == before
    assert deals(sandbox, warehouse).updated > 0
    hidden = {i for i, row in warehouse.table("deals").items() if row["_hidden_at"]}
    truth = sandbox.account.truth("deals")
    assert hidden == {i for i, deal in truth.items() if deal["isDisabled"]}


def test_a_full_deal_overwrites_its_stub(sandbox: Sandbox, warehouse: Warehouse) -> None:
    deal = visible_deal(sandbox)
    pipeline = sandbox.account.pipeline_of(deal)
    sandbox.account.hide_pipeline(pipeline)
    deals(sandbox, warehouse)
    stub = warehouse.live("deals")[deal]
    assert stub["isDisabled"]
    assert stub["value"] is None
    sandbox.account.show_pipeline(pipeline)
    deals(sandbox, warehouse)
    assert differences(sandbox.account, warehouse.live("deals"), "deals") == []
    assert not warehouse.live("deals")[deal]["isDisabled"]


@pytest.mark.usefixtures("synced")
def test_an_older_version_does_not_replace_a_newer_one(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    deal = visible_deal(sandbox)
    before = warehouse.table("deals")[deal]
    sandbox.account.update_deal(deal, title="from a lagging replica", mdate="2020-01-01T00:00:00Z")
    assert deals(sandbox, warehouse).updated == 0
    assert warehouse.table("deals")[deal] == before


@pytest.mark.usefixtures("synced")
def test_a_version_of_the_same_age_goes_to_the_later_read(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    deal = visible_deal(sandbox)
    stamp = warehouse.table("deals")[deal]["mdate"]
    sandbox.account.update_deal(deal, title="renamed", mdate=stamp)
    assert deals(sandbox, warehouse).updated == 1
    assert warehouse.table("deals")[deal]["title"] == "renamed"


def test_a_full_sync_marks_what_is_gone_and_revives_what_comes_back(warehouse: Warehouse) -> None:
    # deals of one page: it is short anyway, so that one less does not end the read early
    with serving(Account.generate(seed=1, contacts=20, deals=40, field_values=0)) as sandbox:
        deals(sandbox, warehouse)
        before = warehouse.table("deals")
        deal = visible_deal(sandbox)

        def leave_out(body: dict[str, Any]) -> None:
            body["deals"] = [d for d in body["deals"] if d["id"] != str(deal)]
            body["meta"]["total"] -= 1

        sandbox.faults.append(always(changed(leave_out), "deals"))
        assert deals(sandbox, warehouse, INCREMENTAL).deleted == 0
        assert warehouse.table("deals") == before
        assert deals(sandbox, warehouse).deleted == 1
        gone = [i for i, row in warehouse.table("deals").items() if row["_deleted_at"]]
        assert gone == [deal]
        sandbox.faults.clear()
        landed = deals(sandbox, warehouse)
        assert (landed.inserted, landed.updated, landed.deleted) == (0, 1, 0)
        assert differences(sandbox.account, warehouse.live("deals"), "deals") == []


@pytest.mark.usefixtures("synced")
def test_a_deleted_row_that_comes_back_is_revived(sandbox: Sandbox, warehouse: Warehouse) -> None:
    warehouse.query("update activecampaign.deals set _deleted_at = now() where id % 10 = 0")
    before = warehouse.query("select count(*) from activecampaign.deals where _deleted_at is null")
    landed = deals(sandbox, warehouse)
    after = warehouse.query("select count(*) from activecampaign.deals where _deleted_at is null")
    assert landed.updated == after[0][0] - before[0][0] > 0
    assert differences(sandbox.account, warehouse.live("deals"), "deals") == []


@pytest.mark.usefixtures("synced")
def test_a_full_table_loses_deleted_rows_in_every_mode(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    sandbox.account.delete_user(3)
    landed = warehouse.sync(sandbox, INCREMENTAL, streams=["users"])["users"].landed
    assert (landed.deleted, landed.live_rows, landed.deleted_rows) == (1, 7, 0)
    assert 3 not in warehouse.table("users")


def test_a_stream_set_to_full_table_loses_deleted_rows_too(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    warehouse.source = with_deals(sync_type=SyncType.FULL_TABLE, table="my_deals")
    deals(sandbox, warehouse)
    sandbox.account.delete_deal(sandbox.account.deals.live[0])
    landed = deals(sandbox, warehouse, INCREMENTAL)
    assert landed.deleted == 1
    assert warehouse.query("select count(_deleted_at) from activecampaign.my_deals") == [(0,)]


def test_a_value_that_does_not_fit_is_kept_verbatim_until_it_is_mended(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    deal = visible_deal(sandbox)
    sandbox.account.update_deal(deal, value="12.5 euros", nextdate="next week", percent="1e3")
    landed = deals(sandbox, warehouse)
    assert landed.rejected == 3
    row = warehouse.table("deals")[deal]
    assert row["value"] is row["nextdate"] is row["percent"] is None
    kept = [
        ("deals", str(deal), "nextdate", "next week"),
        ("deals", str(deal), "percent", "1e3"),
        ("deals", str(deal), "value", "12.5 euros"),
    ]
    assert rejected(warehouse) == kept
    deals(sandbox, warehouse)
    assert rejected(warehouse) == kept, "running it again changes nothing"
    sandbox.account.update_deal(deal, value=4200, percent="7")
    deals(sandbox, warehouse, INCREMENTAL)
    assert rejected(warehouse) == kept[:1]
    assert warehouse.table("deals")[deal]["value"] == 4200


def test_a_stub_leaves_what_was_kept_verbatim_of_the_full_row(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    deal = visible_deal(sandbox)
    sandbox.account.update_deal(deal, value="12.5 euros")
    deals(sandbox, warehouse)
    pipeline = sandbox.account.pipeline_of(deal)
    sandbox.account.hide_pipeline(pipeline)
    deals(sandbox, warehouse)
    assert rejected(warehouse) == [("deals", str(deal), "value", "12.5 euros")]
    sandbox.account.show_pipeline(pipeline)
    sandbox.account.update_deal(deal, value=4200)
    deals(sandbox, warehouse)
    assert rejected(warehouse) == []


@pytest.mark.parametrize("nothing", [None, "", "0000-00-00", "0000-00-00 00:00:00"])
def test_the_ways_to_say_no_date_are_null_and_not_rejected(
    sandbox: Sandbox, warehouse: Warehouse, nothing: str | None
) -> None:
    deal = visible_deal(sandbox)
    sandbox.account.update_deal(deal, nextdate=nothing)
    assert deals(sandbox, warehouse).rejected == 0
    assert warehouse.table("deals")[deal]["nextdate"] is None


@pytest.mark.usefixtures("synced")
def test_fields_that_nobody_declared_become_columns(sandbox: Sandbox, warehouse: Warehouse) -> None:
    odd = {
        "brandNew": "text",
        "nested_new": {"a": [1, 2]},
        "TITLE": "shouted",
        "_synced_at": "not ours",
        "a/b~c": "pointer",
        'it\'s "quoted"': "quotes",
        "": "empty",
        "number": 7,
        "Title": "a third way to write it",
        "ends in__other": "suffix",
        "__empty": "not empty",
        # names that the sync's own SQL uses
        **{name: f"{name} of the account" for name in SQL_NAMES},
    }
    sandbox.faults.append(lambda *_: record("deals", **odd))
    landed = deals(sandbox, warehouse)
    assert len(landed.new_columns) == len(odd)
    first = next(row for row in warehouse.table("deals").values() if row["brandNew"])
    assert first["brandNew"] == "text"
    assert json.loads(first["nested_new"]) == {"a": [1, 2]}
    assert first["title"] != "shouted"
    assert first["TITLE__other"] == "shouted"
    assert first["_synced_at__other"] == "not ours"
    assert first["_synced_at"].year >= 2024
    assert first["a/b~c"] == "pointer"
    assert first['it\'s "quoted"'] == "quotes"
    assert first["__empty"] == "empty"
    assert first["number"] == "7"
    assert first["Title__other2"] == "a third way to write it"
    assert first["ends in__other__other"] == "suffix"
    assert first["__empty__other"] == "not empty"
    for name in SQL_NAMES:
        column = f"{name}__other" if name in HELPERS else name
        assert first[column] == f"{name} of the account"
    assert differences(sandbox.account, warehouse.live("deals"), "deals") == []
    before = warehouse.table("deals")
    again = deals(sandbox, warehouse)
    assert (again.new_columns, again.updated) == ((), 0)
    assert warehouse.table("deals") == before


def test_only_the_fields_that_are_kept_are_stored(sandbox: Sandbox, warehouse: Warehouse) -> None:
    keep = frozenset({"id", "title", "mdate", "cdate", "isDisabled"})
    warehouse.source = with_deals(keep=keep)
    deals(sandbox, warehouse)
    row = warehouse.live("deals")[visible_deal(sandbox)]
    assert {key for key, value in row.items() if value is not None} == keep


def test_an_empty_collection_lands_an_empty_table_and_marks_what_was_there(
    warehouse: Warehouse,
) -> None:
    account = Account.generate(seed=1, contacts=20, deals=10, field_values=0)
    with serving(account) as sandbox:
        outcomes = warehouse.sync(sandbox)
        assert outcomes["custom_field_values"].landed.live_rows == 0
        for deal in list(account.truth("deals")):
            account.delete_deal(deal)
        outcomes = warehouse.sync(sandbox)
    assert outcomes["deals"].landed.deleted == 10
    assert warehouse.live("deals") == {}


def test_what_does_not_fit_into_memory_is_tried_with_more(
    sandbox: Sandbox, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert warehouse.path, "a lake needs more than that to look at its catalogue"
    monkeypatch.setattr(scratch, "_MEGABYTES", (1, 1_000))
    sandbox.faults.append(lambda *_: record("deals", brandNew="text"))
    assert deals(sandbox, warehouse).new_columns == ("brandNew",)
    assert differences(sandbox.account, warehouse.live("deals"), "deals") == []
    sandbox.account.add_deal()
    monkeypatch.setattr(scratch, "_MEGABYTES", (1,))
    before = warehouse.table("deals")
    with pytest.raises(WarehouseError, match="Landing deals takes more than 1 MB"):
        deals(sandbox, warehouse)
    assert warehouse.table("deals") == before
