"""A run never waits for a dead one, and while it waits for a living one it can be stopped."""

from __future__ import annotations

import logging
import signal
import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime

import duckdb
import pytest

from activecampaign_dagster.sync.account_lock import account_lock, staging_lock
from tests.orchestration.machine import JOB, Machine, kill, lines_with

pytestmark = pytest.mark.slow


def test_a_run_after_a_killed_one_does_not_wait_and_says_what_became_of_it(
    machine: Machine,
) -> None:
    machine.sandbox.latency = 30
    first = machine.start_reading()
    kill(first)
    machine.sandbox.latency = 0
    second = machine.start()
    said, _ = second.communicate(timeout=400)
    assert second.returncode == 0, said
    warning = next(line for line in said.splitlines() if "has died without ending" in line)
    assert "WARNING" in warning
    assert f"process {first.pid} on " in warning
    assert machine.statuses() == ["FAILURE", "SUCCESS"]


def test_a_run_that_waits_for_a_living_one_goes_on_when_that_is_killed(machine: Machine) -> None:
    machine.sandbox.latency = 30
    first = machine.start_reading()
    second = machine.start()
    said = lines_with(second, "Waiting for the run ")
    warning = said.splitlines()[-1]
    assert "WARNING" in warning
    assert f"of {JOB}, process {first.pid} on " in warning
    machine.sandbox.latency = 0
    kill(first)
    said, _ = second.communicate(timeout=400)
    assert second.returncode == 0, said
    assert machine.statuses() == ["FAILURE", "SUCCESS"]


def test_a_run_with_a_process_for_each_step_does_not_wait_for_a_killed_one(
    machine: Machine,
) -> None:
    machine.sandbox.latency = 30
    kill(machine.start_reading())
    machine.sandbox.latency = 0
    # what the Materialize buttons start, too
    month = f"{datetime.now(UTC):%Y-%m}-01"
    command = ["asset", "materialize", "--select", "activecampaign/users", "--partition", month]
    second = machine.start(*command)
    said, _ = second.communicate(timeout=200)
    assert second.returncode == 0, said
    assert "has died without ending the run" in said
    assert "multiprocess executor" in said.casefold()
    assert machine.statuses() == ["FAILURE", "SUCCESS"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_waits_ends_at_once_when_it_is_stopped(
    machine: Machine, number: signal.Signals
) -> None:
    machine.sandbox.latency = 30
    machine.start_reading()
    waiting = machine.start()
    lines_with(waiting, "Waiting for the run ")
    began = time.monotonic()
    waiting.send_signal(number)
    said = lines_with(waiting, "stopped by a signal while it waited")
    assert time.monotonic() - began < 5, said
    rest, _ = waiting.communicate(timeout=30)
    said += rest
    assert waiting.returncode != 0
    assert "Stack Trace" not in said
    assert machine.statuses() == ["STARTED", "FAILURE"]


@pytest.mark.parametrize("lock", ["account", "staging", "database"])
def test_a_run_that_waits_for_a_lock_ends_at_once_when_it_is_stopped(
    machine: Machine, lock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(machine.folder))
    database = machine.folder / "warehouse.duckdb"
    log = logging.getLogger()
    with ExitStack() as stack:
        if lock == "account":
            url = f"{machine.sandbox.url}/api/3"
            stack.enter_context(account_lock(url, log, limited=False))
        elif lock == "staging":
            folder = database.with_name(f"{database.name}.staging") / "activecampaign"
            stack.enter_context(staging_lock(folder, log))
        else:
            stack.enter_context(closing(duckdb.connect(database))).execute("create table t (a int)")
        waiting = machine.start()
        lines_with(waiting, "STEP_START" if lock == "database" else "Waiting for process")
        time.sleep(0.5)
        began = time.monotonic()
        waiting.send_signal(signal.SIGTERM)
        said = lines_with(waiting, "stopped by a signal while it read the account")
        assert time.monotonic() - began < 5, said
        rest, _ = waiting.communicate(timeout=30)
    said += rest
    assert waiting.returncode != 0
    assert "Stack Trace" not in said
    assert machine.statuses() == ["FAILURE"]


def test_a_run_gives_up_in_a_sentence_after_the_time_that_is_set(machine: Machine) -> None:
    machine.sandbox.latency = 30
    first = machine.start_reading()
    waiting = machine.start(ACTIVECAMPAIGN_LOCK_TIMEOUT="2")
    said, _ = waiting.communicate(timeout=60)
    assert waiting.returncode != 0
    assert "Gave up after waiting " in said
    assert f"process {first.pid} on " in said
    assert "ACTIVECAMPAIGN_LOCK_TIMEOUT" in said
    assert "Stack Trace" not in said
    assert "Traceback" not in said
    assert machine.statuses() == ["STARTED", "FAILURE"]
