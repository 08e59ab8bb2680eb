"""Two runs on one account never spend its limit twice, whatever they know of each other."""

from __future__ import annotations

import logging
import os
import pwd
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

import pytest

from activecampaign_dagster.streams.registry import CORE
from activecampaign_dagster.sync.account_lock import account_lock, staging_lock
from tests.helpers import Warehouse, serving
from tests.sync.truth import differences


def test_two_processes_on_one_account_never_exceed_its_limit_together(tmp_path: Path) -> None:
    warehouses = [Warehouse(tmp_path / name / "a.duckdb") for name in ("one", "other")]
    with serving(requests_per_second=5) as sandbox:
        key = {"ACTIVECAMPAIGN_URL": sandbox.url, "ACTIVECAMPAIGN_API_KEY": sandbox.api_key}
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.sync.killable", str(warehouse.path), "full", "5"],
                env={**os.environ, **key},
                stdout=subprocess.DEVNULL,
            )
            for warehouse in warehouses
        ]
        assert [process.wait(60) for process in processes] == [0, 0]
        stats = sandbox.stats()
        assert stats["requests"] >= 20
        # ten if both read at once; a busy machine may hold a request up for longer than allowed for
        assert stats["max_requests_in_a_second"] <= 6
        assert stats["rate_limited"] <= 1
        for warehouse in warehouses:
            for name in CORE:
                assert differences(sandbox.account, warehouse.live(name), name) == []


def test_the_next_reader_begins_when_the_last_ones_requests_no_longer_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    log = logging.getLogger("sync")

    def held(*, limited: bool) -> float:
        """Seconds until the lock is held; an earlier holder has just let it go."""
        with account_lock("https://acme.api-us1.com/api/3", log):
            pass
        began = time.monotonic()
        with account_lock("https://acme.api-us1.com/api/3", log, limited=limited):
            return time.monotonic() - began

    assert held(limited=True) >= 0.9
    assert held(limited=False) < 0.5


def test_an_account_has_one_reader_under_all_of_its_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    log = logging.getLogger("sync")
    for address in (
        "https://acme.api-us1.com/api/3",
        "https://acme.activehosted.com/api/3",
        "https://other.api-us1.com/api/3",
        "http://127.0.0.1:8001/api/3",
        "http://127.0.0.1:8002/api/3",
    ):
        with account_lock(address, log, limited=False):
            pass
    assert len(list(tmp_path.rglob("*.lock"))) == 4, (
        "of the two addresses of acme there is one lock"
    )


def test_processes_with_other_temporary_folders_do_not_share_what_is_staged(
    warehouse: Warehouse, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (tmp_path / "elsewhere").mkdir()
    with serving(latency=0.1) as sandbox:
        settings = {
            "ACTIVECAMPAIGN_URL": sandbox.url,
            "ACTIVECAMPAIGN_API_KEY": sandbox.api_key,
            "TMPDIR": str(tmp_path / "elsewhere"),
        }
        other = subprocess.Popen(
            [sys.executable, "-m", "tests.sync.killable", str(warehouse.path), "full"],
            env={**os.environ, **settings},
            stdout=subprocess.DEVNULL,
        )
        while not sandbox.requests:
            assert other.poll() is None
            time.sleep(0.01)
        warehouse.sync(sandbox)
        assert other.wait(60) == 0
        assert "Waiting for process" in caplog.text
        assert "the same database" in caplog.text
        for name in CORE:
            assert differences(sandbox.account, warehouse.live(name), name) == []


def test_one_that_waits_says_so_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("activecampaign_dagster.sync.locks.REMINDER", 0.05)
    caplog.set_level(logging.INFO)
    log = logging.getLogger("sync")

    def wait() -> None:
        with staging_lock(tmp_path, log):
            pass

    waiting = threading.Thread(target=wait)
    with staging_lock(tmp_path, log, run="12345678-9abc"):
        waiting.start()
        deadline = time.monotonic() + 10
        while caplog.text.count("Waiting for process") < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    waiting.join(10)
    assert not waiting.is_alive()
    assert {r.levelname for r in caplog.records} == {"WARNING"}
    assert f"process {os.getpid()} on {socket.gethostname()} (run 12345678, since " in caplog.text


def test_a_user_without_a_name_can_sync(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(uid: int) -> NoReturn:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    with serving() as sandbox:
        warehouse.sync(sandbox, streams=["users"])
    assert len(warehouse.table("users")) == 8
