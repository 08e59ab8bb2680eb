"""The asset checks of a stream: what they look for, and what they found."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dagster as dg
import duckdb

from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.streams.declaration import SyncType, Type
from activecampaign_dagster.streams.source import StreamTable
from activecampaign_dagster.warehouse import tables
from activecampaign_dagster.warehouse.sql import SCHEMA, quoted
from activecampaign_dagster.warehouse.tables import relation

CHECKS = {
    "rejected_values": "Values that did not fit their column's type; they are NULL in the table "
    "and kept verbatim in activecampaign._rejected_values.",
    "undeclared_fields": "Fields that the API sent and nobody declared; each became a column.",
    "duplicate_ids": "Ids that occur in several rows of the table.",
    "orphaned_references": "References to rows that are not in the table they point to.",
    "row_count_drift": "Live rows that differ from the account's own total by more than the "
    "tolerance.",
    "hidden_deals": "Deals that the key may not see in full: their pipeline is hidden or deleted.",
    "missed_changes": "Values that a full sync found changed although their contact's update "
    "stamp had not moved: no incremental sync could have found them.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: how many, in words, and details; count None: it could not tell."""

    count: int | None
    text: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the checks of one landed stream go by, besides the tables.

    total: the account's own count, None if it does not say. hidden: names of hidden pipelines,
    None if nobody asked. since: where an incremental sync would have begun; None: not known.
    is_full: whether the stream was read in full.
    """

    sync_id: str
    total: int | None
    hidden: Sequence[str] | None
    since: datetime | None
    is_full: bool


def applicable(account: Account, stream_table: StreamTable) -> list[str]:
    """The checks that a stream has."""
    stream = stream_table.stream
    there = {
        "orphaned_references": bool(references(account, stream_table)),
        "row_count_drift": account.drift is not None
        and stream_table.sync_type
        is SyncType.INCREMENTAL,  # a FULL_TABLE table is what was just read
        "hidden_deals": stream.stub is not None,
        "missed_changes": stream.parent is not None and stream.parent in account.source.enabled,
    }
    return [
        name
        for name in CHECKS
        if there.get(name, True) and account.severities.get(name, "warn") != "ignore"
    ]


def references(account: Account, stream_table: StreamTable) -> dict[str, StreamTable]:
    """Field → the table whose ids it holds, as the field's description says: (`users.id`)."""
    by_name = {t.name: t for t in account.enabled}
    found = {}
    for declared in stream_table.stream.fields:
        named = re.search(r"\(`(\w+)\.id`", declared.description)
        is_kept = stream_table.keep is None or declared.name in stream_table.keep
        if named and named[1] in by_name and declared.type is Type.BIGINT and is_kept:
            found[declared.name] = by_name[named[1]]
    return found


def evaluate(
    account: Account, stream_table: StreamTable, facts: Facts, db: duckdb.DuckDBPyConnection
) -> Iterator[dg.AssetCheckResult]:
    """The results of a stream's checks after it has landed."""
    looks: dict[str, Callable[[], Finding]] = {
        "rejected_values": lambda: _rejected(account, stream_table, db),
        "undeclared_fields": lambda: _undeclared(stream_table, db),
        "duplicate_ids": lambda: _duplicates(stream_table, db),
        "orphaned_references": lambda: _orphans(account, stream_table, db),
        "row_count_drift": lambda: _drift(account, stream_table, facts, db),
        "hidden_deals": lambda: _hidden(stream_table, facts, db),
        "missed_changes": lambda: _missed(account, stream_table, facts, db),
    }
    for name in applicable(account, stream_table):
        finding = looks[name]()
        is_error = account.severities.get(name) == "error"
        yield dg.AssetCheckResult(
            check_name=name,
            asset_key=account.key(stream_table.name),
            passed=not finding.count,
            severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
            description=finding.text or None,
            metadata={"found": finding.count or 0, **finding.details},
        )


def _count(db: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()) -> int:
    found = db.execute(sql, list(parameters)).fetchone()
    return int(found[0]) if found else 0


def _rejected(
    account: Account, stream_table: StreamTable, db: duckdb.DuckDBPyConnection
) -> Finding:
    rows = db.execute(
        f'select "column", count(*) from {SCHEMA}._rejected_values '
        "where account = ? and stream = ? group by all order by all",
        [account.name, stream_table.name],
    ).fetchall()
    count = sum(n for _, n in rows)
    columns = ", ".join(f"{column} ({n})" for column, n in rows)
    return Finding(count, f"{count} values are NULL in the table: {columns}." if count else "")


def _undeclared(stream_table: StreamTable, db: duckdb.DuckDBPyConnection) -> Finding:
    declared = {f.name for f in stream_table.stream.fields}
    new = [column.name for column in tables.columns(db, stream_table) if column.key not in declared]
    return Finding(len(new), f"New columns: {', '.join(new)}." if new else "")


def _duplicates(stream_table: StreamTable, db: duckdb.DuckDBPyConnection) -> Finding:
    count = _count(db, f"select count(*) - count(distinct id) from {relation(stream_table.table)}")
    return Finding(count, f"{count} rows have the id of another row." if count else "")


def _orphans(account: Account, stream_table: StreamTable, db: duckdb.DuckDBPyConnection) -> Finding:
    found = {}
    for name, parent in references(account, stream_table).items():
        column = f"child.{quoted(name)}"
        found[name] = _count(
            db,
            f"select count(*) from {relation(stream_table.table)} as child "
            f"where child._deleted_at is null and {column} <> 0 and {column} not in "
            f"(select id from {relation(parent.table)} where id is not null)",
        )
    missing = {name: count for name, count in found.items() if count}
    text = ", ".join(f"{name} ({count})" for name, count in missing.items())
    return Finding(
        sum(missing.values()), f"Rows that point to nothing by {text}." if text else "", missing
    )


def drifted(live: int, total: int, tolerance: float) -> bool:
    """Whether the account's total differs from the live rows by more than the tolerated share."""
    return abs(live - total) > tolerance * max(total, live)


def _drift(
    account: Account, stream_table: StreamTable, facts: Facts, db: duckdb.DuckDBPyConnection
) -> Finding:
    if facts.total is None or account.drift is None:
        return Finding(None, "The account was not asked or did not say how many records it has.")
    live = _count(
        db, f"select count(*) from {relation(stream_table.table)} where _deleted_at is null"
    )
    details = {"live_rows": live, "account_total": facts.total}
    if not drifted(live, facts.total, account.drift.tolerance):
        return Finding(0, "", details)
    return Finding(
        abs(live - facts.total),
        f"The table has {live} live rows, the account {facts.total} records: a full sync puts "
        "that right.",
        details,
    )


def _hidden(stream_table: StreamTable, facts: Facts, db: duckdb.DuckDBPyConnection) -> Finding:
    count = _count(
        db,
        f"select count(*) from {relation(stream_table.table)} "
        "where _hidden_at is not null and _deleted_at is null",
    )
    if not count:
        return Finding(0)
    named = f" Hidden pipelines: {', '.join(facts.hidden)}." if facts.hidden else ""
    return Finding(
        count,
        f"{count} deals are shown to this key by title only, because their pipeline is hidden "
        f"from its user or was deleted.{named} Give the user's group the permission to manage "
        "the pipelines.",
        {"hidden_pipelines": list(facts.hidden)} if facts.hidden else {},
    )


def _missed(
    account: Account, stream_table: StreamTable, facts: Facts, db: duckdb.DuckDBPyConnection
) -> Finding:
    parent = next(t for t in account.source.stream_tables if t.name == stream_table.stream.parent)
    if facts.since is None or not facts.is_full:
        return Finding(None, "Only a full sync after an earlier sync can tell.")
    count = _count(
        db,
        f"select count(*) from {relation(stream_table.table)} as child "
        f"join {relation(parent.table)} as parent on parent.id = child.contact "
        "where child._sync_id = ? and parent._deleted_at is null "
        "and coalesce(parent.udate, parent.cdate) < ?",
        [facts.sync_id, facts.since],
    )
    return Finding(
        count,
        f"{count} values had changed without their contact's update stamp moving: plan full "
        "syncs often enough."
        if count
        else "",
    )
