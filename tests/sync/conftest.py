"""A made-up account and a database to sync it into; retries without their waits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from activecampaign_dagster.sandbox.server import Sandbox
from tests.api.conftest import no_waits
from tests.helpers import Warehouse, serving

__all__ = ["no_waits"]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with serving() as server:
        yield server


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "a.duckdb")
