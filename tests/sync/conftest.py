"""A made-up account and a database to sync it into."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.warehouse.location import Location
from tests.helpers import Warehouse, serving
from tests.lakes import fill, new_lake


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with serving() as server:
        yield server


@pytest.fixture(params=["file", pytest.param("lake", marks=pytest.mark.slow)])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    """An empty warehouse: the same contract holds for each kind."""
    if request.param == "file":
        yield Warehouse(tmp_path / "a.duckdb")
        return
    with new_lake(tmp_path / "lake") as place:
        yield Warehouse(tmp_path / "a.duckdb", place=place)


@pytest.fixture(scope="session")
def first_sync(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database after one full sync of the account in `sandbox`; to be copied."""
    warehouse = Warehouse(tmp_path_factory.mktemp("first_sync") / "a.duckdb")
    with serving() as server:
        warehouse.sync(server)
    return warehouse.path


@pytest.fixture(scope="session")
def first_sync_of_lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Location]:
    """The same in a lake."""
    folder = tmp_path_factory.mktemp("first_sync_of_lake")
    with new_lake(folder) as place:
        with serving() as server:
            Warehouse(folder / "a.duckdb", place=place).sync(server)
        yield place


@pytest.fixture
def synced(warehouse: Warehouse, request: pytest.FixtureRequest) -> Warehouse:
    """A warehouse that a full sync of the account in `sandbox` has filled."""
    if warehouse.place:
        fill(warehouse.place, request.getfixturevalue("first_sync_of_lake"))
    else:
        shutil.copy(request.getfixturevalue("first_sync"), warehouse.path)
    return warehouse
