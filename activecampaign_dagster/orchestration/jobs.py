"""The jobs: read the streams, then build the dbt models on them."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from activecampaign_dagster.orchestration.account import (
    JOBS,
    KIND,
    MODE_TAG,
    MODELS_TAG,
    Account,
)
from activecampaign_dagster.orchestration.dagster_internals import (
    AssetJob,
    job_page_tags,
    with_mixed_partitions,
)

_DESCRIPTIONS = {
    "incremental": "Reads what changed in {} since the last sync, then builds the dbt models.",
    "full": "Reads all of {}, which also finds deletions, then builds the dbt models.",
}
# a process per step would load Dagster and dbt anew for each: 4 s a step
_ALONE = dg.in_process_executor
# as Dagster skips what depends on a failed step
_IF_ONE_FAILS = (
    " If one account cannot be read, the others are still loaded, and the models are built by the "
    "next run of another account's own job."
)


def account_job(account: Account, mode: str) -> AssetJob:
    """The job `<account>__<name>`. mode: incremental or full.

    A run with a partition reads that partition's window instead.
    """
    covers = f"the account {account.name!r}"
    return _job(account.job(mode), mode, account.selection, covers, _ALONE)


def common_job(mode: str, accounts: Sequence[Account]) -> AssetJob:
    """The job over all accounts; several are read side by side, each in a process of its own.

    It takes partitions if all accounts have the same.
    """
    executor = dg.multiprocess_executor if len(accounts) > 1 else _ALONE
    names = ", ".join(account.name for account in accounts)
    more = _IF_ONE_FAILS if len(accounts) > 1 else ""
    covers = f"every account ({names})"
    job = _job(JOBS[mode], mode, all_streams(), covers, executor, more)
    if len({account.partitions for account in accounts}) > 1:
        return with_mixed_partitions(job)
    return job


def _job(
    name: str,
    mode: str,
    streams: dg.AssetSelection,
    covers: str,
    executor: dg.ExecutorDefinition,
    more: str = "",
) -> AssetJob:
    # models of streams that are off have nothing of the account above them, and are empty tables
    models = streams.downstream() | dg.AssetSelection.tag(MODELS_TAG, "")
    seeds = models.upstream() - all_streams()
    selection: dg.AssetSelection = streams | models | seeds
    return dg.define_asset_job(
        name,
        # what lands or is built is checked all the same; to plan that is an event per check and run
        selection=selection.without_checks(),
        executor_def=executor,
        tags={MODE_TAG: mode},
        description=_DESCRIPTIONS[mode].format(covers) + more,
    )


def all_streams() -> dg.AssetSelection:
    """The streams of every account."""
    return dg.AssetSelection.kind(KIND)


def show_in_ui(run: dg.DagsterRun, instance: dg.DagsterInstance) -> None:
    """Let the UI's page of a job list a run that `dagster job execute -m` has started."""
    if tags := job_page_tags(run):
        instance.add_run_tags(run.run_id, tags)
