"""The ledger: how far each stream is, and what is known about each account.

`_streams` has a line per account and stream: its table, watermark, last syncs and row counts.
`_account_facts` has what was found out about an account: how its API behaves, which one it is.
Both are views of the last entries in `_stream_entries` and `_account_fact_entries`, to which
entries are only added: accounts that land at once in one lake would else be in each other's way.
Nothing else reads or writes the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.warehouse.sql import SCHEMA, has_relation, quoted, relations
from activecampaign_dagster.warehouse.warehouse import Connect, Warehouse, WarehouseError, commit

OFFSETS_HONOURED = "offsets_honoured"  # per filtered stream: yes, no or unknown
TOTALS_FOLLOW_FILTERS = "totals_follow_filters"  # per stream with ranges: yes, no or unknown
ADDRESS = "address"  # which account it is
_PATIENCE = 2.0  # seconds; whoever asks can ask again later
_OVERLAP_WITH_OFFSETS = timedelta(minutes=10)
UNFINISHED = "_unfinished_copy"  # a table that is there while a database is copied
_STREAMS, _STREAM_ENTRIES = "_streams", "_stream_entries"
_FACTS, _FACT_ENTRIES = "_account_facts", "_account_fact_entries"
_STREAM_COLUMNS = {
    "account": "varchar",
    "stream": "varchar",
    "table_name": "varchar",
    "sync_type": "varchar",
    "watermark": "timestamptz",
    "last_synced_at": "timestamptz",
    "last_full_sync_at": "timestamptz",
    "last_sync_id": "varchar",
    "rows": "bigint",
    "live_rows": "bigint",
    "deleted_rows": "bigint",
    "last_pass_at": "timestamptz",
    "unavailable": "varchar",
}
_FACT_COLUMNS = {
    "account": "varchar",
    "fact": "varchar",
    "value": "varchar",
    "established_at": "timestamptz",
}
_SUPERSEDED = 5_000  # entries: some days of an account that is synced every few minutes
_LINE = (
    *("account", "stream", "table_name", "last_synced_at", "last_full_sync_at"),
    *("live_rows", "deleted_rows", "unavailable", "last_sync_id"),
)
_STATE = (
    *("table_name", "watermark", "last_synced_at", "live_rows", "last_full_sync_at"),
    *("last_pass_at", "unavailable"),
)
# what a ledger of release 0.1 lacks until the next sync
_UNTIL_THEN = {"last_pass_at": "last_full_sync_at"}
_Row = dict[str, Any]  # an entry: column → value


@dataclass(frozen=True, slots=True)
class StreamState:
    """How far a stream is: stamps in UTC, and the rows that are in the account.

    last_full_sync_at: when all of it came last. last_pass_at: when all of it was read last, whether
    or not all came. unavailable: why the account does not let it be read; None if it does.
    """

    table: str
    watermark: datetime | None
    last_synced_at: datetime | None
    live_rows: int
    last_full_sync_at: datetime | None
    last_pass_at: datetime | None
    unavailable: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """A stream's line for people: when it was synced last, and how many rows it has."""

    account: str
    stream: str
    table: str
    last_synced_at: datetime | None
    last_full_sync_at: datetime | None
    live_rows: int
    deleted_rows: int
    unavailable: str | None
    sync_id: str | None


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
    """Make the schema, the ledger's tables and its views where they are missing.

    Those of release 0.1 were tables with the views' names: their lines become first entries.
    Raises WarehouseError if a copy into the warehouse has not ended.
    """
    db.execute(f"create schema if not exists {SCHEMA}")
    present = {name: kind for (schema, name), kind in relations(db).items() if schema == SCHEMA}
    if UNFINISHED in present:
        raise WarehouseError(
            "A copy into this warehouse was interrupted, so that it lacks rows: run "
            "`activecampaign warehouse copy FROM TO` once more before anything else."
        )
    _make(db, present, _FACTS, _FACT_ENTRIES, _FACT_COLUMNS, ("account", "fact"))
    _make(db, present, _STREAMS, _STREAM_ENTRIES, _STREAM_COLUMNS, ("account", "stream"))


def _make(
    db: duckdb.DuckDBPyConnection,
    present: Mapping[str, str],
    view: str,
    table: str,
    columns: Mapping[str, str],
    key: Sequence[str],
) -> None:
    """Make a table of entries, and the view of the last entry of each key."""
    if present.get(view) == "VIEW" and table in present:
        return
    names = ", ".join(f"last.{quoted(name)}" for name in columns)
    declared = ", ".join(f"{quoted(name)} {type_}" for name, type_ in columns.items())
    db.execute(
        f"create table if not exists {_place(table)} "
        f"({declared}, entry bigint, is_withdrawn boolean)"
    )
    if present.get(view) == "BASE TABLE":
        had = {name for name, *_ in db.execute(f"describe from {_place(view)}").fetchall()}
        taken = ", ".join(
            quoted(name) if name in had else f"{_UNTIL_THEN.get(name, 'null')} as {quoted(name)}"
            for name in columns
        )
        db.execute(
            f"insert into {_place(table)} by name "
            f"select {taken}, 1 as entry, false as is_withdrawn from {_place(view)}"
        )
        db.execute(f"drop table {_place(view)}")
    # a window over the entries would take twice as long
    # the table without its schema: in a file that is called like it, that would be ambiguous
    db.execute(
        f"create or replace view {_place(view)} as select {names} from (select arg_max(e, entry) "
        f"as last from {table} as e group by {', '.join(f'e.{name}' for name in key)}) "
        "where not last.is_withdrawn"
    )


def _enter(
    db: duckdb.DuckDBPyConnection,
    account: str,
    streams: Sequence[str],
    changed: Callable[[_Row], Mapping[str, object]],
) -> None:
    """Add entries: the last one of each stream, with what is changed in it.

    Entries are added and never changed: two accounts that land at once are not in each other's way.
    """
    last: list[_Row] = [
        row
        for (row,) in db.execute(
            f"select arg_max(e, entry) from {_place(_STREAM_ENTRIES)} as e "
            "where account = ? group by stream",
            [account],
        ).fetchall()
        if row["stream"] in streams
    ]
    rows = [{**row, **changed(row), "entry": row["entry"] + 1} for row in last]
    # values take a lake half as long as rows that a statement reads and adds at once
    if rows:
        names = list(rows[0])
        places = f"({', '.join('?' for _ in names)})"
        db.execute(
            f"insert into {_place(_STREAM_ENTRIES)} ({', '.join(map(quoted, names))}) "
            f"values {', '.join(places for _ in rows)}",
            [row[name] for row in rows for name in names],
        )


def tidy(db: duckdb.DuckDBPyConnection) -> None:
    """Remove entries that later ones have superseded, once those of streams have become many."""
    (count,) = db.execute(
        f"select count(*) - count(distinct (account, stream)) from {_place(_STREAM_ENTRIES)}"
    ).fetchone() or (0,)
    if count <= _SUPERSEDED:
        return
    for table, key in ((_STREAM_ENTRIES, "account, stream"), (_FACT_ENTRIES, "account, fact")):
        db.execute(
            f"delete from {_place(table)} where rowid in (from {_place(table)} select rowid "
            f"qualify entry < max(entry) over (partition by {key}))"
        )


def listed(db: duckdb.DuckDBPyConnection, source: Source) -> dict[str, str]:
    """Stream → its table, as the ledger has it."""
    found = db.execute(
        f"select stream, table_name from {_place(_STREAMS)} where account = ?", [source.name]
    )
    return dict(found.fetchall())


def enter(db: duckdb.DuckDBPyConnection, source: Source, stream_table: StreamTable) -> None:
    """Give a table its line, where the models look up the tables of all accounts.

    Whatever was known about an earlier table does not hold for this one. A table that another
    account has is that account under its new name.
    """
    others = db.execute(
        f"select account from {_place(_STREAMS)} "
        "where stream = ? and table_name = ? and account <> ?",
        [stream_table.name, stream_table.table, source.name],
    ).fetchall()
    for (other,) in others:
        _enter(db, other, [stream_table.name], lambda _: {"is_withdrawn": True})
    db.execute(
        f"""
        insert into {_place(_STREAM_ENTRIES)} by name
        select
            $account as account, $stream as stream, $table as table_name, $sync_type as sync_type,
            0 as "rows", 0 as live_rows, 0 as deleted_rows, false as is_withdrawn,
            coalesce(max(entry), 0) + 1 as entry
        from {_place(_STREAM_ENTRIES)} where account = $account and stream = $stream
        """,
        {
            "account": source.name,
            "stream": stream_table.name,
            "table": stream_table.table,
            "sync_type": str(stream_table.sync_type),
        },
    )


def record(db: duckdb.DuckDBPyConnection, source: Source, entries: Sequence[Entry]) -> None:
    """Bring the lines of streams up to date, in the transaction that lands their rows."""
    by_stream = {entry.stream_table.name: entry for entry in entries}
    _enter(db, source.name, list(by_stream), lambda row: _moved_on(row, by_stream[row["stream"]]))


def _moved_on(row: _Row, entry: Entry) -> Mapping[str, object]:
    # a stream whose stamps the key may not see has no watermark: once it may, all is to be read
    marks = [mark for mark in (row["watermark"], entry.watermark) if mark]
    has_key = entry.stream_table.stream.replication_key is not None
    return {
        "sync_type": str(entry.stream_table.sync_type),
        "last_synced_at": entry.at,
        "last_sync_id": entry.sync_id,
        "watermark": max(marks) if marks and has_key else None,
        "last_full_sync_at": entry.at if entry.is_full else row["last_full_sync_at"],
        "last_pass_at": entry.at if entry.is_pass else row["last_pass_at"],
        "unavailable": None,
        **_counted(entry.live_rows, entry.deleted_rows),
    }


def _counted(live: int, gone: int) -> Mapping[str, object]:
    return {"rows": live + gone, "live_rows": live, "deleted_rows": gone}


def earlier_addresses(db: duckdb.DuckDBPyConnection, source: Source) -> dict[str, str]:
    """Other accounts that have filled tables of the source → their addresses, where known."""
    tables = [stream_table.table for stream_table in source.stream_tables]
    filled = db.execute(
        f"select distinct account from {_place(_STREAM_ENTRIES)} where account <> ? "
        "and last_synced_at is not null and table_name in (select unnest(?))",
        [source.name, tables],
    ).fetchall()
    addresses = values_of(db, ADDRESS)
    return {name: addresses[name] for (name,) in filled if name in addresses}


def recount(db: duckdb.DuckDBPyConnection, account: str, stream: str, table: str) -> None:
    """Bring the row counts of a stream up to date, after rows were removed from its table."""
    live, gone = db.execute(
        "select count(*) filter (_deleted_at is null), count(_deleted_at) "
        f"from {SCHEMA}.{quoted(table)}"
    ).fetchone() or (0, 0)
    _enter(db, account, [stream], lambda _: _counted(live, gone))


def _place(name: str) -> str:
    return f"{SCHEMA}.{name}"


def entries(db: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    """Account, stream and table of every line; none if the database has no ledger."""
    if not has_relation(db, _STREAMS):
        return []
    return db.execute(f"select account, stream, table_name from {_place(_STREAMS)}").fetchall()


def streams_read(db: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """The streams of which a sync has landed, in any account."""
    if not has_relation(db, _STREAMS):
        return frozenset()
    rows = db.execute(
        f"select stream from {_place(_STREAMS)} where last_synced_at is not null"
    ).fetchall()
    return frozenset(stream for (stream,) in rows)


def last_sync(db: duckdb.DuckDBPyConnection) -> datetime | None:
    """When the last sync began, of any account; None if there was none."""
    if not has_relation(db, _STREAMS):
        return None
    found = db.execute(f"select max(last_synced_at) from {_place(_STREAMS)}").fetchone()
    return found[0] if found else None


def watermarks(source: Source, states: Mapping[str, StreamState]) -> dict[str, datetime]:
    """Stream → the newest replication-key time that is committed, where there is one.

    states: of the account's streams; one of an earlier table does not count.
    """
    tables = {stream_table.name: stream_table.table for stream_table in source.stream_tables}
    return {
        name: state.watermark
        for name, state in states.items()
        if state.watermark and tables.get(name) == state.table
    }


def read_in_full(states: Mapping[str, StreamState]) -> set[str]:
    """The streams of which a full sync has landed."""
    return {name for name, state in states.items() if state.last_full_sync_at}


def has_no_watermark(db: duckdb.DuckDBPyConnection, source: Source, stream: str) -> bool:
    """Whether a stream was landed before, and not all of it came then either."""
    found = db.execute(
        f"select watermark is null and last_synced_at is not null from {_place(_STREAMS)} "
        "where account = ? and stream = ?",
        [source.name, stream],
    ).fetchone()
    return found == (True,)


def has_rows(db: duckdb.DuckDBPyConnection, source: Source) -> bool:
    """Whether a sync has landed in any of the tables that the source has now."""
    rows = db.execute(
        f"select stream, table_name from {_place(_STREAMS)} "
        "where account = ? and last_synced_at is not null",
        [source.name],
    ).fetchall()
    return not {(each.name, each.table) for each in source.stream_tables}.isdisjoint(rows)


def stream_states(warehouse: Warehouse) -> dict[str, dict[str, StreamState]]:
    """Account → stream → state, for the streams that have been synced; raises WarehouseError."""
    found: dict[str, dict[str, StreamState]] = {}
    if not warehouse.exists():
        return found
    with warehouse.connect(patience=_PATIENCE, read_only=True) as db:
        if not has_relation(db, _STREAMS):
            return found
        rows = db.execute(
            f"select account, stream, {_columns(db, _STATE)} from {_place(_STREAMS)} "
            "where last_synced_at is not null"
        ).fetchall()
    for account, name, *state in rows:
        found.setdefault(account, {})[name] = StreamState(*state)
    return found


def lines(db: duckdb.DuckDBPyConnection) -> list[Line]:
    """The lines of all streams that have a table; none if the database has no ledger."""
    if not has_relation(db, _STREAMS):
        return []
    found = db.execute(f"select {_columns(db, _LINE)} from {_place(_STREAMS)}").fetchall()
    return [Line(*line) for line in found]


def states(db: duckdb.DuckDBPyConnection, account: str) -> dict[str, StreamState]:
    """Stream → state, for all lines of an account."""
    rows = db.execute(
        f"select stream, {_columns(db, _STATE)} from {_place(_STREAMS)} where account = ?",
        [account],
    )
    return {name: StreamState(*state) for name, *state in rows.fetchall()}


def _columns(db: duckdb.DuckDBPyConnection, names: Sequence[str]) -> str:
    """Columns of a line, null for those that an older ledger lacks."""
    known = {name for name, *_ in db.execute(f"describe from {_place(_STREAMS)}").fetchall()}
    return ", ".join(name if name in known else "null" for name in names)


def note_unavailable(
    db: duckdb.DuckDBPyConnection, account: str, found: Mapping[str, str | None]
) -> None:
    """Note why streams cannot be read; None: they can."""

    commit(
        db,
        lambda: _enter(db, account, list(found), lambda row: {"unavailable": found[row["stream"]]}),
    )


def facts(db: duckdb.DuckDBPyConnection, account: str) -> dict[str, str]:
    """What is known about an account: fact → value."""
    found = db.execute(f"select fact, value from {_place(_FACTS)} where account = ?", [account])
    return dict(found.fetchall())


def values_of(db: duckdb.DuckDBPyConnection, fact: str) -> dict[str, str]:
    """Account → the value of a fact, where it is known."""
    if not has_relation(db, _FACTS):
        return {}
    return dict(
        db.execute(f"select account, value from {_place(_FACTS)} where fact = ?", [fact]).fetchall()
    )


def note_fact(db: duckdb.DuckDBPyConnection, account: str, fact: str, value: str) -> None:
    """Replace a fact about an account, in the transaction that is open."""
    _enter_fact(db, account, fact, value, is_withdrawn=False)


def forget_fact(db: duckdb.DuckDBPyConnection, account: str, fact: str) -> None:
    """Remove a fact about an account, in the transaction that is open."""
    if fact in facts(db, account):
        _enter_fact(db, account, fact, None, is_withdrawn=True)


def _enter_fact(
    db: duckdb.DuckDBPyConnection, account: str, fact: str, value: str | None, *, is_withdrawn: bool
) -> None:
    db.execute(
        f"""
        insert into {_place(_FACT_ENTRIES)} by name
        select
            $account as account, $fact as fact, $value as value, $now as established_at,
            coalesce(max(entry), 0) + 1 as entry, $is_withdrawn as is_withdrawn
        from {_place(_FACT_ENTRIES)} where account = $account and fact = $fact
        """,
        {
            "account": account,
            "fact": fact,
            "value": value,
            "now": datetime.now(UTC),
            "is_withdrawn": is_withdrawn,
        },
    )


def store_facts(open_database: Connect, account: str, found: Mapping[str, str]) -> None:
    """Replace facts about an account; raises WarehouseError."""

    def stored() -> None:
        create(db)
        for fact, value in found.items():
            note_fact(db, account, fact, value)

    with open_database() as db:
        commit(db, stored)


def remedy_for_address(account: str) -> str:
    """SQL that forgets which account the tables hold, for a person who knows better."""
    return f"{_place(_FACT_ENTRIES)} where account = '{account}' and fact = '{ADDRESS}'"


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
