"""The command `activecampaign backup`: a copy of the database, whole and while syncs run."""

from __future__ import annotations

from pathlib import Path

import click
import duckdb

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.commands.output import AS_JSON, print_json
from activecampaign_dagster.orchestration.resources import warehouse
from activecampaign_dagster.warehouse.sql import literal
from activecampaign_dagster.warehouse.warehouse import Warehouse


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@AS_JSON
def backup(file: Path, *, as_json: bool) -> None:
    """Copy the database to FILE, which must not exist yet, at any time.

    Waits for a sync or a build that is writing; those that come meanwhile wait until the copy is
    made. To go back, stop what writes, put the copy in the database's place and remove the file
    that ends in .wal and the folder that ends in .staging.
    """
    target = file.expanduser().absolute()
    if target.exists():
        raise click.ClickException(f"{target} already exists: name another file.")
    try:
        source = warehouse()
        if source.location.is_shared:
            raise click.ClickException(
                f"{source.location.label} is not a file: docs/deployment.md describes its backup."
            )
        if not source.exists():
            raise click.ClickException(
                f"There is no database {source.location.label}: set ACTIVECAMPAIGN_DATABASE to "
                "the one to copy."
            )
        _copy(source, target)
    except ActiveCampaignError as error:
        raise click.ClickException(str(error)) from None
    except (duckdb.Error, OSError) as error:
        reason = str(error).splitlines()[0]
        raise click.ClickException(
            f"The copy {target} could not be written ({reason}): check the folder and its free "
            f"space."
        ) from None
    size = target.stat().st_size
    if as_json:
        print_json(file=str(target), bytes=size)
        return
    click.echo(f"{target}: {size / 1e6:,.1f} MB")


def _copy(source: Warehouse, target: Path) -> None:
    """Write a copy, which appears at once and whole."""
    partial = target.with_name(f".{target.name}.partial")
    rest = (partial, partial.with_name(f"{partial.name}.wal"))
    for each in rest:
        each.unlink(missing_ok=True)
    try:
        # others may read meanwhile, and nobody write
        with source.connect(read_only=True) as db:
            db.execute(f"attach {literal(str(partial))} as copied")
            db.execute("copy from database warehouse to copied")
            db.execute("detach copied")
        partial.rename(target)
    finally:
        for each in rest:
            each.unlink(missing_ok=True)
