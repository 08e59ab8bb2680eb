"""Dagster's own classes claim pools and pause as this project says."""

from __future__ import annotations

import logging
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.execution.plan.active import ActiveExecution
from dagster._core.executor import in_process, multiprocess
from dagster._core.test_utils import create_run_for_test
from dagster._utils.error import serializable_error_info_from_exc_info

from activecampaign_dagster.orchestration.dagster_internals import InterruptedRunError
from activecampaign_dagster.orchestration.failures import StepError
from activecampaign_dagster.orchestration.pool_claims import (
    LivingRunsClaims,
    wait_for_living_runs_only,
)
from activecampaign_dagster.orchestration.stopping import StoppedRun, stops_in_a_sentence
from activecampaign_dagster.sync.locks import held
from tests.orchestration.machine import Machine, lines_with

POOL = "activecampaign_activecampaign"
STARTED = dg.DagsterRunStatus.STARTED


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    shutil.copy(Path(__file__).parents[2] / "dagster.yaml", tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        made.event_log_storage.initialize_concurrency_limit_to_default(POOL)
        yield made


def started(instance: dg.DagsterInstance) -> dg.DagsterRun:
    return create_run_for_test(instance, job_name="a_job", status=STARTED)


def lock_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Path:
    folder = Path(instance.root_directory) / "activecampaign_runs"
    folder.mkdir(exist_ok=True)
    return folder / f"{run.run_id}.lock"


def test_both_executors_claim_and_pause_in_our_way() -> None:
    wait_for_living_runs_only()
    for module in (in_process, multiprocess):
        assert module.InstanceConcurrencyContext is LivingRunsClaims  # type: ignore[attr-defined]
    assert ActiveExecution.sleep_til_ready.__module__.startswith("activecampaign_dagster.")


def test_what_a_dead_run_holds_or_waits_for_is_free_at_once(instance: dg.DagsterInstance) -> None:
    storage = instance.event_log_storage
    holds, waits, run = (started(instance) for _ in range(3))
    assert storage.claim_concurrency_slot(POOL, holds.run_id, "step").is_claimed
    assert not storage.claim_concurrency_slot(POOL, waits.run_id, "step").is_claimed
    for dead in (holds, waits):
        lock_of(instance, dead).touch()
    with LivingRunsClaims(instance, run) as claims:
        assert claims.claim(POOL, "step")
        for dead in (holds, waits):
            found = instance.get_run_by_id(dead.run_id)
            assert found
            assert found.status is dg.DagsterRunStatus.FAILURE
    assert list(lock_of(instance, run).parent.iterdir()) == []


def test_a_living_run_and_one_of_another_machine_are_left_alone(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = instance.event_log_storage
    for is_here in (True, False):
        living, run = started(instance), started(instance)
        assert storage.claim_concurrency_slot(POOL, living.run_id, "step").is_claimed
        monkeypatch.setenv("ACTIVECAMPAIGN_LOCK_TIMEOUT", "0")
        path = lock_of(instance, living) if is_here else lock_of(instance, living).with_name("x")
        with (
            held(path, logging.getLogger(), purpose="which lives", run=living.run_id),
            LivingRunsClaims(instance, run) as claims,
            pytest.raises(StepError, match=f"the run {living.run_id[:8]} of a_job"),
        ):
            claims.claim(POOL, "step")
        found = instance.get_run_by_id(living.run_id)
        assert found
        assert found.status is STARTED
        storage.free_concurrency_slots_for_run(living.run_id)


def test_the_slot_of_a_run_that_has_ended_is_free_even_if_nobody_freed_it(
    instance: dg.DagsterInstance,
) -> None:
    ended, run = started(instance), started(instance)
    assert instance.event_log_storage.claim_concurrency_slot(POOL, ended.run_id, "s").is_claimed
    instance.report_run_failed(ended)
    with LivingRunsClaims(instance, run) as claims:
        assert not claims.claim(POOL, "step")
        assert claims.claim(POOL, "step")


@pytest.mark.parametrize("value", ["soon", "-1"])
def test_a_time_that_is_none_is_a_sentence(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    living, run = started(instance), started(instance)
    assert instance.event_log_storage.claim_concurrency_slot(POOL, living.run_id, "s").is_claimed
    with LivingRunsClaims(instance, run) as claims:
        monkeypatch.setenv("ACTIVECAMPAIGN_LOCK_TIMEOUT", value)
        with pytest.raises(StepError, match="ACTIVECAMPAIGN_LOCK_TIMEOUT is"):
            claims.claim(POOL, "step")


def test_a_stop_is_shown_as_a_sentence_and_ends_the_run_as_interrupted() -> None:
    with pytest.raises(StoppedRun) as raised, stops_in_a_sentence("while it slept"):
        raise KeyboardInterrupt
    error = raised.value
    shown = serializable_error_info_from_exc_info((type(error), error, error.__traceback__))
    assert shown.message.startswith("The run was stopped by a signal while it slept.")
    assert shown.stack == []


def test_a_signal_that_ends_any_step_ends_the_run_in_a_sentence(
    instance: dg.DagsterInstance,
) -> None:
    run = started(instance)
    with (
        pytest.raises(StoppedRun, match="stopped by a signal while its steps ran"),
        LivingRunsClaims(instance, run),
    ):
        raise InterruptedRunError
    assert list(lock_of(instance, run).parent.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_models_are_built_ends_the_run_in_a_sentence(
    machine: Machine, number: signal.Signals
) -> None:
    building = machine.start(models=True)
    lines_with(building, " START sql ")
    began = time.monotonic()
    building.send_signal(number)
    said = lines_with(building, "stopped by a signal while it built the models")
    assert time.monotonic() - began < 5, said
    rest, _ = building.communicate(timeout=30)
    said += rest
    assert building.returncode != 0
    assert "Stack Trace" not in said
    assert "Traceback" not in said
    assert not [
        each
        for each in psutil.process_iter(["cmdline", "status"])
        if str(machine.folder) in " ".join(each.info["cmdline"] or [])
        and each.info["status"] != psutil.STATUS_ZOMBIE
    ], "dbt has ended, too"
    assert machine.statuses() == ["FAILURE"]
