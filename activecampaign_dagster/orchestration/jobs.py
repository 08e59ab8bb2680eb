"""The jobs: read the streams, then build the dbt models on them."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from activecampaign_dagster.orchestration.account import (
    BUILDS_TAG,
    JOB_TAG,
    JOBS,
    KIND,
    MODE_TAG,
    MODELS_TAG,
    Account,
)
from activecampaign_dagster.orchestration.dagster_internals import (
    AssetJob,
    job_page_tags,
    over_assets,
)
from activecampaign_dagster.orchestration.resources import ActiveCampaignResource

MODELS_JOB = "build_models"
_READS = {
    "incremental": "Reads what changed in {} since the last sync",
    "full": "Reads all of {}, which also finds deletions",
}
_THEN_MODELS = ", then builds the dbt models."
_MODELS_APART = f". The job {MODELS_JOB} builds the dbt models."
# a process per step would load Dagster and dbt anew for each: 4 s a step
_ALONE = dg.in_process_executor
# as Dagster skips what depends on a failed step
_IF_ONE_FAILS = (
    " If one account cannot be read, the others are still loaded, and the models are built by the "
    f"next run of {MODELS_JOB}."
)


def account_job(account: Account, mode: str) -> AssetJob:
    """The job that reads one account. mode: incremental or full."""
    text = _READS[mode].format(f"the account {account.name!r}")
    read = dg.AssetSelection.assets(account.all_streams)
    if account.builds_models:
        selection, text = read | _models(account.selection), text + _THEN_MODELS
        return _job(account.job(mode), mode, selection, _ALONE, text, [account])
    return _job(account.job(mode), mode, read, _ALONE, text + _MODELS_APART, [account])


def common_job(mode: str, accounts: Sequence[Account]) -> AssetJob:
    """The job over several accounts, read side by side, each in a process of its own."""
    names = ", ".join(account.name for account in accounts)
    text = _READS[mode].format(f"every account ({names})") + _THEN_MODELS + _IF_ONE_FAILS
    read = dg.AssetSelection.assets(*(account.all_streams for account in accounts))
    selection = read | _models(all_streams())
    return _job(JOBS[mode], mode, selection, dg.multiprocess_executor, text, accounts)


def models_job() -> AssetJob:
    """The job that builds the models, where the runs of accounts do not."""
    text = "Builds the dbt models of all accounts, downstream of what has changed."
    streams = all_streams()
    return _job(MODELS_JOB, "models", _models(streams), _ALONE, text, [])


def is_build(run: dg.DagsterRun) -> bool:
    """Whether a run is one of `models_job`."""
    # another project's job may have the name, but not the tag
    return run.job_name == MODELS_JOB and MODE_TAG in run.tags


def _models(streams: dg.AssetSelection) -> dg.AssetSelection:
    """What is made of streams, apart from themselves; one asset makes and reports the models."""
    # others below the streams may cost much, or have partitions that this job cannot have
    ours = dg.AssetSelection.tag(JOB_TAG, "")
    # models of streams that are off have nothing of the account above them, and are empty tables
    reported = dg.AssetSelection.tag(MODELS_TAG, "")
    models = (streams.downstream() | reported.downstream()) & ours
    seeds = models.upstream() & ours
    # of the models themselves, those below an asset that does not wait for that one
    builder = dg.AssetSelection.tag(BUILDS_TAG, "")
    others = models - reported - builder.downstream(depth=1)
    return ((models | seeds) - reported - streams) | (others.upstream() & reported)


def _job(
    name: str,
    mode: str,
    selection: dg.AssetSelection,
    executor: dg.ExecutorDefinition,
    text: str,
    accounts: Sequence[Account],
) -> AssetJob:
    job = dg.define_asset_job(
        name,
        # what lands or is built is checked all the same; to plan that is an event per check and run
        selection=selection.without_checks(),
        executor_def=executor,
        tags={MODE_TAG: mode},
        description=text,
    )
    # what reads a stream waits for the asset that reports it
    reported_by = {
        account.key(stream_table.name): account.all_streams
        for account in accounts
        for stream_table in account.enabled
    }
    return over_assets(job, without=ActiveCampaignResource, reported_by=reported_by)


def all_streams() -> dg.AssetSelection:
    """The streams of every account."""
    return dg.AssetSelection.kind(KIND)


def show_in_ui(run: dg.DagsterRun, instance: dg.DagsterInstance) -> None:
    """Let the UI's page of a job list a run that `dagster job execute -m` has started."""
    if tags := job_page_tags(run):
        instance.add_run_tags(run.run_id, tags)
