"""Binds tables to the account that they came from, since two accounts have the same ids."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from activecampaign_dagster.api.address import account_label
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.warehouse import ledger
from activecampaign_dagster.warehouse.sql import quoted
from activecampaign_dagster.warehouse.warehouse import WarehouseError, commit


def bind(db: duckdb.DuckDBPyConnection, source: Source, base_url: str, catalogue: str) -> None:
    """Note that the tables of `source` hold the account at `base_url`; whoever does holds both.

    Raises as `refuse_others` does.
    """
    account = account_label(base_url)
    facts = ledger.facts(db, source.name)
    if facts.get(ledger.ADDRESS) != account:
        refuse_others(db, source, facts, base_url, catalogue)
        commit(db, lambda: ledger.note_fact(db, source.name, ledger.ADDRESS, account))


def refuse_others(
    db: duckdb.DuckDBPyConnection,
    source: Source,
    facts: Mapping[str, str],
    base_url: str,
    catalogue: str,
) -> None:
    """Raise WarehouseError if the tables of `source` hold rows of an account elsewhere.

    facts: what is known about the account. catalogue: what the database is called elsewhere. Rows
    that came before this was noted are taken for today's account's.
    """
    account = account_label(base_url)
    noted = facts.get(ledger.ADDRESS)
    if noted == account:
        return
    if noted is not None and ledger.has_rows(db, source):
        raise WarehouseError(
            f"The tables of {source.name!r} hold the account {noted}, but the URL is that of "
            f"{account}: set ACTIVECAMPAIGN_DATABASE to another file, or another table_prefix.\n"
            f"If {noted} has moved to this URL, run in the database: "
            f"delete from {quoted(catalogue)}.{ledger.remedy_for_address(source.name)}"
        )
    for other, address in ledger.earlier_addresses(db, source).items() if noted is None else ():
        if address != account:
            raise WarehouseError(
                f"The tables of {source.name!r} are those of {other!r}, which hold the account "
                f"{address}, but the URL is that of {account}: give {source.name!r} a table_prefix "
                "that no other account has.\n"
                f"If {other!r} is the same account under its old name and URL, run in the "
                f"database: delete from {quoted(catalogue)}.{ledger.remedy_for_address(other)}"
            )
