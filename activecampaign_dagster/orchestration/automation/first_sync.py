"""A sensor that starts the first full refresh of an account that has never been synced."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.automation.conditions import not_now
from activecampaign_dagster.orchestration.resources import database_path
from activecampaign_dagster.warehouse.ledger import stream_states
from activecampaign_dagster.warehouse.warehouse import WarehouseError


def first_sync_sensor(account: Account, job: dg.ExecutableDefinition) -> dg.SensorDefinition:
    """Requests `job` once a day until the account has been synced for the first time."""

    @dg.sensor(
        name=f"{account.name}__first_sync",
        job=job,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts the first full refresh of an account that has never been synced.",
    )
    def first_sync(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        path = database_path()
        try:
            if stream_states(path, account.name):
                return dg.SkipReason("The account has been synced before.")
        except WarehouseError as error:
            return dg.SkipReason(str(error))
        if reason := not_now(account, context.instance):
            return dg.SkipReason(reason)
        today = datetime.now(UTC).date()
        return dg.RunRequest(run_key=f"{account.name} {path} {today}")

    return first_sync
