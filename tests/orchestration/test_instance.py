"""The settings that Dagster runs with, however it is started."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

# what `dagster dev` and `dagster job execute` open where DAGSTER_HOME is not set
from dagster._cli.utils import get_possibly_temporary_instance_for_cli

ROOT = Path(__file__).parents[2]


@contextmanager
def from_the_folder(patch: pytest.MonkeyPatch, _: Path) -> Iterator[dg.DagsterInstance]:
    patch.delenv("DAGSTER_HOME", raising=False)
    patch.chdir(ROOT)
    with get_possibly_temporary_instance_for_cli("dagster dev") as instance:
        yield instance


@contextmanager
def from_a_home(patch: pytest.MonkeyPatch, home: Path) -> Iterator[dg.DagsterInstance]:
    shutil.copy(ROOT / "dagster.yaml", home)
    patch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.mark.parametrize("started", [from_the_folder, from_a_home])
def test_an_account_is_a_pool_of_one(
    started: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with started(monkeypatch, tmp_path) as instance:  # type: ignore[operator]
        pools = instance.get_concurrency_config().pool_config
    assert pools.default_pool_limit == 1
    assert str(pools.pool_granularity.value) == "op"
