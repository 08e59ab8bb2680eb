"""Maintenance of a warehouse that several hosts write to, every night."""

import dagster as dg

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.orchestration.failures import StepError
from activecampaign_dagster.orchestration.resources import (
    WAREHOUSE,
    WAREHOUSE_KEY,
    location,
)

_AT = "30 2 * * *"  # when little is written, which maintenance has to wait for


@dg.op(
    name="tidy_warehouse",
    out=dg.Out(dg.Nothing),
    description="Removes old snapshots and merges small files while no process writes.",
    required_resource_keys={WAREHOUSE_KEY},
)
def _tidy(context: dg.OpExecutionContext) -> None:
    try:
        found = getattr(context.resources, WAREHOUSE_KEY).warehouse
        before = found.sizes()
        for sentence in found.tidy():
            context.log.info("%s", sentence)
        after = found.sizes()
    except ActiveCampaignError as error:
        raise StepError(str(error), is_permanent=error.is_permanent) from None
    context.add_output_metadata(
        {
            f"{name} {when}": size
            for when, sizes in (("before", before), ("after", after))
            for name, size in sizes.items()
        }
    )


@dg.job(
    name="warehouse_maintenance",
    description="Maintains the lake: removes old snapshots and deleted files, merges small files.",
    executor_def=dg.in_process_executor,
)
def _maintenance() -> None:
    _tidy()


def maintenance() -> dg.Definitions:
    """The job and its nightly schedule; nothing for a file, which needs none."""
    if not location().is_shared:
        return dg.Definitions()
    schedule = dg.ScheduleDefinition(
        name="warehouse_maintenance_nightly",
        job=_maintenance,
        cron_schedule=_AT,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Maintains the lake every night.",
    )
    return dg.Definitions(
        jobs=[_maintenance], schedules=[schedule], resources={WAREHOUSE_KEY: WAREHOUSE}
    )
