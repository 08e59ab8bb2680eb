"""Which streams an account's settings select, and the tables that they land in."""

from __future__ import annotations

from typing import Any

import pytest

from activecampaign_dagster.components.source import ActiveCampaignSource
from activecampaign_dagster.streams.declaration import SyncType
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.streams.source import StreamTable


def stream_table(name: str, **settings: Any) -> StreamTable:
    """Where a stream lands."""
    source = ActiveCampaignSource(streams=[{"name": name, **settings}]).source()
    return next(stream_table for stream_table in source.stream_tables if stream_table.name == name)


@pytest.mark.parametrize(
    ("streams", "expected"),
    [
        ("all", set(STREAMS)),
        (["deals", "users"], {"deals", "users"}),
        ([{"name": "deals", "table": "business"}, "all"], set(STREAMS)),
        ([{"name": "campaigns", "enabled": False}, "all"], set(STREAMS) - {"campaigns"}),
    ],
)
def test_the_streams_that_are_listed_are_read(streams: Any, expected: set[str]) -> None:
    assert ActiveCampaignSource(streams=streams).source().enabled == expected


def test_a_table_is_called_by_prefix_and_name() -> None:
    streams: list[Any] = [{"name": "deals", "table": "business"}, "contacts"]
    source = ActiveCampaignSource(streams=streams, table_prefix="shop_").source()
    tables = {stream_table.name: stream_table.table for stream_table in source.stream_tables}
    assert (tables["deals"], tables["contacts"]) == ("shop_business", "shop_contacts")
    assert tables["users"] == "shop_users", "also one that is not read"


def test_streams_are_read_as_they_can_be_unless_told_otherwise() -> None:
    source = ActiveCampaignSource().source()
    incremental = {t.name for t in source.stream_tables if t.sync_type is SyncType.INCREMENTAL}
    assert incremental == {"deals", "contacts", "custom_field_values"}
    assert stream_table("deals", sync_type="FULL_TABLE").sync_type is SyncType.FULL_TABLE


def test_deals_with_partial_access_are_a_stubs_fields_read_as_a_full_table() -> None:
    deals = stream_table("deals", access="partial")
    assert deals.keep == {"id", "title", "status", "isDisabled"}
    assert deals.sync_type is SyncType.FULL_TABLE
    assert not deals.stream.can_filter
    assert stream_table("deals", access="full").keep is None


def test_fields_that_a_sync_needs_are_kept_whatever_is_asked_for() -> None:
    needed = {"id", "mdate", "cdate", "isDisabled"}
    assert stream_table("deals", fields=["title"]).keep == {"title", *needed}
    kept = stream_table("deals", exclude_fields=["title"]).keep
    assert kept == {field.name for field in STREAMS["deals"].fields} - {"title"}
