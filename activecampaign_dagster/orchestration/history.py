"""What Dagster's storage tells of an account's runs, and whether more begin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterEventType
from sqlalchemy.exc import SQLAlchemyError

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.dead_runs import lock_of, runs_folder
from activecampaign_dagster.sync.locks import has_living_holder

_RECENT = 100  # failed runs looked through for the last one of an account
_RUNNING = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
_ALIVE = timedelta(minutes=2)  # the daemon gives a sign of life every 30 seconds


class HistoryError(ActiveCampaignError):
    """Dagster's storage cannot be read; the message says why."""

    is_permanent = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A run under way."""

    run_id: str
    job: str
    began: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A run that failed. streams: why those failed that the run names. later: newer runs' ids."""

    run_id: str
    job: str
    began: datetime
    at: datetime
    message: str
    streams: Mapping[str, str] = field(default_factory=dict)
    later: frozenset[str] = frozenset()


@contextmanager
def instance_of_home() -> Iterator[dg.DagsterInstance]:
    """The instance of DAGSTER_HOME, which must be set; HistoryError if it cannot be read."""
    try:
        with dg.DagsterInstance.get() as instance:
            yield instance
    except (dg.DagsterError, SQLAlchemyError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise HistoryError(f"Dagster's storage in DAGSTER_HOME cannot be read: {reason}") from error


def running(instance: dg.DagsterInstance, account: Account) -> Running | None:
    """The run that reads an account, or builds models with it, for the longest; None if none does.

    A run whose process here was killed does not, even if nobody has noticed yet.
    """
    runs = runs_folder(instance)
    started = dg.RunsFilter(statuses=_RUNNING)
    for record in instance.get_run_records(started, ascending=True):
        run = record.dagster_run
        is_dead = runs and has_living_holder(lock_of(runs, run.run_id)) is False
        if account.is_read_by(run) and not is_dead:
            began = record.start_time or record.create_timestamp.timestamp()
            return Running(
                run_id=run.run_id, job=run.job_name, began=datetime.fromtimestamp(began, UTC)
            )
    return None


def last_failure(instance: dg.DagsterInstance, account: Account) -> Failure | None:
    """The last run that read an account, or built models with it, and failed."""
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE])
    for record in instance.get_run_records(failed, limit=_RECENT):
        run = record.dagster_run
        if account.is_read_by(run) and (said := _said(instance, run, account)):
            message, streams = said
            began = record.start_time or record.create_timestamp.timestamp()
            return Failure(
                run_id=run.run_id,
                job=run.job_name,
                began=datetime.fromtimestamp(began, UTC),
                at=datetime.fromtimestamp(record.end_time or began, UTC),
                message=message,
                streams=streams,
                later=frozenset(
                    instance.get_run_ids(dg.RunsFilter(created_after=record.create_timestamp))
                ),
            )
    return None


def has_daemon(instance: dg.DagsterInstance) -> bool:
    """Whether the daemon runs, without which no schedule or sensor starts anything."""
    beats = [beat.timestamp for beat in instance.get_daemon_heartbeats().values()]
    return bool(beats) and datetime.now(UTC).timestamp() - max(beats) < _ALIVE.total_seconds()


def _said(
    instance: dg.DagsterInstance, run: dg.DagsterRun, account: Account
) -> tuple[str, dict[str, str]] | None:
    """A failed run's message, and its reasons by stream; None if it failed for another account."""
    steps = _events(instance, run, DagsterEventType.STEP_FAILURE)
    of_account = [step for step in steps if step.step_key in (account.op, None)]
    others = [step for step in steps if not str(step.step_key).endswith("_streams")]
    for step in of_account or others:
        failure = step.step_failure_data
        told = failure.user_failure_data
        error = failure.error
        message = (error and error.message) or (told and told.description) or step.message or ""
        found = told.metadata if told else {}
        names = {stream_table.name for stream_table in account.source.stream_tables}
        streams = {name: str(value.value) for name, value in found.items() if name in names}
        return message.strip(), streams
    if steps:
        return None
    runs = _events(instance, run, DagsterEventType.RUN_FAILURE)
    return next((event.message or "" for event in runs), "It left no message."), {}


def _events(
    instance: dg.DagsterInstance, run: dg.DagsterRun, kind: DagsterEventType
) -> Sequence[dg.DagsterEvent]:
    entries = instance.all_logs(run.run_id, of_type=kind)
    return [entry.dagster_event for entry in entries if entry.dagster_event]
