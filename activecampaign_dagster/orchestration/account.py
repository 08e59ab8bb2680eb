"""One configured account as Dagster knows it: names, keys, tags, and which runs read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import dagster as dg
from dagster import DagsterRunStatus as Status

from activecampaign_dagster.orchestration.resources import ActiveCampaignResource
from activecampaign_dagster.orchestration.triggers import MANUAL, Trigger
from activecampaign_dagster.streams.declaration import Stream
from activecampaign_dagster.streams.source import Source, StreamTable

KIND = "activecampaign"
MODELS_TAG = "activecampaign/models"  # of the models of the dbt project that read streams
MODE_TAG = "activecampaign/sync"  # on jobs: how their runs read
FAILURE_TAG = "activecampaign/failure"  # on failed runs: permanent, transient or request
JOBS = {"incremental": "incremental_sync", "full": "full_refresh"}
_UNDER_WAY = [Status.QUEUED, Status.NOT_STARTED, Status.STARTING, Status.STARTED, Status.CANCELING]
_RECENT = 100  # runs looked through for the last one that read an account


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

    severities: check name → warn, error or ignore; warn where it is not named.
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

    @property
    def name(self) -> str:
        """The account's name."""
        return self.source.name

    @property
    def op(self) -> str:
        """The name of the op that reads the account."""
        return f"{self.name}_streams"

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
        """The group that a stream's asset is shown in: the account and the family."""
        return f"{self.name}_{stream.family}"

    @property
    def selection(self) -> dg.AssetSelection:
        """The account's streams."""
        return dg.AssetSelection.assets(*(self.key(t.name) for t in self.enabled))

    def job(self, mode: str) -> str:
        """The name of the account's own job."""
        return f"{self.name}__{JOBS[mode]}"

    def is_read_by(self, run: dg.DagsterRun) -> bool:
        """Whether a run reads this account."""
        if run.asset_selection:
            return any(key.path[0] == self.name for key in run.asset_selection)
        # another project's job may have the name, but not the tag
        return MODE_TAG in run.tags and run.job_name in (*JOBS.values(), *map(self.job, JOBS))

    def runs_under_way(self, instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
        """The runs that are queued or running and read this account."""
        runs = instance.get_runs(dg.RunsFilter(statuses=_UNDER_WAY), limit=_RECENT)
        return list(filter(self.is_read_by, runs))

    def last_run(self, instance: dg.DagsterInstance) -> dg.RunRecord | None:
        """The run that read this account last and has ended."""
        ended = [Status.SUCCESS, Status.FAILURE]
        records = instance.get_run_records(dg.RunsFilter(statuses=ended), limit=_RECENT)
        return next((r for r in records if self.is_read_by(r.dagster_run)), None)
