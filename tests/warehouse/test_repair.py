"""A process that is killed while DuckDB writes a checkpoint leaves a database that can be used."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.warehouse import WarehouseError

HEAD, BLOCK, PAGE = 3 * 4096, 256 * 1024, 4096  # bytes of a DuckDB file and of a page of memory
CHANGES = """
    insert into t1 select range + 1000000, 'x' from range(300);
    delete from t2 where i % 7 = 0;
    update t3 set v = 'new' where i % 5 = 0;
    create table t9 as select range as i, 'x' as v from range(10);
"""


@dataclass(frozen=True)
class Checkpoint:
    """A database before and after a checkpoint, the WAL that it took in, and what is in it."""

    before: bytes
    after: bytes
    wal: bytes
    content: dict[str, tuple[int, int]]

    def torn(self, share: float) -> bytes:
        """The file if the writer was killed after a share of what it changed in a block's place."""
        blocks = [(at, at + BLOCK) for at in range(HEAD, len(self.before), BLOCK)]
        begin, end = next((b, e) for b, e in blocks if self.before[b:e] != self.after[b:e])
        last = max(i for i in range(begin, end) if self.before[i] != self.after[i])
        pages = max(round((last - begin) / PAGE * share), 1)
        written = begin + pages * PAGE
        return self.before[:begin] + self.after[begin:written] + self.before[written:]


def content(path: Path) -> dict[str, tuple[int, int]]:
    with connect(path) as db:
        tables = db.execute(
            "select table_name from duckdb_tables() where schema_name = 'main' order by all"
        ).fetchall()
        return {
            table: db.execute(f"select count(*), bit_xor(hash(t)) from {table} as t").fetchone()
            for (table,) in tables
        }


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("torn")
    path, copy = folder / "a.duckdb", folder / "copy.duckdb"
    with connect(path) as db:
        for n in range(1, 9):
            rows = f"select range as i, range::varchar as v from range({3000 * n})"
            db.execute(f"create table t{n} as {rows}")
        # a name that nothing can ask DuckDB's storage for is no obstacle
        db.execute('create schema "an odd one"; create table "an odd one"."a ""b""" (i int)')
    before = path.read_bytes()
    shutil.copy(path, copy)
    with connect(copy) as db:
        db.execute(f"pragma disable_checkpoint_on_shutdown; {CHANGES}")
    wal = copy.with_name("copy.duckdb.wal").read_bytes()
    with connect(path) as db:
        db.execute(CHANGES)
    return Checkpoint(before, path.read_bytes(), wal, content(path))


@pytest.mark.parametrize("share", [0, 0.2, 0.4, 0.6, 0.8, 0.95])
def test_a_block_that_a_kill_has_torn_is_mended_and_nothing_is_lost(
    checkpoint: Checkpoint, tmp_path: Path, share: float, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.duckdb"
    path.write_bytes(checkpoint.torn(share))
    path.with_name("a.duckdb.wal").write_bytes(checkpoint.wal)
    with pytest.raises(duckdb.Error, match="Corrupt database file"):
        duckdb.connect(path)
    assert content(path) == checkpoint.content
    [said] = re.findall(r"at byte (\d+) .* is set to (\d+) \(it was (\d+)\)", caplog.text)
    location, new, old = map(int, said)
    assert checkpoint.torn(share)[location : location + 8] == old.to_bytes(8, "little")
    assert new != old
    assert content(path) == checkpoint.content
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_database_that_was_closed_is_left_as_it_is(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "a.duckdb"
    damaged = checkpoint.torn(0.5)
    path.write_bytes(damaged)
    with (
        pytest.raises(WarehouseError, match=r"is damaged .*restore it from a backup"),
        connect(path),
    ):
        pass
    assert path.read_bytes() == damaged


def test_damaged_data_beside_a_wal_are_left_as_they_are(
    checkpoint: Checkpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.duckdb"
    path.write_bytes(checkpoint.before)
    with connect(path) as db:
        found = db.execute("select distinct block_id from pragma_metadata_info()").fetchall()
    metadata = {block for (block,) in found}
    data = set(range((len(checkpoint.before) - HEAD) // BLOCK)) - metadata
    assert len(data) >= 5
    for block in data:
        begin = HEAD + block * BLOCK
        damaged = bytearray(checkpoint.before)
        damaged[begin + 100] ^= 0xFF
        path.write_bytes(damaged)
        path.with_name("a.duckdb.wal").write_bytes(checkpoint.wal)
        with pytest.raises(WarehouseError, match="is damaged"):
            content(path)
        assert path.read_bytes()[begin : begin + BLOCK] == damaged[begin : begin + BLOCK]
    assert "checksum" not in caplog.text


def test_a_wal_that_a_kill_has_cut_off_is_read_as_far_as_it_goes(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "a.duckdb"
    for share in range(10):
        path.write_bytes(checkpoint.before)
        wal = checkpoint.wal[: len(checkpoint.wal) * share // 10]
        path.with_name("a.duckdb.wal").write_bytes(wal)
        found = content(path)
        assert {f"t{n}" for n in range(1, 9)} <= found.keys()
        assert found != checkpoint.content
