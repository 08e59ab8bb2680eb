"""What a run builds of a dbt project: all that it was asked for, or what is due of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster_dbt import DbtProject

from activecampaign_dagster.orchestration.account import MODE_TAG, Account
from activecampaign_dagster.orchestration.dbt.due import Project, parents
from activecampaign_dagster.orchestration.dbt.ground import ground
from activecampaign_dagster.orchestration.dbt.timezone import timezone_options
from activecampaign_dagster.orchestration.resources import database_path
from activecampaign_dagster.warehouse import builds
from activecampaign_dagster.warehouse.file import connect

_BUILT_TAG = "activecampaign/models_built"
_SELECTING = {"-s", "--select", "-m", "--models", "--exclude", "--selector", "--resource-type"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to build.

    due: nodes. is_partial: whether that is for us to say, and not for the run. options: of dbt, by
    which it selects them and knows the time zone.
    """

    nodes: Project
    signatures: Mapping[str, str]
    due: set[str]
    is_partial: bool
    options: Sequence[str]


def plan(
    project: DbtProject,
    args: Sequence[str],
    context: dg.AssetExecutionContext,
    accounts: Sequence[Account],
    manifest: Mapping[str, Any],
    keys: Mapping[str, dg.AssetKey],
) -> Plan:
    """Decide what to build, and let it count as not built until it is. Raises StepError."""
    timezone = timezone_options(project.project_dir, args, accounts, manifest)
    nodes = Project(manifest)
    selected = {node for node, key in keys.items() if key in context.selected_asset_keys}
    with connect(database_path()) as db:  # which repairs what a killed process may have left
        signatures = nodes.signatures(ground(db, project, [*args, *timezone], accounts))
        present = builds.relations(db)
        selected |= _tests(nodes, selected, present)
        due = selected
        is_partial = _decides(context, args)
        if is_partial:
            current = nodes.current(signatures, builds.recorded(db), present)
            due = nodes.due(current) & selected
            if due and context.run.tags[MODE_TAG] == "full":
                due = selected & nodes.runnable - nodes.standing(current)
        builds.forget(db, due)
    models, all_models = len(due & keys.keys()), len(selected & keys.keys())
    if is_partial:
        _tell(context, models, all_models)
    options = [] if _selects(args) and selected >= keys.keys() else _selection(nodes, due)
    return Plan(nodes, signatures, due, is_partial, [*options, *timezone])


def _tests(nodes: Project, selected: set[str], present: set[tuple[str, str]]) -> set[str]:
    """The tests of what is selected, unless they compare it with a model that was never built."""
    built = {node for node, table in nodes.tables.items() if table in present}
    return {
        node
        for node, about in nodes.nodes.items()
        if about["resource_type"] == "test"
        and parents(about) & selected
        and parents(about) & nodes.tables.keys() <= selected | built
    }


def _selects(args: Sequence[str]) -> bool:
    """Whether the project itself says which models to build."""
    return any(arg.split("=")[0] in _SELECTING for arg in args)


def _selection(nodes: Project, due: set[str]) -> list[str]:
    chosen = ["fqn:*"]
    if not due >= nodes.runnable:
        chosen = [".".join(nodes.nodes[node]["fqn"]) for node in sorted(due)]
    return ["--indirect-selection", "empty", "--select", " ".join(chosen)]


def _decides(context: dg.AssetExecutionContext, args: Sequence[str]) -> bool:
    """Whether neither who started the run nor the project has said which models to build."""
    run = context.run
    return MODE_TAG in run.tags and not run.asset_selection and not _selects(args)


def _tell(context: dg.AssetExecutionContext, models: int, of: int) -> None:
    """Say in the log, and on the run's page and in the list of runs, how much is built."""
    if models:
        context.log.info("%s of %s models are built: the others are up to date.", models, of)
    else:
        context.log.info("No model is built: nothing has changed since the last build.")
    context.instance.add_run_tags(context.run.run_id, {_BUILT_TAG: f"{models} of {of}"})


def assets(
    nodes: Mapping[str, Any], key_of: Callable[[str], dg.AssetKey]
) -> dict[str, dg.AssetKey]:
    """Model, seed or snapshot → its asset."""
    with warnings.catch_warnings():
        # dagster-dbt gives two for each model: that it uses what is in beta
        warnings.simplefilter("ignore", dg.BetaWarning)
        return {
            unique_id: key_of(node["name"])
            for unique_id, node in nodes.items()
            if node["resource_type"] in {"model", "seed", "snapshot"}
        }
