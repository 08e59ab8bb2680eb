"""One reader per account on this machine, and one sync per staging folder.

Two readers would spend the account's request limit twice. They find each other by a lock in a
folder of their user's own; those for whom that is another folder may still share a database.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from activecampaign_dagster.api.address import account_label, is_loopback
from activecampaign_dagster.sync.lock_folder import lock_folder
from activecampaign_dagster.sync.locks import has_living_holder, held, remove
from activecampaign_dagster.warehouse.private import make_folder, private_files, tighten
from activecampaign_dagster.warehouse.warehouse import WarehouseError

_LIMIT_WINDOW = 1.0  # seconds for which the last reader's requests still count
_UNUSED_AFTER = 30 * 86400.0  # seconds


@contextmanager
def account_lock(
    base_url: str, log: logging.Logger, *, limited: bool = True, run: str = ""
) -> Iterator[None]:
    """Hold the account at `base_url` for this process; waits while another process reads it.

    limited: whether the account's requests per second count, and so the last reader's. run: the id
    of the run, which others are told while they wait. Raises WarehouseError if there can be no
    lock, LockTimeoutError if another process holds it for too long.
    """
    # on loopback a port is an account of its own
    is_sandbox = is_loopback(urlsplit(base_url).hostname or "")
    account = base_url if is_sandbox else account_label(base_url)
    name = hashlib.sha256(account.encode()).hexdigest()[:16]
    folder = lock_folder()
    path = folder / f"{name}.lock"
    with held(path, log, purpose="which reads the same account", run=run):
        _tidy(folder)
        try:
            since = time.time() - path.stat().st_mtime
            if limited and 0 < since < _LIMIT_WINDOW:
                time.sleep(_LIMIT_WINDOW - since)
            yield
        finally:
            os.utime(path)


def _tidy(folder: Path) -> None:
    """Remove locks of accounts that nobody has read for long: each sandbox leaves one."""
    for path in folder.glob("*.lock"):
        with suppress(OSError):
            is_old = time.time() - path.lstat().st_mtime > _UNUSED_AFTER
            if is_old and has_living_holder(path) is False:
                remove(path)


@contextmanager
def staging_lock(root: Path, log: logging.Logger, *, run: str = "") -> Iterator[None]:
    """Hold a staging folder for this process; waits while another process uses it.

    What is written within the block is its owner's alone. Raises WarehouseError if the folder
    cannot be written, LockTimeoutError if another process holds it for too long.
    """
    try:
        make_folder(root)
        tighten(root)
        (root / "lock").touch(mode=0o600)
    except OSError as error:
        raise WarehouseError(
            f"The folder {root} cannot be written ({error.strerror}): check its permissions and "
            "the room there, or set ACTIVECAMPAIGN_DATABASE to another path."
        ) from error
    purpose = "which syncs into the same database"
    with private_files(), held(root / "lock", log, purpose=purpose, run=run):
        yield
