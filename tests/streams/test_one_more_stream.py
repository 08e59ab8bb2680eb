"""Adding a stream is one declaration: streams are declared here, synced, and found in tables.

Nothing else in the project knows them, so no other code can have been written for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.columns import bigint, instant, nested, text
from activecampaign_dagster.streams.consistency import registry
from activecampaign_dagster.streams.declaration import (
    Beside,
    ByOffset,
    Changes,
    Each,
    Endpoint,
    Family,
    NewestFirst,
    Shape,
    Stream,
)
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.sync.request import Mode
from tests.helpers import Warehouse, serving

TAGGINGS = Stream(
    name="taggings",
    family=Family.CRM,
    endpoint=Endpoint(path="contactTags", collection="contactTags"),
    description="One row per contact and tag.",
    walk=ByOffset(),
    changes=Changes(stamp="cdate"),
    beside=Beside(
        parent="contacts",
        include="contactTags",
        array="contactTags",
        owner="contact",
        listed="contactTags",
    ),
    fields=(
        bigint("id", "Id of the tagging"),
        bigint("contact", "Id of the contact", references="contacts"),
        bigint("tag", "Id of the tag"),
        instant("cdate", "When the tag was added"),
    ),
)
DEAL_LOG = Stream(
    name="deal_log",
    family=Family.CRM,
    endpoint=Endpoint(path="dealActivities", collection="dealActivities"),
    description="One row per change of a deal.",
    walk=NewestFirst(stamp="cdate", order="orders[cdate]"),
    changes=Changes(stamp="cdate"),
    fields=(
        bigint("id", "Id of the entry"),
        bigint("deal", "Id of the deal", references="deals"),
        text("dataType", "Kind of change"),
        text("dataAction", "What it was changed to"),
        instant("cdate", "When it was changed"),
    ),
)
SCHEMAS = Stream(
    name="object_schemas",
    family=Family.CRM,
    endpoint=Endpoint(path="customObjects/schemas", collection="schemas"),
    description="One row per kind of custom object.",
    walk=ByOffset(),
    fields=(text("id", "UUID of the schema"), text("slug", "Its name in code")),
)
OBJECTS = Stream(
    name="objects",
    family=Family.CRM,
    endpoint=Endpoint(path="customObjects/records/{schemaId}", collection="records"),
    description="One row per custom object.",
    walk=ByOffset(),
    each=Each(stream="object_schemas", parameter="schemaId"),
    fields=(
        text("id", "UUID of the object"),
        text("schemaId", "UUID of its schema", references="object_schemas"),
        nested("fields", "Its values"),
    ),
)
DEAL_VALUES = Stream(
    name="deal_values",
    family=Family.CRM,
    endpoint=Endpoint(path="dealCustomFieldData", collection="dealCustomFieldData"),
    description="One row per deal and custom field.",
    walk=ByOffset(),
    changes=Changes(stamp="updatedTimestamp", created="createdTimestamp"),
    beside=Beside(
        parent="deals",
        include="dealCustomFieldData",
        array="dealCustomFieldData",
        owner="dealId",
        listed="dealCustomFieldData",
        shape=Shape(
            renames={
                "deal_id": "dealId",
                "custom_field_id": "customFieldId",
                "created_timestamp": "createdTimestamp",
                "updated_timestamp": "updatedTimestamp",
            },
            first_filled={
                "fieldValue": (
                    "custom_field_text_value",
                    "custom_field_text_blob",
                    "custom_field_date_value",
                    "custom_field_datetime_value",
                    "custom_field_number_value",
                    "custom_field_currency_value",
                )
            },
        ),
    ),
    fields=(
        bigint("id", "Id of the value"),
        bigint("dealId", "Id of the deal", references="deals"),
        bigint("customFieldId", "Id of the custom field"),
        text("fieldValue", "The value"),
        text("createdTimestamp", "When it was set"),
        text("updatedTimestamp", "When it was changed"),
    ),
)
DECLARED = (TAGGINGS, DEAL_LOG, SCHEMAS, OBJECTS, DEAL_VALUES)
STREAMS_AND_MORE = registry((*STREAMS.values(), *DECLARED))
READ = {"contacts", "deals", *(stream.name for stream in DECLARED)}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with serving() as server:
        yield server


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    tables = tuple(StreamTable(s, s.name, s.sync_type) for s in STREAMS_AND_MORE.values())
    source = Source(stream_tables=tables, enabled=frozenset(STREAMS_AND_MORE))
    return Warehouse(tmp_path / "a.duckdb", source)


def rows(warehouse: Warehouse, stream: Stream) -> dict[str, dict[str, str]]:
    """The live rows of a stream's table by key, as texts."""
    names = [field.name for field in stream.fields]
    columns = ", ".join(f'"{name}"::varchar' for name in names)
    found = warehouse.query(
        f'select {columns} from activecampaign."{stream.name}" where _deleted_at is null'
    )
    records = [dict(zip(names, row, strict=True)) for row in found]
    assert len({stream.key_of(record) for record in records}) == len(records)
    return {str(stream.key_of(record)): record for record in records}


def truth(sandbox: Sandbox, stream: Stream) -> dict[str, Any]:
    """The account's records of a stream by key."""
    name = {"records": "customObjectRecords", "schemas": "customObjectSchemas"}
    collection = stream.endpoint.collection
    records = sandbox.account.truth(name.get(collection, collection)).values()
    if stream is DEAL_VALUES:  # what belongs to a deal that the key may not see does not come
        deals = sandbox.account.truth("deals")
        records = [r for r in records if not deals[int(r["dealId"])].get("isDisabled")]
    return {str(stream.key_of(record)): record for record in records}


def assert_right(sandbox: Sandbox, warehouse: Warehouse) -> None:
    for stream in DECLARED:
        found, expected = rows(warehouse, stream), truth(sandbox, stream)
        assert found.keys() == expected.keys(), stream.name
        assert found, f"there are some of {stream.name}"
    tags = {key: (row["contact"], row["tag"]) for key, row in rows(warehouse, TAGGINGS).items()}
    expected_tags = truth(sandbox, TAGGINGS)
    assert tags == {key: (r["contact"], r["tag"]) for key, r in expected_tags.items()}


def test_streams_that_are_only_declared_land_every_record_of_the_account(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    outcomes = warehouse.sync(sandbox, streams=sorted(READ))
    assert set(outcomes) == READ
    assert_right(sandbox, warehouse)


def test_children_in_two_shapes_land_with_one_set_of_columns(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    warehouse.sync(sandbox, streams=sorted(READ))
    beside = rows(warehouse, DEAL_VALUES)
    sandbox.account.include_honoured = False
    outcomes = warehouse.sync(sandbox, streams=sorted(READ))
    assert "taken from /dealCustomFieldData instead" in " ".join(outcomes["deals"].notes)
    alone = rows(warehouse, DEAL_VALUES)
    assert beside.keys() <= alone.keys()
    for column in ("dealId", "customFieldId"):
        assert {k: r[column] for k, r in beside.items()} == {k: alone[k][column] for k in beside}


def test_what_happens_next_comes_with_an_incremental_sync(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    warehouse.sync(sandbox, streams=sorted(READ))
    account = sandbox.account
    contact = account.contacts.live[0]
    deal = next(d for d, r in account.truth("deals").items() if not r.get("isDisabled"))
    account.add_tag(contact, account.add_record("tags", tag="Just added"))
    group = int(account.truth("deals")[deal]["group"])
    account.move_deal(deal, account.stages_of(group)[-1])
    account.move_deal(deal, account.stages_of(group)[0])
    before = rows(warehouse, DEAL_LOG).keys()
    outcomes = warehouse.sync(sandbox, Mode.INCREMENTAL, streams=sorted(READ))
    assert_right(sandbox, warehouse)
    assert rows(warehouse, DEAL_LOG).keys() > before
    assert outcomes["deal_log"].pages <= 2, "a log is read down to what was read before"


def test_a_child_that_its_parent_no_longer_lists_is_gone(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    warehouse.sync(sandbox, streams=sorted(READ))
    tagging = next(iter(truth(sandbox, TAGGINGS).values()))
    contact, tag = int(tagging["contact"]), int(tagging["tag"])
    sandbox.account.remove_tag(contact, tag)
    sandbox.account.update_contact(contact, phone="0123")
    warehouse.sync(sandbox, Mode.INCREMENTAL, streams=sorted(READ))
    assert_right(sandbox, warehouse)
