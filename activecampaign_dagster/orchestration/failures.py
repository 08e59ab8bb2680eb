"""Turns errors into failures that tell the operator, and Dagster, whether a retry can help."""

from __future__ import annotations

import random
from typing import Any

import dagster as dg

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.orchestration.account import FAILURE_TAG
from activecampaign_dagster.orchestration.dagster_internals import MessageOnlyError
from activecampaign_dagster.orchestration.partitions import RequestError
from activecampaign_dagster.sync.locks import LockTimeoutError
from activecampaign_dagster.sync.outcomes import SyncError

# The API client has retried each request before this; what is left are outages of some minutes.
RETRIES = 2
FIRST_WAIT = 60.0  # seconds


class StepError(ActiveCampaignError, MessageOnlyError, dg.Failure):
    """A failed step, shown as its message alone: a user's mistake deserves no stack trace."""

    def __init__(
        self, message: str, *, is_permanent: bool, metadata: dict[str, Any] | None = None
    ) -> None:
        dg.Failure.__init__(self, message, metadata, allow_retries=not is_permanent)
        self.is_permanent = is_permanent
        self.show_message(message, "Failure")


def failure(
    error: ActiveCampaignError, context: dg.AssetExecutionContext
) -> StepError | dg.RetryRequested:
    """The exception to raise for an expected error, so that all three of Dagster's retries know.

    A permanent error is final for the op, for the run (a tag that the retry daemon reads) and for
    the sensors (a tag that `automation.not_now` reads). A transient one is tried again by the op.
    """
    permanent = error.is_permanent
    kind = "permanent" if permanent else "transient"
    if isinstance(error, RequestError | LockTimeoutError):
        kind = "request"
    if not permanent and context.op_execution_context.retry_number < RETRIES:
        context.log.warning("%s\nThe step will be retried soon.", error)
        return dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=_wait(context))
    tags = {FAILURE_TAG: kind}
    if permanent:
        tags["dagster/max_retries"] = "0"
    context.instance.add_run_tags(context.run.run_id, tags)
    metadata: dict[str, Any] = {"kind": kind}
    if isinstance(error, SyncError):
        metadata |= {stream: str(reason) for stream, reason in error.failures.items()}
    return StepError(str(error), is_permanent=permanent, metadata=metadata)


def _wait(context: dg.AssetExecutionContext) -> float:
    """Seconds until the op begins again: one minute, then two, give or take a quarter."""
    earlier: int = context.op_execution_context.retry_number
    return FIRST_WAIT * 2.0**earlier * random.uniform(0.75, 1.25)  # noqa: S311
