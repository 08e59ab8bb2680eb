"""A run never waits for a dead one, and while it waits for a living one it can be stopped."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.sync.account_lock import account_lock, staging_lock
from tests.orchestration.setup import small

ROOT = Path(__file__).parents[2]
JOB = "activecampaign__incremental_sync"
pytestmark = pytest.mark.slow


@dataclass
class Machine:
    """Where commands of one user run, with DAGSTER_HOME and without a daemon."""

    sandbox: Sandbox
    folder: Path
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "dagster"

    def start(self, **settings: str) -> subprocess.Popen[str]:
        """`dagster job execute` of the streams of an account, in a session of its own."""
        command = [sys.executable, "-m", "dagster", "job", "execute", "-j", JOB]
        process = subprocess.Popen(
            [*command, "-m", "activecampaign_dagster.definitions"],
            cwd=self.folder,
            env={
                **os.environ,
                "ACTIVECAMPAIGN_URL": self.sandbox.url,
                "ACTIVECAMPAIGN_API_KEY": self.sandbox.api_key,
                "ACTIVECAMPAIGN_DATABASE": str(self.folder / "warehouse.duckdb"),
                "DAGSTER_HOME": str(self.home),
                "DAGSTER_DISABLE_TELEMETRY": "1",
                "HOME": str(self.folder),
                **settings,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.running.append(process)
        return process

    def start_reading(self) -> subprocess.Popen[str]:
        """A run that has begun to read a server, which does not end its answers."""
        asked = len(self.sandbox.requests)
        process = self.start()
        wait_until(lambda: len(self.sandbox.requests) > asked, process)
        return process

    def statuses(self) -> list[str]:
        """Of the runs, oldest first."""
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            return [run.status.value for run in reversed(instance.get_runs())]


def wait_until(done: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a run with all that it has started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@contextmanager
def machine_in(folder: Path) -> Iterator[Machine]:
    with Sandbox(small(), requests_per_second=None) as sandbox:
        machine = Machine(sandbox, folder)
        machine.home.mkdir()
        shutil.copy(ROOT / "dagster.yaml", machine.home)
        try:
            yield machine
        finally:
            sandbox.latency = 0
            for process in machine.running:
                if process.poll() is None:
                    kill(process)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with machine_in(tmp_path) as made:
        yield made


def lines_with(process: subprocess.Popen[str], text: str) -> str:
    """What a process said up to the line that holds `text`."""
    said = ""
    assert process.stdout
    for line in process.stdout:
        said += line
        if text in line:
            return said
    pytest.fail(f"{text!r} was never said: {said}")


def test_a_run_after_a_killed_one_does_not_wait_and_says_what_became_of_it(
    machine: Machine,
) -> None:
    machine.sandbox.latency = 30
    first = machine.start_reading()
    kill(first)
    machine.sandbox.latency = 0
    second = machine.start()
    said, _ = second.communicate(timeout=120)
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
    said, _ = second.communicate(timeout=120)
    assert second.returncode == 0, said
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
