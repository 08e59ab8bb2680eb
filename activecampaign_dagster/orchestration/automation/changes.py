"""A sensor that starts a sync of each account that has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import dagster as dg

from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.automation.rounds import (
    Answer,
    Jobs,
    Question,
    Round,
    sensor,
)
from activecampaign_dagster.orchestration.wording import enumerated
from activecampaign_dagster.streams.declaration import Stream
from activecampaign_dagster.streams.registry import stream
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.survey import probes
from activecampaign_dagster.warehouse.ledger import StreamState


def watched(source: Source) -> list[Stream]:
    """The streams that tell of changes: those with date filters that feed an enabled one."""
    feeding = {
        t.stream.parent or t.name
        for t in source.stream_tables
        if t.name in source.enabled and t.stream.replication_key
    }
    return [stream(name) for name in sorted(feeding) if stream(name).can_filter]


def change_sensor(accounts: Sequence[Account], jobs: Jobs) -> dg.SensorDefinition:
    """Requests an incremental sync when an account has records newer than the watermarks.

    One request per watched stream and quiet tick. What is kept are the stamps that a run was
    requested for, so that a record which stays newer than the watermark, as one whose stamp lies in
    the future does, neither starts one run after another nor hides what changes besides it.
    """
    names = {declared.name for account in accounts for declared in watched(account.source)}
    return sensor(
        accounts,
        jobs,
        Round(
            purpose="on_change",
            mode="incremental",
            description="Starts an incremental sync when "
            f"{enumerated(sorted(names), 'or')} have changed.",
            every=lambda account: account.trigger.poll_seconds or 0,
            ask=_ask,
        ),
    )


def _ask(question: Question) -> Answer:
    account, before = question.account, question.kept
    if not question.states:
        return Answer(reason="The account's first sync has not ended yet.")
    found = _changes(account, question.states)
    fresh = [
        name
        for name, stamps in found.items()
        if question.has_failed or stamps - set(before.get(name, ()))
    ]
    if not fresh:
        return Answer(reason="Nothing has changed since the last sync.")
    tags = {"activecampaign/changed": ", ".join(fresh)}
    return Answer(
        request=dg.RunRequest(job_name=account.job("incremental"), tags=tags),
        kept={**before, **{name: sorted(stamps) for name, stamps in found.items()}},
    )


def _changes(account: Account, states: Mapping[str, StreamState]) -> dict[str, set[str]]:
    """Watched stream → the stamps of changes that are newer than its watermark, where some are."""
    found: dict[str, set[str]] = {}
    with account.api.client() as client:
        for declared in watched(account.source):
            since = _watermark(account, declared, states)
            if since and (stamps := probes.changes(client, declared, since)):
                found[declared.name] = stamps
    return found


def _watermark(
    account: Account, declared: Stream, states: Mapping[str, StreamState]
) -> datetime | None:
    """The watermark of a watched stream, or of what it feeds; None if it was never read."""
    fed = [t for t in account.source.stream_tables if declared.name in (t.name, t.stream.parent)]
    fed.sort(key=lambda stream_table: stream_table.name != declared.name)
    for stream_table in fed:
        if stream_table.name in account.source.enabled and (state := states.get(stream_table.name)):
            return state.watermark or state.last_synced_at  # no watermark: it was empty
    return None
