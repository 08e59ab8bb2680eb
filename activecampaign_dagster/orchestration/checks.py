"""The asset checks of a stream: when each applies, how it finds something, and in which words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dagster as dg
import duckdb

from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.wording import enumerated
from activecampaign_dagster.streams.declaration import Field, SyncType, Type
from activecampaign_dagster.streams.source import StreamTable
from activecampaign_dagster.warehouse import tables
from activecampaign_dagster.warehouse.rejected import count_by_column
from activecampaign_dagster.warehouse.sql import SCHEMA, quoted
from activecampaign_dagster.warehouse.tables import relation

# What every stream is checked for is one asset check, not three: Dagster writes an event for each
# check of each stream in every run, and the UI shows each in a line.
AS_DECLARED = "as_declared"
_HIDDEN = "_hidden_at is not null and _deleted_at is null"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found: how many, in words, and details; count None: nothing can be told."""

    count: int | None
    text: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The evidence that the checks of one stream go by, once it has landed.

    total: the account's own count, None if it does not say. hidden_by: names of what hides stubs,
    such as pipelines, None if nobody asked. since: where an incremental sync would have begun;
    None: unknown. is_full: whether the stream was read in full.
    """

    account: Account
    stream_table: StreamTable
    db: duckdb.DuckDBPyConnection
    sync_id: str
    total: int | None = None
    hidden_by: Sequence[str] | None = None
    since: datetime | None = None
    is_full: bool = False

    def count(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """The number that a query returns."""
        found = self.db.execute(sql, list(parameters)).fetchone()
        return int(found[0]) if found else 0


def _always(_account: Account, _stream_table: StreamTable) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One kind of finding, with a severity of its own.

    description: what it finds, for the UI, the settings and the docs. applies: whether a stream of
    an account has it. within: the asset check that shows it together with others; None: one of its
    own, since it may find something for good, which must not hide what is new.
    """

    name: str
    description: str
    find: Callable[[Evidence], Finding]
    applies: Callable[[Account, StreamTable], bool] = _always
    within: str | None = None


def _rejected(evidence: Evidence) -> Finding:
    counts = count_by_column(evidence.db, evidence.account.name, evidence.stream_table.name)
    count = sum(counts.values())
    columns = ", ".join(f"{column} ({n})" for column, n in counts.items())
    return Finding(count, f"{count} values are NULL in the table: {columns}." if count else "")


def _undeclared(evidence: Evidence) -> Finding:
    stream_table = evidence.stream_table
    declared = {f.name for f in stream_table.stream.fields}
    columns = tables.columns(evidence.db, stream_table)
    new = [column.name for column in columns if column.key not in declared]
    return Finding(len(new), f"New columns: {', '.join(new)}." if new else "")


def _duplicates(evidence: Evidence) -> Finding:
    stream_table = evidence.stream_table
    key = ", ".join(map(quoted, stream_table.stream.key))
    count = evidence.count(
        f"select count(*) - count(distinct ({key})) from {relation(stream_table.table)}"
    )
    shared = " and ".join(stream_table.stream.key)
    return Finding(count, f"{count} rows have the {shared} of another row." if count else "")


def references(account: Account, stream_table: StreamTable) -> dict[Field, StreamTable]:
    """Stored field → the table whose rows it refers to, where that is one of the account's."""
    by_name = {t.name: t for t in account.enabled}
    return {
        declared: by_name[declared.references]
        for declared in stream_table.stream.fields
        if declared.references in by_name
        and declared.type in {Type.BIGINT, Type.VARCHAR}
        and stream_table.stores(declared.name)
        and len(by_name[declared.references].stream.key) == 1
    }


def _orphans(evidence: Evidence) -> Finding:
    missing = {}
    for declared, parent in references(evidence.account, evidence.stream_table).items():
        [key] = parent.stream.key
        column = f"child.{quoted(declared.name)}"
        nothing = "0" if declared.type is Type.BIGINT else "'', '0'"
        as_text = "" if declared.type is parent.stream.field(key).type else "::varchar"
        count = evidence.count(
            f"select count(*) from {relation(evidence.stream_table.table)} as child "
            f"where child._deleted_at is null and {column} not in ({nothing}) "
            f"and {column}{as_text} not in (select {quoted(key)}{as_text} "
            f"from {relation(parent.table)} where {quoted(key)} is not null)"
        )
        if count:
            missing[declared.name] = count
    text = ", ".join(f"{name} ({count})" for name, count in missing.items())
    return Finding(
        sum(missing.values()),
        f"Rows whose reference points to a missing row, by {text}." if text else "",
        missing,
    )


def drifted(live: int, total: int, tolerance: float) -> bool:
    """Whether the account's total differs from the live rows by more than the tolerated share."""
    return abs(live - total) > tolerance * max(total, live)


def _can_drift(account: Account, stream_table: StreamTable) -> bool:
    """Whether rows can go missing at all: a FULL_TABLE table is what was just read."""
    can_change = stream_table.sync_type is SyncType.INCREMENTAL
    return account.drift is not None and can_change and stream_table.stream.has_own_pages


def _drift(evidence: Evidence) -> Finding:
    total, drift = evidence.total, evidence.account.drift
    if total is None or drift is None:
        return Finding(None)
    live = evidence.count(
        f"select count(*) from {relation(evidence.stream_table.table)} where _deleted_at is null"
    )
    details = {"live_rows": live, "account_total": total}
    if not drifted(live, total, drift.tolerance):
        return Finding(0, "", details)
    return Finding(
        abs(live - total),
        f"The table has {live} live rows, the account {total} records: a full sync corrects that.",
        details,
    )


def hidden_rows(db: duckdb.DuckDBPyConnection, stream_table: StreamTable) -> int | None:
    """The rows that are seen as stubs; None for a stream that has none."""
    if stream_table.stream.stub is None:
        return None
    table = relation(stream_table.table)
    [(count,)] = db.execute(f"select count(*) from {table} where {_HIDDEN}").fetchall()
    return int(count)


def newest_hidden(db: duckdb.DuckDBPyConnection, stream_table: StreamTable, most: int) -> list[str]:
    """The newest keys, at most so many, of the rows that are seen as stubs."""
    [key] = stream_table.stream.key
    rows = db.execute(
        f"select {quoted(key)}::varchar from {relation(stream_table.table)} "
        f"where {_HIDDEN} order by {quoted(key)} desc limit {most}"
    ).fetchall()
    return [value for (value,) in rows]


def _has_stubs(_account: Account, stream_table: StreamTable) -> bool:
    return stream_table.stream.stub is not None


def _hidden(evidence: Evidence) -> Finding:
    stream_table, stub = evidence.stream_table, evidence.stream_table.stream.stub
    count = hidden_rows(evidence.db, stream_table)
    if not count or stub is None:
        return Finding(0)
    shown = enumerated(stub.fields, "and")
    text = f"{count} {stream_table.name} are shown to this key with {shown} only"
    if stub.hidden_by is None:
        return Finding(count, f"{text}.")
    hiders, names = stub.hidden_by.name, list(evidence.hidden_by or ())
    named = f" Hidden {hiders}: {', '.join(names)}." if names else ""
    return Finding(
        count,
        f"{text}, because their {hiders} are hidden from its user or were deleted.{named} "
        f"Give the user's group the permission to manage the {hiders}.",
        {f"hidden_{hiders}": names} if names else {},
    )


def _parent(account: Account, stream_table: StreamTable) -> StreamTable | None:
    """The table of the enabled stream beside whose pages the records come."""
    return next((t for t in account.enabled if t.name == stream_table.stream.parent), None)


def _can_miss_changes(account: Account, stream_table: StreamTable) -> bool:
    parent = _parent(account, stream_table)
    return parent is not None and bool(parent.stream.stamps) and len(parent.stream.key) == 1


def _missed(evidence: Evidence) -> Finding:
    stream_table = evidence.stream_table
    parent, beside = _parent(evidence.account, stream_table), stream_table.stream.beside
    if not evidence.since or not evidence.is_full or parent is None or beside is None:
        return Finding(None)  # only a full sync after an earlier sync can tell
    [key] = parent.stream.key
    stamps = ", ".join(f"parent.{quoted(name)}" for name in parent.stream.stamps)
    count = evidence.count(
        f"select count(*) from {relation(stream_table.table)} as child "
        f"join {relation(parent.table)} as parent "
        f"on parent.{quoted(key)} = child.{quoted(beside.owner)} "
        f"where child._sync_id = ? and parent._deleted_at is null and coalesce({stamps}) < ?",
        [evidence.sync_id, evidence.since],
    )
    return Finding(
        count,
        f"{count} records had changed without the update stamp in {parent.name} moving: plan full "
        "syncs often enough."
        if count
        else "",
    )


REJECTED_VALUES = Check(
    name="rejected_values",
    description="Values that could not be converted to their column's type. They are NULL in the "
    f"table and kept verbatim in {SCHEMA}._rejected_values.",
    find=_rejected,
    within=AS_DECLARED,
)
UNDECLARED_FIELDS = Check(
    name="undeclared_fields",
    description="Undeclared fields that the API sent. Each became a column.",
    find=_undeclared,
    within=AS_DECLARED,
)
DUPLICATE_IDS = Check(
    name="duplicate_ids",
    description="Rows that share their id, or the key that is used instead of it.",
    find=_duplicates,
    within=AS_DECLARED,
)
ORPHANED_REFERENCES = Check(
    name="orphaned_references",
    description="References to rows that are not in the table they point to.",
    find=_orphans,
    applies=lambda account, stream_table: bool(references(account, stream_table)),
)
ROW_COUNT_DRIFT = Check(
    name="row_count_drift",
    description="Live rows that differ from the account's own total by more than the tolerance.",
    find=_drift,
    applies=_can_drift,
)
HIDDEN_DEALS = Check(
    name="hidden_deals",
    description="Records that the key may not see in full, for instance because their pipeline is "
    "hidden from its user or was deleted.",
    find=_hidden,
    applies=_has_stubs,
)
MISSED_CHANGES = Check(
    name="missed_changes",
    description="Records that changed although their parent's update timestamp did not. Only full "
    "syncs find such changes.",
    find=_missed,
    applies=_can_miss_changes,
)
CHECKS = (
    REJECTED_VALUES,
    UNDECLARED_FIELDS,
    DUPLICATE_IDS,
    ORPHANED_REFERENCES,
    ROW_COUNT_DRIFT,
    HIDDEN_DEALS,
    MISSED_CHANGES,
)


def applicable(account: Account, stream_table: StreamTable) -> list[Check]:
    """The checks that a stream has."""
    return [
        check
        for check in CHECKS
        if check.applies(account, stream_table)
        and account.severities.get(check.name, "warn") != "ignore"
    ]


def asset_checks(account: Account, stream_table: StreamTable) -> dict[str, list[Check]]:
    """The asset checks of a stream by name, with what each looks for."""
    found: dict[str, list[Check]] = {}
    for check in applicable(account, stream_table):
        found.setdefault(check.within or check.name, []).append(check)
    return found


def specs(account: Account, stream_table: StreamTable) -> Iterator[dg.AssetCheckSpec]:
    """The declarations of a stream's asset checks."""
    for name, parts in asset_checks(account, stream_table).items():
        text = " ".join(part.description for part in parts)
        yield dg.AssetCheckSpec(name, asset=account.key(stream_table.name), description=text)


def evaluate(evidence: Evidence) -> Iterator[dg.AssetCheckEvaluation]:
    """The results of a stream's asset checks; what cannot tell leaves its last result standing."""
    account, stream_table = evidence.account, evidence.stream_table
    for name, parts in asset_checks(account, stream_table).items():
        findings = {part.name: part.find(evidence) for part in parts}
        counts = {part: f.count for part, f in findings.items() if f.count is not None}
        if not counts:
            continue
        # of a check that passed, the severity is that of what it looks for
        telling = [part for part, count in counts.items() if count] or list(counts)
        is_error = any(account.severities.get(part) == "error" for part in telling)
        details = {key: value for f in findings.values() for key, value in f.details.items()}
        yield dg.AssetCheckEvaluation(
            asset_key=account.key(stream_table.name),
            check_name=name,
            passed=not any(counts.values()),
            severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
            description=" ".join(f.text for f in findings.values() if f.text) or None,
            metadata={
                "found": sum(counts.values()),
                **(counts if len(counts) > 1 else {}),
                **details,
            },
        )
