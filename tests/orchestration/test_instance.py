"""The settings that Dagster runs with, however it is started."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

# what `dagster dev` and `dagster job execute` open where DAGSTER_HOME is not set
from dagster._cli.utils import get_possibly_temporary_instance_for_cli
from dagster._core.test_utils import create_run_for_test
from dagster._daemon.monitoring.concurrency import execute_concurrency_slots_iteration

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


@pytest.mark.parametrize("started", [from_the_folder, from_a_home])
def test_a_killed_run_does_not_keep_its_accounts_pool(
    started: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pool = "activecampaign_activecampaign"
    with started(monkeypatch, tmp_path) as instance:  # type: ignore[operator]
        storage = instance.event_log_storage
        storage.initialize_concurrency_limit_to_default(pool)
        run = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED)
        assert storage.claim_concurrency_slot(pool, run.run_id, "streams").is_claimed
        instance.report_run_failed(run)
        assert not storage.claim_concurrency_slot(pool, "next", "streams").is_claimed
        later = datetime.now(UTC) + timedelta(minutes=2)
        monkeypatch.setattr(
            "dagster._daemon.monitoring.concurrency.get_current_datetime", lambda: later
        )
        daemon = SimpleNamespace(instance=instance)
        list(execute_concurrency_slots_iteration(daemon, logging.getLogger()))  # type: ignore[arg-type]
        assert storage.claim_concurrency_slot(pool, "next", "streams").is_claimed
