"""One configured account as Dagster knows it: names, keys, tags, and which runs read it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import dagster as dg
from dagster import DagsterRunStatus as Status

from activecampaign_dagster.orchestration.resources import ActiveCampaignResource
from activecampaign_dagster.orchestration.triggers import MANUAL, Trigger
from activecampaign_dagster.streams.declaration import Stream
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.streams.source import Source, StreamTable

KIND = "activecampaign"
JOBS_GROUP = "jobs"  # of the assets by which jobs read the accounts and build the models
MODELS_TAG = "activecampaign/models"  # of the models of a dbt project that reads streams
JOB_TAG = "activecampaign/job"  # of what the jobs make below the streams
BUILDS_TAG = "activecampaign/builds_models"  # of the asset by which jobs build the models
ALL_MODELS = dg.AssetKey("activecampaign_models")  # that asset
MODE_TAG = "activecampaign/sync"  # on jobs: how their runs read
FAILURE_TAG = "activecampaign/failure"  # on failed runs: permanent, transient or request
JOBS = {"incremental": "incremental_sync", "full": "full_refresh"}
UNDER_WAY = [Status.QUEUED, Status.NOT_STARTED, Status.STARTING, Status.STARTED, Status.CANCELING]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Settings of the watch over row counts.

    every: how often totals are asked for. tolerance: the share of rows that may differ.
    at_most_every: how often a full sync of one stream may be started.
    """

    every: timedelta = timedelta(hours=1)
    tolerance: float = 0.01
    at_most_every: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One configured account, from which its definitions are made.

    severities: check name → warn, error or ignore; warn where it is not named. builds_models:
    whether a run that reads it builds the models, too; else a job of their own does. has_own_jobs:
    whether its jobs have its name; else they have the names of the jobs over all accounts, which
    the only account of the package's own project does not need beside them. is_alone: whether it
    is the only account.
    """

    source: Source
    api: ActiveCampaignResource
    partitions: dg.TimeWindowPartitionsDefinition
    trigger: Trigger = MANUAL
    full_sync: Trigger = MANUAL
    description: str = ""
    owners: Sequence[str] = ()
    severities: Mapping[str, str] = field(default_factory=dict)
    drift: Drift | None = None
    builds_models: bool = True
    has_own_jobs: bool = True
    is_alone: bool = True

    @property
    def name(self) -> str:
        """The account's name."""
        return self.source.name

    @property
    def op(self) -> str:
        """The name of the op by which jobs read the account."""
        return f"{self.name}_streams"

    @property
    def all_streams(self) -> dg.AssetKey:
        """The asset by which jobs read the account."""
        return self.key("all_streams")

    @property
    def pool(self) -> str:
        """The pool of one slot that every read of this account takes."""
        return f"activecampaign_{self.name}"

    @property
    def resource_key(self) -> str:
        """The key of the account's ActiveCampaignResource."""
        return f"{self.name}_api"

    @property
    def enabled(self) -> list[StreamTable]:
        """The streams that are assets."""
        return [t for t in self.source.stream_tables if t.name in self.source.enabled]

    def key(self, stream: str) -> dg.AssetKey:
        """The asset key of a stream."""
        return dg.AssetKey([self.name, stream])

    def group(self, stream: Stream) -> str:
        """The group that a stream's asset is shown in: by family, of each of several accounts."""
        group = f"raw_{stream.family}"
        return group if self.is_alone else f"{self.name}_{group}"

    @property
    def selection(self) -> dg.AssetSelection:
        """The account's streams."""
        return dg.AssetSelection.assets(*(self.key(t.name) for t in self.enabled))

    def job(self, mode: str) -> str:
        """The name of the job that reads this account alone."""
        return self._own(mode) if self.has_own_jobs else JOBS[mode]

    def limited_to(self, streams: Collection[str]) -> dict[str, Any]:
        """The run configuration by which a job reads some streams only."""
        return {"ops": {self.op: {"config": {"streams": sorted(streams)}}}}

    def schedule(self, mode: str) -> str:
        """The name of that job's schedule, by which Dagster knows whether it was turned off."""
        return f"{self._own(mode)}_schedule"

    def _own(self, mode: str) -> str:
        return f"{self.name}__{JOBS[mode]}"

    def is_read_by(self, run: dg.DagsterRun) -> bool:
        """Whether a run reads this account."""
        if run.asset_selection:
            keys = {self.all_streams, *map(self.key, STREAMS)}
            return not keys.isdisjoint(run.asset_selection)
        # another project's job may have the name, but not the tag
        return MODE_TAG in run.tags and run.job_name in (*JOBS.values(), *map(self._own, JOBS))
