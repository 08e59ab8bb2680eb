"""One reader per account, and one sync per staging folder.

Two readers would spend the account's request limit twice. On a machine they find each other by a
lock in a folder of their user's own; those for whom that is another folder may still share a
database. On several hosts they find each other through the warehouse that these share.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from activecampaign_dagster.api.address import account_label, is_loopback
from activecampaign_dagster.sync.lock_folder import lock_folder
from activecampaign_dagster.sync.locks import (
    REMINDER,
    TIMEOUT_VARIABLE,
    Holder,
    LockTimeoutError,
    has_living_holder,
    held,
    patience,
    remove,
)
from activecampaign_dagster.warehouse.private import make_folder, private_files, tighten
from activecampaign_dagster.warehouse.warehouse import (
    Lock,
    Warehouse,
    WarehouseBusyError,
    WarehouseError,
)

_LIMIT_WINDOW = 1.0  # seconds for which the last reader's requests still count
_POLL = 0.5  # seconds
_UNUSED_AFTER = 30 * 86400.0  # seconds


@contextmanager
def account_lock(
    base_url: str,
    log: logging.Logger,
    *,
    limited: bool = True,
    run: str = "",
    warehouse: Warehouse | None = None,
    tables: str = "",
) -> Iterator[Callable[[], None]]:
    """Hold the account at `base_url` for this process; waits while another process reads it.

    Gives what raises WarehouseBusyError if another host may read the account by now: to be called
    before what was read is landed. warehouse: what hosts share, through which they find each other.
    tables: the name of what is filled there, which another account must not fill meanwhile.

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
            if warehouse is None:
                yield lambda: None
                return
            wanted = {account: "which reads the same account"}
            if tables:
                wanted[f"tables {tables}"] = "which fills the same tables"
            with _on_all_hosts(warehouse, wanted, log, run) as still_held:
                yield still_held
        finally:
            os.utime(path)


@contextmanager
def _on_all_hosts(
    warehouse: Warehouse, wanted: Mapping[str, str], log: logging.Logger, run: str
) -> Iterator[Callable[[], None]]:
    """Hold locks among the hosts that share the warehouse. wanted: name → what another one does."""
    locks: list[Lock] = []

    def still_held() -> None:
        if not all(lock.still_held() for lock in locks):
            raise WarehouseBusyError(
                f"This run lost the connection that locks the account {next(iter(wanted))}, so "
                "another host may be reading it. No more rows are loaded, and the next run resumes."
            )

    try:
        for name, purpose in wanted.items():
            locks.append(_taken(warehouse, name, purpose, log, run))
        yield still_held
    finally:
        for lock in reversed(locks):
            lock.release()


def _taken(warehouse: Warehouse, name: str, purpose: str, log: logging.Logger, run: str) -> Lock:
    """A lock, once nobody else holds it."""
    limit, began, reminder = patience(), time.monotonic(), 0.0
    who = str(Holder.this_process(run))
    while (lock := warehouse.lock(name, who)) is None:
        waited = time.monotonic() - began
        other = f"{warehouse.holder(name)}, {purpose}"
        if waited >= limit:
            raise LockTimeoutError(
                f"Gave up after waiting {waited:.0f} s for {other}: run again once it has ended, "
                f"or set {TIMEOUT_VARIABLE} to more seconds."
            )
        if waited >= reminder:
            log.warning("Waiting for %s.", other)
            reminder = waited + REMINDER
        time.sleep(_POLL)
    return lock


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
