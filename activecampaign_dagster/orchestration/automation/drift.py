"""A sensor that compares row counts with the account's, and starts a full sync if they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg

from activecampaign_dagster.orchestration.account import Account, Drift
from activecampaign_dagster.orchestration.automation.rounds import (
    Answer,
    Jobs,
    Question,
    Round,
    sensor,
)
from activecampaign_dagster.orchestration.checks import drifted
from activecampaign_dagster.orchestration.wording import enumerated
from activecampaign_dagster.streams.declaration import SyncType
from activecampaign_dagster.streams.source import StreamTable
from activecampaign_dagster.survey import probes
from activecampaign_dagster.warehouse.ledger import StreamState


def drift_sensor(accounts: Sequence[Account], jobs: Jobs) -> dg.SensorDefinition:
    """Requests a full sync of the streams whose row count has drifted, and of what builds on them.

    One request per incremental stream and tick; FULL_TABLE streams cannot drift. What is kept is
    when each stream was last requested.
    """
    limits = sorted({_in_words(account.drift) for account in accounts if account.drift})
    return sensor(
        accounts,
        jobs,
        Round(
            purpose="drift",
            mode="full",
            description="Starts a full sync of a stream whose row count differs from the account's "
            f"by {enumerated(limits, 'or')}.",
            every=lambda account: int(account.drift.every.total_seconds()) if account.drift else 0,
            ask=_ask,
        ),
    )


def _in_words(drift: Drift) -> str:
    every = str(drift.at_most_every).removesuffix(", 0:00:00")
    return f"more than {drift.tolerance:.2%}, at most once in {every} per stream"


def _ask(question: Question) -> Answer:
    account, requested, now = question.account, question.kept, datetime.now(UTC)
    drift = account.drift or Drift()
    due = [
        stream_table
        for stream_table in account.enabled
        if stream_table.sync_type is SyncType.INCREMENTAL
        and stream_table.stream.has_own_pages
        and not _is_recent(requested.get(stream_table.name), now, drift)
    ]
    found = _drifted(account, drift, due, question.states)
    if not found:
        return Answer(reason="The tables have as many rows as the account.")
    question.context.log.info("%s: %s", account.name, "; ".join(found.values()))
    return Answer(
        request=dg.RunRequest(
            job_name=account.job("full"),
            run_config=account.limited_to(found),
            tags={"activecampaign/drifted": ", ".join(found)},
        ),
        kept={**requested, **dict.fromkeys(found, now.isoformat())},
    )


def _is_recent(requested: str | None, now: datetime, drift: Drift) -> bool:
    return requested is not None and now - datetime.fromisoformat(requested) < drift.at_most_every


def _drifted(
    account: Account,
    drift: Drift,
    stream_tables: list[StreamTable],
    states: Mapping[str, StreamState],
) -> dict[str, str]:
    """Stream → what is wrong, for those that have drifted."""
    found = {}
    with account.api.client() as client:
        for stream_table in stream_tables:
            if stream_table.name not in states:
                continue
            live = states[stream_table.name].live_rows
            total = probes.total(client, stream_table.stream)
            if total is not None and drifted(live, total, drift.tolerance):
                found[stream_table.name] = (
                    f"{stream_table.name}: {live} live rows, {total} in the account"
                )
    return found
