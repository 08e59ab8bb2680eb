"""Which streams an account's settings select, and the tables that they land in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from activecampaign_dagster.components.source import ActiveCampaignSource, together
from activecampaign_dagster.streams.declaration import Family, SyncType
from activecampaign_dagster.streams.registry import CORE, STREAMS
from activecampaign_dagster.streams.source import StreamTable

ALL = {name for name, stream in STREAMS.items() if stream.default}
OFF = sorted(STREAMS.keys() - ALL)
CHILDREN = {s.name: s.beside.passes for s in STREAMS.values() if s.beside}


def of(family: Family) -> set[str]:
    """The streams that a family brings."""
    return {name for name in ALL if STREAMS[name].family is family}


def stream_table(name: str, **settings: Any) -> StreamTable:
    """Where a stream lands."""
    source = ActiveCampaignSource(streams=[{"name": name, **settings}]).source()
    return next(stream_table for stream_table in source.stream_tables if stream_table.name == name)


@pytest.mark.parametrize(
    ("streams", "expected"),
    [
        ("all", ALL),
        ("core", set(CORE)),
        ("crm", of(Family.CRM)),
        ("deals", {"deals"}),
        (["deals", "users"], {"deals", "users"}),
        (["marketing", "settings"], of(Family.MARKETING) | of(Family.SETTINGS)),
        (["marketing", "core"], of(Family.MARKETING) | set(CORE)),
        ([{"name": "deals", "table": "business"}, "all"], ALL),
        (["crm", {"name": "deals", "table": "business"}], of(Family.CRM)),
        ([{"name": "campaigns", "enabled": False}, "all"], ALL - {"campaigns"}),
        (["all", *OFF[:1]], ALL | set(OFF[:1])),
        (["deals", *({"name": name} for name in OFF)], {"deals", *OFF}),
    ],
)
def test_the_streams_that_are_listed_are_read(streams: Any, expected: set[str]) -> None:
    source = ActiveCampaignSource(streams=streams)
    assert source.mistakes() == []
    assert source.source().enabled == expected


@pytest.mark.parametrize("streams", ["all", "core", "deals", ["marketing", *OFF]])
def test_there_are_tables_for_what_is_read_and_for_the_core(streams: Any) -> None:
    source = ActiveCampaignSource(streams=streams).source()
    assert {t.name for t in source.stream_tables} == source.enabled | set(CORE)


def test_the_settings_of_a_stream_hold_when_a_family_brings_it_too() -> None:
    streams: list[Any] = [Family.CRM.value, {"name": "deals", "table": "business"}, "contacts"]
    for listed in (streams, streams[::-1]):
        tables = {t.name: t for t in ActiveCampaignSource(streams=listed).source().stream_tables}
        assert tables["deals"].table == "business"
        assert {t.name for t in tables.values() if t.is_named} == {"deals", "contacts"}


@pytest.mark.parametrize("streams", ["all", "core", "crm", ["crm", "users"]])
def test_a_stream_that_a_group_brings_was_not_listed_by_its_name(streams: Any) -> None:
    named = {
        t.name for t in ActiveCampaignSource(streams=streams).source().stream_tables if t.is_named
    }
    assert named == ({"users"} if isinstance(streams, list) else set())


@pytest.mark.parametrize("name", [name for name, stream in STREAMS.items() if stream.secrets])
def test_secrets_are_left_out_unless_they_are_asked_for_by_name(name: str) -> None:
    secrets = STREAMS[name].secrets
    assert stream_table(name).left_out == secrets
    some = sorted(secrets)[:1]
    asked = stream_table(name, fields=some)
    assert asked.left_out == secrets - set(some)
    assert all(asked.stores(field) for field in some)
    other = next(f.name for f in STREAMS[name].fields if f.name not in STREAMS[name].required)
    rest = stream_table(name, exclude_fields=[other])
    assert not any(rest.stores(field) for field in secrets)


def test_a_stream_is_read_whole_as_often_as_its_kind_needs_it() -> None:
    streams: list[Any] = ["all", *OFF]
    for table in ActiveCampaignSource(streams=streams).source().stream_tables:
        if table.name in CHILDREN:
            assert table.reread == CHILDREN[table.name]
        elif table.sync_type is SyncType.FULL_TABLE:
            assert table.reread == timedelta(hours=1)
        else:
            assert table.reread is None


@pytest.mark.parametrize(
    ("name", "reread", "expected"),
    [
        ("users", {"every": "6 hours"}, timedelta(hours=6)),
        ("users", "always", None),
        ("deals", {"every": "1 week"}, timedelta(weeks=1)),
        ("deals", "always", timedelta.resolution),
        ("deals", "never", None),
        ("custom_field_values", {"every": "30 minutes"}, timedelta(minutes=30)),
        ("custom_field_values", "never", None),
    ],
)
def test_how_often_a_stream_is_read_whole_can_be_set(
    name: str, reread: Any, expected: timedelta | None
) -> None:
    assert stream_table(name, reread=reread).reread == expected


@pytest.mark.parametrize("settings", [{"sync_type": "FULL_TABLE"}, {"access": "partial"}])
def test_a_stream_that_was_made_full_table_is_read_in_every_sync(settings: dict[str, str]) -> None:
    assert stream_table("deals", **settings).reread is None
    hourly = stream_table("deals", **settings, reread={"every": "1 hour"})
    assert hourly.reread == timedelta(hours=1)


def test_a_table_is_called_by_prefix_and_name() -> None:
    streams: list[Any] = [{"name": "deals", "table": "business"}, "contacts"]
    source = ActiveCampaignSource(streams=streams, table_prefix="shop_").source()
    tables = {stream_table.name: stream_table.table for stream_table in source.stream_tables}
    assert (tables["deals"], tables["contacts"]) == ("shop_business", "shop_contacts")
    assert tables["users"] == "shop_users", "also one that is not read"


def test_streams_are_read_as_they_can_be_unless_told_otherwise() -> None:
    source = ActiveCampaignSource(streams="core").source()
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


def test_assets_are_grouped_by_account_and_family() -> None:
    sources = [ActiveCampaignSource(name=name, streams="core") for name in ("crm", "shop")]

    def groups() -> dict[str, str | None]:
        specs = sources[0].definitions().resolve_all_asset_specs()
        return {spec.key.path[-1]: spec.group_name for spec in specs if spec.key.path[0] == "crm"}

    jobs = {"all_streams": "jobs"}
    assert groups() == {name: f"raw_{STREAMS[name].family}" for name in CORE} | jobs
    del sources[0]._account
    together(sources)
    assert groups() == {name: f"crm_raw_{STREAMS[name].family}" for name in CORE} | jobs
