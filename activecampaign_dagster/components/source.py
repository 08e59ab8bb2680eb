"""A Dagster component: one ActiveCampaign account, as its user wants it kept."""

from __future__ import annotations

from typing import Any, Literal
from zoneinfo import ZoneInfo

import dagster as dg
from pydantic import Field

from activecampaign_dagster.orchestration.first_sync import first_sync_sensor
from activecampaign_dagster.orchestration.jobs import sync_job
from activecampaign_dagster.orchestration.partitions import partitions
from activecampaign_dagster.orchestration.resources import ActiveCampaignResource
from activecampaign_dagster.orchestration.streams import StreamAssets
from activecampaign_dagster.sync.source import Source


class ActiveCampaignSource(dg.Component, dg.Model, dg.Resolvable):
    """One ActiveCampaign account: its streams as assets, with jobs, schedules and sensors."""

    name: str = Field(
        default="activecampaign",
        pattern="^[a-z][a-z0-9_]*$",
        description="The account's name: the first part of its asset keys.",
    )
    description: str = Field(default="", max_length=140, description="Shown in the UI.")
    url_variable: str = Field(
        default="ACTIVECAMPAIGN_URL",
        description="Environment variable that holds the account's URL.",
    )
    api_key_variable: str = Field(
        default="ACTIVECAMPAIGN_API_KEY",
        description="Environment variable that holds the API key.",
    )
    extract_contact_custom_fields: bool = Field(
        default=True,
        description="Read contacts together with their custom field values.",
    )
    timezone: str = Field(default="UTC", description="IANA zone of partitions and schedules.")
    start_date: str = Field(default="2020-01-01", description="Where the partitions begin.")
    partition: Literal["month", "week", "day"] = Field(
        default="month", description="The span of a partition."
    )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002
        """The account's assets, jobs, schedules, sensor and resource."""
        source = Source(
            name=self.name,
            extract_contact_custom_fields=self.extract_contact_custom_fields,
            timezone=ZoneInfo(self.timezone),
        )
        assets = StreamAssets(
            source=source,
            partitions=partitions(self.partition, self.start_date, self.timezone),
            resource_key=f"{self.name}_api",
            key_prefix=self.name,
            owners=["team:data"],
        )
        account = ActiveCampaignResource(
            url_variable=self.url_variable, api_key_variable=self.api_key_variable
        )
        selection = dg.AssetSelection.assets(*(assets.key(t.name) for t in assets.enabled))
        incremental = sync_job("incremental", selection, account=self.name)
        full = sync_job("full", selection, account=self.name)
        return dg.Definitions(
            assets=[assets.build()],
            jobs=[incremental, full],
            schedules=[
                _schedule(incremental, "0 * * * *", self.timezone),
                _schedule(full, "0 3 * * 0", self.timezone),
            ],
            sensors=[first_sync_sensor(source, account, full)],
            resources={assets.resource_key: account},
        )


def _schedule(job: Any, cron: str, timezone: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        job=job,
        cron_schedule=cron,
        execution_timezone=timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
