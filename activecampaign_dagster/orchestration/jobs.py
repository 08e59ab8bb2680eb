"""The jobs: read the streams, then build the dbt models on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.assets.job.asset_job import (
    build_asset_job,
    get_asset_graph_for_job,
)
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG
from dagster_shared.record import as_dict

from activecampaign_dagster.orchestration.account import JOBS, KIND, MODE_TAG, Account

_DESCRIPTIONS = {
    "incremental": "Reads what changed in {} since the last sync, then builds the dbt models.",
    "full": "Reads all of {}, which also finds deletions, then builds the dbt models.",
}
# as Dagster skips what depends on a failed step
_IF_ONE_FAILS = (
    " Where one account cannot be read, the others are landed, and the models are built by the "
    "next run of another account's own job."
)


def account_job(account: Account, mode: str) -> UnresolvedAssetJobDefinition:
    """The job `<account>__<name>`. mode: incremental or full.

    A run with a partition reads that partition's window instead.
    """
    # a process per step would load Dagster and dbt anew for each: 4 s a step
    covers = f"the account {account.name!r}"
    return _job(account.job(mode), mode, account.selection, covers, dg.in_process_executor)


def common_job(mode: str, accounts: Sequence[Account]) -> UnresolvedAssetJobDefinition:
    """The job over all accounts; several are read side by side, each in a process of its own.

    It takes partitions if all accounts have the same.
    """
    executor = dg.multiprocess_executor if len(accounts) > 1 else dg.in_process_executor
    names = ", ".join(account.name for account in accounts)
    more = _IF_ONE_FAILS if len(accounts) > 1 else ""
    job = _job(JOBS[mode], mode, all_streams(), f"every account ({names})", executor, more)
    if len({account.partitions for account in accounts}) > 1:
        return _MixedJob(**as_dict(job))
    return job


def _job(
    name: str,
    mode: str,
    selection: dg.AssetSelection,
    covers: str,
    executor: dg.ExecutorDefinition,
    more: str = "",
) -> UnresolvedAssetJobDefinition:
    models = selection.downstream()
    seeds = models.upstream() - all_streams()
    return dg.define_asset_job(
        name,
        selection=selection | models | seeds,
        executor_def=executor,
        tags={MODE_TAG: mode},
        description=_DESCRIPTIONS[mode].format(covers) + more,
    )


def all_streams() -> dg.AssetSelection:
    """The streams of every account."""
    return dg.AssetSelection.kind(KIND)


def show_in_ui(run: dg.DagsterRun, instance: dg.DagsterInstance) -> None:
    """Let the UI's page of a job list a run that `dagster job execute -m` has started.

    The page asks for runs by a label that Dagster gives to those it launches itself only.
    """
    code = run.job_code_origin and run.job_code_origin.repository_origin.code_pointer
    if run.remote_job_origin is None and isinstance(code, ModuleCodePointer):
        label = f"{SINGLETON_REPOSITORY_NAME}@{code.module}"
        instance.add_run_tags(run.run_id, {REPOSITORY_LABEL_TAG: label})


class _MixedJob(UnresolvedAssetJobDefinition):
    """A job over assets with different partitions, which runs without any.

    Dagster has such jobs for its own Materialize buttons, but offers no way to define one.
    """

    def resolve(
        self,
        asset_graph: Any,
        default_executor_def: dg.ExecutorDefinition | None = None,
        resource_defs: Mapping[str, dg.ResourceDefinition] | None = None,
    ) -> dg.JobDefinition:
        """The job's definition."""
        return build_asset_job(
            self.name,
            asset_graph=get_asset_graph_for_job(
                asset_graph, self.selection, allow_different_partitions_defs=True
            ),
            description=self.description,
            tags=self.tags,
            executor_def=self.executor_def or default_executor_def,
            resource_defs=resource_defs,
            allow_different_partitions_defs=True,
        )
