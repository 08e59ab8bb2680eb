"""The command `activecampaign forget`: a contact is removed from all that is stored."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import click

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.api.printable import counted
from activecampaign_dagster.commands.output import AS_JSON, print_json
from activecampaign_dagster.orchestration.resources import warehouse
from activecampaign_dagster.sync.account_lock import staging_lock
from activecampaign_dagster.warehouse.forget import Removed, find
from activecampaign_dagster.warehouse.forget import forget as forget_persons
from activecampaign_dagster.warehouse.warehouse import Warehouse, WarehouseError

_PATIENCE = 30.0  # seconds to wait for the database, which a build may be writing
_REST = (
    "Backups and copies of the database were not changed. If the contact is still in "
    "ActiveCampaign, delete it there as well, or the next full sync reads it again."
)


@click.command()
@click.argument("who", metavar="ID|EMAIL")
@click.option(
    "--account",
    help="Only in this account. Default: in all; required for an ID if there are several.",
)
@click.option(
    "--rewrite",
    is_flag=True,
    help="Rewrite the database even if the contact is not found, because an earlier run did "
    "not end.",
)
@AS_JSON
def forget(who: str, account: str | None, *, rewrite: bool, as_json: bool) -> None:
    """Remove a contact from all tables, snapshots and staged files.

    The contact's own rows are deleted. Deals and other rows that refer to it stay, without the
    reference and without texts that contain its name, address or phone number. Then the database
    is rewritten, which needs about as much free disk space as the database. There is no undo.
    """
    try:
        removed, staged, is_rewritten = _forget(warehouse(), who, account, rewrite=rewrite)
    except ActiveCampaignError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        print_json(
            removed=[asdict(each) for each in removed], staged=staged, rewritten=is_rewritten
        )
        return
    for line in _report(removed, staged, is_rewritten=is_rewritten):
        click.echo(line)


def _forget(
    warehouse: Warehouse, who: str, account: str | None, *, rewrite: bool
) -> tuple[list[Removed], int, bool]:
    """What was removed from the tables, how many staged reads, and whether it was rewritten."""
    if not warehouse.exists():
        raise WarehouseError(
            f"There is no database {warehouse.location.label}: set ACTIVECAMPAIGN_DATABASE to the "
            "one to clean."
        )
    staging = warehouse.location.folder("staging")
    log = logging.getLogger(__name__)
    with ExitStack() as stack:
        # a sync under way would land what it has read of the contact
        accounts = [folder for folder in _folders(staging) if account in (None, folder.name)]
        for folder in accounts:
            stack.enter_context(staging_lock(folder, log))
        with warehouse.connect(patience=_PATIENCE) as db:
            removed = forget_persons(db, find(db, who, account))
            staged = [read for folder in accounts for read in _folders(folder)]
            for read in staged:
                shutil.rmtree(read)
            is_rewritten = bool(removed) or rewrite
            if is_rewritten:
                warehouse.erase(db)
    return removed, len(staged), is_rewritten


def _folders(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.is_dir()) if path.is_dir() else []


def _report(removed: Sequence[Removed], staged: int, *, is_rewritten: bool) -> list[str]:
    width = max((len(each.table) for each in removed), default=0)
    lines = [
        f"{each.table:{width}}  {each.rows} rows deleted, {each.texts} values cleared"
        for each in removed
    ]
    lines = lines or ["No table contains the contact."]
    if staged:
        reads = counted(staged, "unfinished read")
        lines.append(f"{reads} deleted; the next sync reads again what was in them.")
    if is_rewritten:
        return [*lines, f"The database was rewritten. {_REST}"]
    return [
        *lines,
        "The database was not rewritten. If an earlier run of this command did not end, run it "
        f"again with --rewrite. {_REST}",
    ]
