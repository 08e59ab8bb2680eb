"""From staging to a table: typed, merged and accounted for in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import duckdb

from activecampaign_dagster.streams.declaration import SyncType
from activecampaign_dagster.sync import tables
from activecampaign_dagster.sync.source import SCHEMA, Source, Target
from activecampaign_dagster.sync.tables import Column, relation
from activecampaign_dagster.sync.warehouse import literal, quoted

_SMALLEST_BUFFER = 1 << 20  # bytes; DuckDB reads with two of them per thread

# A value fits its type if it has the form that the type is declared for; DuckDB's own casts are
# more lenient (12.5 becomes 13, an offset in a naive stamp is dropped).
_FORMS = {
    "BIGINT": r"\s*[+-]?\d+(\.0*)?\s*",
    "TIMESTAMPTZ": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s?(Z|[+-]\d\d(:?\d\d)?)",
    "TIMESTAMP": r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?",
}


class ShiftedError(Exception):
    """The account no longer holds what was staged before a kill: it has to be read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Staged records on their way into a table.

    longest: bytes of the longest line in the files.
    is_full: they are all the account has, so that what is missing was deleted.
    expected: how many records the account says it has, where that must agree; else None.
    """

    target: Target
    files: Sequence[str]
    longest: int
    extras: Sequence[str]
    is_full: bool
    watermark: datetime | None
    sync_id: str
    at: datetime
    expected: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """What became of a batch: row counts, and the columns that it added."""

    inserted: int
    updated: int
    unchanged: int
    deleted: int
    rejected: int
    live_rows: int
    deleted_rows: int
    new_columns: tuple[str, ...]


def land(db: duckdb.DuckDBPyConnection, source: Source, batch: Batch) -> Landed:
    """Merge a batch into its table and move the stream on, in one transaction.

    The newer version by replication key wins (creation stamp where that is null), ties go to the
    one read later, and a stub never replaces a full row. Rows that stay as they are are not
    written.
    """
    present = tables.columns(db, batch.target)
    keys = {column.key for column in present}
    added: list[Column] = []
    for key in batch.extras:
        if key not in keys:
            taken = [column.name for column in (*present, *added)]
            taken += [name for name, _, _ in tables.BOOKKEEPING]
            added.append(tables.column_for(key, taken))
    tables.add_columns(db, batch.target, [(column.name, column.type) for column in added])
    try:
        with _transaction(db):
            return _land(db, source, batch, [*present, *added], added)
    finally:
        db.execute("drop table if exists temp.batch; drop table if exists temp.verdict")


@contextmanager
def _transaction(db: duckdb.DuckDBPyConnection) -> Iterator[None]:
    db.execute("begin")
    try:
        yield
    except BaseException:
        db.execute("rollback")
        raise
    db.execute("commit")


def _land(
    db: duckdb.DuckDBPyConnection,
    source: Source,
    batch: Batch,
    all_columns: list[Column],
    added: list[Column],
) -> Landed:
    table = relation(batch.target.table)
    _load(db, batch, all_columns)
    rejected = _reject(db, source, batch, all_columns)
    if batch.expected is not None:
        found = db.execute("select count(*) from temp.batch where id is not null").fetchone()
        if found != (batch.expected,):
            raise ShiftedError
    db.execute(_verdict_sql(batch.target, table, all_columns))
    counts = dict(db.execute("select verdict, count(*) from temp.verdict group by all").fetchall())
    stamp = [batch.at, batch.sync_id]
    names = ", ".join(quoted(column.name) for column in all_columns)
    db.execute(f"delete from {table} where id in (select id from verdict where verdict = 'update')")
    db.execute(
        f"insert into {table} ({names}, _synced_at, _sync_id, _deleted_at) "
        f"select {names}, ?, ?, null from temp.batch semi join "
        "(select id from verdict where verdict in ('insert', 'update')) using (id)",
        stamp,
    )
    db.execute(
        f"update {table} set _deleted_at = null, _synced_at = ?, _sync_id = ? "
        "where id in (select id from verdict where verdict = 'revive')",
        stamp,
    )
    deleted = _delete(db, batch, table) if batch.is_full else 0
    live, gone = _account_for(db, source, batch, table)
    return Landed(
        inserted=counts.get("insert", 0),
        updated=counts.get("update", 0) + counts.get("revive", 0),
        unchanged=counts.get("keep", 0),
        deleted=deleted,
        rejected=rejected,
        live_rows=live,
        deleted_rows=gone,
        new_columns=tuple(column.name for column in added),
    )


def _load(db: duckdb.DuckDBPyConnection, batch: Batch, all_columns: list[Column]) -> None:
    """temp.batch: one typed row per id, and as they are the rows that do not fit (`_raw`)."""
    paths = [_pointer(column.key) for column in all_columns]
    files = ", ".join(map(literal, batch.files))
    lines = (
        f"select json from read_ndjson_objects([{files}], "
        f"maximum_object_size={max(batch.longest + 1, _SMALLEST_BUFFER)})"
        if batch.files
        else "select null::json as json where false"
    )
    typed = ",\n".join(
        f"{_typed(column, i)} as {quoted(column.name)}" for i, column in enumerate(all_columns, 1)
    )
    misfits = " or ".join(_misfits(column, i) for i, column in enumerate(all_columns, 1))
    stream = batch.target.stream
    order = ", ".join(["_stub", f"{_version(batch.target, 'typed')} desc nulls last", "_n desc"])
    stub = "false"
    if stream.stub_flag:
        key = quoted(str(stream.replication_key))
        stub = f"coalesce({quoted(stream.stub_flag)}, false) and {key} is null"
    db.execute(f"""
        create temp table batch as
        with lines as ({lines}),
        texts as (
            select
                cast(json ->> '/n' as bigint) as _n,
                json_extract_string(json, [{", ".join(map(literal, paths))}]) as v,
                json
            from lines
        ),
        typed as (
            select
                _n, {typed},
                case when id is null or {misfits} then v end as _raw,
                case when id is null then json -> '/r' end as _record
            from texts
        ),
        marked as (select *, {stub} as _stub from typed)
        select * from marked as typed
        qualify id is null or row_number() over (partition by id order by {order}) = 1
    """)


def _pointer(key: str) -> str:
    return "/r/" + key.replace("~", "~0").replace("/", "~1")


def _typed(column: Column, i: int) -> str:
    text = f"v[{i}]"
    match column.type:
        case "BIGINT" | "TIMESTAMPTZ" | "TIMESTAMP":
            form = literal(_FORMS[column.type])
            fits = f"regexp_full_match({text}, {form})"
            return f"case when {fits} then try_cast({text} as {column.type}) end"
        case "BOOLEAN":
            truths = "when 'true' then true when '1' then true"
            return f"case {text} {truths} when 'false' then false when '0' then false end"
        case "JSON":
            return f"nullif(json -> {literal(_pointer(column.key))}, 'null')"
        case _:
            return text


def _misfits(column: Column, i: int) -> str:
    """SQL: whether a value is there that its type cannot hold."""
    text, name = f"v[{i}]", quoted(column.name)
    match column.type:
        case "BIGINT" | "BOOLEAN":
            return f"({name} is null and {text} <> '')"
        case "TIMESTAMPTZ" | "TIMESTAMP":
            return f"({name} is null and {text} <> '' and not starts_with({text}, '0000-00-00'))"
        case _:
            return "false"


def _version(target: Target, alias: str) -> str:
    """SQL: the stamp that tells which of two versions of a record is newer."""
    stream = target.stream
    keys = [key for key in (stream.replication_key, stream.created_key) if key]
    return f"coalesce({', '.join(f'{alias}.{quoted(key)}' for key in keys)})" if keys else "null"


def _verdict_sql(target: Target, table: str, all_columns: list[Column]) -> str:
    """temp.verdict: what becomes of each id of the batch."""
    stream = target.stream
    differs = " or ".join(
        f"t.{quoted(column.name)} is distinct from b.{quoted(column.name)}"
        for column in all_columns
    )
    old_is_stub, stubbed = "false", "false"
    if stream.stub_flag:
        key = quoted(str(stream.replication_key))
        old_is_stub = f"(coalesce(t.{quoted(stream.stub_flag)}, false) and t.{key} is null)"
        stubbed = f"(b._stub and not {old_is_stub})"
    newer = "true"
    if stream.replication_key:
        newer = (
            f"({old_is_stub} or coalesce({_version(target, 'b')} >= {_version(target, 't')}, true))"
        )
    return f"""
        create temp table verdict as
        select b.id, case
            when t.id is null then 'insert'
            when not {stubbed} and {newer} and ({differs}) then 'update'
            when t._deleted_at is not null then 'revive'
            else 'keep'
        end as verdict
        from (from temp.batch where id is not null) as b left join {table} as t on t.id = b.id
    """


def _delete(db: duckdb.DuckDBPyConnection, batch: Batch, table: str) -> int:
    """Rows that a complete read did not return: marked, or gone from a FULL_TABLE table."""
    gone = "id not in (select id from temp.verdict)"
    if batch.target.sync_type is SyncType.FULL_TABLE:
        result = db.execute(f"delete from {table} where {gone}").fetchone()
    else:
        result = db.execute(
            f"update {table} set _deleted_at = ?, _synced_at = ?, _sync_id = ? "
            f"where _deleted_at is null and {gone}",
            [batch.at, batch.at, batch.sync_id],
        ).fetchone()
    return int(result[0]) if result else 0


def _reject(
    db: duckdb.DuckDBPyConnection, source: Source, batch: Batch, all_columns: list[Column]
) -> int:
    """Keep what did not fit verbatim in `_rejected_values`; returns how many values there are."""
    cases = ", ".join(
        f"{{'column': {literal(column.name)}, "
        f"'value': case when {_misfits(column, i).replace('v[', '_raw[')} then _raw[{i}] end}}"
        for i, column in enumerate(all_columns, 1)
        if _misfits(column, i) != "false"
    )
    db.execute(f"""
        create or replace temp table rejected as
        with misfits as (
            select id::varchar as id, unnest([{cases}], recursive := true)
            from temp.batch where _raw is not null and id is not null
        )
        select id, "column", "value" from misfits where "value" is not null
        union all
        select distinct null, 'id', _record::varchar from temp.batch where id is null
    """)
    found = db.execute("select count(*) from temp.rejected").fetchone()
    where = "account = ? and stream = ?"
    owner = [source.name, batch.target.name]
    db.execute(
        f"delete from {SCHEMA}._rejected_values r where {where} and r.id in "
        "(select id::varchar from temp.batch) and not exists (from temp.rejected n where "
        'n.id = r.id and n."column" = r."column" and n."value" = r."value")',
        owner,
    )
    db.execute(
        f'insert into {SCHEMA}._rejected_values select ?, ?, id, "column", "value", ? '
        f"from temp.rejected n where not exists (from {SCHEMA}._rejected_values r where {where} "
        'and r.id is not distinct from n.id and n."column" = r."column" and n."value" = r."value")',
        [*owner, batch.sync_id, *owner],
    )
    db.execute("drop table temp.rejected")
    return int(found[0]) if found else 0


def _account_for(
    db: duckdb.DuckDBPyConnection, source: Source, batch: Batch, table: str
) -> tuple[int, int]:
    """Write the stream's row of `_streams`; returns its live and its deleted rows."""
    counted = db.execute(
        f"select count(*) filter (_deleted_at is null), count(_deleted_at) from {table}"
    ).fetchone()
    live, gone = counted or (0, 0)
    where = "account = ? and stream = ?"
    owner = [source.name, batch.target.name]
    before = db.execute(
        f"select watermark, last_full_sync_at from {SCHEMA}._streams where {where}", owner
    ).fetchone()
    watermark, full_at = before or (None, None)
    if batch.watermark is not None and (watermark is None or batch.watermark > watermark):
        watermark = batch.watermark
    db.execute(f"delete from {SCHEMA}._streams where {where}", owner)
    db.execute(
        f"insert into {SCHEMA}._streams values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            *owner,
            batch.target.table,
            str(batch.target.sync_type),
            watermark,
            batch.at,
            batch.at if batch.is_full else full_at,
            batch.sync_id,
            live + gone,
            live,
            gone,
        ],
    )
    return live, gone
