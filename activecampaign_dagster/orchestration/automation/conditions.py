"""Decides whether a run may begin by itself, and says why not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg

from activecampaign_dagster.api.errors import (
    AddressError,
    ApiError,
    CredentialsError,
)
from activecampaign_dagster.orchestration.account import FAILURE_TAG, Account
from activecampaign_dagster.orchestration.runs import Runs
from activecampaign_dagster.survey import probes

# An operator has to act on a permanent failure; a change that is tried again sooner costs
# nothing but noise. Transient ones have been retried by the run itself. A run that was asked for
# what does not exist says nothing about the account.
_REST = {
    "permanent": timedelta(hours=6),
    "transient": timedelta(minutes=10),
    "request": timedelta(0),
}


def not_set_up(account: Account) -> str | None:
    """The reason why the account cannot be reached at all; None if its variables are set."""
    missing = account.api.missing()
    if not missing:
        return None
    verb = "is" if len(missing) == 1 else "are"
    return (
        f"{' and '.join(missing)} {verb} not set, so there is no account to sync: copy the URL and "
        "the key from ActiveCampaign under Settings → Developer, or run `make dev` for a sandbox."
    )


def not_now(account: Account, runs: Runs) -> str | None:
    """The reason why nothing should begin by itself now; None if it may."""
    if reason := not_set_up(account):
        return reason
    if reason := under_way(account, runs):
        return reason
    last = runs.last(account)
    if last and last.dagster_run.status is dg.DagsterRunStatus.FAILURE and last.end_time:
        kind = last.dagster_run.tags.get(FAILURE_TAG, "transient")
        until = datetime.fromtimestamp(last.end_time, UTC) + _REST[kind]
        if datetime.now(UTC) < until:
            return (
                f"The run {last.dagster_run.run_id[:8]} failed with a {kind} error. No run starts "
                f"by itself before {until:%H:%M} UTC; starting one manually ends the wait."
            )
    return None


def tick(account: Account, mode: str, context: dg.ScheduleEvaluationContext) -> str | None:
    """The reason why a schedule's tick begins no run; None if it should.

    A full sync waits in the queue for one under way, an incremental one would only repeat it.
    """
    if reason := not_set_up(account):
        return reason
    runs = Runs(context.instance)
    if mode != "full" and (reason := under_way(account, runs)):
        return reason
    return _refusal(account, runs)


def under_way(account: Account, runs: Runs) -> str | None:
    """A sentence about the run that is queued or reads the account; None if there is none."""
    for run in runs.under_way(account):
        return f"The run {run.run_id[:8]} ({run.job_name}) is already reading the account."
    return None


def _refusal(account: Account, runs: Runs) -> str | None:
    """The reason why a run would fail like the last one; None if it may succeed.

    The account is asked, not the clock, so that runs begin again as soon as key and URL are right.
    A single stream without permission is no reason, because the others are still landed.
    """
    last = runs.last(account)
    if last is None or last.dagster_run.tags.get(FAILURE_TAG) != "permanent":
        return None
    try:
        with account.api.client() as client:
            probes.whose_key(client)
    except (AddressError, CredentialsError) as error:
        return f"The run {last.dagster_run.run_id[:8]} failed, and nothing has changed: {error}"
    except ApiError:
        return None
    return None


def schedule(account: Account, mode: str, job: dg.ExecutableDefinition) -> dg.ScheduleDefinition:
    """The schedule of one of the account's jobs."""
    trigger = account.trigger if mode == "incremental" else account.full_sync

    def evaluate(
        context: dg.ScheduleEvaluationContext,
    ) -> dg.RunRequest | dg.SkipReason:
        reason = tick(account, mode, context)
        return dg.SkipReason(reason) if reason else dg.RunRequest()

    return dg.ScheduleDefinition(
        name=account.schedule(mode),
        job=job,
        cron_schedule=list(trigger.crons),
        execution_timezone=trigger.timezone,
        execution_fn=evaluate,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Starts {account.job(mode)}.",
    )
