"""The jobs over all accounts."""

import dagster as dg

from activecampaign_dagster.orchestration.jobs import all_streams, sync_job
from activecampaign_dagster.orchestration.resources import WarehouseResource

incremental_sync = sync_job("incremental", all_streams())
full_refresh = sync_job("full", all_streams())


@dg.definitions
def warehouse() -> dg.Definitions:
    """The database that all accounts share."""
    return dg.Definitions(
        jobs=[incremental_sync, full_refresh], resources={"warehouse": WarehouseResource()}
    )
