"""Files that hold personal data are readable by their owner alone, whatever the umask.

DuckDB creates its files (WAL, spill) and dbt its logs by the process's umask, and neither takes a
mode. So the umask is narrowed while they work. It belongs to the whole process: blocks in several
threads share one change, which the last one takes back.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from activecampaign_dagster.warehouse.warehouse import WarehouseError

SHARED_VARIABLE = "ACTIVECAMPAIGN_SHARED_FILES"
_MASKS = {"": 0o077, "group": 0o007}

_guard = threading.Lock()
_blocks = 0
_before = 0


class SharingError(WarehouseError):
    """The variable that says who else may read the files has an unknown value."""


def mask() -> int:
    """The permission bits that files must not have; raises SharingError."""
    value = os.environ.get(SHARED_VARIABLE, "").strip().casefold()
    if value not in _MASKS:
        raise SharingError(
            f"{SHARED_VARIABLE} is {value!r}: leave it unset, so that only the user who runs the "
            "sync can read its files, or set it to group, so that the user's group can as well."
        )
    return _MASKS[value]


@contextmanager
def private_files() -> Iterator[None]:
    """Files and folders that are made within the block are the owner's alone."""
    global _blocks, _before  # noqa: PLW0603
    narrow = mask()
    with _guard:
        earlier = os.umask(narrow)
        if not _blocks:
            _before = earlier
        _blocks += 1
    try:
        yield
    finally:
        with _guard:
            _blocks -= 1
            if not _blocks:
                os.umask(_before)


def make_process_private() -> None:
    """Narrow the umask for the rest of the process: its logs are private, too."""
    os.umask(mask())


def make_folder(path: Path) -> None:
    """Make a folder and its missing parents; raises OSError."""
    with private_files():
        # Path.mkdir's mode holds for the last folder only
        path.mkdir(parents=True, exist_ok=True)


def write_private(path: Path, text: str) -> None:
    """Write a file that is the owner's alone and no link to another; raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags, 0o666 & ~mask()), "w", encoding="utf-8") as file:
        file.write(text)


def tighten(path: Path) -> None:
    """Close a file or folder that everybody may read, as earlier versions left it.

    What only a group may read was made so by somebody, and stays. So does what belongs to another
    user, or is not there.
    """
    with suppress(OSError):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o007:
            path.chmod(mode & ~mask())
            logging.getLogger(__name__).warning(
                "Everybody on this machine could read %s: its permissions are now %04o.",
                *(path, mode & ~mask()),
            )
