"""From staging to a table: typed, merged and accounted for in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from activecampaign_dagster.streams.declaration import SyncType
from activecampaign_dagster.sync import tables
from activecampaign_dagster.sync.cast import load, misfits, stub_sql, version
from activecampaign_dagster.sync.custom_fields import fill_custom_fields
from activecampaign_dagster.sync.source import SCHEMA, Source, Target
from activecampaign_dagster.sync.tables import Column, relation
from activecampaign_dagster.sync.warehouse import literal, quoted

_CHUNK_BYTES = 24_000_000  # of segments landed at a time: bounds the memory of a sync


class ShiftedError(Exception):
    """The account no longer holds what was staged before a kill: it has to be read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Staged records on their way into a table.

    longest: bytes of the longest line in the files.
    is_full: they are all the account has, so that what is missing was deleted.
    expected: how many records the account says it has, where that must agree; else None.
    absent: fields that the records lack by mishap: what the table holds of them stays.
    tags: custom field id → personalisation tag, if contacts.customFields is to be filled from
    the table of custom field values once the batch has landed.
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
    absent: frozenset[str] = frozenset()
    tags: Mapping[str, str] | None = None


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


def land(db: duckdb.DuckDBPyConnection, source: Source, batches: Sequence[Batch]) -> list[Landed]:
    """Merge batches into their tables and move their streams on, all in one transaction.

    The newer version by replication key wins (creation stamp where that is null), ties go to the
    one read later, and a stub never replaces a full row. Rows that stay as they are are not
    written. Raises ShiftedError, with nothing changed, if a batch is not what was expected.
    """
    added = [_widen(db, batch) for batch in batches]
    with _transaction(db):
        return [_land(db, source, *each) for each in zip(batches, added, strict=True)]


def _widen(db: duckdb.DuckDBPyConnection, batch: Batch) -> list[Column]:
    """Add the columns that a batch needs, outside the transaction as DuckDB requires."""
    present = tables.columns(db, batch.target)
    keys = {column.key for column in present}
    added: list[Column] = []
    for key in batch.extras:
        if key not in keys:
            taken = [column.name for column in (*present, *added)]
            taken += [name for name, _, _ in tables.BOOKKEEPING]
            added.append(tables.column_for(key, taken))
    tables.add_columns(db, batch.target, [(column.name, column.type) for column in added])
    return added


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
    db: duckdb.DuckDBPyConnection, source: Source, batch: Batch, added: Sequence[Column]
) -> Landed:
    table = relation(batch.target.table)
    columns = [c for c in tables.columns(db, batch.target) if c.key not in batch.absent]
    db.execute("create or replace temp table verdict (id bigint, verdict varchar)")
    rejected = 0
    for files in _chunks(batch.files):
        load(db, batch.target, columns, files, batch.longest)
        rejected += _reject(db, source, batch, columns)
        _merge(db, batch, table, columns)
    seen, inserted, updated, unchanged = _counted(db)
    if batch.expected is not None and seen != batch.expected:
        raise ShiftedError
    deleted = _delete(db, batch, table) if batch.is_full else 0
    if batch.tags is not None:
        fill_custom_fields(db, source, batch.tags, [batch.at, batch.sync_id])
    live, gone = _account_for(db, source, batch, table)
    return Landed(
        inserted=inserted,
        updated=updated,
        unchanged=unchanged,
        deleted=deleted,
        rejected=rejected,
        live_rows=live,
        deleted_rows=gone,
        new_columns=tuple(column.name for column in added),
    )


def _counted(db: duckdb.DuckDBPyConnection) -> tuple[int, int, int, int]:
    """Ids in all, and those of them that were inserted, updated and kept as they are."""
    seen, inserted, written = db.execute("""
        select
            count(distinct id),
            count(distinct id) filter (verdict = 'insert'),
            count(distinct id) filter (verdict <> 'keep')
        from temp.verdict
    """).fetchone() or (0, 0, 0)
    return seen, inserted, written - inserted, seen - written


def _chunks(files: Sequence[str]) -> Iterator[list[str]]:
    """Files in order, as many together as make a chunk."""
    chunk: list[str] = []
    size = 0
    for file in files:
        chunk.append(file)
        size += Path(file).stat().st_size
        if size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _merge(db: duckdb.DuckDBPyConnection, batch: Batch, table: str, columns: list[Column]) -> None:
    """Merge temp.batch into the table, and add what became of each id to temp.verdict."""
    db.execute(
        "create or replace temp table chunk as " + _verdict_sql(batch.target, table, columns)
    )
    stamp = [batch.at, batch.sync_id]
    names = ", ".join(quoted(column.name) for column in columns)
    db.execute(
        f"delete from {table} where id in (select id from temp.chunk where verdict = 'update')"
    )
    db.execute(
        f"insert into {table} ({names}, _synced_at, _sync_id, _deleted_at) "
        f"select {names}, ?, ?, null from temp.batch semi join "
        "(select id from temp.chunk where verdict in ('insert', 'update')) using (id)",
        stamp,
    )
    db.execute(
        f"update {table} set _deleted_at = null, _synced_at = ?, _sync_id = ? "
        "where id in (select id from temp.chunk where verdict = 'revive')",
        stamp,
    )
    db.execute("insert into temp.verdict from temp.chunk")
    db.execute("drop table temp.chunk")


def _verdict_sql(target: Target, table: str, columns: list[Column]) -> str:
    """SQL: what becomes of each id of temp.batch."""
    differs = " or ".join(
        f"t.{quoted(column.name)} is distinct from b.{quoted(column.name)}" for column in columns
    )
    old_is_stub = stub_sql(target, "t")
    newer = "true"
    if target.stream.replication_key:
        newer = f"coalesce({version(target, 'b')} >= {version(target, 't')}, true)"
    return f"""
        select b.id, case
            when t.id is null then 'insert'
            when ({differs}) and ({old_is_stub} or (not b._stub and {newer})) then 'update'
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
    db: duckdb.DuckDBPyConnection, source: Source, batch: Batch, columns: list[Column]
) -> int:
    """Keep what did not fit verbatim in `_rejected_values`; returns how many values there are."""
    cases = ", ".join(
        f"{{'column': {literal(column.name)}, 'value': case when {unfit} then _raw[{i}] end}}"
        for i, column in enumerate(columns, 1)
        if (unfit := misfits(column, f"_raw[{i}]")) != "false"
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
