"""The jobs over all accounts."""

import dagster as dg

from activecampaign_dagster.components.source import accounts
from activecampaign_dagster.orchestration.jobs import common_job
from activecampaign_dagster.orchestration.resources import WarehouseResource
from activecampaign_dagster.warehouse.private import make_process_private


@dg.definitions
def warehouse(context: dg.ComponentLoadContext) -> dg.Definitions:
    """The database that all accounts share, and the jobs that read all of them."""
    make_process_private()
    read = [one.account() for one in accounts(context)]
    return dg.Definitions(
        jobs=[common_job("incremental", read), common_job("full", read)],
        resources={"warehouse": WarehouseResource()},
    )
