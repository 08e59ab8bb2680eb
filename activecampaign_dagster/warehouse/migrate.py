"""Tables whose declaration has changed: columns take their new type, and no value is lost."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from activecampaign_dagster.streams.declaration import Type
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.warehouse import ledger, pivot, rejected, tables
from activecampaign_dagster.warehouse.cast import typed_sql
from activecampaign_dagster.warehouse.sql import quoted
from activecampaign_dagster.warehouse.tables import Column, key_sql, relation
from activecampaign_dagster.warehouse.warehouse import commit

_BY = "migration"  # the sync id of values that a change of type could not take over


def prepare(db: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Make the tables of a source as its streams declare them; idempotent."""

    def made() -> None:
        ledger.create(db)
        rejected.create(db)
        ledger.tidy(db)
        tables.create(db, source)
        pivot.note_labels(db, source)

    commit(db, made)
    retype(db, source)


def retype(db: duckdb.DuckDBPyConnection, source: Source) -> list[str]:
    """Give existing columns the types that are declared now; returns what was changed.

    What the new type cannot hold is NULL in the table and kept verbatim in `_rejected_values`,
    like a value that the API sends. Each column in a transaction of its own; idempotent.
    """
    found = commit(db, lambda: list(_changed(db, source)))
    for stream_table, column, type_ in found:
        _retype(db, source, stream_table, Column(column.name, type_, column.key))
    return [f"{table.table}.{column.name}: {column.type} to {new}" for table, column, new in found]


def _changed(
    db: duckdb.DuckDBPyConnection, source: Source
) -> Iterator[tuple[StreamTable, Column, str]]:
    """The columns whose declared type is another one than they have, and that type."""
    for stream_table in tables.existing(db, source):
        declared = {field.name: str(field.type) for field in stream_table.stream.fields}
        for column in tables.columns(db, stream_table):
            type_ = declared.get(column.key, column.type)
            if type_ != column.type:
                yield stream_table, column, type_


def _retype(
    db: duckdb.DuckDBPyConnection, source: Source, stream_table: StreamTable, column: Column
) -> None:
    name, table = quoted(column.name), relation(stream_table.table)
    text = f"({name}::varchar)"
    # a text that is no JSON document becomes one: a string
    document = f"coalesce(try_cast({text} as json), to_json({text}))"
    value = typed_sql(column, document if column.type == Type.JSON else text)
    key = key_sql(stream_table.stream, "t")

    def retyped() -> None:
        rejected.keep_retyped(
            db,
            source,
            stream_table,
            column,
            f"select {key} as key, {text} as old, {value} as {name} from {table} as t",
            _BY,
        )
        # a lake only widens types in place; the order of columns stays
        tables.replace_column(db, stream_table, column, value)

    commit(db, retyped)
