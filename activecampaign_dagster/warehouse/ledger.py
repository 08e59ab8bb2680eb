"""The ledger: how far each stream is, and what is known about each account.

`_streams` has a line per account and stream: its table, watermark, last syncs and row counts.
`_account_facts` has what was found out about an account: how its API behaves, which one it is.
Nothing else reads or writes the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.sql import SCHEMA, has_table, quoted
from activecampaign_dagster.warehouse.warehouse import Connect, transaction

OFFSETS_HONOURED = "offsets_honoured"  # per filtered stream: yes, no or unknown
TOTALS_FOLLOW_FILTERS = "totals_follow_filters"  # per stream with ranges: yes, no or unknown
ADDRESS = "address"  # which account it is
_PATIENCE = 2.0  # seconds; whoever asks can ask again later
_OVERLAP_WITH_OFFSETS = timedelta(minutes=10)
_STREAMS, _FACTS = f"{SCHEMA}._streams", f"{SCHEMA}._account_facts"
_STATE = ("watermark", "last_synced_at", "live_rows", "last_pass_at", "unavailable")
# what a ledger of release 0.1 lacks until the next sync
_NEW = {"last_pass_at": "timestamptz", "unavailable": "varchar"}


@dataclass(frozen=True, slots=True)
class StreamState:
    """How far a stream is: stamps in UTC, and the rows that are in the account.

    last_pass_at: when all of it was read last, whether or not all came. unavailable: why the
    account does not let it be read; None if it does.
    """

    watermark: datetime | None
    last_synced_at: datetime | None
    live_rows: int
    last_pass_at: datetime | None = None
    unavailable: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a landing changes in a stream's line.

    watermark: how far it is now, None if it stays where it is. is_full: all of it was read, and
    came. is_pass: all of it was read.
    """

    stream_table: StreamTable
    at: datetime
    sync_id: str
    watermark: datetime | None
    is_full: bool
    is_pass: bool
    live_rows: int
    deleted_rows: int


def create(db: duckdb.DuckDBPyConnection) -> None:
    """Make the schema and the ledger's tables where they are missing."""
    db.execute(f"create schema if not exists {SCHEMA}")
    db.execute(
        f"create table if not exists {_FACTS} "
        "(account varchar, fact varchar, value varchar, established_at timestamptz)"
    )
    db.execute(f"""
        create table if not exists {_STREAMS} (
            account varchar, stream varchar, table_name varchar, sync_type varchar,
            watermark timestamptz, last_synced_at timestamptz, last_full_sync_at timestamptz,
            last_sync_id varchar, "rows" bigint, live_rows bigint, deleted_rows bigint,
            last_pass_at timestamptz, unavailable varchar
        )""")
    if missing := _NEW.keys() - _columns(db):
        for column in missing:
            db.execute(f"alter table {_STREAMS} add column {column} {_NEW[column]}")
        db.execute(f"update {_STREAMS} set last_pass_at = last_full_sync_at")


def _columns(db: duckdb.DuckDBPyConnection) -> set[str]:
    return {name for name, *_ in db.execute(f"describe from {_STREAMS}").fetchall()}


def listed(db: duckdb.DuckDBPyConnection, source: Source) -> dict[str, str]:
    """Stream → its table, as the ledger has it."""
    found = db.execute(
        f"select stream, table_name from {_STREAMS} where account = ?", [source.name]
    )
    return dict(found.fetchall())


def enter(db: duckdb.DuckDBPyConnection, source: Source, stream_table: StreamTable) -> None:
    """Give a table its line, where the models look up the tables of all accounts.

    Whatever was known about an earlier table does not hold for this one. A table that another
    account has is that account under its new name.
    """
    db.execute(
        f"delete from {_STREAMS} where stream = ? and (account = ? or table_name = ?)",
        [stream_table.name, source.name, stream_table.table],
    )
    db.execute(
        f'insert into {_STREAMS} (account, stream, table_name, sync_type, "rows", live_rows, '
        "deleted_rows) values (?, ?, ?, ?, 0, 0, 0)",
        [source.name, stream_table.name, stream_table.table, str(stream_table.sync_type)],
    )


def record(db: duckdb.DuckDBPyConnection, source: Source, entry: Entry) -> None:
    """Bring a stream's line up to date, in the transaction that lands its rows."""
    # a stream whose stamps the key may not see has no watermark: once it may, all is to be read
    db.execute(
        f"""
        update {_STREAMS} set
            sync_type = $sync_type, last_synced_at = $at, last_sync_id = $sync_id,
            watermark = case when $has_key then greatest(watermark, $watermark) end,
            last_full_sync_at = case when $is_full then $at else last_full_sync_at end,
            last_pass_at = case when $is_pass then $at else last_pass_at end, unavailable = null,
            "rows" = $live + $gone, live_rows = $live, deleted_rows = $gone
        where account = $account and stream = $stream
        """,
        {
            "account": source.name,
            "stream": entry.stream_table.name,
            "sync_type": str(entry.stream_table.sync_type),
            "has_key": entry.stream_table.stream.replication_key is not None,
            "is_pass": entry.is_pass,
            "watermark": entry.watermark,
            "at": entry.at,
            "is_full": entry.is_full,
            "sync_id": entry.sync_id,
            "live": entry.live_rows,
            "gone": entry.deleted_rows,
        },
    )


def recount(db: duckdb.DuckDBPyConnection, account: str, stream: str, table: str) -> None:
    """Bring the row counts of a stream up to date, after rows were removed from its table."""
    db.execute(
        f"""
        update {_STREAMS} set
            "rows" = n.live + n.gone, live_rows = n.live, deleted_rows = n.gone
        from (
            select count(*) filter (_deleted_at is null) as live, count(_deleted_at) as gone
            from {SCHEMA}.{quoted(table)}
        ) as n
        where account = ? and stream = ?
        """,
        [account, stream],
    )


def entries(db: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    """Account, stream and table of every line; none if the database has no ledger."""
    if not has_table(db, "_streams"):
        return []
    return db.execute(f"select account, stream, table_name from {_STREAMS}").fetchall()


def streams_read(db: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """The streams of which a sync has landed, in any account."""
    if not has_table(db, "_streams"):
        return frozenset()
    rows = db.execute(f"select stream from {_STREAMS} where last_synced_at is not null").fetchall()
    return frozenset(stream for (stream,) in rows)


def watermarks(db: duckdb.DuckDBPyConnection, source: Source) -> dict[str, datetime]:
    """Stream → the newest replication-key time that is committed, where there is one."""
    rows = db.execute(
        f"select stream, table_name, watermark from {_STREAMS} "
        "where account = ? and watermark is not null",
        [source.name],
    ).fetchall()
    names = {stream_table.name: stream_table.table for stream_table in source.stream_tables}
    return {name: watermark for name, table, watermark in rows if names.get(name) == table}


def read_in_full(db: duckdb.DuckDBPyConnection, source: Source) -> set[str]:
    """The streams of which a full sync has landed."""
    rows = db.execute(
        f"select stream from {_STREAMS} where account = ? and last_full_sync_at is not null",
        [source.name],
    ).fetchall()
    return {name for (name,) in rows}


def has_no_watermark(db: duckdb.DuckDBPyConnection, source: Source, stream: str) -> bool:
    """Whether a stream was landed before, and not all of it came then either."""
    found = db.execute(
        f"select watermark is null and last_synced_at is not null from {_STREAMS} "
        "where account = ? and stream = ?",
        [source.name, stream],
    ).fetchone()
    return found == (True,)


def has_rows(db: duckdb.DuckDBPyConnection, source: Source) -> bool:
    """Whether a sync has landed in any of the tables that the source has now."""
    rows = db.execute(
        f"select stream, table_name from {_STREAMS} "
        "where account = ? and last_synced_at is not null",
        [source.name],
    ).fetchall()
    return not {(each.name, each.table) for each in source.stream_tables}.isdisjoint(rows)


def stream_states(path: Path, account: str) -> dict[str, StreamState]:
    """Stream → state, for the streams that have been synced; raises WarehouseError."""
    if not path.exists():
        return {}
    with connect(path, patience=_PATIENCE, read_only=True) as db:
        if not has_table(db, "_streams"):
            return {}
        found = states(db, account)
    return {name: state for name, state in found.items() if state.last_synced_at}


def states(db: duckdb.DuckDBPyConnection, account: str) -> dict[str, StreamState]:
    """Stream → state, for all lines of an account."""
    known = _columns(db)
    state = ", ".join(name if name in known else "null" for name in _STATE)
    rows = db.execute(f"select stream, {state} from {_STREAMS} where account = ?", [account])
    return {name: StreamState(*state) for name, *state in rows.fetchall()}


def note_unavailable(
    db: duckdb.DuckDBPyConnection, account: str, found: Mapping[str, str | None]
) -> None:
    """Note why streams cannot be read; None: they can."""
    with transaction(db):
        for stream, says in found.items():
            db.execute(
                f"update {_STREAMS} set unavailable = ? where account = ? and stream = ?",
                [says, account, stream],
            )


def facts(db: duckdb.DuckDBPyConnection, account: str) -> dict[str, str]:
    """What is known about an account: fact → value."""
    found = db.execute(f"select fact, value from {_FACTS} where account = ?", [account])
    return dict(found.fetchall())


def values_of(db: duckdb.DuckDBPyConnection, fact: str) -> dict[str, str]:
    """Account → the value of a fact, where it is known."""
    if not has_table(db, "_account_facts"):
        return {}
    return dict(
        db.execute(f"select account, value from {_FACTS} where fact = ?", [fact]).fetchall()
    )


def note_fact(db: duckdb.DuckDBPyConnection, account: str, fact: str, value: str) -> None:
    """Replace a fact about an account, in the transaction that is open."""
    db.execute(f"delete from {_FACTS} where account = ? and fact = ?", [account, fact])
    db.execute(
        f"insert into {_FACTS} values (?, ?, ?, ?)", [account, fact, value, datetime.now(UTC)]
    )


def forget_fact(db: duckdb.DuckDBPyConnection, account: str, fact: str) -> None:
    """Remove a fact about an account, in the transaction that is open."""
    db.execute(f"delete from {_FACTS} where account = ? and fact = ?", [account, fact])


def store_facts(open_database: Connect, account: str, found: Mapping[str, str]) -> None:
    """Replace facts about an account; raises WarehouseError."""
    with open_database() as db:
        create(db)
        with transaction(db):
            for fact, value in found.items():
                note_fact(db, account, fact, value)


def remedy_for_address(account: str) -> str:
    """SQL that forgets which account the tables hold, for a person who knows better."""
    return f"{_FACTS} where account = '{account}' and fact = '{ADDRESS}'"


def with_known_overlap(source: Source, db: duckdb.DuckDBPyConnection) -> Source:
    """The source with the shorter overlap, if date filters are known to honour offsets."""
    filtered = {t.stream.parent or t.name for t in source.stream_tables if t.name in source.enabled}
    # only a span with two ends tells how an account reads offsets
    spans = (t for t in source.stream_tables if t.stream.changes and t.stream.changes.before)
    filtered &= {t.name for t in spans}
    known = facts(db, source.name)
    if all(known.get(f"{OFFSETS_HONOURED}:{stream}") == "yes" for stream in filtered):
        return replace(source, overlap=min(source.overlap, _OVERLAP_WITH_OFFSETS))
    return source
