"""A sensor that starts the first full refresh of an account that has never been synced."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from activecampaign_dagster.orchestration.resources import (
    ActiveCampaignResource,
    WarehouseResource,
)
from activecampaign_dagster.sync.source import SCHEMA, Source
from activecampaign_dagster.sync.warehouse import WarehouseError, connect


def first_sync_sensor(
    source: Source, account: ActiveCampaignResource, job: Any
) -> dg.SensorDefinition:
    """Requests `job` once a day until `source` has been synced for the first time."""

    @dg.sensor(
        name=f"{source.name}__first_sync",
        job=job,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts the first full refresh of an account that has never been synced.",
    )
    def first_sync() -> dg.RunRequest | dg.SkipReason:
        for variable in (account.url_variable, account.api_key_variable):
            if not os.environ.get(variable):
                return dg.SkipReason(f"{variable} is not set, so there is no account to sync.")
        path = WarehouseResource().path
        try:
            if path.exists() and _has_been_synced(source, path):
                return dg.SkipReason("The account has been synced before.")
        except WarehouseError as error:
            return dg.SkipReason(str(error))
        today = datetime.now(UTC).date()
        return dg.RunRequest(run_key=f"{source.name} {path} {today}")

    return first_sync


def _has_been_synced(source: Source, path: Path) -> bool:
    with connect(path, patience=1.0, read_only=True) as db:
        known = db.execute(
            "select 1 from duckdb_tables() where schema_name = ? and table_name = '_streams'",
            [SCHEMA],
        ).fetchone()
        if not known:
            return False
        found = db.execute(
            f"select 1 from {SCHEMA}._streams where account = ? limit 1", [source.name]
        ).fetchone()
        return found is not None
