"""Two hosts, one account, one lake: that one dies or is cut off is noticed and costs no row."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from activecampaign_dagster.api.address import base_url
from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.registry import CORE
from tests.helpers import Warehouse, serving
from tests.hosts.network import Host, network
from tests.lakes import new_lake
from tests.postgres_server import private_server
from tests.sync.truth import differences

pytestmark = pytest.mark.slow
PATIENCE = 90  # seconds; PostgreSQL itself would notice a host that is cut off after two hours


class Site:
    """Two hosts, the account that both can reach whatever happens, and the lake."""

    def __init__(self, hosts: list[Host], sandbox: Sandbox, lake: Warehouse) -> None:
        self.first, self.second = hosts
        self.sandbox = sandbox
        self.lake = lake
        self._processes: list[subprocess.Popen[str]] = []

    def close(self) -> None:
        """End what a test has left."""
        for process in self._processes:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()

    def sync(self, host: Host) -> subprocess.Popen[str]:
        """A full sync on a host."""
        process = host.run(
            *("-m", "tests.sync.killable", "ducklake:postgres", "full"),
            ACTIVECAMPAIGN_URL=self.sandbox.url,
            ACTIVECAMPAIGN_API_KEY=self.sandbox.api_key,
            LOG_LEVEL="INFO",
        )
        self._processes.append(process)
        return process

    def reads(self, process: subprocess.Popen[str]) -> None:
        """Return once a sync has asked the account for something: it holds it by then."""
        self.sandbox.reset_stats()
        while not list(self.sandbox.requests):
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.02)

    def holder(self) -> str:
        """Who holds the account."""
        return self.lake.opened.holder(base_url(self.sandbox.url))

    def assert_right(self) -> None:
        for name in CORE:
            table = self.lake.live(name)
            assert differences(self.sandbox.account, table, name) == [], name
            ((rows, ids),) = self.lake.query(
                f"select count(*), count(distinct id) from activecampaign.{name}"
            )
            assert rows == ids, f"{name} has an id twice"


@contextmanager
def forwarded(hosts: list[Host], port: int, folder: Path) -> Iterator[None]:
    """Let hosts reach a port of this machine's loopback as if it were theirs, without a network."""
    socket = str(folder / "s")
    module = ("-m", "tests.hosts.forward")
    here = subprocess.Popen(
        [sys.executable, "-u", *module, socket, str(port)], stdout=subprocess.PIPE, text=True
    )
    with ExitStack() as stack:
        processes = [here]
        for number in range(len(hosts) + 1):
            stack.enter_context(processes[number])
            stack.callback(processes[number].kill)
            output = processes[number].stdout
            assert output
            assert output.readline() == "ready\n"
            if number < len(hosts):
                processes.append(hosts[number].run(*module, str(port), socket))
        yield


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    account = Account.generate(seed=7, contacts=700, deals=80, field_values=300)
    with ExitStack() as stack:
        address, hosts = stack.enter_context(network(tmp_path, 2))
        server = stack.enter_context(private_server(host=address))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in server.environment.items():
            patch.setenv(name, value)
        place = stack.enter_context(new_lake(tmp_path / "lake"))
        sandbox = stack.enter_context(serving(account))
        stack.enter_context(forwarded(hosts, sandbox.port, tmp_path))
        yield stack.enter_context(
            closing(Site(hosts, sandbox, Warehouse(tmp_path / "a.duckdb", place=place)))
        )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and what it said, once it has ended."""
    said, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, said


def test_of_two_hosts_on_one_account_the_second_waits(site: Site) -> None:
    site.sandbox.latency = 0.3
    first = site.sync(site.first)
    site.reads(first)
    second = site.sync(site.second)
    while first.poll() is None and "Waiting for" not in (said := line(second)):
        pass
    assert f"Waiting for process {first.pid} on" in said
    site.sandbox.latency = 0
    assert ended(first)[0] == 0
    assert ended(second)[0] == 0
    site.assert_right()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline()


def test_a_host_that_dies_loses_the_account_and_reads_it_anew_when_it_is_back(site: Site) -> None:
    site.sandbox.latency = 0.3
    first = site.sync(site.first)
    site.reads(first)
    while not list(site.first.disk.rglob("*-contacts.ndjson.zst")):
        assert first.poll() is None, first.communicate()[0]
        time.sleep(0.02)
    site.first.cut()  # so that nobody is told of its end
    first.kill()
    first.communicate()
    site.sandbox.latency = 0
    code, said = ended(site.sync(site.second))
    assert code == 0, said
    site.assert_right()
    site.sandbox.account.delete_contact(site.sandbox.account.contacts.live[0])
    site.first.mend()
    code, said = ended(site.sync(site.first))
    assert code == 0, said
    assert "older than the last sync" in said
    site.assert_right()


def test_a_host_that_is_cut_off_loses_the_account_and_lands_nothing_once_it_is_back(
    site: Site,
) -> None:
    site.sandbox.latency = 0.3
    first = site.sync(site.first)
    site.reads(first)
    site.first.cut()
    site.sandbox.latency = 0
    began = time.monotonic()
    second = site.sync(site.second)
    while not site.holder().startswith(f"process {second.pid} on"):
        assert second.poll() is None, second.communicate()[0]
        assert time.monotonic() - began < PATIENCE
        time.sleep(0.2)
    print(f"the second host has it {time.monotonic() - began:.1f} s after the cut")
    code, said = ended(second)
    assert code == 0, said
    assert first.poll() is None, first.communicate()[0]
    site.first.mend()
    code, said = ended(first)
    assert code != 0
    assert "No more rows are loaded" in said
    assert "landed " not in said.replace("No more rows are loaded", "")
    site.assert_right()
