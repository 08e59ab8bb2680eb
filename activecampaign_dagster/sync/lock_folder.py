"""The folder of a user's own in which the locks lie.

In the shared folder for temporary files any local user could hold, replace or block a lock.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from activecampaign_dagster.warehouse.warehouse import WarehouseError

_NAME = "activecampaign"


def lock_folder() -> Path:
    """The folder for locks, made if it is missing; raises WarehouseError if there can be none.

    It is the same for all processes of a user on a machine. XDG_RUNTIME_DIR is not: a desktop has
    it, cron does not.
    """
    reasons = []
    for folder in _candidates():
        try:
            _make(folder)
        except OSError as error:
            reasons.append(f"{folder} ({error.strerror or error})")
        else:
            return folder
    raise WarehouseError(
        f"No folder can hold the locks that keep two runs apart: {'; '.join(reasons)}. Make one of "
        "these a folder that only the user who runs the sync can use, or remove the file in its "
        "place."
    )


def _candidates() -> Iterator[Path]:
    try:
        home = Path.home()
    except (RuntimeError, KeyError):  # a container's user need have neither name nor home
        home = None
    if home and home.is_absolute():
        yield home / ".cache" / _NAME
    user = f"-{os.geteuid()}" if hasattr(os, "geteuid") else ""
    yield Path(tempfile.gettempdir()) / f"{_NAME}{user}"


def _make(folder: Path) -> None:
    """Make a folder of our own and check that it is one; raises OSError."""
    if folder.parent.name == ".cache":
        folder.parent.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(None, "it is a link or a file, not a folder")
    if hasattr(os, "geteuid"):
        if found.st_uid != os.geteuid():
            raise PermissionError(None, "it belongs to another user")
        if stat.S_IMODE(found.st_mode) & 0o077:
            folder.chmod(0o700)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(None, "it cannot be written")
