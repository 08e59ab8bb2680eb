"""A sensor that starts a sync when the account has changed."""

from __future__ import annotations

import json
from datetime import datetime

import dagster as dg

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.automation.conditions import not_now
from activecampaign_dagster.orchestration.resources import database_path
from activecampaign_dagster.orchestration.wording import enumerated
from activecampaign_dagster.streams.declaration import Stream
from activecampaign_dagster.streams.registry import stream
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.survey import probes
from activecampaign_dagster.warehouse.ledger import StreamState, stream_states
from activecampaign_dagster.warehouse.warehouse import WarehouseError


def watched(source: Source) -> list[Stream]:
    """The streams that tell of changes: those with date filters that feed an enabled one."""
    feeding = {
        t.stream.parent or t.name
        for t in source.stream_tables
        if t.name in source.enabled and t.stream.replication_key
    }
    return [stream(name) for name in sorted(feeding) if stream(name).can_filter]


def change_sensor(account: Account, job: dg.ExecutableDefinition) -> dg.SensorDefinition:
    """Requests `job` when the account has records that are newer than the watermarks.

    One request per watched stream and quiet tick. The cursor holds the stamps that a run was
    requested for, so that a record which stays newer than the watermark, as one whose stamp lies in
    the future does, neither starts one run after another nor hides what changes besides it.
    """

    names = [declared.name for declared in watched(account.source)]

    @dg.sensor(
        name=f"{account.name}__on_change",
        job=job,
        minimum_interval_seconds=account.trigger.poll_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Starts an incremental sync when {enumerated(names, 'or')} have changed.",
    )
    def on_change(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if reason := not_now(account, context.instance):
            return dg.SkipReason(reason)
        try:
            states = stream_states(database_path(), account.name)
            if not states:
                return dg.SkipReason("The account's first sync has not ended yet.")
            found = _changes(account, states)
        except (ActiveCampaignError, WarehouseError) as error:
            return dg.SkipReason(str(error))
        before: dict[str, list[str]] = json.loads(context.cursor or "{}")
        last = account.last_run(context.instance)
        failed = last is not None and last.dagster_run.status is dg.DagsterRunStatus.FAILURE
        fresh = [n for n, stamps in found.items() if failed or stamps - set(before.get(n, ()))]
        if not fresh:
            return dg.SkipReason("Nothing has changed since the last sync.")
        return dg.SensorResult(
            run_requests=[dg.RunRequest(tags={"activecampaign/changed": ", ".join(fresh)})],
            cursor=json.dumps(before | {name: sorted(stamps) for name, stamps in found.items()}),
        )

    return on_change


def _changes(account: Account, states: dict[str, StreamState]) -> dict[str, set[str]]:
    """Watched stream → the stamps of changes that are newer than its watermark, where some are."""
    found: dict[str, set[str]] = {}
    with account.api.client() as client:
        for declared in watched(account.source):
            since = _watermark(account, declared, states)
            if since and (stamps := probes.changes(client, declared, since)):
                found[declared.name] = stamps
    return found


def _watermark(
    account: Account, declared: Stream, states: dict[str, StreamState]
) -> datetime | None:
    """The watermark of a watched stream, or of what it feeds; None if it was never read."""
    fed = [t for t in account.source.stream_tables if declared.name in (t.name, t.stream.parent)]
    fed.sort(key=lambda stream_table: stream_table.name != declared.name)
    for stream_table in fed:
        if stream_table.name in account.source.enabled and (state := states.get(stream_table.name)):
            return state.watermark or state.last_synced_at  # no watermark: it was empty
    return None
