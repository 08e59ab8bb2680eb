"""The front door: everything that `defs/` declares."""

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """Load the accounts, the dbt project and the jobs over them."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
