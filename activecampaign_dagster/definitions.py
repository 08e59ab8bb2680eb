"""The front door: everything that `defs/` declares."""

from functools import cache
from pathlib import Path

import dagster as dg

from activecampaign_dagster.components.errors import configuration_errors


@dg.definitions
@cache  # a job asks for them five times before its first step
def defs() -> dg.Definitions:
    """Load the accounts, the dbt project and the jobs over them."""
    folder = Path(__file__).parent
    with configuration_errors(folder / "defs"):
        return dg.load_from_defs_folder(path_within_project=folder)
