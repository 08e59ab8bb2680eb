"""The tables that records land in: made and widened as their streams declare."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import duckdb

from activecampaign_dagster.streams.declaration import SEPARATOR, Stream, Type
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.warehouse import ledger
from activecampaign_dagster.warehouse.sql import SCHEMA, literal, quoted, relations

BOOKKEEPING = (
    ("_synced_at", "TIMESTAMPTZ", "When the row was last written by a sync"),
    ("_sync_id", "VARCHAR", "The sync that last wrote the row: the Dagster run id"),
    ("_deleted_at", "TIMESTAMPTZ", "When a sync found that it was deleted; NULL while it exists"),
)
HIDDEN = (
    "_hidden_at",
    "TIMESTAMPTZ",
    "Since when the key may see only a stub of the record; NULL while it is seen in full",
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, and the key of the record's JSON object that fills it."""

    name: str
    type: str
    key: str


def bookkeeping(stream: Stream) -> tuple[tuple[str, str, str], ...]:
    """Name, type and description of the columns that the sync adds to a stream's table."""
    return (*BOOKKEEPING, HIDDEN) if stream.stub else BOOKKEEPING


def stub_sql(stream_table: StreamTable, alias: str) -> str:
    """SQL: whether a row is a stub. A flagged record with its stamp was sent in full."""
    stub, key = stream_table.stream.stub, stream_table.stream.replication_key
    if not stub:
        return "false"
    stampless = f"{alias}.{quoted(key)} is null" if key else "true"
    return f"(coalesce({alias}.{quoted(stub.flag)}, false) and {stampless})"


def relation(table: str) -> str:
    """The quoted name of a table in the warehouse's schema."""
    return f"{SCHEMA}.{quoted(table)}"


def key_sql(stream: Stream, alias: str) -> str:
    """SQL: what tells a stream's rows apart, as one value; NULL if a part of it is.

    A number stays one, which is quicker to join; several columns make one text.
    """
    columns = [f"{alias}.{quoted(name)}" for name in stream.key]
    if len(columns) == 1:
        return columns[0]
    return f" || chr({ord(SEPARATOR)}) || ".join(f"{column}::varchar" for column in columns)


def create(db: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Make what is missing: tables of enabled streams, declared columns, lines in the ledger.

    Idempotent, in the transaction that is open. A stream that is not enabled gets no table; one
    that it has from earlier is kept like the others.
    """
    tables, listed = _tables(db), ledger.listed(db, source)
    for stream_table in source.stream_tables:
        stream = stream_table.stream
        declared = [(f.name, str(f.type), f.description) for f in stream.fields]
        wanted = (*declared, *bookkeeping(stream))
        present = tables.get(stream_table.table.casefold(), set())
        if not present and stream_table.name not in source.enabled:
            continue
        if not present:
            body = ", ".join(f"{quoted(n)} {t}" for n, t, _ in wanted)
            db.execute(f"create table {relation(stream_table.table)} ({body})")
            _describe(db, stream_table, wanted)
        else:
            missing = [column for column in wanted if column[0].casefold() not in present]
            add_columns(db, stream_table, [(name, type_) for name, type_, _ in missing])
            _describe(db, stream_table, missing)
            if HIDDEN in missing:
                db.execute(
                    f"update {relation(stream_table.table)} as t set _hidden_at = _synced_at "
                    f"where {stub_sql(stream_table, 't')}"
                )
        if not present or listed.get(stream_table.name) != stream_table.table:
            ledger.enter(db, source, stream_table)


def _describe(
    db: duckdb.DuckDBPyConnection,
    stream_table: StreamTable,
    described: Iterable[tuple[str, str, str]],
) -> None:
    db.execute(
        "".join(
            f"comment on column {relation(stream_table.table)}.{quoted(name)} is {literal(text)};"
            for name, _, text in described
        )
    )


def existing(db: duckdb.DuckDBPyConnection, source: Source) -> list[StreamTable]:
    """The tables of a source that there are: those of its enabled streams, and earlier ones."""
    names = {name.casefold() for schema, name in relations(db) if schema == SCHEMA}
    return [each for each in source.stream_tables if each.table.casefold() in names]


def add_columns(
    db: duckdb.DuckDBPyConnection, stream_table: StreamTable, added: Iterable[tuple[str, str]]
) -> None:
    """Widen a table, outside the transaction that lands rows, as DuckDB requires."""
    for name, type_ in added:
        db.execute(f"alter table {relation(stream_table.table)} add column {quoted(name)} {type_}")


def replace_column(
    db: duckdb.DuckDBPyConnection, stream_table: StreamTable, column: Column, value: str
) -> None:
    """Give a column another type, with what `value` (SQL) makes of each row, in its place.

    The table is written anew, comments included: not every warehouse changes types in place.
    """
    table, name = relation(stream_table.table), quoted(column.name)
    comments = db.execute(
        "select column_name, comment from duckdb_columns() where comment is not null and "
        "database_name = current_database() and schema_name = ? and table_name = ?",
        [SCHEMA, stream_table.table],
    ).fetchall()
    db.execute(
        f"create or replace table {table} as "
        f"select * replace (({value})::{column.type} as {name}) from {table}"
    )
    _describe(db, stream_table, [(name, "", text) for name, text in comments])


def columns(db: duckdb.DuckDBPyConnection, stream_table: StreamTable) -> list[Column]:
    """The table's columns that hold the record's fields, in order."""
    own = {name for name, _, _ in bookkeeping(stream_table.stream)}
    declared = {field.name.casefold(): field for field in stream_table.stream.fields}
    found = []
    described = f"select name, type from pragma_table_info({literal(relation(stream_table.table))})"
    for name, data_type in db.execute(described).fetchall():
        if name in own or name.casefold() in HELPERS:
            continue
        field = declared.get(name.casefold())
        type_ = "TIMESTAMPTZ" if data_type == "TIMESTAMP WITH TIME ZONE" else data_type
        found.append(Column(name, type_, field.name if field else _key(name)))
    return found


def _tables(db: duckdb.DuckDBPyConnection) -> dict[str, set[str]]:
    """Table → its columns, all in lower case."""
    rows = db.execute(
        "select table_name, column_name from duckdb_columns() "
        "where database_name = current_database() and schema_name = ?",
        [SCHEMA],
    ).fetchall()
    tables: dict[str, set[str]] = {}
    for table, name in rows:
        tables.setdefault(table.casefold(), set()).add(name.casefold())
    return tables


# Names that the SQL in `cast` and `merge` gives to columns of its own, and DuckDB's number of a
# row: a table's column of such a name could not be told from it.
HELPERS = frozenset(
    {
        "r",
        "x",
        "_u",
        "_n",
        "_key",
        "_raw",
        "_record",
        "_unfit",
        "_stub",
        "hidden_at",
        "made",
        "rowid",
    }
)
OTHER_FIELDS = "_other_fields"  # of undeclared fields beyond the number that become columns
_EMPTY = "__empty"
_CLASH = "__other"
_IS_CLASH = re.compile(rf"{_CLASH}\d*$")


def column_for(key: str, taken: Iterable[str]) -> Column:
    """The column for a field that nobody declared; `taken` names are used up, in any case.

    A name that cannot be the key's own gets a suffix, numbered from the second on. So does a key
    that ends like one, so that `_key` is exact.
    """
    if key == OTHER_FIELDS:
        return Column(key, str(Type.JSON), key)
    used = {name.casefold() for name in (*taken, *HELPERS, _EMPTY)}
    name = key or _EMPTY
    if key and (key.casefold() in used or _IS_CLASH.search(key)):
        names = (f"{key}{_CLASH}{number}" for number in ("", *range(2, len(used) + 2)))
        name = next(name for name in names if name.casefold() not in used)
    return Column(name, str(Type.VARCHAR), key)


def _key(name: str) -> str:
    return "" if name == _EMPTY else _IS_CLASH.sub("", name)


def count(db: duckdb.DuckDBPyConnection, stream_table: StreamTable) -> tuple[int, int]:
    """How many rows a table has that are in the account, and how many that were deleted there."""
    found = db.execute(
        "select count(*) filter (_deleted_at is null), count(_deleted_at) "
        f"from {relation(stream_table.table)}"
    ).fetchone()
    return found or (0, 0)


def values_of(db: duckdb.DuckDBPyConnection, stream_table: StreamTable, column: str) -> list[str]:
    """The distinct values of a column, as text, of the rows that are in the account."""
    found = db.execute(
        f"select distinct {quoted(column)}::varchar from {relation(stream_table.table)} "
        f"where _deleted_at is null and {quoted(column)} is not null"
    )
    return [value for (value,) in found.fetchall()]


def spooled_values(db: duckdb.DuckDBPyConnection, files: Sequence[str], field: str) -> list[str]:
    """The distinct values of a field, as text, in segments of records that land in no table."""
    if not files:
        return []
    names, form = ", ".join(map(literal, files)), literal(f"struct({quoted(field)} varchar)")
    found = db.execute(
        f"select distinct r.{quoted(field)} as found "
        f"from read_ndjson([{names}], columns = {{r: {form}}}) where found is not null"
    )
    return [value for (value,) in found.fetchall()]


def undeclared(db: duckdb.DuckDBPyConnection, source: Source) -> dict[str, set[str]]:
    """Stream → the fields that nobody declared and that have a column, for the enabled streams."""
    found = {}
    for stream_table in source.stream_tables:
        if stream_table.name in source.enabled:
            declared = {field.name for field in stream_table.stream.fields}
            keys = {column.key for column in columns(db, stream_table)}
            found[stream_table.name] = keys - declared - {OTHER_FIELDS}
    return found
