"""One reader per account on this machine: two would spend the account's request limit twice."""

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

import filelock

_LIMIT_WINDOW = 1.0  # seconds for which the last reader's requests still count


@contextmanager
def account_lock(base_url: str, log: logging.Logger, *, limited: bool = True) -> Iterator[None]:
    """Hold the account at `base_url` for this process; waits while another process reads it.

    limited: whether the account's requests per second count, and so the last reader's.
    """
    name = hashlib.sha256(f"{getpass.getuser()} {base_url}".encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"activecampaign-{name}.lock"
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        log.info("Waiting for another process on this machine that reads the same account.")
        lock.acquire(poll_interval=0.2)
    try:
        since = time.time() - path.stat().st_mtime
        if limited and 0 < since < _LIMIT_WINDOW:
            time.sleep(_LIMIT_WINDOW - since)
        yield
    finally:
        os.utime(path)
        lock.release()
