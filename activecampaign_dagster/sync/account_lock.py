"""One reader per account on this machine, and one sync per staging folder.

Two readers would spend the account's request limit twice. They find each other by a lock in the
folder for temporary files; those for whom that is another folder may still share a database.
"""

from __future__ import annotations

import getpass
import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import filelock

from activecampaign_dagster.api.address import account_label, is_loopback
from activecampaign_dagster.warehouse.warehouse import WarehouseError

_LIMIT_WINDOW = 1.0  # seconds for which the last reader's requests still count
_REMINDER = 300.0  # seconds after which one that waits says so again: a silent run seems dead


@contextmanager
def account_lock(base_url: str, log: logging.Logger, *, limited: bool = True) -> Iterator[None]:
    """Hold the account at `base_url` for this process; waits while another process reads it.

    limited: whether the account's requests per second count, and so the last reader's.
    """
    # a container's user need not have a name
    user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()
    # on loopback a port is an account of its own
    is_sandbox = is_loopback(urlsplit(base_url).hostname or "")
    account = base_url if is_sandbox else account_label(base_url)
    name = hashlib.sha256(f"{user} {account}".encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"activecampaign-{name}.lock"
    with _held(path, log, "that reads the same account"):
        try:
            since = time.time() - path.stat().st_mtime
            if limited and 0 < since < _LIMIT_WINDOW:
                time.sleep(_LIMIT_WINDOW - since)
            yield
        finally:
            os.utime(path)


@contextmanager
def staging_lock(root: Path, log: logging.Logger) -> Iterator[None]:
    """Hold a staging folder for this process; waits while another process uses it.

    Raises WarehouseError if it cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        (root / "lock").touch()
    except OSError as error:
        raise WarehouseError(
            f"The folder {root} cannot be written ({error.strerror}): check its permissions and "
            "the room there, or set ACTIVECAMPAIGN_DATABASE to another path."
        ) from error
    with _held(root / "lock", log, "that syncs into the same database"):
        yield


@contextmanager
def _held(path: Path, log: logging.Logger, which: str) -> Iterator[None]:
    lock = filelock.FileLock(path)
    patience = 0.0
    while not lock.is_locked:
        try:
            lock.acquire(timeout=patience, poll_interval=0.2)
        except filelock.Timeout:
            log.info("Waiting for another process on this machine %s.", which)
            patience = _REMINDER
    try:
        yield
    finally:
        lock.release()
