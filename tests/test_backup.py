"""A backup is whole whenever it is made, and what is restored goes on from there."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from activecampaign_dagster.sync.request import Mode
from tests.helpers import Warehouse, serving
from tests.sync.truth import differences


def back_up(database: Path, target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "activecampaign_dagster.cli", "backup", str(target)],
        env={**os.environ, "ACTIVECAMPAIGN_DATABASE": str(database)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_backup_is_made_while_syncs_run_and_what_is_restored_goes_on(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    copied = Warehouse(tmp_path / "backup.duckdb")
    ended = threading.Event()
    with serving() as sandbox:
        warehouse.sync(sandbox)
        # as dbt makes them
        warehouse.query("create schema marts")
        warehouse.query("create view marts.people as select id from activecampaign.contacts")

        def syncs() -> None:
            while not ended.is_set():
                sandbox.account.add_contact()
                warehouse.sync(sandbox, Mode.INCREMENTAL)

        thread = threading.Thread(target=syncs)
        thread.start()
        try:
            done = back_up(warehouse.path, copied.path)
        finally:
            ended.set()
            thread.join()
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{copied.path}: ")
        assert copied.path.stat().st_mode & 0o077 == 0
        [(shown, live, said)] = copied.query(
            "select (select count(*) from marts.people), "
            "(select count(*) from activecampaign.contacts where _deleted_at is null), "
            "(select live_rows from activecampaign._streams where stream = 'contacts')"
        )
        assert 230 <= shown == live == said
        # back to the copy, and on
        for left in tmp_path.glob("warehouse.duckdb*.wal"):
            left.unlink()
        copied.path.replace(warehouse.path)
        warehouse.sync(sandbox, Mode.INCREMENTAL)
        assert differences(sandbox.account, warehouse.live("contacts"), "contacts") == []


def test_a_backup_overwrites_nothing_and_says_what_is_wrong(tmp_path: Path) -> None:
    database, other = tmp_path / "warehouse.duckdb", tmp_path / "kept"
    done = back_up(database, other)
    assert done.returncode == 1
    assert f"There is no database {database}" in done.stderr
    Warehouse(database).query("create table t as select 1 as a")
    other.write_text("kept")
    done = back_up(database, other)
    assert f"{other} already exists" in done.stderr
    assert other.read_text() == "kept"
    done = back_up(database, tmp_path / "missing" / "backup")
    assert f"The copy {tmp_path}/missing/backup could not be written" in done.stderr
    assert "Traceback" not in done.stderr
