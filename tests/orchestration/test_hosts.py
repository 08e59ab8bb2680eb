"""Two hosts with a code server each, one storage, one daemon: what dies is noticed, and goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shlex import join, quote

import dagster as dg
import duckdb
import psutil
import pytest
import yaml

from activecampaign_dagster.orchestration.dead_runs import HOST_TAG, SILENCE_VARIABLE
from activecampaign_dagster.sandbox.server import Sandbox
from tests.components.projects import project
from tests.orchestration.servers import ROOT, postgres, shown
from tests.orchestration.setup import small

pytestmark = pytest.mark.slow
PATIENCE = 300.0  # seconds, of which a busy machine needs many
DEFINITIONS = """
from pathlib import Path
import dagster as dg

@dg.definitions
def defs():
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
"""
ACCOUNT = """
trigger: manual
streams: [contacts, users]
requests_per_second: 0
"""
RUN = "activecampaign__incremental_sync"


@dataclass
class Hosts:
    """Processes of Dagster, those of a worker in namespaces of their own."""

    folder: Path
    module: str
    sandbox: Sandbox
    storage: str
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """DAGSTER_HOME, under the same path on each host."""
        return self.folder / "dagster"

    def command(self, *command: str) -> list[str]:
        return [sys.executable, "-m", *command]

    def environment(self, name: str) -> dict[str, str]:
        (self.folder / name).mkdir(exist_ok=True)
        return {
            **os.environ,
            "ACTIVECAMPAIGN_URL": self.sandbox.url,
            "ACTIVECAMPAIGN_API_KEY": self.sandbox.api_key,
            "ACTIVECAMPAIGN_DATABASE": str(self.folder / "warehouse.duckdb"),
            SILENCE_VARIABLE: "20",
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_POSTGRES_URL": self.storage,
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "PYTHONPATH": str(self.folder / "code"),
            "HOME": str(self.folder / name),
        }

    def start(self, name: str, *command: str, isolated: bool = False) -> subprocess.Popen[bytes]:
        """A process; isolated: as on a host of this name, with a disk of its own."""
        line = self.command(*command)
        environment = self.environment(name)
        if isolated:
            disk = self.folder / f"{name}.dagster"
            disk.mkdir(exist_ok=True)
            shutil.copy(self.home / "dagster.yaml", disk)
            steps = [
                "mount --make-rprivate /",
                f"mount --bind {quote(str(disk))} {quote(str(self.home))}",
                "mount -t proc proc /proc",
                f"hostname {name}",
                f"exec {join(line)}",
            ]
            spaces = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child"]
            line = [*spaces, "sh", "-ec", "\n".join(steps)]
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                line,
                env=environment,
                cwd=self.folder / name,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def start_worker(self, name: str) -> None:
        """A host that serves the code and executes its runs."""
        port = self.ports.setdefault(name, free_port())
        self.workers[name] = self.start(
            name, "dagster", "code-server", "start", "--host", "127.0.0.1", "--port", str(port),
            "--module-name", self.module, "--location-name", name, isolated=True,
        )  # fmt: skip

    def kill_worker(self, name: str) -> None:
        """All processes of a host are gone at once."""
        worker = self.workers.pop(name)
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()

    def launch(self, name: str) -> None:
        """Ask for a run on a host."""
        command = ["dagster", "job", "launch", "-w", self.workspace(), "-l", name, "-j", RUN]
        done = subprocess.run(
            self.command(*command),
            env=self.environment("operator"),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def workspace(self) -> str:
        path = self.folder / "workspace.yaml"
        entries = [
            {"grpc_server": {"host": "127.0.0.1", "port": port, "location_name": name}}
            for name, port in self.ports.items()
        ]
        path.write_text(yaml.safe_dump({"load_from": entries}))
        return str(path)

    def process_of(self, name: str, run_id: str) -> int:
        """The number, outside its host, of the process that executes a run."""
        holder = self.folder / f"{name}.dagster" / "activecampaign_runs" / f"{run_id}.lock.holder"
        wait_until(holder.exists, self)
        inside = str(json.loads(holder.read_text())["pid"])
        for process in psutil.Process(self.workers[name].pid).children(recursive=True):
            status = Path(f"/proc/{process.pid}/status").read_text()
            [numbers] = [line for line in status.splitlines() if line.startswith("NSpid:")]
            if numbers.split()[-1] == inside:
                return process.pid
        raise AssertionError(f"{name} has no process {inside}")

    def said(self) -> str:
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"{log.name}: {log.read_text()[-2000:]}" for log in logs)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_until(done: Callable[[], bool], hosts: Hosts) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, hosts.said()
        time.sleep(0.5)


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosts]:
    """Two hosts and a daemon, whose code is there."""
    spaces = ["unshare", "--mount", "--uts", "--pid", "--fork", "true"]
    if (
        os.geteuid()
        or not shutil.which("unshare")
        or subprocess.run(spaces, check=False).returncode
    ):
        pytest.skip("hosts in namespaces take root and unshare")
    with (
        postgres() as url,
        Sandbox(small(), requests_per_second=None) as sandbox,
        project(tmp_path, activecampaign=ACCOUNT) as package,
    ):
        (tmp_path / "code").symlink_to(package.parent)
        (package / "definitions.py").write_text(DEFINITIONS)
        made = Hosts(tmp_path, f"{package.name}.definitions", sandbox, shown(url))
        made.home.mkdir()
        shutil.copy(ROOT / "deploy" / "dagster.yaml", made.home)
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", made.storage)
        with dg.DagsterInstance.from_config(str(made.home)):
            pass  # makes the tables before three do so at once
        for name in ("worker-1", "worker-2"):
            made.start_worker(name)
        for port in made.ports.values():
            wait_until(lambda port=port: answers(port), made)  # type: ignore[misc]
        daemon = made.start("daemon", "dagster._daemon", "run", "-w", made.workspace())
        try:
            yield made
        finally:
            sandbox.latency = 0
            for name in list(made.workers):
                made.kill_worker(name)
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait()


def answers(port: int) -> bool:
    check = ["dagster", "api", "grpc-health-check", "--port", str(port)]
    return not subprocess.run(
        [sys.executable, "-m", *check], check=False, capture_output=True
    ).returncode


def test_a_process_and_a_host_that_die_are_noticed_and_the_work_goes_on(hosts: Hosts) -> None:
    with dg.DagsterInstance.from_config(str(hosts.home)) as instance:

        def runs() -> list[dg.DagsterRun]:
            """Oldest first."""
            return list(reversed(instance.get_runs()))

        def statuses() -> list[str]:
            return [run.status.value for run in runs()]

        # each host lands
        for number, name in enumerate(("worker-1", "worker-2")):
            hosts.launch(name)
            wait_until(lambda number=number: statuses()[number:] == ["SUCCESS"], hosts)  # type: ignore[misc]
            assert runs()[number].tags[HOST_TAG] == name

        # a run's process dies: Dagster runs it once more
        hosts.sandbox.latency = 30
        asked = len(hosts.sandbox.requests)
        hosts.launch("worker-1")
        wait_until(lambda: len(hosts.sandbox.requests) > asked, hosts)
        os.kill(hosts.process_of("worker-1", runs()[2].run_id), signal.SIGKILL)
        hosts.sandbox.latency = 0
        wait_until(lambda: statuses()[2:] == ["FAILURE", "SUCCESS"], hosts)
        assert runs()[3].parent_run_id == runs()[2].run_id

        # a host dies while another waits for its account: that one lands
        hosts.sandbox.latency = 30
        asked = len(hosts.sandbox.requests)
        hosts.launch("worker-1")
        wait_until(lambda: len(hosts.sandbox.requests) > asked, hosts)
        hosts.launch("worker-2")
        hosts.kill_worker("worker-1")
        hosts.sandbox.latency = 0
        wait_until(lambda: statuses()[4:6] == ["FAILURE", "SUCCESS"], hosts)
        dead = runs()[4]
        told = [
            log.dagster_event.message for log in instance.all_logs(dead.run_id) if log.dagster_event
        ]
        assert any("on worker-1 must be gone" in str(text) for text in told)
        pools = instance.event_log_storage.get_concurrency_info("activecampaign_activecampaign")
        assert not pools.active_run_ids

        # the host comes back, and lands as before
        hosts.start_worker("worker-1")
        wait_until(lambda: answers(hosts.ports["worker-1"]), hosts)
        before = len(runs())
        hosts.launch("worker-1")
        wait_until(lambda: statuses()[before:] == ["SUCCESS"], hosts)
    with duckdb.connect(hosts.folder / "warehouse.duckdb", read_only=True) as db:
        rows = "select count(*), count(distinct id) from activecampaign.contacts"
        assert db.execute(rows).fetchall() == [(60, 60)]
