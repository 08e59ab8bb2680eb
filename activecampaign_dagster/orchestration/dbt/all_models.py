"""The asset by which jobs build the models that are due.

Dagster plans an event for each asset that a run could materialize, a hundred for the models of
which a quiet run builds none. So a job has this one, which reports the models that it builds.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any

import dagster as dg

from activecampaign_dagster.orchestration.account import (
    ALL_MODELS,
    BUILDS_TAG,
    JOB_TAG,
    JOBS_GROUP,
)
from activecampaign_dagster.orchestration.dagster_internals import silent_output


def all_models(
    models: dg.AssetsDefinition,
    build: Callable[[dg.AssetExecutionContext], Iterator[Any]],
    pool: str | None,
    after: Collection[dg.AssetKey],
    owners: Collection[str],
) -> dg.AssetsDefinition:
    """The asset over the models of a dbt project.

    It depends on the streams that they read, and on the models that no other one reads: where a run
    has all of them, it comes last, and finds nothing due.

    build: builds what is due, and yields its events. pool: of builds. after: the assets by which
    jobs read the streams. owners: of what is built.
    """
    read = {dep.asset_key for spec in models.specs for dep in spec.deps}
    deps = sorted({*after, *(read - models.keys), *(models.keys - read)})

    @dg.multi_asset(
        name="build_due_models",
        specs=[
            dg.AssetSpec(
                ALL_MODELS,
                deps=deps,
                description="All dbt models. The jobs build them through this asset. Materializing "
                "it builds the models that are due: those downstream of what has changed since "
                "their last build, which their own pages show.",
                group_name=JOBS_GROUP,
                kinds={"dbt", "duckdb"},
                owners=list(owners),
                tags={JOB_TAG: "", BUILDS_TAG: ""},
            )
        ],
        pool=pool,
    )
    def build_due_models(context: dg.AssetExecutionContext) -> Iterator[Any]:
        """Build the models that are due."""
        built = 0
        for event in build(context):
            built += isinstance(event, dg.AssetMaterialization)
            yield event
        if built:
            yield dg.MaterializeResult(asset_key=ALL_MODELS, metadata={"models_built": built})
        else:
            yield silent_output(ALL_MODELS.to_python_identifier())

    return build_due_models
