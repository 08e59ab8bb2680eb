"""An account on loopback with its definitions."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from activecampaign_dagster.components.source import ActiveCampaignSource
from activecampaign_dagster.sandbox.server import Sandbox
from tests.orchestration.machine import Machine, machine_in
from tests.orchestration.setup import QUICK, Ran, Setup, environment, small


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A small account."""
    with Sandbox(small(), requests_per_second=None) as served:
        yield served


@pytest.fixture(scope="session")
def refreshed(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Ran]:
    """A small account with its default settings after a full refresh, and that run; to look at."""
    folder = tmp_path_factory.mktemp("refreshed")
    with (
        pytest.MonkeyPatch.context() as patch,
        Sandbox(small(), requests_per_second=None) as served,
        environment(patch, folder, ACTIVECAMPAIGN=served) as instance,
    ):
        setup = Setup(
            [ActiveCampaignSource.model_validate(QUICK)], instance, folder / "warehouse.duckdb"
        )
        result = setup.run()
        patch.undo()
        yield setup, result


@pytest.fixture
def synced(refreshed: Ran, tmp_path: Path, sandbox: Sandbox) -> None:
    """The small account's database is as a full refresh has left it."""
    shutil.copy(refreshed[0].database, tmp_path / "warehouse.duckdb")


@pytest.fixture
def make(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[..., Setup]]:
    """Definitions of the account in `sandbox`, with settings."""
    with environment(monkeypatch, tmp_path, ACTIVECAMPAIGN=sandbox) as instance:

        def made(**settings: Any) -> Setup:
            source = ActiveCampaignSource.model_validate({**QUICK, **settings})
            assert source.mistakes() == []
            return Setup([source], instance, tmp_path / "warehouse.duckdb")

        yield made


@pytest.fixture
def setup(make: Callable[..., Setup]) -> Setup:
    """The account with its default settings."""
    return make()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine where commands of Dagster run, with DAGSTER_HOME and without a daemon."""
    with machine_in(tmp_path) as made:
        yield made
