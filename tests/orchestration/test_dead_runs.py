"""A run whose process or host is gone is ended by whoever looks, and holds up nobody."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from activecampaign_dagster.orchestration.account import MODE_TAG
from activecampaign_dagster.orchestration.automation.watch import watch
from activecampaign_dagster.orchestration.dagster_internals import log_of
from activecampaign_dagster.orchestration.dead_runs import (
    HOST_TAG,
    SILENCE_VARIABLE,
    SilenceError,
    lock_of,
    runs_folder,
    signs_of_life,
    silence,
)
from activecampaign_dagster.sync.locks import held
from tests.orchestration.machine import Machine, kill, wait_until
from tests.orchestration.servers import home_with_postgres, postgres, shown

POOL = "activecampaign_shop"
FAILURE, STARTED = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.STARTED


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def instance(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """An instance in DAGSTER_HOME, and one whose storage several hosts share."""
    if request.param == "SQLite":
        with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
            yield made
        return
    with postgres() as url:
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", shown(url))
        home_with_postgres(tmp_path)
        with dg.DagsterInstance.from_config(str(tmp_path)) as made:
            yield made


def run_of(instance: dg.DagsterInstance, *, silent_for: timedelta, **tags: str) -> dg.DagsterRun:
    """A run that is under way on another host, holds a pool and logged last so long ago."""
    run = create_run_for_test(instance, job_name="sync", status=STARTED, tags=tags)
    instance.handle_new_event(
        dg.EventLogEntry(
            error_info=None,
            level="info",
            user_message="contacts: 7500 rows",
            run_id=run.run_id,
            timestamp=(datetime.now(UTC) - silent_for).timestamp(),
        )
    )
    storage = instance.event_log_storage
    storage.set_concurrency_slots(POOL, 1)
    storage.claim_concurrency_slot(POOL, run.run_id, "step")
    return run


def look(instance: dg.DagsterInstance) -> str:
    """What the watch says at its next tick."""
    data = watch.evaluate_tick(dg.build_sensor_context(instance=instance))
    return str(data.skip_message)


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found
    return found.status


def is_pool_free(instance: dg.DagsterInstance) -> bool:
    return not instance.event_log_storage.get_concurrency_info(POOL).active_run_ids


@pytest.mark.parametrize("tags", [{HOST_TAG: "worker-1"}, {MODE_TAG: "full"}])
def test_a_run_that_is_silent_for_a_quarter_of_an_hour_is_failed_and_its_pool_free(
    instance: dg.DagsterInstance, tags: dict[str, str]
) -> None:
    run = run_of(instance, silent_for=timedelta(minutes=16), **tags)
    assert look(instance) == f"Marked dead runs as failed: {run.run_id[:8]}."
    assert status(instance, run) is FAILURE
    assert is_pool_free(instance)
    last = [log.dagster_event for log in instance.all_logs(run.run_id) if log.dagster_event][-1]
    host = " on worker-1" if HOST_TAG in tags else ""
    assert last.message == (
        f"The run {run.run_id[:8]} of sync has logged nothing for 900 s, so its process{host} "
        "must be gone. The run is marked as failed, and its pools are free."
    )
    assert look(instance) == "No run is dead."


def test_a_run_that_has_said_something_lately_is_left_alone(instance: dg.DagsterInstance) -> None:
    run = run_of(instance, silent_for=timedelta(minutes=14), **{HOST_TAG: "worker-1"})
    assert look(instance) == "No run is dead."
    assert status(instance, run) is STARTED
    assert not is_pool_free(instance)


def test_runs_of_other_projects_may_be_as_silent_as_they_like(
    instance: dg.DagsterInstance,
) -> None:
    run = run_of(instance, silent_for=timedelta(days=1))
    look(instance)
    assert status(instance, run) is STARTED


def test_a_silent_run_whose_process_lives_on_this_machine_is_left_alone(
    instance: dg.DagsterInstance,
) -> None:
    """A laptop that was asleep wakes the watch before the run."""
    run = run_of(instance, silent_for=timedelta(hours=8), **{HOST_TAG: "laptop"})
    runs = runs_folder(instance)
    assert runs
    with held(lock_of(runs, run.run_id), logging.getLogger(), purpose="which runs"):
        look(instance)
        assert status(instance, run) is STARTED
    look(instance)
    assert status(instance, run) is FAILURE


def test_a_run_that_has_nothing_to_say_gives_signs_of_life(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SILENCE_VARIABLE, "3")
    run = create_run_for_test(instance, job_name="sync", status=STARTED)
    with signs_of_life(instance, run, log_of(instance, run), limit=3):
        deadline = time.monotonic() + 30
        while not any(
            "still in progress" in log.user_message for log in instance.all_logs(run.run_id)
        ):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert look(instance) == "No run is dead."
    found = instance.get_run_by_id(run.run_id)
    assert found
    assert found.tags[HOST_TAG]


@pytest.mark.parametrize("value", ["soon", "0", "-5", "nan", "inf"])
def test_a_silence_that_is_no_time_is_a_sentence(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SILENCE_VARIABLE, value)
    with pytest.raises(SilenceError) as raised:
        silence()
    expected = f"{SILENCE_VARIABLE} is {value!r}: set it to a number of seconds, such as 900."
    assert str(raised.value) == expected
    with dg.DagsterInstance.ephemeral() as instance:
        assert look(instance) == expected


@pytest.mark.slow
def test_a_process_that_is_killed_is_noticed_at_once_on_its_own_machine(machine: Machine) -> None:
    machine.sandbox.latency = 30
    killed = machine.start_reading()
    with dg.DagsterInstance.from_config(str(machine.home)) as instance:
        [run] = instance.get_runs()
        assert look(instance) == "No run is dead."
        kill(killed)
        assert look(instance) == f"Marked dead runs as failed: {run.run_id[:8]}."
        assert status(instance, run) is FAILURE
        pools = instance.event_log_storage.get_concurrency_info("activecampaign_activecampaign")
        assert not pools.active_run_ids


def one_stream() -> list[str]:
    """The command that reads one stream, in a process for its step."""
    month = f"{datetime.now(UTC):%Y-%m}-01"
    return ["asset", "materialize", "--select", "activecampaign/users", "--partition", month]


@pytest.mark.slow
def test_after_a_host_is_gone_the_next_one_waits_no_longer_than_its_silence(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each host has a DAGSTER_HOME of its own, and the storage is one; nobody runs a daemon."""
    with postgres() as url:
        settings = {"DAGSTER_POSTGRES_URL": shown(url), SILENCE_VARIABLE: "10"}
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", shown(url))
        home_with_postgres(machine.home)
        home_with_postgres(tmp_path / "second")
        machine.sandbox.latency = 30
        first = machine.start(*one_stream(), **settings)
        wait_until(lambda: bool(machine.sandbox.requests), first)
        kill(first)
        machine.sandbox.latency = 0
        second = machine.start(*one_stream(), **settings, DAGSTER_HOME=str(tmp_path / "second"))
        said, _ = second.communicate(timeout=300)
        assert second.returncode == 0, said
        assert "has logged nothing for 10 s" in said
        with dg.DagsterInstance.from_config(str(machine.home)) as instance:
            assert [run.status.value for run in instance.get_runs()] == ["SUCCESS", "FAILURE"]
