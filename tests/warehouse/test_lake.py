"""Many writers, a server that restarts: no row is lost or doubled, and accounts have one reader."""

from __future__ import annotations

import logging
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.registry import CORE
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.sync.account_lock import account_lock
from activecampaign_dagster.sync.request import Mode
from activecampaign_dagster.warehouse import ledger
from activecampaign_dagster.warehouse.ledger import Entry
from activecampaign_dagster.warehouse.warehouse import WarehouseBusyError, WarehouseError
from tests.helpers import Warehouse, live, serving
from tests.lakes import forget_connection
from tests.postgres_server import Server
from tests.sync.killable import SEGMENT_BYTES
from tests.sync.truth import differences
from tests.warehouse.rounds import source_of

pytestmark = pytest.mark.slow
LOG = logging.getLogger("sync")
ACCOUNT = "https://acme.api-us1.com/api/3"
ROUNDS = 10


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    account = Account.generate(seed=3, contacts=230, deals=100, field_values=300)
    with serving(account) as server:
        yield server


def assert_right(sandbox: Sandbox, lake: Warehouse, prefix: str = "") -> None:
    """Every row of the account is there once, and nothing else; the ledger says so."""
    tables = lake.tables([f"{prefix}{name}" for name in CORE])
    for name in CORE:
        table = f"{prefix}{name}"
        assert differences(sandbox.account, live(tables[table]), name) == [], name
        ((rows, ids),) = lake.query(
            f"select count(*), count(distinct id) from activecampaign.{table}"
        )
        assert rows == ids, f"{table} has an id twice"
        noted = lake.query(
            'select "rows", live_rows, deleted_rows from activecampaign._streams '
            f"where table_name = '{table}'"
        )
        alive = len(live(tables[table]))
        assert noted == [(rows, alive, rows - alive)], table


def test_two_accounts_land_in_one_lake_from_two_processes_at_once(lake: Warehouse) -> None:
    def drive(process: subprocess.Popen[str], sandbox: Sandbox, seed: int) -> int:
        """Change the account after each round but the last."""
        assert process.stdin
        assert process.stdout
        rng, done = random.Random(seed), 0
        while process.stdout.readline() == "landed\n":
            done += 1
            if done < ROUNDS:
                sandbox.account.churn(rng, 10)
            process.stdin.write("\n")
            process.stdin.flush()
        return done

    names = ("one", "other")
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor())
        sandboxes, processes = [], []
        for seed, _ in enumerate(names, 1):
            account = Account.generate(seed=seed, contacts=60, deals=40, field_values=80)
            sandboxes.append(stack.enter_context(serving(account)))
        for name, sandbox in zip(names, sandboxes, strict=True):
            settings = {"ACTIVECAMPAIGN_URL": sandbox.url}
            settings |= {"ACTIVECAMPAIGN_API_KEY": sandbox.api_key}
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.warehouse.rounds", name, str(ROUNDS)],
                env={**os.environ, **settings},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            processes.append(stack.enter_context(process))
            stack.callback(process.kill)
        done = list(threads.map(drive, processes, sandboxes, range(len(names))))
        assert done == [ROUNDS, ROUNDS]
        assert [process.wait(60) for process in processes] == [0, 0]
        for name, sandbox in zip(names, sandboxes, strict=True):
            source = source_of(name)
            assert_right(sandbox, Warehouse(lake.file, source, lake.place), f"{name}_")
            lines = lake.query(
                "select stream, last_sync_id from activecampaign._streams "
                f"where account = '{name}' order by all"
            )
            assert lines == [(stream, f"{name}-{ROUNDS - 1}") for stream in sorted(CORE)]


@contextmanager
def before_commits(
    monkeypatch: pytest.MonkeyPatch, stream: str, happens: Callable[[], None]
) -> Iterator[list[str]]:
    """What happens once the rows of a stream are inserted, and before they are committed.

    It happens the first time; gives the stream once for every time that it is landed.
    """
    record, times = ledger.record, list[str]()

    def recorded(db: duckdb.DuckDBPyConnection, source: Source, entries: Sequence[Entry]) -> None:
        record(db, source, entries)
        if stream in {entry.stream_table.name for entry in entries}:
            times.append(stream)
            if len(times) == 1:
                happens()

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "record", recorded)
        yield times


def test_two_hosts_that_begin_with_two_accounts_in_the_same_tables_do_not_mix_them(
    lake: Warehouse, sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither finds the other's rows when it begins, as there are none yet."""
    caplog.set_level(logging.INFO)
    assert lake.place
    elsewhere = replace(lake.place, stem=tmp_path / "another host" / lake.place.stem.name)
    another = Warehouse(lake.file, lake.source, elsewhere)
    sandbox.latency = 0.3
    account = Account.generate(seed=9, contacts=60, deals=40, field_values=80)
    with serving(account) as other, ThreadPoolExecutor() as threads:
        first = threads.submit(lake.sync, sandbox)
        while not list(sandbox.requests):
            assert not first.done()
            time.sleep(0.01)
        url = other.url.replace("127.0.0.1", "localhost")
        second = threads.submit(another.sync, other, url=url)
        while "which fills the same tables" not in caplog.text:
            assert not second.done()
            time.sleep(0.05)
        sandbox.latency = 0
        first.result()
        with pytest.raises(WarehouseError, match=r"127\.0\.0\.1"):
            second.result()
    forget_connection(elsewhere)
    assert_right(sandbox, lake)


def test_a_landing_is_repeated_if_another_writer_was_faster(
    lake: Warehouse, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.sync(sandbox)
    first, second, *_ = sandbox.account.contacts.live
    sandbox.account.update_contact(first, phone="0123")

    def somebody_writes() -> None:
        with lake.opened.connect() as db:
            db.execute(f"update activecampaign.contacts set phone = 'x' where id = {second}")

    with before_commits(monkeypatch, "contacts", somebody_writes) as times:
        lake.sync(sandbox)
    assert len(times) == 2
    # the second time it began from what the other had written, which is not the account's
    assert_right(sandbox, lake)


def sync_until_done(lake: Warehouse, sandbox: Sandbox, mode: Mode = Mode.FULL) -> list[str]:
    """Sync as a run does that is tried again after what passes; returns what that was."""
    passed: list[str] = []
    while True:
        try:
            lake.sync(sandbox, mode)
        except WarehouseBusyError as error:
            passed.append(str(error))
            assert len(passed) < 3, passed
        else:
            return passed


def test_a_sync_without_changes_adds_a_snapshot_for_all_small_streams_and_one_for_contacts(
    lake: Warehouse, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.sync(sandbox)
    lake.sync(sandbox, Mode.INCREMENTAL)
    monkeypatch.setattr("activecampaign_dagster.sync.run._GATHER_SECONDS", 30)
    before = lake.opened.sizes()["snapshots"]
    lake.sync(sandbox, Mode.INCREMENTAL)
    assert lake.opened.sizes()["snapshots"] == before + 2
    assert_right(sandbox, lake)


def test_a_server_that_restarts_while_the_account_is_read_costs_no_row(
    lake: Warehouse, server: Server, sandbox: Sandbox
) -> None:
    lake.sync(sandbox)
    sandbox.account.churn(random.Random(1), 30)
    sandbox.reset_stats()
    sandbox.latency = 0.3

    def restart() -> None:
        while len(sandbox.requests) < 2:
            time.sleep(0.01)
        server.restart()
        sandbox.latency = 0

    with ThreadPoolExecutor() as threads:
        restarted = threads.submit(restart)
        passed = sync_until_done(lake, sandbox)
        restarted.result()
    assert len(passed) == 1, "what was read without the account's lock is not landed"
    assert "locks the account" in passed[0]
    assert_right(sandbox, lake)


def test_a_server_that_restarts_before_a_commit_costs_no_row_and_doubles_none(
    lake: Warehouse, server: Server, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with before_commits(monkeypatch, "contacts", server.restart) as times:
        sync_until_done(lake, sandbox)
    assert len(times) >= 2, "it was landed once more"
    assert_right(sandbox, lake)


def test_a_server_that_is_away_while_the_lake_is_opened_is_waited_for(
    lake: Warehouse, server: Server, sandbox: Sandbox
) -> None:
    lake.sync(sandbox)
    assert lake.place
    forget_connection(lake.place)
    server.stop()
    start = threading.Timer(2, server.start)
    start.start()
    try:
        lake.sync(sandbox)
    finally:
        start.join()
    server.restart()  # with the lake opened, and nothing under way
    sandbox.account.churn(random.Random(1), 30)
    lake.sync(sandbox)
    assert_right(sandbox, lake)


def test_a_scratch_folder_that_cannot_be_made_is_told_in_a_sentence(
    lake: Warehouse, tmp_path: Path
) -> None:
    assert lake.place
    (tmp_path / "a file").touch()
    place = replace(lake.place, stem=tmp_path / "a file" / "scratch" / "lake")
    with (
        pytest.raises(WarehouseError, match=r"cannot be made .*set ACTIVECAMPAIGN_SCRATCH to"),
        Warehouse(lake.file, place=place).opened.connect(),
    ):
        pass


def test_an_open_lake_loads_no_extension_without_a_signature(lake: Warehouse) -> None:
    with lake.opened.connect() as db:
        allowed = db.execute("select current_setting('allow_unsigned_extensions')").fetchall()
        assert allowed == [(False,)]
        with pytest.raises(duckdb.Error, match="Cannot change allow_unsigned_extensions"):
            db.execute("set allow_unsigned_extensions = true")


HOLD = f"""
import logging, time
from pathlib import Path
from activecampaign_dagster.sync.account_lock import account_lock
from activecampaign_dagster.warehouse.factory import warehouse_at
from activecampaign_dagster.warehouse.location import LAKE, locate
place = warehouse_at(locate(LAKE, Path("a.duckdb").absolute()))
with account_lock({ACCOUNT!r}, logging.getLogger(), warehouse=place, run="12345678-9"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_one_that_reads_an_account_on_another_host_is_waited_for_until_it_dies(
    lake: Warehouse,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        env={**os.environ, "HOME": str(tmp_path / "another")},  # the locks of another host
        stdout=subprocess.PIPE,
        text=True,
    )

    def take() -> None:
        with account_lock(ACCOUNT, LOG, warehouse=lake.opened) as still_held:
            still_held()

    try:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        with ThreadPoolExecutor() as threads:
            taken = threads.submit(take)
            while "Waiting for" not in caplog.text:
                assert not taken.done()
                time.sleep(0.05)
            assert f"process {other.pid} on {socket.gethostname()}" in caplog.text
            assert "which reads the same account" in caplog.text
            assert not taken.done()
            other.kill()
            taken.result(20)
    finally:
        other.kill()
        other.communicate()


def test_a_lock_that_a_restart_has_ended_is_known_to_be_gone(
    lake: Warehouse, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with account_lock(ACCOUNT, LOG, warehouse=lake.opened) as still_held:
        still_held()
        server.restart()
        with pytest.raises(WarehouseBusyError, match="No more rows are loaded"):
            still_held()
        with pytest.raises(WarehouseBusyError, match="No more rows are loaded"):
            still_held()
    with account_lock(ACCOUNT, LOG, warehouse=lake.opened) as still_held:
        still_held()


def test_what_a_host_read_before_another_landed_is_left_and_said(
    lake: Warehouse,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("activecampaign_dagster.sync.spool._SEGMENT_BYTES", SEGMENT_BYTES)
    account = Account.generate(seed=7, contacts=700, deals=40, field_values=100)
    assert lake.place
    with serving(account, latency=0.1) as sandbox:
        settings = {"ACTIVECAMPAIGN_URL": sandbox.url, "ACTIVECAMPAIGN_API_KEY": sandbox.api_key}
        first = subprocess.Popen(
            [sys.executable, "-m", "tests.sync.killable", lake.place.setting, "full"],
            env={**os.environ, **settings},
            stdout=subprocess.DEVNULL,
        )
        while not list(lake.staging.rglob("*-contacts.ndjson.zst")):
            assert first.poll() is None
            time.sleep(0.01)
        first.kill()
        first.wait()
        sandbox.latency = 0
        elsewhere = replace(lake.place, stem=tmp_path / "elsewhere" / "lake")
        assert not Warehouse(lake.file, place=elsewhere).sync(sandbox)["contacts"].resumed
        forget_connection(elsewhere)
        sandbox.account.delete_contact(next(iter(sandbox.account.contacts.live)))
        assert caplog.text.count("is left") == 0
        assert not lake.sync(sandbox)["contacts"].resumed
        assert "older than the last sync. It is discarded, and reading starts over" in caplog.text
        assert_right(sandbox, lake)
