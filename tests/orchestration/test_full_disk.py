"""A DAGSTER_HOME that is full ends a run in a sentence, wherever the run happens to be."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy

from activecampaign_dagster.orchestration.storage_errors import StorageError, tell_in_a_sentence
from tests.orchestration.machine import Machine

ROOM = 16 << 20  # bytes


@pytest.fixture
def small_disk(machine: Machine) -> Iterator[Path]:
    """DAGSTER_HOME on a disk of its own, on which Dagster has run before."""
    shutil.rmtree(machine.home)
    machine.home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(machine.home)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        shutil.copy(Path(__file__).parents[2] / "dagster.yaml", machine.home)
        dg.DagsterInstance.from_config(str(machine.home)).dispose()
        yield machine.home
    finally:
        for process in machine.running:
            process.wait(60)
        subprocess.run(["umount", str(machine.home)], check=True)


def fill(folder: Path, *, leaving: int) -> None:
    """Write a file that leaves so many bytes."""
    with (folder / "filler").open("wb") as file:
        file.write(b"\0" * (shutil.disk_usage(folder).free - leaving))
        os.fsync(file)


def one_stream() -> list[str]:
    """The command that reads one stream, in a process for its step."""
    month = f"{datetime.now(UTC):%Y-%m}-01"
    return ["asset", "materialize", "--select", "activecampaign/users", "--partition", month]


@pytest.mark.slow
# with the least, the run cannot be noted; with the most, it breaks off while it reads
@pytest.mark.parametrize("leaving", [40 << 10, 1300 << 10])
def test_a_run_ends_in_a_sentence(machine: Machine, small_disk: Path, leaving: int) -> None:
    fill(small_disk, leaving=leaving)
    said, _ = (process := machine.start()).communicate(timeout=120)
    assert process.returncode == 1, said
    # Dagster's own last words may be that the run resulted in failure
    end = "\n".join(said.splitlines()[-5:])
    assert f"Dagster cannot write to its storage in {small_disk}/" in end, said
    assert "make room on that disk" in end
    assert "Traceback" not in said
    assert "Stack Trace" not in said
    (small_disk / "filler").unlink()
    said, _ = (process := machine.start(*one_stream())).communicate(timeout=120)
    assert process.returncode == 0, said
    assert "Waiting for" not in said


@pytest.mark.slow
def test_a_process_for_each_step_says_it_as_well(machine: Machine, small_disk: Path) -> None:
    fill(small_disk, leaving=150 << 10)
    said, _ = (process := machine.start(*one_stream())).communicate(timeout=120)
    assert process.returncode == 1, said
    assert f"Dagster cannot write to its storage in {small_disk}/" in said
    assert "Traceback" not in said
    assert "Stack Trace" not in said


def test_what_is_no_matter_of_room_stays_as_it_was(tmp_path: Path) -> None:
    tell_in_a_sentence()
    tell_in_a_sentence()
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/some.db")
    with engine.connect() as db, pytest.raises(sqlalchemy.exc.OperationalError, match="no such"):
        db.execute(sqlalchemy.text("select * from missing"))
    (tmp_path / "a.db").mkdir()
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/a.db")
    with pytest.raises(StorageError, match="unable to open database file") as caught:
        engine.connect()
    assert str(tmp_path) in str(caught.value)
