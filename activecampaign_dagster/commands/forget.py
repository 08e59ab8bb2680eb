"""The command `activecampaign forget`: a contact is removed from all that is stored."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import click

from activecampaign_dagster.orchestration.resources import database_path
from activecampaign_dagster.sync.account_lock import staging_lock
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.forget import Removed, find
from activecampaign_dagster.warehouse.forget import forget as forget_persons
from activecampaign_dagster.warehouse.rewrite import rewrite
from activecampaign_dagster.warehouse.warehouse import WarehouseError

_PATIENCE = 30.0  # seconds to wait for the database, which a build may be writing
_REST = (
    "Backups and copies of the database are as they were. If the contact is still in "
    "ActiveCampaign, delete it there as well, or the next full sync reads it again."
)


@click.command()
@click.argument("who", metavar="ID|EMAIL")
@click.option("--account", help="Only in this account. Default: in all; an ID needs it if several.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
def forget(who: str, account: str | None, *, as_json: bool) -> None:
    """Remove a contact from all tables, snapshots and staged files, byte by byte.

    The contact's own rows are deleted. Deals and other rows that refer to it stay, without the
    reference and without texts that hold its name, address or phone number. Then the database is
    written anew, for which there must be room beside it. No undo.
    """
    try:
        removed, staged = _forget(database_path(), who, account)
    except WarehouseError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps({"removed": [asdict(r) for r in removed], "staged": staged}))
        return
    for line in _report(removed, staged):
        click.echo(line)


def _forget(database: Path, who: str, account: str | None) -> tuple[list[Removed], int]:
    """What was removed from the tables, and how many staged reads."""
    if not database.exists():
        raise WarehouseError(
            f"There is no database {database}: set ACTIVECAMPAIGN_DATABASE to the one to clean."
        )
    staging = database.with_name(f"{database.name}.staging")
    log = logging.getLogger(__name__)
    with ExitStack() as stack:
        # a sync under way would land what it has read of the contact
        accounts = [folder for folder in _folders(staging) if account in (None, folder.name)]
        for folder in accounts:
            stack.enter_context(staging_lock(folder, log))
        with connect(database, patience=_PATIENCE) as db:
            removed = forget_persons(db, find(db, who, account))
            staged = [read for folder in accounts for read in _folders(folder)]
            for read in staged:
                shutil.rmtree(read)
            # even if nothing was removed now: rows deleted earlier may still lie in free blocks
            rewrite(db, database)
    shutil.rmtree(f"{database}.tmp", ignore_errors=True)
    return removed, len(staged)


def _folders(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.is_dir()) if path.is_dir() else []


def _report(removed: Sequence[Removed], staged: int) -> list[str]:
    if not removed:
        return [f"No table holds the contact. The database was written anew. {_REST}"]
    width = max(len(each.table) for each in removed)
    lines = [
        f"{each.table:{width}}  {each.rows} rows deleted, {each.texts} values cleared"
        for each in removed
    ]
    if staged:
        lines.append(f"{staged} unfinished reads deleted; the next sync reads them again.")
    return [*lines, f"The database was written anew. {_REST}"]
