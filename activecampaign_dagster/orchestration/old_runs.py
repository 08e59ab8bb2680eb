"""Clears old runs from Dagster's storage, which by itself keeps every run for ever.

A quiet run of all streams leaves 0.9 MB there: hourly, that is 8 GB a year. What a run says of an
asset that no later run has said again stays, with the run: when a table was last materialized, and
which partitions were.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterEventType, DagsterRunStatus

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.orchestration.dagster_internals import remove_run

VARIABLE = "ACTIVECAMPAIGN_KEEP_RUNS"
_DAYS = 30
_LAST = 10  # runs that are kept whatever their age
_AT_ONCE = 500  # runs that are cleared in one go, so that a run that follows years of others ends
_EVERY = timedelta(days=1)
_PAGE = 200
_ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
_CLEARED_AT = "activecampaign_runs_cleared_at"


class KeepRunsError(ActiveCampaignError):
    """The setting is not a number of days."""

    is_permanent = True


def clear_old_runs(
    instance: dg.DagsterInstance,
    log: logging.Logger,
    who: str,
    is_own: Callable[[dg.DagsterRun], bool],
) -> None:
    """Once a day, remove ended runs that are older than the setting says, with events and logs.

    who: whose runs they are, as each clears its own. A failure to clear is logged and no more.
    Raises KeepRunsError.
    """
    days = days_kept()
    now = datetime.now(UTC)
    if not days or not _is_time(instance, who, now):
        return
    try:
        before = now - timedelta(days=days)
        found = _clearable(instance, before, is_own)
        for run_id in found:
            remove_run(instance, run_id)
        if len(found) < _AT_ONCE:
            instance.run_storage.set_cursor_values({_key(who): now.isoformat()})
    except Exception as error:  # whatever a storage raises, the run has done its work
        log.warning("Old runs could not be cleared from Dagster's storage: %s", error)
        return
    if found:
        log.info(
            "Deleted %s runs that ended more than %s days ago from Dagster's storage (%s).",
            len(found),
            days,
            VARIABLE,
        )


def days_kept() -> int:
    """For how many days runs are kept, 0 for ever. Raises KeepRunsError."""
    value = os.environ.get(VARIABLE, "").strip()
    if value and not (value.isascii() and value.isdigit() and int(value) <= 36_500):
        raise KeepRunsError(
            f"{VARIABLE} is {value!r}: set it to a number of days, such as {_DAYS}, or to 0 to "
            "keep all runs."
        )
    return int(value) if value else _DAYS


def _key(who: str) -> str:
    return f"{_CLEARED_AT}:{who}"


def _is_time(instance: dg.DagsterInstance, who: str, now: datetime) -> bool:
    noted = instance.run_storage.get_cursor_values({_key(who)}).get(_key(who))
    return noted is None or now - datetime.fromisoformat(noted) >= _EVERY


def _clearable(
    instance: dg.DagsterInstance, before: datetime, is_own: Callable[[dg.DagsterRun], bool]
) -> list[str]:
    """The ids of runs to remove, oldest first."""
    recent = instance.get_runs(dg.RunsFilter(statuses=_ENDED), limit=_PAGE)
    kept = {run.run_id for run in [run for run in recent if is_own(run)][:_LAST]}
    needed: set[str] | None = None
    found: list[str] = []
    for record in _ended(instance, before):
        run_id = record.dagster_run.run_id
        if run_id in kept or not is_own(record.dagster_run):
            continue
        if needed is None:  # some queries per asset, so only if there is such a run
            needed = _needed(instance, before)
        if run_id not in needed:
            found.append(run_id)
            if len(found) == _AT_ONCE:
                break
    return found


def _ended(instance: dg.DagsterInstance, before: datetime) -> Iterator[dg.RunRecord]:
    cursor = None
    chosen = dg.RunsFilter(statuses=_ENDED, updated_before=before)
    while page := instance.get_run_records(chosen, limit=_PAGE, cursor=cursor, ascending=True):
        yield from page
        cursor = page[-1].dagster_run.run_id


def _needed(instance: dg.DagsterInstance, before: datetime) -> set[str]:
    """The runs from before then that materialized an asset, or a partition of it, last."""
    keys = instance.get_asset_keys()
    found: set[str] = set()
    for record in instance.get_asset_records(keys):
        last = record.asset_entry.last_materialization_record
        if last:
            found.add(last.run_id)
    for key in keys:
        of_partitions = instance.event_log_storage.get_latest_storage_id_by_partition(
            key, DagsterEventType.ASSET_MATERIALIZATION
        )
        if not of_partitions:
            continue
        chosen = dg.AssetRecordsFilter(
            asset_key=key,
            storage_ids=sorted(of_partitions.values()),
            before_timestamp=before.timestamp(),
        )
        records = instance.fetch_materializations(chosen, limit=len(of_partitions)).records
        found |= {record.run_id for record in records}
    return found
