"""From staging to a table: typed, merged and accounted for in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb

from activecampaign_dagster.streams.declaration import SyncType
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.warehouse import tables
from activecampaign_dagster.warehouse.cast import load, misfits, version
from activecampaign_dagster.warehouse.completeness import Census, doubt, ids_in
from activecampaign_dagster.warehouse.file import ROW_GROUP
from activecampaign_dagster.warehouse.pivot import fill_custom_fields
from activecampaign_dagster.warehouse.sql import SCHEMA, literal, quoted
from activecampaign_dagster.warehouse.tables import Column, relation, stub_sql
from activecampaign_dagster.warehouse.warehouse import WarehouseError, transaction

# What does not fit goes to disk; records of unheard-of size may need the next step.
_MEGABYTES = (150, 1_000, 8_000)  # per thread
_SCRATCH = "_landing"
_SMALL_BYTES = 150_000_000
# Each thread fills row groups of its own, of which DuckDB's limit counts only a part.
_THREADS_IF_SMALL, _THREADS = 2, 1


class UnsureError(Exception):
    """The account may have more than came: it has to be asked again."""


class ShiftedError(Exception):
    """The account no longer holds what was staged before a kill: it has to be read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Staged records on their way into a table.

    size: bytes of JSON in the files. longest: bytes of the longest line.
    is_full: they are all the account has, so that what is missing was deleted.
    expected: how many records the account says it has, where that must agree; else None.
    absent: fields that the records lack by mishap: what the table holds of them stays.
    tags: custom field id → personalisation tag, if contacts.customFields is to be filled from
    the table of custom field values once the batch has landed.
    """

    stream_table: StreamTable
    files: Sequence[str]
    size: int
    longest: int
    extras: Sequence[str]
    is_full: bool
    watermark: datetime | None
    sync_id: str
    at: datetime
    expected: int | None = None
    absent: frozenset[str] = frozenset()
    tags: Mapping[str, str] | None = None

    @property
    def table(self) -> str:
        """The table that they land in."""
        return relation(self.stream_table.table)

    @property
    def typed(self) -> str:
        """The table of the records as typed rows, on their way."""
        return f"{_SCRATCH}.{quoted(self.stream_table.name)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """What became of a batch: row counts, and the columns that it added.

    doubt: why a full read may not have brought all there is, so that rows that did not come are
    kept; None if it has.
    """

    inserted: int
    updated: int
    unchanged: int
    deleted: int
    rejected: int
    live_rows: int
    deleted_rows: int
    new_columns: tuple[str, ...]
    doubt: str | None = None


def land(
    db: duckdb.DuckDBPyConnection,
    source: Source,
    batches: Sequence[Batch],
    folder: Path,
    census: Census,
) -> list[Landed]:
    """Merge batches into their tables and move their streams on, all in one transaction.

    The newer version by replication key wins (creation stamp where that is null), ties go to the
    one read later, and a stub never replaces a full row, but marks it as hidden. Rows that stay
    as they are are not written. Raises, with nothing changed, ShiftedError if a batch is not what
    was expected, and UnsureError if the account may have more than came, unless it
    was asked again: then nothing is deleted.

    batches: of one read. folder: where typed rows may be kept meanwhile. census: of the collection
    that was read.
    """
    threads = _THREADS_IF_SMALL if _are_small(batches) else _THREADS
    db.execute(f"set threads = {threads}")
    for megabytes in _MEGABYTES:
        db.execute(f"set memory_limit = '{megabytes * threads}MB'")
        with suppress(duckdb.OutOfMemoryException):
            return _attempt(db, source, batches, folder, census)
    names = ", ".join(batch.stream_table.name for batch in batches)
    raise WarehouseError(
        f"Landing {names} takes more than {_MEGABYTES[-1]} MB of memory per thread, which no "
        "account should need: please report it."
    )


def _attempt(
    db: duckdb.DuckDBPyConnection,
    source: Source,
    batches: Sequence[Batch],
    folder: Path,
    census: Census,
) -> list[Landed]:
    added = [_widen(db, batch) for batch in batches]
    columns = [
        [
            column
            for column in tables.columns(db, batch.stream_table)
            if column.key not in batch.absent
        ]
        for batch in batches
    ]
    with _scratch(db, batches, folder):
        for batch, of_batch in zip(batches, columns, strict=True):
            load(db, batch.typed, batch.stream_table, of_batch, batch.files, batch.longest)
        with transaction(db):
            why = _doubt(db, batches, census)
            if why and census.newest is None:
                raise UnsureError(why)
            landed = [
                _land(db, source, *each, keep=why is not None)
                for each in zip(batches, columns, added, strict=True)
            ]
            return [replace(each, doubt=why) for each in landed]


def _doubt(
    db: duckdb.DuckDBPyConnection,
    batches: Sequence[Batch],
    census: Census,
) -> str | None:
    """See `completeness`. Records that only their children's table knows count as known, too."""
    if not any(batch.is_full for batch in batches):
        return None
    came, known = ids_in(census.segments), []
    for batch in batches:
        if batch.stream_table.stream.endpoint.path != census.path:
            known.append(
                f"select contact as id, true as live from {batch.table} where _deleted_at is null"
            )
            continue
        known.append(f"select id, _deleted_at is null as live from {batch.table}")
        came = (
            f"select id from {batch.typed} where id is not null union all select null from "
            f"(select distinct _record::varchar from {batch.typed} where id is null)"
        )
    return doubt(db, census, came, " union all ".join(known))


@contextmanager
def _scratch(
    db: duckdb.DuckDBPyConnection, batches: Sequence[Batch], folder: Path
) -> Iterator[None]:
    """A database for typed rows, on disk unless they are few."""
    path = folder / "typed.duckdb"
    path.unlink(missing_ok=True)
    place = ":memory:" if _are_small(batches) else str(path)
    db.execute(f"attach {literal(place)} as {_SCRATCH} (row_group_size {ROW_GROUP})")
    try:
        yield
    finally:
        db.execute(f"detach {_SCRATCH}")
        path.unlink(missing_ok=True)


def _are_small(batches: Sequence[Batch]) -> bool:
    return sum(batch.size for batch in batches) < _SMALL_BYTES


def _widen(db: duckdb.DuckDBPyConnection, batch: Batch) -> list[Column]:
    """Add the columns that a batch needs, outside the transaction as DuckDB requires."""
    present = tables.columns(db, batch.stream_table)
    keys = {column.key for column in present}
    added: list[Column] = []
    for key in batch.extras:
        if key not in keys:
            taken = [column.name for column in (*present, *added)]
            taken += [name for name, _, _ in tables.bookkeeping(batch.stream_table.stream)]
            added.append(tables.column_for(key, taken))
    tables.add_columns(db, batch.stream_table, [(column.name, column.type) for column in added])
    return added


def _land(
    db: duckdb.DuckDBPyConnection,
    source: Source,
    batch: Batch,
    columns: Sequence[Column],
    added: Sequence[Column],
    *,
    keep: bool,
) -> Landed:
    """Land one batch; `keep`: it may not be all that the account has."""
    if keep:
        watermark = batch.watermark if _was_read_in_vain(db, source, batch.stream_table) else None
        batch = replace(batch, is_full=False, watermark=watermark)
    rejected = _reject(db, source, batch, columns)
    _merge(db, batch, columns)
    seen, inserted, updated, unchanged = _counted(db)
    if batch.expected is not None and seen != batch.expected:
        raise ShiftedError
    deleted = _delete(db, batch) if batch.is_full else 0
    if batch.tags is not None:
        fill_custom_fields(db, source, batch.tags, [batch.at, batch.sync_id])
    live, gone = _account_for(db, source, batch)
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


def _was_read_in_vain(
    db: duckdb.DuckDBPyConnection, source: Source, stream_table: StreamTable
) -> bool:
    """Whether a stream was landed before, but not all of it came then either.

    Without a watermark the next sync reads everything again, which mends a mishap. But an account
    that always says it has more than it shows must not be read from the start for ever.
    """
    found = db.execute(
        f"select watermark is null and last_synced_at is not null from {SCHEMA}._streams "
        "where account = ? and stream = ?",
        [source.name, stream_table.name],
    ).fetchone()
    return found == (True,)


def _counted(db: duckdb.DuckDBPyConnection) -> tuple[int, int, int, int]:
    """Ids in all, and those of them that were inserted, updated and kept as they are."""
    seen, inserted, kept = db.execute("""
        select count(*), count(*) filter (verdict = 'insert'), count(*) filter (verdict = 'keep')
        from temp.verdict
    """).fetchone() or (0, 0, 0)
    return seen, inserted, seen - inserted - kept, kept


def _merge(db: duckdb.DuckDBPyConnection, batch: Batch, columns: Sequence[Column]) -> None:
    """Merge typed rows into the table; temp.verdict tells what became of each id."""
    table, rows = batch.table, batch.typed
    db.execute(
        f"create or replace temp table verdict as {_verdict_sql(batch, columns)}", [batch.at]
    )
    stamp = [batch.at, batch.sync_id]
    names = ", ".join(quoted(column.name) for column in columns)
    own, hidden_at, hide = "_synced_at, _sync_id", "", ""
    carried = kept = ""
    updated = "id in (select id from temp.verdict where verdict = 'update')"
    if batch.stream_table.stream.stub:
        own, hidden_at, hide = f"{own}, _hidden_at", ", hidden_at", ", _hidden_at = v.hidden_at"
    if batch.absent:
        absent = [c.name for c in tables.columns(db, batch.stream_table) if c.key in batch.absent]
        carried = "".join(f", {quoted(name)}" for name in absent)
        kept = " left join temp.carried using (id)"
        db.execute(
            f"create or replace temp table carried as select id{carried} from {table} "
            f"where {updated}"
        )
    db.execute(f"delete from {table} where {updated}")
    db.execute(
        f"insert into {table} ({names}, {own}{carried}) select {names}, ?, ?{hidden_at}{carried} "
        f"from {rows} join (from temp.verdict select id, hidden_at where verdict in "
        f"('insert', 'update')) using (id){kept}",
        stamp,
    )
    db.execute(
        f"update {table} as t set _deleted_at = null, _synced_at = ?, _sync_id = ?{hide} "
        "from temp.verdict as v where v.id = t.id and v.verdict = 'mark'",
        stamp,
    )


def _verdict_sql(batch: Batch, columns: Sequence[Column]) -> str:
    """SQL: what becomes of each id of a batch, and since when it is hidden; ? is the time now.

    Only a hash of each row takes part in the join.
    """
    stream_table = batch.stream_table
    row = f"hash({', '.join(quoted(column.name) for column in columns)})"
    hidden = "_hidden_at" if stream_table.stream.stub else "null::timestamptz"
    better = "true"
    if stream_table.stream.replication_key:
        better = "(t.is_stub or (not b.is_stub and coalesce(b.version >= t.version, true)))"
    return f"""
        select b.id, case
            when t.id is null then 'insert'
            when b.hash <> t.hash and {better} then 'update'
            when t.is_gone or b.is_stub <> (t.hidden_at is not null) then 'mark'
            else 'keep'
        end as verdict,
        case when b.is_stub then coalesce(t.hidden_at, ?) end as hidden_at
        from (
            select id, {row} as hash, {version(stream_table, "r")} as version, _stub as is_stub
            from {batch.typed} as r where id is not null
        ) as b
        left join (
            select
                id, {row} as hash, {version(stream_table, "r")} as version,
                {stub_sql(stream_table, "r")} as is_stub, _deleted_at is not null as is_gone,
                {hidden} as hidden_at
            from {batch.table} as r
        ) as t on t.id = b.id
    """


def _delete(db: duckdb.DuckDBPyConnection, batch: Batch) -> int:
    """Rows that a complete read did not return: marked, or gone from a FULL_TABLE table."""
    gone = "not exists (from temp.verdict as v where v.id = t.id)"
    if batch.stream_table.sync_type is SyncType.FULL_TABLE:
        result = db.execute(f"delete from {batch.table} as t where {gone}").fetchone()
    else:
        result = db.execute(
            f"update {batch.table} as t set _deleted_at = ?, _synced_at = ?, _sync_id = ? "
            f"where _deleted_at is null and {gone}",
            [batch.at, batch.at, batch.sync_id],
        ).fetchone()
    return int(result[0]) if result else 0


def _reject(
    db: duckdb.DuckDBPyConnection, source: Source, batch: Batch, columns: Sequence[Column]
) -> int:
    """Keep what did not fit verbatim in `_rejected_values`; returns how many values there are."""
    rows, where = batch.typed, "account = ? and stream = ?"
    owner = [source.name, batch.stream_table.name]
    concerned = db.execute(
        f"select exists (from {rows} where _raw is not null) or "
        f"exists (from {SCHEMA}._rejected_values where {where})",
        owner,
    ).fetchone()
    if concerned == (False,):
        return 0
    cases = ", ".join(
        f"{{'column': {literal(column.name)}, 'value': case when {unfit} then _raw[{i}] end}}"
        for i, column in enumerate(columns, 1)
        if (unfit := misfits(column, f"_raw[{i}]")) != "false"
    )
    db.execute(f"""
        create or replace temp table rejected as
        with misfits as (
            select id::varchar as id, unnest([{cases}], recursive := true)
            from {rows} where _raw is not null and id is not null
        )
        select id, "column", "value" from misfits where "value" is not null
        union all
        select distinct null, 'id', _record::varchar from {rows} where id is null
    """)
    found = db.execute("select count(*) from temp.rejected").fetchone()
    db.execute(
        f"delete from {SCHEMA}._rejected_values r where {where} and try_cast(r.id as bigint) in "
        f"(select id from {rows} where not _stub) and not exists (from temp.rejected n where "
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


def _account_for(db: duckdb.DuckDBPyConnection, source: Source, batch: Batch) -> tuple[int, int]:
    """Bring the stream's row of `_streams` up to date; returns its live and its deleted rows."""
    counted = db.execute(
        f"select count(*) filter (_deleted_at is null), count(_deleted_at) from {batch.table}"
    ).fetchone()
    live, gone = counted or (0, 0)
    # deals with partial access have no key: in full again, they are to be read from the start
    db.execute(
        f"""
        update {SCHEMA}._streams set
            sync_type = $sync_type, last_synced_at = $at, last_sync_id = $sync_id,
            watermark = case when $has_key then greatest(watermark, $watermark) end,
            last_full_sync_at = case when $is_full then $at else last_full_sync_at end,
            "rows" = $live + $gone, live_rows = $live, deleted_rows = $gone
        where account = $account and stream = $stream
        """,
        {
            "account": source.name,
            "stream": batch.stream_table.name,
            "sync_type": str(batch.stream_table.sync_type),
            "has_key": batch.stream_table.stream.replication_key is not None,
            "watermark": batch.watermark,
            "at": batch.at,
            "is_full": batch.is_full,
            "sync_id": batch.sync_id,
            "live": live,
            "gone": gone,
        },
    )
    return live, gone
