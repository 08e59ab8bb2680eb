"""From staged JSON to typed rows: the SQL that reads segments into a table."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from activecampaign_dagster.streams.source import StreamTable
from activecampaign_dagster.warehouse.hashing import landing_sql, set_key
from activecampaign_dagster.warehouse.sql import literal, quoted
from activecampaign_dagster.warehouse.tables import Column, key_sql, stub_sql

_SMALLEST_BUFFER = 1 << 20  # bytes; DuckDB reads with two of them per thread

# A value fits its type if it has the form that the type is declared for; DuckDB's own casts are
# more lenient (12.5 becomes 13, an offset in a naive stamp is dropped). Years before 1000 mean that
# there is no date; with an offset the first ones are B.C., which hardly any tool can read. In
# 9999 a zone or a margin leads to a year that has no date.
_DATE = r"([1-8]\d{3}|9[0-8]\d\d|99[0-8]\d|999[0-8])-\d\d-\d\d"
_TIME = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?"
_OFFSET = r"(Z|[+-](0\d|1[0-5])(:?[0-5]\d)?)"
_FORMS = {
    "BIGINT": r"\s*[+-]?\d+(\.0*)?\s*",
    "TIMESTAMPTZ": rf"{_DATE}[T ]{_TIME}\s?{_OFFSET}",
    "TIMESTAMP": rf"{_DATE}([T ]{_TIME})?",
}


def load(
    db: duckdb.DuckDBPyConnection,
    table: str,
    stream_table: StreamTable,
    columns: Sequence[Column],
    files: Sequence[str],
    longest: int,
) -> None:
    """Make `table` of segments: the columns, typed, one row per key.

    `_key` tells rows apart, `_unfit` holds the texts of fields that no column can hold, `_raw`
    those of a row in which a value does not fit,
    `_record` the whole record if it has no proper key, `_stub` whether the key may not see it in
    full, `_n` where it came in the order of reading. longest: bytes of the longest line.
    """
    if stream_table.hashed:
        set_key(db)
    source, values = _reader(columns, files, longest)
    typed = ",\n".join(
        f"{_stored_sql(stream_table, column, value)} as {quoted(column.name)}"
        for column, value in zip(columns, values, strict=True)
    )
    # misfits look at typed columns: written beside them, each type's SQL would be planned twice
    names = ", ".join(quoted(column.name) for column in columns)
    unfit = " or ".join(misfits(c, value) for c, value in zip(columns, values, strict=True))
    texts = ", ".join(f"{value}::varchar" for value in values)
    key = key_sql(stream_table.stream, "typed")
    db.execute(f"""
        create table {table} as
        with typed as (select n as _n, r, x, _u, {typed} from {source})
        select
            _n, {key} as _key, {names}, _u as _unfit,
            case when {key} is null or {unfit} then [{texts}] end as _raw,
            case when {key} is null then {_record_sql(stream_table)} end as _record,
            {stub_sql(stream_table, "typed")} as _stub
        from typed
    """)
    counted = db.execute(f"select count(_key), count(distinct _key) from {table}").fetchone()
    if counted and counted[0] != counted[1]:
        order = f"_stub, {version(stream_table, 'b')} desc nulls last, _n desc"
        db.execute(f"""
            delete from {table} where rowid in (
                select row_id from (
                    select
                        b.rowid as row_id,
                        row_number() over (partition by b._key order by {order}) as place
                    from {table} as b
                    where b._key in (from {table} select _key group by _key having count(*) > 1)
                ) where place > 1
            )
        """)


def _reader(columns: Sequence[Column], files: Sequence[str], longest: int) -> tuple[str, list[str]]:
    """SQL: the lines of segments (see `spool`), and the value of each column in them.

    A value is text, or a JSON document where the column is one.
    """
    types = {c.key: "JSON" if c.type == "JSON" else "VARCHAR" for c in columns}
    values = [f"r.{quoted(c.key)}" for c in columns]
    record = f"struct({', '.join(f'{quoted(key)} {type_}' for key, type_ in types.items())})"
    if len({key.casefold() for key in types}) < len(types) or "" in types:
        # a struct minds no case and has no nameless fields; JSON is slower to take apart
        record = "json"
        values = [
            f"json_extract{'' if c.type == 'JSON' else '_string'}(r, {literal(_pointer(c.key))})"
            for c in columns
        ]
    if not files:
        return (
            f"(select null::bigint as n, null::{record} as r, null::json as x, null::json as _u "
            "where false)",
            values,
        )
    names = ", ".join(map(literal, files))
    size = max(longest + 1, _SMALLEST_BUFFER)
    source = (
        f"read_ndjson([{names}], columns = {{n: 'bigint', r: {literal(record)}, x: 'json', "
        f"_u: 'json'}}, maximum_object_size = {size})"
    )
    return source, values


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _stored_sql(stream_table: StreamTable, column: Column, value: str) -> str:
    """SQL: what is stored of a value: its keyed hash, where the user wants no more."""
    typed = typed_sql(column, value)
    return landing_sql(column.type, typed) if column.key in stream_table.hashed else typed


def _record_sql(stream_table: StreamTable) -> str:
    """SQL: a record without a proper id, kept for inspection: nothing that is not to be stored."""
    if stream_table.hashed or not stream_table.stores_all:
        return "to_json('a record of which not all may be stored')"
    return "x"


def typed_sql(column: Column, value: str) -> str:
    """SQL: what a column holds of `value`, text or for JSON a document; NULL if it does not fit."""
    match column.type:
        case "BIGINT" | "TIMESTAMPTZ" | "TIMESTAMP":
            fits = f"regexp_full_match({value}, {literal(_FORMS[column.type])})"
            return f"case when {fits} then try_cast({value} as {column.type}) end"
        case "BOOLEAN":
            truths = "when 'true' then true when '1' then true"
            return f"case {value} {truths} when 'false' then false when '0' then false end"
        case "JSON":
            return f"nullif({value}, 'null')"
        case _:
            return value


def misfits(column: Column, text: str) -> str:
    """SQL: whether `text` holds a value that the column's type cannot; `false` if it always can."""
    name = quoted(column.name)
    match column.type:
        case "BIGINT" | "BOOLEAN":
            return f"({name} is null and {text} <> '')"
        case "TIMESTAMPTZ" | "TIMESTAMP":
            return f"({name} is null and {text} <> '' and not starts_with({text}, '0000-00-00'))"
        case _:
            return "false"


def version(stream_table: StreamTable, alias: str) -> str:
    """SQL: the stamp that tells which of two versions of a record is newer."""
    stamps = [f"{alias}.{quoted(name)}" for name in stream_table.stream.stamps]
    return f"coalesce({', '.join(stamps)})" if stamps else "null"
