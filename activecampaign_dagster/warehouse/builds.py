"""What the models were last built of.

`_builds` has a line per node of the dbt project that was built, or tested, with success: a
signature of all that it was made of. Nothing else reads or writes it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from hashlib import sha256

import duckdb

from activecampaign_dagster.warehouse import clock, ledger
from activecampaign_dagster.warehouse.sql import SCHEMA, has_relation, literal, quoted
from activecampaign_dagster.warehouse.warehouse import commit

_BUILDS = f"{SCHEMA}._builds"


def recorded(db: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Node → the signature of its last build that succeeded."""
    if not has_relation(db, "_builds"):
        return {}
    return dict(db.execute(f"select node, signature from {_BUILDS}").fetchall())


def forget(db: duckdb.DuckDBPyConnection, nodes: Collection[str] | None = None) -> None:
    """Let nodes count as not built; None: all of them."""
    if not has_relation(db, "_builds"):
        return
    if nodes is None:
        db.execute(f"delete from {_BUILDS}")
    else:
        db.execute(f"delete from {_BUILDS} where list_contains(?, node)", [list(nodes)])


def record(db: duckdb.DuckDBPyConnection, built: Mapping[str, str]) -> None:
    """Replace the signatures of nodes."""

    def replaced() -> None:
        db.execute(f"create schema if not exists {SCHEMA}")
        db.execute(
            f"create table if not exists {_BUILDS} "
            "(node varchar, signature varchar, built_at timestamptz)"
        )
        forget(db, built)
        if built:
            db.execute(
                f"insert into {_BUILDS} select unnest(?), unnest(?), ?",
                [list(built), list(built.values()), datetime.now(UTC)],
            )

    commit(db, replaced)


def last_built(db: duckdb.DuckDBPyConnection, models: Collection[str]) -> datetime | None:
    """When the last of some models was built; None if one is not, or of none."""
    if not has_relation(db, "_builds"):
        return None
    found = db.execute(
        "select string_split(node, '.')[-1] as model, max(built_at) "
        f"from {_BUILDS} where starts_with(node, 'model.') group by model"
    ).fetchall()
    times = [at for model, at in found if model in models]
    return max(times) if times and len(times) == len(models) else None


def streams(db: duckdb.DuckDBPyConnection) -> tuple[dict[str, str], dict[str, str]]:
    """Two digests of each stream's tables in all accounts: of their rows, and of their columns.

    The first changes if rows or columns do, the second if columns do; both if the zone does in
    which an account's stamps are read. Every row that a sync writes or marks is stamped with that
    sync, so that stamps tell it. They take 30 ms per million rows.
    """
    entries = sorted(ledger.entries(db))
    zones = clock.zones(db)
    columns = _columns(db, {table for _, _, table in entries})
    contents: dict[str, list[str]] = {}
    forms: dict[str, list[str]] = {}
    for account, stream, table in entries:
        form = columns.get(table, "")
        name = f"{account} {table} {zones.get(account, clock.UNLESS_KNOWN)}"
        contents.setdefault(stream, []).append(f"{name} {_content(db, table, form)}")
        forms.setdefault(stream, []).append(f"{name} {form}")
    return (
        {stream: digest(*parts) for stream, parts in contents.items()},
        {stream: digest(*parts) for stream, parts in forms.items()},
    )


def content_of(db: duckdb.DuckDBPyConnection, table: str) -> str:
    """A digest of a stream's table; empty if there is no such table."""
    return _content(db, table, _columns(db, {table}).get(table, ""))


def last_changes(db: duckdb.DuckDBPyConnection, tables: Collection[str]) -> str:
    """A digest of when each of some streams' tables last changed: less work than what they hold."""
    of_each = [
        f"select {literal(table)} as name, max(_synced_at) from {SCHEMA}.{quoted(table)}"
        for table in sorted(_columns(db, tables))
    ]
    found = db.execute(f"{' union all '.join(of_each)} order by name").fetchall() if of_each else []
    return digest(str(found))


def _content(db: duckdb.DuckDBPyConnection, table: str, form: str) -> str:
    if not form:
        return ""
    rows = db.execute(
        "select count(*), sum(hash(_sync_id, _synced_at, _deleted_at)) "
        f"from {SCHEMA}.{quoted(table)}"
    ).fetchall()
    return digest(form, str(rows))


def _columns(db: duckdb.DuckDBPyConnection, tables: Collection[str]) -> dict[str, str]:
    """Table → its columns and their types, of those that there are."""
    found: dict[str, list[tuple[str, str]]] = {}
    rows = db.execute(
        "select table_name, column_name, data_type from duckdb_columns() where schema_name = ? "
        "and list_contains(?, table_name) and database_name = current_database() "
        "order by table_name, column_index",
        [SCHEMA, list(tables)],
    ).fetchall()
    for table, column, type_ in rows:
        found.setdefault(table, []).append((column, type_))
    return {table: str(columns) for table, columns in found.items()}


def digest(*parts: str) -> str:
    """A short digest of texts."""
    return sha256("\0".join(parts).encode()).hexdigest()[:32]
