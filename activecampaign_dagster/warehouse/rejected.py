"""Values that do not fit their column's type: NULL in the table, kept verbatim beside it."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.warehouse.cast import misfits
from activecampaign_dagster.warehouse.sql import SCHEMA, literal
from activecampaign_dagster.warehouse.tables import Column, key_sql, relation

NAME = "_rejected_values"
_TABLE = f"{SCHEMA}.{NAME}"


def create(db: duckdb.DuckDBPyConnection) -> None:
    """Make the table where it is missing."""
    db.execute(f"""
        create table if not exists {_TABLE} (
            account varchar, stream varchar, id varchar, "column" varchar, "value" varchar,
            sync_id varchar
        )""")


def keep(
    db: duckdb.DuckDBPyConnection,
    source: Source,
    stream_table: StreamTable,
    rows: str,
    columns: Sequence[Column],
    sync_id: str,
    *,
    has_some: bool,
) -> int:
    """Keep what did not fit in typed rows (see `cast.load`); returns how many values there are.

    What was kept of the same records before is forgotten, unless it still does not fit. has_some:
    whether values of the stream are kept already (see `streams`).
    """
    where, owner = "account = ? and stream = ?", [source.name, stream_table.name]
    misfit = db.execute(f"select exists (from {rows} where _raw is not null or _unfit is not null)")
    if misfit.fetchone() == (False,) and not has_some:
        return 0
    cases = ", ".join(
        f"{{'column': {literal(column.name)}, 'value': case when {unfit} then _raw[{i}] end}}"
        for i, column in enumerate(columns, 1)
        if (unfit := misfits(column, f"_raw[{i}]")) != "false"
    )
    found = f"""(
        with misfits as (
            select _key::varchar as id, unnest([{cases}], recursive := true)
            from {rows} where _raw is not null and _key is not null
        )
        select id, "column", "value" from misfits where "value" is not null
        union all
        select r._key::varchar, e.key, e.value ->> '$'
        from {rows} as r, json_each(r._unfit) as e where r._unfit is not null and _key is not null
        union all
        select distinct null, 'id', _record::varchar from {rows} where _key is null
    )"""
    same = 'n."column" = r."column" and n."value" = r."value"'
    db.execute(
        f"delete from {_TABLE} r where {where} and r.id in "
        f"(select _key::varchar from {rows} where not _stub) and not exists "
        f"(from {found} n where n.id = r.id and {same})",
        owner,
    )
    db.execute(
        f'insert into {_TABLE} select ?, ?, id, "column", "value", ? from {found} n where not '
        f"exists (from {_TABLE} r where {where} and r.id is not distinct from n.id and {same})",
        [*owner, sync_id, *owner],
    )
    counted = db.execute(f"select count(*) from {found}").fetchone()
    return int(counted[0]) if counted else 0


def streams(db: duckdb.DuckDBPyConnection, source: Source) -> set[str]:
    """The streams of which values are kept."""
    # to find nothing in an empty table, which is the usual one, takes a lake twice as long if there
    # is a condition
    if db.execute(f"select 1 from {_TABLE} limit 1").fetchone() is None:
        return set()
    found = db.execute(f"select distinct stream from {_TABLE} where account = ?", [source.name])
    return {stream for (stream,) in found.fetchall()}


def keep_retyped(
    db: duckdb.DuckDBPyConnection,
    source: Source,
    stream_table: StreamTable,
    column: Column,
    rows: str,
    sync_id: str,
) -> None:
    """Keep what a change of type cannot take over. rows: SQL, `key`, `old` and the new value."""
    unfit = "false" if column.type == "JSON" else misfits(column, "old")
    db.execute(
        f"insert into {_TABLE} select ?, ?, key::varchar, ?, old, ? from ({rows}) where {unfit}",
        [source.name, stream_table.name, column.name, sync_id],
    )


def forget_column(
    db: duckdb.DuckDBPyConnection, source: Source, stream_table: StreamTable, column: str
) -> None:
    """Remove what is kept of a column that is no longer stored."""
    db.execute(
        f'delete from {_TABLE} where account = ? and stream = ? and "column" = ?',
        [source.name, stream_table.name, column],
    )


def forget_gone(db: duckdb.DuckDBPyConnection, source: Source, stream_table: StreamTable) -> None:
    """Remove what is kept of records that have no row any more."""
    db.execute(
        f"delete from {_TABLE} where account = ? and stream = ? and id is not null and id not in "
        f"(select ({key_sql(stream_table.stream, 't')})::varchar "
        f"from {relation(stream_table.table)} as t)",
        [source.name, stream_table.name],
    )


def forget_keys(
    db: duckdb.DuckDBPyConnection, account: str | None, stream: str, keys: Sequence[str]
) -> int:
    """Remove what is kept of records; returns how many values that were."""
    return _removed(
        db, "account = ? and stream = ? and id in (select unnest(?))", [account, stream, keys]
    )


def forget_values(db: duckdb.DuckDBPyConnection, where: str) -> int:
    """Remove values; where: SQL over `"value"`. Returns how many that were."""
    return _removed(db, where, [])


def _removed(db: duckdb.DuckDBPyConnection, where: str, values: Sequence[object]) -> int:
    found = db.execute(f"delete from {_TABLE} where {where}", list(values)).fetchone()
    return int(found[0]) if found else 0


def count_by_column(db: duckdb.DuckDBPyConnection, account: str, stream: str) -> dict[str, int]:
    """Column → how many of its values are kept here."""
    found = db.execute(
        f'select "column", count(*) from {_TABLE} where account = ? and stream = ? '
        "group by all order by all",
        [account, stream],
    )
    return dict(found.fetchall())
