"""A sensor that starts the first full refresh of accounts that have never been synced."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.automation.rounds import (
    Answer,
    Jobs,
    Question,
    Round,
    sensor,
)
from activecampaign_dagster.orchestration.resources import warehouse


def first_sync_sensor(accounts: Sequence[Account], jobs: Jobs) -> dg.SensorDefinition:
    """Requests a full refresh once a day until the account has been synced for the first time.

    Of an account whose last sync failed it requests the streams that have never been read, so that
    a first sync which was killed halfway is completed.
    """
    return sensor(
        accounts,
        jobs,
        Round(
            purpose="first_sync",
            mode="full",
            description="Starts the first full refresh of an account that has never been synced, "
            "and completes one that was stopped halfway.",
            every=lambda _: 60,
            ask=_ask,
        ),
    )


def _ask(question: Question) -> Answer:
    account = question.account
    missing = sorted({table.name for table in account.enabled} - question.states.keys())
    if question.states and not (missing and question.has_failed):
        return Answer(reason="The account has been synced before.")
    key = f"{account.name} {warehouse().location.label} {datetime.now(UTC).date()}"
    job = account.job("full")
    if not question.states:
        return Answer(request=dg.RunRequest(run_key=key, job_name=job))
    # a first sync that was stopped halfway has landed the others
    return Answer(
        request=dg.RunRequest(
            run_key=f"{key} {','.join(missing)}",
            job_name=job,
            run_config=account.limited_to(missing),
        )
    )
