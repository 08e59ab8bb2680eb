"""Binds tables to the account that they came from, since two accounts have the same ids."""

from __future__ import annotations

from pathlib import Path

import duckdb

from activecampaign_dagster.api.address import account_label
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.warehouse import ledger
from activecampaign_dagster.warehouse.sql import quoted
from activecampaign_dagster.warehouse.warehouse import WarehouseError, transaction


def bind(db: duckdb.DuckDBPyConnection, source: Source, base_url: str) -> None:
    """Note that the tables of `source` hold the account at `base_url`.

    Raises WarehouseError if they hold rows of another one. Tables that were filled before this was
    noted are taken for that of today's address.
    """
    account = account_label(base_url)
    noted = ledger.facts(db, source.name).get(ledger.ADDRESS)
    if noted == account:
        return
    if noted is not None and ledger.has_rows(db, source):
        raise WarehouseError(
            f"The tables of {source.name!r} hold the account {noted}, but the URL is that of "
            f"{account}: set ACTIVECAMPAIGN_DATABASE to another file, or another table_prefix.\n"
            f"If {noted} has moved to this URL, run in the database: "
            f"delete from {_catalog(db)}.{ledger.remedy_for_address(source.name)}"
        )
    with transaction(db):
        ledger.note_fact(db, source.name, ledger.ADDRESS, account)


def _catalog(db: duckdb.DuckDBPyConnection) -> str:
    """The name that DuckDB gives the database elsewhere: `activecampaign` alone is ambiguous."""
    (path,) = db.execute(
        "select path from duckdb_databases() where database_name = current_database()"
    ).fetchone() or ("",)
    return quoted(Path(path).name.split(".")[0])
