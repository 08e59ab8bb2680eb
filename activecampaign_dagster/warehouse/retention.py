"""Removes what may no longer be stored: fields left out, plain values, deleted records."""

from __future__ import annotations

from datetime import datetime

import duckdb

from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.warehouse import builds, ledger, rejected
from activecampaign_dagster.warehouse.hashing import (
    all_hashed_sql,
    is_hashed_sql,
    landing_sql,
    set_key,
)
from activecampaign_dagster.warehouse.sql import quoted
from activecampaign_dagster.warehouse.tables import columns, existing, relation
from activecampaign_dagster.warehouse.warehouse import commit


def keep_to_settings(db: duckdb.DuckDBPyConnection, source: Source, at: datetime) -> None:
    """Remove from a source's tables what its settings no longer allow to be stored.

    Rewritten rows keep their stamps: nothing changed in the account. at: the time of the sync.
    """
    if any(stream_table.hashed for stream_table in source.stream_tables):
        set_key(db)

    def kept() -> None:
        for stream_table in existing(db, source):
            _clear_what_is_left_out(db, source, stream_table)
            if stream_table.hashed:
                _hash_what_is_stored(db, stream_table)
            if source.purge_deleted_after is not None:
                _purge(db, source, stream_table, at - source.purge_deleted_after)

    commit(db, kept)


def _clear_what_is_left_out(
    db: duckdb.DuckDBPyConnection, source: Source, stream_table: StreamTable
) -> None:
    if stream_table.stores_all:
        return
    table = relation(stream_table.table)
    for column in columns(db, stream_table):
        if not stream_table.stores(column.key):
            name = quoted(column.name)
            _rewrite(db, f"update {table} set {name} = null where {name} is not null")
            rejected.forget_column(db, source, stream_table, column.name)


def _hash_what_is_stored(db: duckdb.DuckDBPyConnection, stream_table: StreamTable) -> None:
    table = relation(stream_table.table)
    for column in columns(db, stream_table):
        if column.key in stream_table.hashed:
            name = quoted(column.name)
            is_json = column.type == "JSON"
            done = all_hashed_sql(name) if is_json else is_hashed_sql(name)
            _rewrite(
                db,
                f"update {table} set {name} = {landing_sql(column.type, name)} where not {done}",
            )


def _rewrite(db: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Rewrite rows; the models are built anew, as the rows' stamps do not tell."""
    changed = db.execute(sql).fetchone()
    if changed and changed[0]:
        builds.forget(db)


def _purge(
    db: duckdb.DuckDBPyConnection, source: Source, stream_table: StreamTable, before: datetime
) -> None:
    table = relation(stream_table.table)
    gone = db.execute(f"delete from {table} where _deleted_at < ?", [before]).fetchone()
    if gone and gone[0]:
        rejected.forget_gone(db, source, stream_table)
        ledger.recount(db, source.name, stream_table.name, stream_table.table)
