"""The commands `activecampaign warehouse …`: make it, look at it, maintain it, move into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import click

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.commands.output import AS_JSON, print_json
from activecampaign_dagster.orchestration import resources
from activecampaign_dagster.warehouse import ledger
from activecampaign_dagster.warehouse.copying import copy as copied
from activecampaign_dagster.warehouse.factory import warehouse_at
from activecampaign_dagster.warehouse.location import LocationError
from activecampaign_dagster.warehouse.warehouse import NoWarehouseError, commit

_PATIENCE = 30.0  # seconds


@contextmanager
def _told() -> Iterator[None]:
    """A user's mistake, or a warehouse that is away, in a sentence."""
    try:
        yield
    except ActiveCampaignError as error:
        raise click.ClickException(str(error)) from None


@click.group()
def warehouse() -> None:
    """Create, inspect, maintain and copy the warehouse in ACTIVECAMPAIGN_DATABASE."""


@warehouse.command()
@AS_JSON
def init(*, as_json: bool) -> None:
    """Create the warehouse, if there is none: once, before several hosts start to use it."""
    with _told():
        found = resources.warehouse()
        with found.connect(patience=_PATIENCE) as db:
            commit(db, partial(ledger.create, db))
    if as_json:
        print_json(warehouse=found.location.label)
        return
    click.echo(f"The warehouse is ready: {found.location.label}")


@warehouse.command()
@AS_JSON
def status(*, as_json: bool) -> None:
    """Show where the warehouse is and how large it has become."""
    with _told():
        found = resources.warehouse()
        if not found.exists():
            raise NoWarehouseError(found.location)
        sizes = found.sizes()
    if as_json:
        print_json(warehouse=found.location.label, **sizes)
        return
    click.echo(found.location.label)
    for name, size in sizes.items():
        click.echo(f"{name:24} {size:>16,}")


@warehouse.command()
@AS_JSON
def tidy(*, as_json: bool) -> None:
    """Remove old snapshots and merge small files. Waits until no process writes."""
    with _told():
        found = resources.warehouse()
        before = found.sizes()
        done = list(found.tidy())
        after = found.sizes()
    if as_json:
        print_json(done=done, before=before, after=after)
        return
    for sentence in done or ["A file needs no maintenance."]:
        click.echo(sentence)
    for name, size in after.items():
        click.echo(f"{name:24} {before.get(name, 0):>16,} → {size:,}")


@warehouse.command()
@click.argument("origin", metavar="FROM")
@click.argument("target", metavar="TO")
@AS_JSON
def copy(origin: str, target: str, *, as_json: bool) -> None:
    """Copy all tables of the file FROM into the empty warehouse TO, and compare every row.

    TO is written as in ACTIVECAMPAIGN_DATABASE. No sync may run meanwhile: stop the daemon first.
    """
    with _told():
        file = resources.location(origin)
        if file.is_shared or not warehouse_at(file).exists():
            raise LocationError(f"{file.label} is not a DuckDB file to copy from.")
        tables: list[dict[str, Any]] = []
        for table in copied(file, warehouse_at(resources.location(target))):
            tables.append({"table": f"{table.schema}.{table.table}", "rows": table.rows})
            if not as_json:
                click.echo(f"{table.schema}.{table.table}: {table.rows:,} rows")
    rows = sum(table["rows"] for table in tables)
    if as_json:
        print_json(tables=tables, rows=rows)
        return
    click.echo(
        f"{rows:,} rows copied and compared. Set ACTIVECAMPAIGN_DATABASE to {target}; "
        "the next build makes the views."
    )
