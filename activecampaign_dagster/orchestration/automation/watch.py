"""A sensor that watches over all runs, of whatever account, job and host."""

from __future__ import annotations

import dagster as dg

from activecampaign_dagster.orchestration.dead_runs import SilenceError, end_dead_runs


@dg.sensor(
    name="activecampaign_watch",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Marks runs whose process or host is gone as failed, and frees their pools.",
)
def watch(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """End what is dead."""
    try:
        found = end_dead_runs(context.instance, context.log)
    except SilenceError as error:
        return dg.SkipReason(str(error))
    if found:
        ended = ", ".join(run_id[:8] for run_id in found)
        return dg.SkipReason(f"Marked dead runs as failed: {ended}.")
    return dg.SkipReason("No run is dead.")
