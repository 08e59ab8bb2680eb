"""Which account the tables came from: the rows of two must not mix, as their ids are the same."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb

from activecampaign_dagster.api.address import account_label
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.warehouse.sql import SCHEMA, literal, quoted
from activecampaign_dagster.warehouse.warehouse import WarehouseError, transaction


def claim(db: duckdb.DuckDBPyConnection, source: Source, base_url: str) -> None:
    """Note that the tables of `source` hold the account at `base_url`.

    Raises WarehouseError if they hold rows of another one. Tables that were filled before this was
    noted are taken for that of today's address.
    """
    account = account_label(base_url)
    table = f"{SCHEMA}._account_facts"
    where = f"where account = {literal(source.name)} and fact = 'address'"
    noted = db.execute(f"select value from {table} {where}").fetchone()
    if noted == (account,):
        return
    if noted and _hold_rows(db, source):
        raise WarehouseError(
            f"The tables of {source.name!r} hold the account {noted[0]}, but the URL is that of "
            f"{account}: set ACTIVECAMPAIGN_DATABASE to another file, or another table_prefix.\n"
            f"If {noted[0]} has moved to this URL, run in the database: "
            f"delete from {_catalog(db)}.{table} {where}"
        )
    with transaction(db):
        db.execute(f"delete from {table} {where}")
        db.execute(
            f"insert into {table} values (?, 'address', ?, ?)",
            [source.name, account, datetime.now(UTC)],
        )


def _catalog(db: duckdb.DuckDBPyConnection) -> str:
    """What DuckDB calls the database elsewhere: a file called like the schema needs both names."""
    (path,) = db.execute(
        "select path from duckdb_databases() where database_name = current_database()"
    ).fetchone() or ("",)
    return quoted(Path(path).name.split(".")[0])


def _hold_rows(db: duckdb.DuckDBPyConnection, source: Source) -> bool:
    """Whether a sync has landed in any of the tables that the source has now."""
    rows = db.execute(
        f"select stream, table_name from {SCHEMA}._streams "
        "where account = ? and last_synced_at is not null",
        [source.name],
    ).fetchall()
    return not {
        (stream_table.name, stream_table.table) for stream_table in source.stream_tables
    }.isdisjoint(rows)
