"""The folders below `defs` that this code location serves."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from activecampaign_dagster.components.errors import ConfigurationError

VARIABLE = "ACTIVECAMPAIGN_DEFS"


def is_divided() -> bool:
    """Whether other code locations serve other folders."""
    return bool(_names())


def is_served(context: dg.ComponentLoadContext, folder: Path) -> bool:
    """Whether a component's folder is, or lies in, one that ACTIVECAMPAIGN_DEFS names.

    All are if it is not set. Raises ConfigurationError for a name that is no folder.
    """
    root = context.defs_module_path.absolute()
    served = [root / name for name in _names()]
    if missing := [path.relative_to(root) for path in served if not path.is_dir()]:
        raise ConfigurationError(
            [
                f"{VARIABLE} names {missing[0]}, which is not a folder in {root}: write folders in "
                "it, separated by commas."
            ]
        )
    return not served or any(folder.absolute().is_relative_to(path) for path in served)


def _names() -> list[str]:
    return [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]
