"""A database moves: all tables of a file into another warehouse, compared row by row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import duckdb

from activecampaign_dagster.warehouse import builds, ledger
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.location import Location
from activecampaign_dagster.warehouse.sql import SCHEMA, literal, quoted, relations
from activecampaign_dagster.warehouse.warehouse import Warehouse, WarehouseError, commit

_FROM = "copied_from"


@dataclass(frozen=True, slots=True)
class Copied:
    """A table that was copied, and is the same in both places."""

    schema: str
    table: str
    rows: int


def copy(origin: Location, target: Warehouse) -> Iterator[Copied]:
    """Copy all tables of a file into a warehouse that has none; yields each once it is compared.

    Views are not copied: the sync and dbt make theirs again. A copy that was interrupted begins
    anew. Raises WarehouseError if the target has rows of streams, or a table cannot be kept there.
    """
    with connect(origin.path):  # which waits for others, and repairs what a kill has left
        pass
    with target.connect() as db:
        _refuse_rows(db, target)
        db.execute(f"attach {literal(str(origin.path))} as {_FROM} (read_only)")
        try:
            commit(db, partial(_begin, db))
            for schema, table in _tables(db):
                yield _copied(db, schema, table)
            commit(db, partial(_end, db))
            commit(db, partial(builds.forget, db))
        finally:
            db.execute(f"detach {_FROM}")


def _refuse_rows(db: duckdb.DuckDBPyConnection, target: Warehouse) -> None:
    """Raise WarehouseError if the target has rows of streams that are no copy's."""
    present = relations(db)
    if (SCHEMA, ledger.UNFINISHED) in present:
        return
    for (schema, table), kind in present.items():
        if schema == SCHEMA and kind == "BASE TABLE":
            [[has_rows]] = db.execute(f"select exists (from {_place(schema, table)})").fetchall()
            if has_rows:
                raise WarehouseError(
                    f"{target.location.label} already has tables of streams: copy into an empty "
                    "one, which is another PGDATABASE and another ACTIVECAMPAIGN_LAKE_FILES."
                )


def _begin(db: duckdb.DuckDBPyConnection) -> None:
    """Remove what an earlier copy, or `init`, has left, and note that a copy is under way."""
    copied = {*_tables(db)}
    for (schema, name), kind in relations(db).items():
        if schema == SCHEMA or (schema, name) in copied:
            what = "view" if kind == "VIEW" else "table"
            db.execute(f"drop {what} {_place(schema, name)}")
    db.execute(f"create schema if not exists {SCHEMA}")
    db.execute(f"create table {_place(SCHEMA, ledger.UNFINISHED)} (since timestamptz)")


def _end(db: duckdb.DuckDBPyConnection) -> None:
    db.execute(f"drop table {_place(SCHEMA, ledger.UNFINISHED)}")
    ledger.create(db)


def _tables(db: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    return db.execute(
        "select table_schema, table_name from information_schema.tables "
        "where table_catalog = ? and table_type = 'BASE TABLE' order by all",
        [_FROM],
    ).fetchall()


def _copied(db: duckdb.DuckDBPyConnection, schema: str, table: str) -> Copied:
    own, theirs = _place(schema, table), f"{_FROM}.{_place(schema, table)}"

    def made() -> None:
        db.execute(f"create schema if not exists {quoted(schema)}")
        db.execute(f"create table {own} as from {theirs}")
        for column, text in _comments(db, schema, table):
            on = f"column {own}.{quoted(column)}" if column else f"table {own}"
            db.execute(f"comment on {on} is {literal(text)}")

    try:
        commit(db, made)
        differences = db.execute(
            f"select (select count(*) from (from {theirs} except all from {own})) + "
            f"(select count(*) from (from {own} except all from {theirs})), "
            f"(select count(*) from {own})"
        ).fetchone() or (-1, 0)
    except duckdb.Error as error:
        raise WarehouseError(
            f"{schema}.{table} cannot be copied: {str(error).splitlines()[0]}"
        ) from error
    if differences[0]:
        raise WarehouseError(
            f"The copy of {schema}.{table} differs from the original: please report this."
        )
    return Copied(schema, table, differences[1])


def _comments(db: duckdb.DuckDBPyConnection, schema: str, table: str) -> list[tuple[str, str]]:
    """Column → comment; an empty column for the table's own."""
    return db.execute(
        "select column_name, comment from duckdb_columns() where database_name = $from and "
        "schema_name = $schema and table_name = $table and comment is not null union all "
        "select '', comment from duckdb_tables() where database_name = $from and "
        "schema_name = $schema and table_name = $table and comment is not null",
        {"from": _FROM, "schema": schema, "table": table},
    ).fetchall()


def _place(schema: str, table: str) -> str:
    return f"{quoted(schema)}.{quoted(table)}"
