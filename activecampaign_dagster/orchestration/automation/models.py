"""A sensor that starts a build of the models when rows have landed, in whichever account."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import duckdb

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.orchestration.account import MODE_TAG, UNDER_WAY
from activecampaign_dagster.orchestration.jobs import MODELS_JOB, is_build
from activecampaign_dagster.orchestration.resources import warehouse
from activecampaign_dagster.warehouse import ledger

_PATIENCE = 2.0  # seconds; the next tick asks again
_AGAIN = timedelta(hours=1)  # after which a build that failed is tried again, though nothing landed


def models_sensor(
    job: dg.ExecutableDefinition,
    *,
    every: timedelta,
    models: Collection[dg.AssetKey],
    ground: Callable[[duckdb.DuckDBPyConnection], str],
) -> dg.SensorDefinition:
    """Requests `job` when rows have landed since the last build, at most once in `every`.

    models: what it builds. ground: a digest of what they are made of now, which a sync that changed
    nothing leaves as it is. The cursor holds the newest sync and the ground that were seen last.
    """
    minutes = f"{every.total_seconds() / 60:g}"

    @dg.sensor(
        name=MODELS_JOB,
        job=job,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Builds the models when rows were loaded since the last build, at most once in "
        f"{minutes} minutes.",
    )
    def on_landing(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if busy := _under_way(context.instance, models):
            return dg.SkipReason(busy)
        last, now = _last_build(context.instance), datetime.now(UTC)
        if last and now < (until := last.create_timestamp + every):
            return dg.SkipReason(
                f"The last build began less than {minutes} minutes ago: the next one may begin at "
                f"{until:%H:%M} UTC."
            )
        try:
            found = _look(context.cursor or "", ground)
        except ActiveCampaignError as error:
            return dg.SkipReason(str(error))
        if found is None:
            return dg.SkipReason("No sync has ended yet.")
        if found.is_new or (last and _failed(last) and now >= last.create_timestamp + _AGAIN):
            return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=found.cursor)
        reason = dg.SkipReason("No row has changed since the last build.")
        return dg.SensorResult(skip_reason=reason, cursor=found.cursor)

    return on_landing


@dataclass(frozen=True, slots=True)
class _Found:
    """What models are made of now, as a cursor, and whether that is new."""

    cursor: str
    is_new: bool


def _look(cursor: str, ground: Callable[[duckdb.DuckDBPyConnection], str]) -> _Found | None:
    """Compare the database with what the cursor says; None if no sync has ended in it."""
    tables = warehouse()
    if not tables.exists():
        return None
    seen_sync, _, seen_ground = cursor.partition(" ")
    with tables.connect(patience=_PATIENCE, read_only=True) as db:
        synced = ledger.last_sync(db)
        if synced is None:
            return None
        newest = synced.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
        found = seen_ground if newest == seen_sync else ground(db)
    return _Found(f"{newest} {found}", found != seen_ground)


def _failed(record: dg.RunRecord) -> bool:
    return record.dagster_run.status is dg.DagsterRunStatus.FAILURE


def _under_way(instance: dg.DagsterInstance, models: Collection[dg.AssetKey]) -> str | None:
    """A sentence about a run that is queued or builds models; None if there is none."""
    own = set(models)
    for run in instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY)):
        if is_build(run) or not own.isdisjoint(run.asset_selection or ()):
            return f"The run {run.run_id[:8]} ({run.job_name}) builds the models already."
    return None


def _last_build(instance: dg.DagsterInstance) -> dg.RunRecord | None:
    """The job's last run, whoever started it."""
    builds_of_it = dg.RunsFilter(job_name=MODELS_JOB, tags={MODE_TAG: "models"})
    return next(iter(instance.get_run_records(builds_of_it, limit=1)), None)
