"""An account on loopback with its definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from activecampaign_dagster.components.source import ActiveCampaignSource
from activecampaign_dagster.sandbox.server import Sandbox
from tests.orchestration.setup import QUICK, Setup, environment, small


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A small account."""
    with Sandbox(small(), requests_per_second=None) as served:
        yield served


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
