"""A made-up account and a database to sync it into."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from activecampaign_dagster.sandbox.server import Sandbox
from tests.helpers import Warehouse, serving


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with serving() as server:
        yield server


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "a.duckdb")


@pytest.fixture(scope="session")
def first_sync(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database after one full sync of the account in `sandbox`; to be copied."""
    warehouse = Warehouse(tmp_path_factory.mktemp("first_sync") / "a.duckdb")
    with serving() as server:
        warehouse.sync(server)
    return warehouse.path


@pytest.fixture
def synced(first_sync: Path, warehouse: Warehouse) -> Warehouse:
    """A warehouse that a full sync of the account in `sandbox` has filled."""
    shutil.copy(first_sync, warehouse.path)
    return warehouse
