"""A sensor that compares row counts with the account's, and starts a full sync if they differ."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import dagster as dg

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.orchestration.account import Account, Drift
from activecampaign_dagster.orchestration.automation.conditions import not_now
from activecampaign_dagster.orchestration.checks import drifted
from activecampaign_dagster.orchestration.resources import database_path
from activecampaign_dagster.streams.declaration import SyncType
from activecampaign_dagster.streams.source import StreamTable
from activecampaign_dagster.survey import probes
from activecampaign_dagster.warehouse.ledger import StreamState, stream_states


def drift_sensor(
    account: Account, drift: Drift, job: dg.ExecutableDefinition
) -> dg.SensorDefinition:
    """Requests a full sync of the streams whose row count has drifted, and of what builds on them.

    One request per incremental stream and tick; FULL_TABLE streams cannot drift. The cursor holds
    when each stream was last requested.
    """

    every = str(drift.at_most_every).removesuffix(", 0:00:00")

    @dg.sensor(
        name=f"{account.name}__drift",
        job=job,
        minimum_interval_seconds=int(drift.every.total_seconds()),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts a full sync of a stream whose row count differs from the account's by "
        f"more than {drift.tolerance:.2%}, at most once in {every} per stream.",
    )
    def on_drift(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if reason := not_now(account, context.instance):
            return dg.SkipReason(reason)
        now = datetime.now(UTC)
        requested: dict[str, str] = json.loads(context.cursor or "{}")
        due = [
            stream_table
            for stream_table in account.enabled
            if stream_table.sync_type is SyncType.INCREMENTAL
            and stream_table.stream.has_own_pages
            and not _is_recent(requested.get(stream_table.name), now, drift)
        ]
        try:
            states = stream_states(database_path(), account.name)
            found = _drifted(account, drift, due, states)
        except ActiveCampaignError as error:
            return dg.SkipReason(str(error))
        if not found:
            return dg.SkipReason("The tables have as many rows as the account.")
        context.log.info("%s", "; ".join(found.values()))
        selection = dg.AssetSelection.assets(*(account.key(name) for name in found))
        repository = context.repository_def
        keys = (
            selection.downstream().resolve(repository.asset_graph)
            if repository
            else selection.resolve([])
        )
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    asset_selection=sorted(keys), tags={"activecampaign/drifted": ", ".join(found)}
                )
            ],
            cursor=json.dumps(requested | dict.fromkeys(found, now.isoformat())),
        )

    return on_drift


def _is_recent(requested: str | None, now: datetime, drift: Drift) -> bool:
    return requested is not None and now - datetime.fromisoformat(requested) < drift.at_most_every


def _drifted(
    account: Account, drift: Drift, stream_tables: list[StreamTable], states: dict[str, StreamState]
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
