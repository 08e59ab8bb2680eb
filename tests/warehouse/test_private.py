"""What holds personal data is its owner's alone, whatever the umask."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from activecampaign_dagster.warehouse import scratch
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.private import (
    SharingError,
    private_files,
    write_private,
)
from activecampaign_dagster.warehouse.warehouse import WarehouseError, commit
from tests.helpers import Warehouse, serving

SPILLS = "from (select i, md5(i::varchar) as m from range(2_000_000) t(i) order by m) limit 1"


@pytest.fixture(autouse=True, params=[0o000, 0o022])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Those of a careless user and of most systems."""
    before = os.umask(request.param)
    yield
    assert os.umask(before) == request.param, "the umask is as it was"


def modes(folder: Path) -> dict[str, str]:
    """What others may do with each file and folder, by what is not its owner's alone."""
    return {
        str(path.relative_to(folder)): oct(stat.S_IMODE(path.stat().st_mode))
        for path in folder.rglob("*")
        if stat.S_IMODE(path.stat().st_mode) & 0o077
    }


def test_a_database_its_wal_and_its_spill_are_their_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.duckdb"
    with connect(path) as db:
        db.execute("set memory_limit = '60MB'; set threads = 2")
        db.execute("create table t as select 1 as i")
        db.execute("begin; insert into t values (2); commit")
        rows = db.execute(SPILLS.replace("limit 1", "").replace("from (", "select * from ("))
        rows.fetchone()
        names = {found.name for found in path.parent.iterdir()}
        assert {"a.duckdb", "a.duckdb.wal", "a.duckdb.tmp"} <= names
        assert modes(tmp_path) == {}


def test_all_that_a_sync_writes_is_its_owners_alone(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "_SMALL_BYTES", 0)  # typed rows lie in a file, too
    found: dict[str, str] = {}
    seen: set[str] = set()

    def looked(*args: Any) -> object:
        seen.update(path.suffix for path in tmp_path.rglob("*"))
        found.update(modes(tmp_path))
        return commit(*args)

    monkeypatch.setattr("activecampaign_dagster.sync.run.commit", looked)
    with serving() as sandbox:
        warehouse.sync(sandbox)
    assert {".parquet" if warehouse.place else ".duckdb", ".zst", ".json"} <= seen
    assert found == {}
    assert modes(tmp_path) == {}


@pytest.mark.parametrize(
    ("shared", "before", "after"),
    [("", 0o644, 0o600), ("", 0o640, 0o640), ("group", 0o664, 0o660), ("group", 0o600, 0o600)],
)
def test_a_database_that_everybody_could_read_is_closed_and_one_that_was_shared_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: str, before: int, after: int
) -> None:
    path = tmp_path / "a.duckdb"
    with connect(path):
        pass
    path.chmod(before)
    monkeypatch.setenv("ACTIVECAMPAIGN_SHARED_FILES", shared)
    with connect(path):
        pass
    assert stat.S_IMODE(path.stat().st_mode) == after


def test_the_permissions_of_a_file_that_is_no_database_stay(tmp_path: Path) -> None:
    path = tmp_path / "passwd"
    path.write_text("root:x:0:0:root:/root:/bin/bash\n" * 200)
    path.chmod(0o644)
    with pytest.raises(WarehouseError, match="is not a DuckDB database"), connect(path):
        pass
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_setting_lets_the_group_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIVECAMPAIGN_SHARED_FILES", "group")
    with connect(tmp_path / "new" / "a.duckdb") as db:
        db.execute("create table t (i int)")
        assert modes(tmp_path) == {
            "new": "0o770",
            "new/a.duckdb": "0o660",
            "new/a.duckdb.wal": "0o660",
        }


def test_a_setting_that_is_none_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIVECAMPAIGN_SHARED_FILES", "0644")
    with (
        pytest.raises(SharingError, match=r"ACTIVECAMPAIGN_SHARED_FILES is '0644'"),
        connect(tmp_path / "a.duckdb"),
    ):
        pass


def test_blocks_of_several_threads_share_one_umask_and_the_last_takes_it_back() -> None:
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with private_files():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=hold)
    with private_files():
        thread.start()
        assert inside.wait(10)
    assert os.umask(0o077) == 0o077
    leave.set()
    thread.join()


def test_a_private_file_is_written_anew_and_through_no_link(tmp_path: Path) -> None:
    write_private(tmp_path / "a", "longer")
    write_private(tmp_path / "a", "short")
    assert (tmp_path / "a").read_text() == "short"
    assert modes(tmp_path) == {}
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic links"):
        write_private(tmp_path / "link", "secret")
    assert not (tmp_path / "victim").exists()
