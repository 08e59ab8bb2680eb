"""A database that cannot be used: one clear sentence, and nothing half-written."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest

from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.warehouse import WarehouseBusyError, WarehouseError
from tests.helpers import Warehouse, serving

HOLD = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("create table held (i int)")
print("open", flush=True)
sys.stdin.readline()
"""


def holder(path: Path) -> subprocess.Popen[str]:
    """Another process that has the database open until a line is written to it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "open\n"
    return process


def test_a_database_in_use_by_another_process_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    other = holder(path)
    threading.Timer(0.5, lambda: other.communicate("go\n")).start()
    with connect(path) as db:
        assert db.execute("select count(*) from held").fetchall() == [(0,)]


def test_a_wait_without_end_is_given_up_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    other = holder(path)
    with (
        pytest.raises(WarehouseBusyError, match="close the program that has it open"),
        connect(path, patience=0.2),
    ):
        pass
    other.communicate("go\n")


def test_a_sync_waits_for_the_database_only_when_it_lands(warehouse: Warehouse) -> None:
    path = str(warehouse.path)
    with serving() as sandbox:
        warehouse.sync(sandbox, streams=["users"])
        sandbox.latency = 0.3
        sandbox.reset_stats()
        reading = threading.Thread(target=warehouse.sync, args=[sandbox])
        reading.start()
        while not sandbox.requests:
            pass
        subprocess.run(
            [sys.executable, "-c", HOLD, path],
            input="go\n",
            text=True,
            check=True,
            capture_output=True,
        )
        reading.join()
    assert warehouse.query("select count(*) from held") == [(0,)]
    assert len(warehouse.table("users")) == 8


def assert_refused(path: Path, meaning: str) -> None:
    with pytest.raises(WarehouseError, match=meaning) as caught, connect(path):
        pass
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value) or str(path.parent) in str(caught.value)


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary " * 1000)
    assert_refused(path, "is not a DuckDB database.*was not changed")
    assert path.read_text() == "dear diary " * 1000


def checksum(header: bytes) -> bytes:
    """As DuckDB computes it for the first block of a file."""
    found = 5381
    for (word,) in struct.iter_unpack("<Q", header):
        found ^= word * 0xBF58476D1CE4E5B9 % (1 << 64)
    return struct.pack("<Q", found)


def test_a_database_made_by_a_newer_duckdb_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    with connect(path) as db:
        db.execute("create table t (i int)")
    raw = bytearray(path.read_bytes())
    assert raw[8:12] == b"DUCK"
    assert raw[:8] == checksum(raw[8:4096])
    raw[12:20] = (9_999).to_bytes(8, "little")  # the version of the storage format
    raw[:8] = checksum(raw[8:4096])
    path.write_bytes(raw)
    assert_refused(path, f"made by a newer DuckDB than {duckdb.__version__}: upgrade")
    assert path.read_bytes() == raw


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    assert_refused(tmp_path, "ACTIVECAMPAIGN_DATABASE")


def test_a_path_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert_refused(tmp_path / "file" / "a.duckdb", "cannot be made.*ACTIVECAMPAIGN_DATABASE")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_path_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    assert_refused(tmp_path / "locked" / "a.duckdb", "cannot be opened for writing")


def test_a_path_on_a_system_folder_cannot_be_written() -> None:
    assert_refused(Path("/proc/activecampaign/a.duckdb"), "ACTIVECAMPAIGN_DATABASE")


def test_a_connection_is_closed_when_the_block_raises(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    with pytest.raises(duckdb.CatalogException), connect(path) as db:
        db.execute("from nowhere")
    other = holder(path)
    other.communicate("go\n")
    assert other.returncode == 0


def test_an_error_before_landing_leaves_no_staging_behind_a_broken_database(
    warehouse: Warehouse,
) -> None:
    warehouse.path.write_text("not a database")
    with serving() as sandbox:
        with pytest.raises(WarehouseError, match="is not a DuckDB database"):
            warehouse.sync(sandbox)
        assert sandbox.requests == [], "the account is not asked for nothing"
    shutil.rmtree(warehouse.staging, ignore_errors=True)
