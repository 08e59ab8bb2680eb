"""Files that come with the package and are no Python."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def shipped(name: str) -> Path:
    """A file or folder: inside the package where it is installed, beside it in a clone."""
    installed = _PACKAGE / name
    return installed if installed.exists() else _PACKAGE.with_name(name)
