"""The jobs: read the streams, then build the dbt models on them."""

from __future__ import annotations

from typing import Any

import dagster as dg

from activecampaign_dagster.orchestration.streams import KIND, MODE_TAG

_DESCRIPTIONS = {
    "incremental": "Reads what changed since the last sync, then builds the dbt models.",
    "full": "Reads everything, which also finds deletions, then builds the dbt models.",
}
NAMES = {"incremental": "incremental_sync", "full": "full_refresh"}


def sync_job(mode: str, selection: dg.AssetSelection, *, account: str | None = None) -> Any:
    """The job `<account>__<name>`, or the one for all accounts, that reads in a mode.

    mode: incremental or full. A run with a partition reads that partition's window instead.
    """
    name = NAMES[mode]
    models = selection.downstream()
    seeds = models.upstream() - all_streams()
    return dg.define_asset_job(
        f"{account}__{name}" if account else name,
        selection=selection | models | seeds,
        # a process per step would load Dagster and dbt anew for each: 4 s a step
        executor_def=dg.in_process_executor,
        tags={MODE_TAG: mode},
        description=_DESCRIPTIONS[mode],
    )


def all_streams() -> dg.AssetSelection:
    """The streams of every account."""
    return dg.AssetSelection.kind(KIND)
