"""The fixtures of the syncs, which alone fill tables; and lakes on a server of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import Warehouse
from tests.lakes import new_lake
from tests.postgres_server import Server, private_server
from tests.sync.conftest import first_sync, first_sync_of_lake, sandbox, synced, warehouse

__all__ = ["first_sync", "first_sync_of_lake", "sandbox", "synced", "warehouse"]


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server that a test may restart."""
    with private_server() as server:
        yield server


@pytest.fixture
def lake(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    """An empty lake there, which the environment leads to."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    with new_lake(tmp_path / "lake") as place:
        monkeypatch.setenv("ACTIVECAMPAIGN_DATABASE", place.setting)
        yield Warehouse(tmp_path / "a.duckdb", place=place)
