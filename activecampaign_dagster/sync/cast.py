"""From staged JSON to typed rows: the SQL that reads segments into a table."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from activecampaign_dagster.sync.source import Target
from activecampaign_dagster.sync.tables import Column, stub_sql
from activecampaign_dagster.sync.warehouse import literal, quoted

_SMALLEST_BUFFER = 1 << 20  # bytes; DuckDB reads with two of them per thread

# A value fits its type if it has the form that the type is declared for; DuckDB's own casts are
# more lenient (12.5 becomes 13, an offset in a naive stamp is dropped).
_FORMS = {
    "BIGINT": r"\s*[+-]?\d+(\.0*)?\s*",
    "TIMESTAMPTZ": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s?(Z|[+-]\d\d(:?\d\d)?)",
    "TIMESTAMP": r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?",
}


def load(
    db: duckdb.DuckDBPyConnection,
    table: str,
    target: Target,
    columns: Sequence[Column],
    files: Sequence[str],
    longest: int,
) -> None:
    """Make `table` of segments: the columns, typed, one row per id.

    `_raw` holds the texts of a row in which a value does not fit, `_record` the whole record if
    it has no proper id, `_stub` whether the key may not see it in full. longest: bytes of the
    longest line.
    """
    paths = ", ".join(literal(_pointer(column.key)) for column in columns)
    nested = [column for column in columns if column.type == "JSON"]
    nested_paths = ", ".join(literal(_pointer(column.key)) for column in nested)
    place = {column.name: i for i, column in enumerate(nested, 1)}
    lines = "(select null::json as json where false)"
    if files:
        names = ", ".join(map(literal, files))
        size = max(longest + 1, _SMALLEST_BUFFER)
        lines = f"read_ndjson_objects([{names}], maximum_object_size = {size})"
    typed = ",\n".join(
        f"{typed_sql(column, f'v[{i}]', f'nested[{place.get(column.name)}]')} "
        f"as {quoted(column.name)}"
        for i, column in enumerate(columns, 1)
    )
    unfit = " or ".join(misfits(column, f"v[{i}]") for i, column in enumerate(columns, 1))
    db.execute(f"""
        create table {table} as
        with texts as (
            select
                json,
                -- all paths in one call each: every call parses the document anew
                json_extract_string(json, [{paths}, '/n']) as v,
                json_extract(json, [{nested_paths}]::varchar[]) as nested
            from {lines}
        ),
        typed as (
            select
                cast(v[-1] as bigint) as _n, {typed},
                case when id is null or {unfit} then v end as _raw,
                case when id is null then json -> '/r' end as _record
            from texts
        )
        select *, {stub_sql(target, "typed")} as _stub from typed
    """)
    counted = db.execute(f"select count(id), count(distinct id) from {table}").fetchone()
    if counted and counted[0] != counted[1]:
        order = f"_stub, {version(target, 'b')} desc nulls last, _n desc"
        db.execute(f"""
            delete from {table} where rowid in (
                select row_id from (
                    select
                        b.rowid as row_id,
                        row_number() over (partition by b.id order by {order}) as place
                    from {table} as b
                    where b.id in (from {table} select id group by id having count(*) > 1)
                ) where place > 1
            )
        """)


def _pointer(key: str) -> str:
    return "/r/" + key.replace("~", "~0").replace("/", "~1")


def typed_sql(column: Column, text: str, nested: str) -> str:
    """SQL: the value of the column's type that `text`, or `nested` for JSON, holds; else NULL."""
    match column.type:
        case "BIGINT" | "TIMESTAMPTZ" | "TIMESTAMP":
            fits = f"regexp_full_match({text}, {literal(_FORMS[column.type])})"
            return f"case when {fits} then try_cast({text} as {column.type}) end"
        case "BOOLEAN":
            truths = "when 'true' then true when '1' then true"
            return f"case {text} {truths} when 'false' then false when '0' then false end"
        case "JSON":
            return f"nullif({nested}, 'null')"
        case _:
            return text


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


def version(target: Target, alias: str) -> str:
    """SQL: the stamp that tells which of two versions of a record is newer."""
    keys = [key for key in (target.stream.replication_key, target.stream.created_key) if key]
    return f"coalesce({', '.join(f'{alias}.{quoted(key)}' for key in keys)})" if keys else "null"
