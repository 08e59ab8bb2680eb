"""A build that failed for what passes by itself is begun again; a finding or a mistake is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from activecampaign_dagster.orchestration.dbt.transient import passes

HOLD = """
import duckdb, sys
db = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def node(status: str, message: str = "") -> SimpleNamespace:
    """The result of one of dbt's nodes."""
    return SimpleNamespace(status=status, message=message)


def of_a_lock(path: Path) -> str:
    """What DuckDB says of a file that another process has open."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(duckdb.IOException) as raised:
            duckdb.connect(path)
        holder.communicate()
    return str(raised.value)


def of_a_conflict(path: Path) -> str:
    """What DuckDB says to the second of two who changed the same row."""
    with duckdb.connect(path) as first, first.cursor() as second:
        first.execute("create table t as select 1 as a")
        first.execute("begin")
        second.execute("begin")
        first.execute("update t set a = 2")
        with pytest.raises(duckdb.TransactionException) as raised:
            second.execute("update t set a = 3")
    return str(raised.value)


@pytest.mark.parametrize("cause", [of_a_lock, of_a_conflict])
def test_a_lock_and_a_conflict_pass(cause: object, tmp_path: Path) -> None:
    said = cause(tmp_path / "a.duckdb")  # type: ignore[operator]
    assert passes([node("success"), node("error", said), node("skipped")], [])
    assert passes([], said.splitlines())


def test_a_mistake_a_finding_and_a_full_disk_do_not() -> None:
    lock = node("error", "Runtime Error\n  IO Error: Could not set lock on file")
    assert not passes([lock, node("error", "Binder Error: no such column")], [])
    assert not passes([lock, node("fail", "Got 3 results")], [])
    assert not passes([node("error", "IO Error: Could not write: No space left on device")], [])
    assert not passes([], ["Compilation Error"])
