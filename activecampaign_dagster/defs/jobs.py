"""The jobs over several accounts."""

import dagster as dg

from activecampaign_dagster.components.source import accounts
from activecampaign_dagster.orchestration.account import JOBS
from activecampaign_dagster.orchestration.jobs import common_job
from activecampaign_dagster.orchestration.resources import WAREHOUSE
from activecampaign_dagster.warehouse.private import make_process_private


@dg.definitions
def warehouse(context: dg.ComponentLoadContext) -> dg.Definitions:
    """The database that all accounts share, and the jobs that read all of them.

    The jobs of a single account read all there is.
    """
    make_process_private()
    read = [one.account() for one in accounts(context)]
    return dg.Definitions(
        jobs=[common_job(mode, read) for mode in JOBS if len(read) > 1],
        resources={"warehouse": WAREHOUSE},  # for code of one's own
    )
