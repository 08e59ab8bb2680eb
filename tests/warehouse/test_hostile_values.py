"""Values that no column can hold: rejected verbatim, beside rows that land all the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activecampaign_dagster.sandbox import faults
from activecampaign_dagster.sandbox.faults import Fault, always
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.sync.deep_json import written
from activecampaign_dagster.sync.request import Mode
from tests.helpers import Warehouse


def nested(levels: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(levels):
        made = [made]
    return made


def rejected(warehouse: Warehouse, column: str) -> set[str]:
    found = warehouse.query(
        f'select "value" from activecampaign._rejected_values where "column" = \'{column}\''
    )
    return {value for (value,) in found}


@pytest.mark.parametrize(
    "stamp",
    [
        "9999-12-31T23:59:59-06:00",
        "9999-01-01T00:00:00+00:00",
        "0999-12-31T23:59:59-06:00",
        "2024-02-30T10:00:00-06:00",
        "2024-01-01T25:00:00-06:00",
        "2024-01-01T10:61:00-06:00",
        "2024-01-01T10:00:00+23:00",
        "2024-01-01T10:00:00",
    ],
)
def test_a_stamp_that_not_every_zone_can_carry_is_rejected_and_later_syncs_go_on(
    sandbox: Sandbox, warehouse: Warehouse, stamp: str
) -> None:
    sandbox.faults.append(always(faults.record("contacts", udate=stamp), "contacts"))
    warehouse.sync(sandbox, streams=["contacts"])
    assert rejected(warehouse, "udate") == {stamp}
    sandbox.faults.clear()
    warehouse.sync(sandbox, Mode.INCREMENTAL, streams=["contacts"])
    assert len(warehouse.live("contacts")) == len(sandbox.account.contacts.live)


@pytest.mark.parametrize(
    "literal",
    ["18446744073709551616", "1e400", "-1e400", "NaN", "Infinity", "9" * 400, "0." + "3" * 40],
)
def test_a_number_that_no_column_can_hold_is_kept_verbatim(
    sandbox: Sandbox, warehouse: Warehouse, literal: str
) -> None:
    record = f'{{"id": "1", "title": "odd", "value": {literal}}}'
    body = f'{{"deals": [{record}], "meta": {{"total": "1"}}}}'
    odd = Fault(status=200, body=body.encode(), content_type="application/json")
    sandbox.faults.append(always(odd, "deals"))
    warehouse.sync(sandbox, streams=["deals"])
    assert rejected(warehouse, "value") == {literal}


def test_a_field_that_is_nested_too_deeply_is_rejected_and_its_record_lands(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    deep = nested(300)
    sandbox.faults.append(always(faults.record("contacts", links=deep, odd=deep), "contacts"))
    warehouse.sync(sandbox)
    assert rejected(warehouse, "links") == rejected(warehouse, "odd") == {written(deep)}
    assert len(warehouse.live("contacts")) == len(sandbox.account.contacts.live)
    assert warehouse.live("deals")


def test_a_field_with_a_nul_in_its_name_is_rejected_and_its_record_lands(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    sandbox.faults.append(always(faults.record("contacts", **{"a\0b": "x\0y"}), "contacts"))
    warehouse.sync(sandbox, streams=["contacts"])
    assert rejected(warehouse, "a\\u0000b") == {'"x\\u0000y"'}
    assert len(warehouse.live("contacts")) == len(sandbox.account.contacts.live)


def test_new_fields_beyond_three_hundred_become_keys_of_one_column(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    many = {f"new_{number:04d}": str(number) for number in range(1000)}
    sandbox.faults.append(always(faults.record("contacts", **many), "contacts"))
    for _ in range(2):
        outcome = warehouse.sync(sandbox, streams=["contacts"])["contacts"]
        assert "more than 300 undeclared fields" in " ".join(outcome.notes)
        rows = warehouse.table("contacts").values()
        found = [row for row in rows if row.get("new_0000") == "0"]
        assert found
        for row in found:
            columns = {name: row[name] for name in row if name.startswith("new_")}
            assert len(columns) == 300
            assert {**columns, **json.loads(row["_other_fields"])} == many


def test_a_field_called_like_a_column_of_the_merge_loses_no_row(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    names = ("key", "_key", "made", "hidden_at", "verdict", "rowid", "_n", "n", "r", "x", "_u")
    odd = dict.fromkeys(names, "5")
    sandbox.faults.append(always(faults.record("deals", **odd), "deals"))
    for _ in range(2):
        warehouse.sync(sandbox, streams=["deals"])
        assert len(warehouse.live("deals")) == len(sandbox.account.deals.live)


@pytest.mark.parametrize("levels", [250, 252, 253, 254, 255, 256, 900])
def test_no_depth_of_any_field_takes_a_record_along(
    sandbox: Sandbox, warehouse: Warehouse, levels: int
) -> None:
    deep = nested(levels)
    odd = faults.record("contacts", links=deep, udate=deep, fieldValues=[deep], odd=deep)
    sandbox.faults.append(always(odd, "contacts"))
    warehouse.sync(sandbox)
    assert len(warehouse.live("contacts")) == len(sandbox.account.contacts.live)


def test_a_nul_in_the_name_of_a_definition_stops_no_contact(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    sandbox.faults.append(always(faults.record("fields", perstag="A\0B"), "fields"))
    warehouse.sync(sandbox)
    assert len(warehouse.live("contacts")) == len(sandbox.account.contacts.live)
    found = warehouse.query(
        """select count(*) from activecampaign.contacts, json_each("customFields")
        where key = 'A\\u0000B'"""
    )
    assert found != [(0,)]


_documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_documents)
def test_json_of_any_depth_is_written_as_the_library_writes_it(document: Any) -> None:
    assert json.loads(written(document)) == document


def test_json_is_written_at_depths_that_the_library_cannot() -> None:
    assert written(nested(100_000)) == "[" * 100_001 + "]" * 100_001
