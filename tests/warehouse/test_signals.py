"""A signal ends what DuckDB does, also where DuckDB swallows it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest

from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.signals import heard_signals

SWALLOWED = """
import os, signal, sys, time
from pathlib import Path
from activecampaign_dagster.warehouse.file import connect

class Signals:
    def find_spec(self, name, *_):
        if armed and name.partition(".")[0] in {"pandas", "numpy", "pyarrow", "polars"}:
            armed.clear()
            print("swallowed", flush=True)
            os.kill(os.getpid(), signal.SIGINT)

armed = []
sys.meta_path.insert(0, Signals())
with connect(Path(sys.argv[1])) as db:
    armed.append(True)
    for value in (1, "a", None, 1.5, [1], {"a": 1}, b"", time):
        try:
            db.execute("select ?", [value]).fetchone()
        except Exception:
            pass
    armed.clear()
print("went on")
"""


def swallow(then: float = 0) -> None:
    try:
        interrupt()
    except KeyboardInterrupt:
        time.sleep(then)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)


def test_a_signal_that_was_swallowed_is_heard_at_the_end() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), heard_signals():
        swallow()
    assert signal.getsignal(signal.SIGINT) is before


def test_one_that_was_swallowed_ends_what_goes_on_for_long() -> None:
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), heard_signals():
        swallow(then=30)
    assert time.monotonic() - began < 5


def test_one_that_is_heard_at_once_is_heard_once() -> None:
    with pytest.raises(KeyboardInterrupt), heard_signals():
        interrupt()
    time.sleep(2.5)


def test_what_became_of_a_query_does_not_take_its_place() -> None:
    def fail() -> None:
        swallow()
        raise ValueError

    with pytest.raises(KeyboardInterrupt), heard_signals():
        fail()


def test_a_query_ends_and_leaves_the_file_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    began = time.monotonic()

    def query(db: duckdb.DuckDBPyConnection) -> None:
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            db.execute("create table t as select random() from range(1000000000)")
        finally:
            db.execute("select 1")  # which waits for the rest of the query

    with pytest.raises(KeyboardInterrupt), connect(path) as db:
        query(db)
    with connect(path, patience=1) as db:
        assert db.execute("select 1").fetchone() == (1,)
    assert time.monotonic() - began < 5


def test_other_threads_have_no_signals() -> None:
    found: list[str] = []

    def work() -> None:
        with heard_signals():
            found.append("worked")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == ["worked"]


def test_duckdb_swallows_none(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SWALLOWED, str(tmp_path / "a.duckdb")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "swallowed" in done.stdout, done.stderr
    assert "went on" not in done.stdout
    assert "KeyboardInterrupt" in done.stderr
