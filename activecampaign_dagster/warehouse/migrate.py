"""Tables whose declaration has changed: columns take their new type, and no value is lost."""

from __future__ import annotations

import duckdb

from activecampaign_dagster.streams.declaration import Type
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.warehouse import ledger, pivot, rejected, tables
from activecampaign_dagster.warehouse.cast import typed_sql
from activecampaign_dagster.warehouse.sql import quoted
from activecampaign_dagster.warehouse.tables import Column, key_sql, relation
from activecampaign_dagster.warehouse.warehouse import transaction

_BY = "migration"  # the sync id of values that a change of type could not take over


def prepare(db: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Make the tables of a source as its streams declare them; idempotent."""
    with transaction(db):
        ledger.create(db)
        rejected.create(db)
    tables.create(db, source)
    retype(db, source)
    pivot.note_labels(db, source)


def retype(db: duckdb.DuckDBPyConnection, source: Source) -> list[str]:
    """Give existing columns the types that are declared now; returns what was changed.

    What the new type cannot hold is NULL in the table and kept verbatim in `_rejected_values`,
    like a value that the API sends. Each column in a transaction of its own; idempotent.
    """
    changed = []
    for stream_table in source.stream_tables:
        declared = {field.name: str(field.type) for field in stream_table.stream.fields}
        for column in tables.columns(db, stream_table):
            type_ = declared.get(column.key, column.type)
            if type_ != column.type:
                _retype(db, source, stream_table, Column(column.name, type_, column.key))
                changed.append(f"{stream_table.table}.{column.name}: {column.type} to {type_}")
    return changed


def _retype(
    db: duckdb.DuckDBPyConnection, source: Source, stream_table: StreamTable, column: Column
) -> None:
    name, table = quoted(column.name), relation(stream_table.table)
    text = f"({name}::varchar)"
    # a text that is no JSON document becomes one: a string
    document = f"coalesce(try_cast({text} as json), to_json({text}))"
    value = typed_sql(column, document if column.type == Type.JSON else text)
    key = key_sql(stream_table.stream, "t")
    with transaction(db):
        rejected.keep_retyped(
            db,
            source,
            stream_table,
            column,
            f"select {key} as key, {text} as old, {value} as {name} from {table} as t",
            _BY,
        )
        db.execute(
            f"alter table {table} alter column {name} set data type {column.type} using {value}"
        )
