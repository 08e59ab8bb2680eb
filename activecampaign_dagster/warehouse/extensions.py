"""DuckDB's extensions: from installed Python packages, else from DuckDB's own folder or server."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import duckdb

from activecampaign_dagster.warehouse.sql import literal
from activecampaign_dagster.warehouse.warehouse import WarehouseError

LAKE_EXTENSIONS = ("postgres_scanner", "ducklake")


def load_extension(db: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load an extension of DuckDB.

    Raises WarehouseError if there is none, or only one for another version of DuckDB.
    """
    if packaged := _packaged(name):
        db.execute(f"load {literal(str(packaged))}")
        return
    with suppress(duckdb.Error):
        db.execute(f"load {name}")
        return
    try:
        db.install_extension(name)
        db.load_extension(name)
    except duckdb.Error as error:
        raise WarehouseError(
            f"DuckDB's extension {name} is not installed and cannot be fetched "
            f"({str(error).splitlines()[0]}): run pip install 'activecampaign-dagster[lake]'."
        ) from error


def are_packaged(names: Sequence[str]) -> bool:
    """Whether all of these extensions come from Python packages; raises as `load_extension`."""
    return all(_packaged(name) for name in names)


def _packaged(name: str) -> Path | None:
    """The extension's file in the Python package that brings it; None without that package."""
    package = f"duckdb_extension_{name}"
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "extensions"
    file = folder / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    if file.exists():
        return file
    versions = ", ".join(sorted(each.name.removeprefix("v") for each in folder.glob("v*")))
    raise WarehouseError(
        f"The package {package.replace('_', '-')} is for DuckDB {versions}, but DuckDB "
        f"{duckdb.__version__} is installed: run pip install duckdb=={versions}."
    )
