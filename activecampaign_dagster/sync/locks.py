"""A lock that names its holder, and ends with the process that holds it.

The kernel lets go of the lock of a process that died. So whoever gets a lock knows that its last
holder is gone, and whoever waits for one that the holder lives.
"""

from __future__ import annotations

import json
import logging
import math
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import filelock

from activecampaign_dagster.warehouse.private import write_private
from activecampaign_dagster.warehouse.warehouse import WarehouseError

TIMEOUT_VARIABLE = "ACTIVECAMPAIGN_LOCK_TIMEOUT"
_DEFAULT_TIMEOUT = 6 * 3600.0  # seconds; the first sync of a large account takes an hour or two
_POLL = 0.2  # seconds
REMINDER = 300.0  # seconds after which one that waits says so again: a silent run seems dead


class LockTimeoutError(WarehouseError):
    """Another process held a lock for longer than a run is to wait; a later run may succeed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that holds a lock: its number, machine, start by the clock and run."""

    pid: int
    host: str
    since: str
    run: str

    @classmethod
    def this_process(cls, run: str) -> Holder:
        """This process, at work on a run."""
        now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        return cls(pid=os.getpid(), host=socket.gethostname(), since=now, run=run)

    def __str__(self) -> str:
        run = f"run {self.run[:8]}, " if self.run else ""
        return f"process {self.pid} on {self.host} ({run}since {self.since})"


def patience() -> float:
    """Seconds that a run waits for another; raises WarehouseError if the setting is no number."""
    value = os.environ.get(TIMEOUT_VARIABLE, "").strip()
    if not value:
        return _DEFAULT_TIMEOUT
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise WarehouseError(
            f"{TIMEOUT_VARIABLE} is {value!r}: set it to a number of seconds, such as 3600."
        )
    return seconds


@contextmanager
def held(path: Path, log: logging.Logger, *, purpose: str, run: str = "") -> Iterator[None]:
    """Hold the lock at `path`; waits while a living process holds it, and says for whom.

    purpose: what its holder does, as in "which reads the same account". run: the id of the run that
    is to hold it. Raises LockTimeoutError after `patience()`, WarehouseError if there can be no
    such lock.
    """
    limit, began = patience(), time.monotonic()
    lock = _lock(path)
    reminder = 0.0
    while not _acquired(lock, min(reminder, limit)):
        waited = time.monotonic() - began
        other = f"{holder(path) or 'another process on this machine'}, {purpose}"
        if waited >= limit:
            raise LockTimeoutError(
                f"Gave up after waiting {waited:.0f} s for {other}: run again once it has ended, "
                f"or set {TIMEOUT_VARIABLE} to more seconds. Its lock is {path}."
            )
        log.warning("Waiting for %s.", other)
        reminder = min(REMINDER, limit - waited)
    try:
        _write(path, Holder.this_process(run))
        yield
    finally:
        _discard(_name_file(path))
        lock.release()


def holder(path: Path) -> Holder | None:
    """Who holds the lock at `path`, or held it last; None if nobody has left a name."""
    try:
        return Holder(**json.loads(_name_file(path).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def has_living_holder(path: Path) -> bool | None:
    """Whether a process holds the lock at `path`; None if there is no such lock."""
    if not path.exists():
        return None
    lock = _lock(path)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        return True
    except OSError:
        return None
    lock.release()
    return False


def remove(path: Path) -> None:
    """Remove a lock that nobody will ask for again, and the name of its holder."""
    for each in (path, _name_file(path)):
        _discard(each)


def _lock(path: Path) -> filelock.BaseFileLock:
    # by the name alone, a second lock in this process would be the same object
    return filelock.FileLock(path, mode=0o600, is_singleton=False)


def _acquired(lock: filelock.BaseFileLock, timeout: float) -> bool:
    try:
        lock.acquire(timeout=timeout, poll_interval=_POLL)
    except filelock.Timeout:
        return False
    except OSError as error:
        raise WarehouseError(
            f"The lock {lock.lock_file} cannot be used ({error.strerror or error}): remove the "
            f"file in its place, and check the permissions of its folder."
        ) from error
    return True


def _name_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.holder")


def _write(path: Path, who: Holder) -> None:
    """Note who holds a lock. Nobody depends on it: a full disk must not keep a run from reading."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        write_private(partial, json.dumps(asdict(who)))
        partial.replace(_name_file(path))
    except OSError:
        _discard(_name_file(path))


def _discard(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
