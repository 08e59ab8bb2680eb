"""Lakes for tests: each in a database of its own on the PostgreSQL server that is running."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import duckdb
import pytest

from activecampaign_dagster.warehouse import lake
from activecampaign_dagster.warehouse.extensions import load_extension
from activecampaign_dagster.warehouse.location import (
    LAKE,
    LAKE_FILES_VARIABLE,
    SCRATCH_VARIABLE,
    Location,
    locate,
)

SERVER = {"PGHOST": "127.0.0.1", "PGPORT": "5432", "PGUSER": "postgres", "PGPASSWORD": ""}


def server() -> dict[str, str]:
    """How the PostgreSQL server is reached: as libpq's variables say, else on this machine."""
    return {name: os.environ.get(name) or value for name, value in SERVER.items()}


def why_no_extensions() -> str | None:
    """Why DuckDB can open no lake here; None if it can."""
    for name in lake.LAKE_EXTENSIONS:
        if importlib.util.find_spec(f"duckdb_extension_{name}") is None:
            return f"the package duckdb-extension-{name.replace('_', '-')} is not installed"
    return None


def why_none() -> str | None:
    """Why there can be no lake here; None if there can."""
    if reason := why_no_extensions():
        return reason
    try:
        ask("select 1")
    except duckdb.Error as error:
        return f"no PostgreSQL server answers: {str(error).splitlines()[0]}"
    return None


def ask(sql: str, database: str = "postgres") -> None:
    """Run a statement on the server, outside of any transaction."""
    with duckdb.connect() as db:
        load_extension(db, "postgres_scanner")
        address = " ".join(
            f"{name.removeprefix('PG').lower()}={value}"
            for name, value in server().items()
            if value
        )
        db.execute(f"attach '{address} dbname={database}' as pg (type postgres)")
        db.execute("call postgres_execute('pg', ?, use_transaction => false)", [sql])


@contextmanager
def new_lake(folder: Path) -> Iterator[Location]:
    """An empty lake for the block, reached by the environment.

    Skips the test, with the reason, where there can be none.
    """
    if reason := why_none():
        pytest.skip(reason)
    name = f"activecampaign_{uuid4().hex[:12]}"
    files, scratch = folder / "files", folder / "scratch"
    ask(f"create database {name}")
    variables = {**server(), "PGDATABASE": name, LAKE_FILES_VARIABLE: str(files)}
    variables |= {SCRATCH_VARIABLE: str(scratch)}
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in variables.items():
            patch.setenv(variable, value)
        place = locate(LAKE, folder / "a.duckdb")
        try:
            yield place
        finally:
            forget_connection(place)
            ask(f"drop database if exists {name} with (force)")


def fill(place: Location, like: Location) -> None:
    """Make a lake a copy of another one."""
    name = place.database
    for each in (place, like):
        forget_connection(each)
    ask(f"drop database {name} with (force)")
    ask(f"create database {name} template {like.database}")
    ask(f"update ducklake_metadata set value = '{place.files}/' where key = 'data_path'", name)
    shutil.copytree(like.files, place.files, dirs_exist_ok=True)


def forget_connection(place: Location) -> None:
    """Detach a lake, which this process would keep until its end."""
    attached = lake._attached.pop(place, None)
    if attached:
        attached.close()
