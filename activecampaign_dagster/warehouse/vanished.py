"""Rows whose records a search no longer found in the account, and what belongs to them."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import duckdb

from activecampaign_dagster.streams.declaration import SyncType
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.warehouse import ledger, tables
from activecampaign_dagster.warehouse.sql import quoted
from activecampaign_dagster.warehouse.tables import relation
from activecampaign_dagster.warehouse.warehouse import commit

_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class Gone:
    """What was marked or removed in a table, and its row counts after that."""

    deleted: int
    live_rows: int
    deleted_rows: int


def live_keys(
    db: duckdb.DuckDBPyConnection, stream_table: StreamTable, stamp: str | None
) -> tuple[array[int], array[int], bytearray]:
    """Positions and keys of a table's live rows in order, and 1 for each known position.

    stamp: the field whose seconds since 1970 are the positions; None: the key. A row without that
    stamp stands beside its neighbours by key, as keys are given in the order of creation.
    """
    (key,) = map(quoted, stream_table.stream.key)
    live = f"from {relation(stream_table.table)} where _deleted_at is null and {key} is not null"
    found = f"select {key} as position, {key} as key, 1 as known {live} order by key"
    if stamp:
        found = f"""
            select coalesce(
                last_value(stamp ignore nulls) over (order by key rows unbounded preceding),
                min(stamp) over (), 0
            ) as position, key, (stamp is not null)::int as known
            from (select {key} as key, floor(epoch({quoted(stamp)}))::bigint as stamp {live})
            order by position, key"""
    positions, keys, known = array("q"), array("q"), bytearray()
    result = db.execute(found)
    while batch := result.fetchmany(_BATCH):  # a million tuples at once take 100 MB
        some_positions, some_keys, some_known = zip(*batch, strict=True)
        positions.extend(some_positions)
        keys.extend(some_keys)
        known.extend(some_known)
    return positions, keys, known


def mark(
    db: duckdb.DuckDBPyConnection,
    source: Source,
    stream_table: StreamTable,
    keys: Collection[int],
    *,
    at: datetime,
    sync_id: str,
    facts: Mapping[str, str],
) -> dict[str, Gone]:
    """Mark rows as deleted with all that belongs to them, in one transaction with the ledger.

    facts: what is noted about the account with it. Returns stream → what became of its table, for
    the stream itself and the children that had rows of these.
    """

    def marked() -> dict[str, Gone]:
        found: dict[str, Gone] = {}
        (key,) = stream_table.stream.key
        if keys:
            db.execute(
                "create or replace temp table vanished as select unnest(?::bigint[])::varchar as k",
                [sorted(keys)],
            )
            for each, column in [(stream_table, key), *_children(source, stream_table)]:
                deleted = _delete(db, each, column, at, sync_id)
                if deleted or each is stream_table:
                    ledger.recount(db, source.name, each.name, each.table)
                    found[each.name] = Gone(deleted, *tables.count(db, each))
            db.execute("drop table temp.vanished")
        for fact, value in facts.items():
            ledger.note_fact(db, source.name, fact, value)
        return found

    return commit(db, marked)


def _children(source: Source, parent: StreamTable) -> Iterator[tuple[StreamTable, str]]:
    """The tables of what belongs to a stream's records, and the column that says to which."""
    for stream_table in source.stream_tables:
        beside = stream_table.stream.beside
        if beside and beside.parent == parent.name and stream_table.name in source.enabled:
            yield stream_table, beside.owner


def _delete(
    db: duckdb.DuckDBPyConnection,
    stream_table: StreamTable,
    column: str,
    at: datetime,
    sync_id: str,
) -> int:
    """Mark the rows whose column names what is gone, or remove them from a FULL_TABLE table."""
    table = relation(stream_table.table)
    gone = f"t.{quoted(column)}::varchar in (select k from temp.vanished)"
    if stream_table.sync_type is SyncType.FULL_TABLE:
        result = db.execute(f"delete from {table} as t where {gone}").fetchone()
    else:
        result = db.execute(
            f"update {table} as t set _deleted_at = ?, _synced_at = ?, _sync_id = ? "
            f"where _deleted_at is null and {gone}",
            [at, at, sync_id],
        ).fetchone()
    return int(result[0]) if result else 0
