"""Streams that are not enabled: no table and no line, or those that they had before."""

from __future__ import annotations

from activecampaign_dagster.sandbox.faults import always, changed
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.sync.request import Mode
from tests.helpers import Warehouse

TABLES = "select table_name from duckdb_tables() where table_name[1] <> '_' order by all"
LINES = "select * from activecampaign._streams order by stream"


def test_a_stream_that_is_not_enabled_has_no_table_and_no_line(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    warehouse.source = Source(enabled=frozenset({"contacts", "deals"}))
    for mode in (Mode.FULL, Mode.INCREMENTAL):
        warehouse.sync(sandbox, mode)
        assert warehouse.query(TABLES) == [("contacts",), ("deals",)]
        assert [line[1] for line in warehouse.query(LINES)] == ["contacts", "deals"]
    fields = "select count(*) from activecampaign.contacts where \"customFields\"::varchar <> '{}'"
    assert warehouse.query(fields) > [(0,)], "made of values that are read for them alone"


def test_a_stream_that_is_switched_off_keeps_its_table_and_its_line(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    warehouse.sync(sandbox)
    before = warehouse.table("users"), [x for x in warehouse.query(LINES) if x[1] == "users"]
    assert before[0]
    warehouse.source = Source(enabled=Source().enabled - {"users"})
    warehouse.sync(sandbox)
    after = warehouse.table("users"), [x for x in warehouse.query(LINES) if x[1] == "users"]
    assert after == before


def test_custom_fields_are_renamed_where_there_are_no_contacts(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    warehouse.source = Source(enabled=frozenset({"custom_fields"}))
    warehouse.sync(sandbox)

    def rename(body: dict[str, list[dict[str, str]]]) -> None:
        for field in body["fields"]:
            field["perstag"] += "_NEW"

    sandbox.faults[:] = [always(changed(rename), "fields")]
    warehouse.sync(sandbox)
    assert warehouse.query(TABLES) == [("custom_fields",)]
    tags = "select bool_and(perstag like '%_NEW') from activecampaign.custom_fields"
    assert warehouse.query(tags) == [(True,)]
