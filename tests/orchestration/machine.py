"""Commands of Dagster in processes of their own, as one user runs them on one machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest

from activecampaign_dagster.sandbox.server import Sandbox
from tests.orchestration.setup import small

ROOT = Path(__file__).parents[2]
JOB = "activecampaign__incremental_sync"  # of a project in which others may have jobs


@dataclass
class Machine:
    """Where commands of one user run, with DAGSTER_HOME and without a daemon."""

    sandbox: Sandbox
    folder: Path
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "dagster"

    def start(self, *command: str, models: bool = False, **settings: str) -> subprocess.Popen[str]:
        """A command of Dagster, by default one that runs a job, in a session of its own.

        models: whether the project has them; a first build of all takes a minute.
        """
        command = command or ("job", "execute", "-j", "incremental_sync" if models else JOB)
        if not models:
            settings["ACTIVECAMPAIGN_DEFS"] = "activecampaign"
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster", *command, "-m", "activecampaign_dagster.definitions"],
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
    deadline = time.monotonic() + 240
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
        # tests wait for Dagster's own events, too
        settings = (ROOT / "dagster.yaml").read_text()
        (machine.home / "dagster.yaml").write_text(settings.replace("INFO", "DEBUG"))
        try:
            yield machine
        finally:
            sandbox.latency = 0
            for process in machine.running:
                if process.poll() is None:
                    kill(process)


def lines_with(process: subprocess.Popen[str], text: str) -> str:
    """What a process said up to the line that holds `text`."""
    said = ""
    assert process.stdout
    for line in process.stdout:
        said += line
        if text in line:
            return said
    pytest.fail(f"{text!r} was never said: {said}")
