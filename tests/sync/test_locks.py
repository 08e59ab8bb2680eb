"""Locks lie where no other user reaches them, name their holders and end in a sentence."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from activecampaign_dagster.sync.account_lock import account_lock, staging_lock
from activecampaign_dagster.sync.lock_folder import lock_folder
from activecampaign_dagster.sync.locks import (
    LockTimeoutError,
    has_living_holder,
    held,
    holder,
)
from activecampaign_dagster.warehouse.warehouse import WarehouseError
from tests.helpers import Warehouse, serving

LOG = logging.getLogger("sync")
ACCOUNT = "https://acme.api-us1.com/api/3"
NOBODY = 65534
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can run as another user"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, and a shared folder for temporary files."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "shared"))
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def any_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def take() -> None:
    with account_lock(ACCOUNT, LOG, limited=False):
        pass


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_locks_lie_in_a_folder_that_nobody_else_can_enter(home: Path, tmp_path: Path) -> None:
    with account_lock(ACCOUNT, LOG, limited=False, run="a-run"):
        folder = lock_folder()
        assert folder.is_relative_to(home)
        assert mode(folder) == 0o700
        assert {mode(path) for path in folder.iterdir()} == {0o600}
    assert list((tmp_path / "shared").iterdir()) == []


def test_a_user_without_a_home_has_a_folder_of_its_own_beside_those_of_others(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", "/proc/nothing/here")
    take()
    (folder,) = (tmp_path / "shared").iterdir()
    assert str(os.geteuid()) in folder.name
    assert mode(folder) == 0o700


def test_desktop_and_cron_of_one_user_find_each_others_lock(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = []
    for runtime in (str(tmp_path), ""):
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        found.append(lock_folder())
    assert len(set(found)) == 1


@pytest.mark.parametrize("kind", ["link", "file", "dangling link"])
def test_what_is_in_the_place_of_the_folder_is_neither_followed_nor_used(
    home: Path, tmp_path: Path, kind: str
) -> None:
    (home / ".cache").mkdir()
    (tmp_path / "elsewhere").mkdir()
    place = home / ".cache" / "activecampaign"
    if kind == "file":
        place.touch()
    else:
        place.symlink_to(tmp_path / ("elsewhere" if kind == "link" else "nowhere"))
    take()
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not (tmp_path / "nowhere").exists()
    assert lock_folder().parent == tmp_path / "shared"


def test_locks_that_nobody_has_used_for_long_are_removed(home: Path) -> None:
    take()
    old, held_one, other = (lock_folder() / f"{name}.lock" for name in ("old", "held", "other"))
    for path in (old, held_one, other):
        path.touch()
    for path in (old, held_one):
        os.utime(path, (0, 0))
    with held(held_one, LOG, purpose="which lives on"):
        take()
    assert [path.exists() for path in (old, held_one, other)] == [False, True, True]


@as_root
def test_a_folder_that_another_user_has_put_there_is_refused_in_a_sentence(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", "/proc/nothing/here")
    trap = tmp_path / "shared" / f"activecampaign-{os.geteuid()}"
    trap.mkdir(mode=0o777)
    os.chown(trap, NOBODY, NOBODY)
    with pytest.raises(WarehouseError, match=r"No folder can hold the locks.*another user"):
        take()


@as_root
def test_a_user_without_a_name_or_a_home_can_sync() -> None:
    # the folders of pytest are their owner's alone
    with tempfile.TemporaryDirectory() as shared:
        Path(shared).chmod(0o1777)
        code = f"""
import logging, os, tempfile
from activecampaign_dagster.sync.account_lock import account_lock
os.setgroups([])
os.setgid(54321)
os.setuid(54321)
os.environ.pop("HOME", None)
tempfile.tempdir = {shared!r}
with account_lock({ACCOUNT!r}, logging.getLogger(), limited=False):
    pass
"""
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert [path.name for path in Path(shared).iterdir()] == ["activecampaign-54321"]


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_is_in_the_place_of_the_lock_is_told_in_a_sentence(
    home: Path, tmp_path: Path, kind: str
) -> None:
    take()
    (path,) = lock_folder().glob("*.lock")
    path.unlink()
    if kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "victim")
    with pytest.raises(WarehouseError, match=r"The lock .* cannot be used"):
        take()
    assert not (tmp_path / "victim").exists()


def test_a_run_without_a_lock_fails_in_a_sentence_and_not_in_a_stack_trace(
    home: Path, warehouse: Warehouse
) -> None:
    with serving() as sandbox:
        warehouse.sync(sandbox, streams=["users"])
        (warehouse.staging / "lock").unlink()
        (warehouse.staging / "lock").symlink_to("elsewhere")
        with pytest.raises(WarehouseError, match="lock"):
            warehouse.sync(sandbox, streams=["users"])


def test_one_that_waits_gives_up_after_the_time_that_is_set(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIVECAMPAIGN_LOCK_TIMEOUT", "0.5")
    raised: list[Exception] = []

    def wait() -> None:
        try:
            take()
        except LockTimeoutError as error:
            raised.append(error)

    with account_lock(ACCOUNT, LOG, limited=False, run="12345678-9"):
        began = time.monotonic()
        waiting = threading.Thread(target=wait)
        waiting.start()
        waiting.join(10)
        assert 0.4 < time.monotonic() - began < 5
    assert "Gave up after waiting" in str(raised[0])
    assert f"process {os.getpid()} on " in str(raised[0])
    assert "(run 12345678, since " in str(raised[0])
    take()


@pytest.mark.parametrize("value", ["soon", "-1", "inf", "nan", "1h"])
def test_a_time_that_is_none_is_refused_by_its_name(
    home: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("ACTIVECAMPAIGN_LOCK_TIMEOUT", value)
    with pytest.raises(WarehouseError, match=r"ACTIVECAMPAIGN_LOCK_TIMEOUT is .* such as 3600"):
        take()


def test_the_lock_of_a_process_that_was_killed_is_free_and_known_to_be(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    assert has_living_holder(path) is None
    code = (
        "import logging, time; from pathlib import Path\n"
        "from activecampaign_dagster.sync.locks import held\n"
        f"with held(Path({str(path)!r}), logging.getLogger(), purpose='', run='r'):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    assert has_living_holder(path) is True
    process.kill()
    process.communicate()
    assert has_living_holder(path) is False
    last = holder(path)
    assert last
    assert (last.pid, last.run) == (process.pid, "r")
    with held(path, LOG, purpose="which does nothing"):
        assert has_living_holder(path) is True
    assert holder(path) is None


def test_the_locks_are_free_at_once_when_the_consumer_of_a_sync_stops(
    home: Path, warehouse: Warehouse
) -> None:
    with serving(latency=0.05) as sandbox:
        outcomes = warehouse.outcomes(sandbox)
        next(outcomes)
        assert has_living_holder(warehouse.staging / "lock") is True
        outcomes.close()
        assert has_living_holder(warehouse.staging / "lock") is False
        assert [has_living_holder(path) for path in lock_folder().glob("*.lock")] == [False]
        warehouse.sync(sandbox, streams=["users"])


def test_the_staging_folder_is_its_owners_alone(tmp_path: Path) -> None:
    with staging_lock(tmp_path / "a" / "b", LOG):
        assert mode(tmp_path / "a") == 0o700
        assert mode(tmp_path / "a" / "b") == 0o700
        assert {mode(path) for path in (tmp_path / "a" / "b").iterdir()} == {0o600}
