"""Every declared stream beside what the account holds of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from activecampaign_dagster.api.stamps import CHICAGO
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.declaration import Stream, SyncType
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.streams.source import Source, StreamTable
from tests.helpers import Warehouse

# what the sandbox calls a collection, where the body's key is another collection's too, or odd
TRUTHS = {
    "audiences": "audiences",
    "custom_object_records": "customObjectRecords",
    "custom_object_schemas": "customObjectSchemas",
    "segment_counts": "segmentCounts",
    "segment_definitions": "segmentDefinitions",
    "sms_lists": "smsLists",
}
# of which the account knows only beside which broadcast they are
UNTOLD = {"sms_failures", "sms_recipients"}
CHOSEN = tuple(stream.name for stream in STREAMS.values() if stream.default)


def source(*names: str, **options: Any) -> Source:
    """A source that reads some streams, or all that are on, in their own rhythm."""
    chosen = [STREAMS[name] for name in names or CHOSEN]
    tables = tuple(
        StreamTable(each, each.name, each.sync_type, reread=rhythm(each)) for each in chosen
    )
    enabled = frozenset(table.name for table in tables)
    return Source(stream_tables=tables, enabled=enabled, **options)


def rhythm(stream: Stream) -> timedelta | None:
    """How often a stream is read whole unless a user says otherwise."""
    if stream.sync_type is SyncType.FULL_TABLE:
        return timedelta(hours=1)
    return stream.beside.passes if stream.beside else None


def named(source_: Source, *names: str) -> Source:
    """The source of a user who listed these streams by name."""
    tables = tuple(replace(t, is_named=t.name in names) for t in source_.stream_tables)
    return replace(source_, stream_tables=tables)


def keys(warehouse: Warehouse, stream: Stream) -> set[str]:
    """The keys of the live rows of a stream's table."""
    names = ", ".join(f'"{name}"::varchar' for name in stream.key)
    found = warehouse.query(
        f'select {names} from activecampaign."{stream.name}" where _deleted_at is null'
    )
    texts = [stream.key_of(dict(zip(stream.key, row, strict=True))) for row in found]
    assert len(set(texts)) == len(texts), f"{stream.name} has rows twice"
    return {str(text) for text in texts}


def truth(sandbox: Sandbox, stream: Stream) -> dict[str, dict[str, Any]]:
    """The account's records of a stream by key."""
    name = TRUTHS.get(stream.name, stream.endpoint.collection)
    records = list(sandbox.account.truth(name).values())
    if shape := stream.endpoint.shape:
        records = [shape.declared(record, CHICAGO) for record in records]
    return {str(stream.key_of(record)): record for record in records}


def differences(sandbox: Sandbox, warehouse: Warehouse) -> dict[str, tuple[set[str], set[str]]]:
    """Stream → the keys that only the table has, and those that only the account has."""
    found = {}
    for table in warehouse.source.stream_tables:
        if table.name in UNTOLD:
            continue
        stored, there = keys(warehouse, table.stream), truth(sandbox, table.stream)
        lacking = there.keys() - stored - _of_nobody(sandbox, table.stream, there)
        if lacking or stored - there.keys():
            found[table.name] = (stored - there.keys(), lacking)
    return found


def _of_nobody(sandbox: Sandbox, stream: Stream, records: dict[str, dict[str, Any]]) -> set[str]:
    """The children that come with no parent: theirs is gone, or shown as a stub."""
    if stream.beside is None:
        return set()
    parents = truth(sandbox, STREAMS[stream.beside.parent])
    shown = {key for key, parent in parents.items() if not parent.get("isDisabled")}
    owner = stream.beside.owner
    return {key for key, record in records.items() if str(record.get(owner)) not in shown}
