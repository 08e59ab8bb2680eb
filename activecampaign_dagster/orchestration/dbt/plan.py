"""What a run builds of a dbt project: all that it was asked for, or what is due of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster_dbt import DbtProject

from activecampaign_dagster.orchestration.account import MODE_TAG, Account
from activecampaign_dagster.orchestration.dagster_internals import plan_materialization
from activecampaign_dagster.orchestration.dbt.due import Project, parents
from activecampaign_dagster.orchestration.dbt.ground import ground
from activecampaign_dagster.orchestration.dbt.timezone import timezone_options
from activecampaign_dagster.orchestration.resources import warehouse
from activecampaign_dagster.warehouse import builds
from activecampaign_dagster.warehouse.sql import relations

_BUILT_TAG = "activecampaign/models_built"
_SELECTING = {"-s", "--select", "-m", "--models", "--exclude", "--selector", "--resource-type"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to build.

    due: nodes. is_due_only: whether these are what is due of all models, and not what the run asks
    for. options: of dbt, by which it selects them and knows the time zone.
    """

    nodes: Project
    signatures: Mapping[str, str]
    due: set[str]
    is_due_only: bool
    options: Sequence[str]


def plan(
    project: DbtProject,
    args: Sequence[str],
    context: dg.AssetExecutionContext,
    accounts: Sequence[Account],
    manifest: Mapping[str, Any],
    keys: Mapping[str, dg.AssetKey],
    due_only: bool,
) -> Plan:
    """Decide what to build, and let it count as not built until it is. Raises StepError."""
    timezone = timezone_options(project.project_dir, args, accounts, manifest)
    nodes = Project(manifest)
    selected = {
        node for node, key in keys.items() if due_only or key in context.selected_asset_keys
    }
    with warehouse().connect() as db:  # which repairs what a killed process may have left
        signatures = nodes.signatures(ground(db, project, [*args, *timezone], accounts))
        present = set(relations(db))
        selected |= _tests(nodes, selected, present)
        due = selected
        decides = due_only and not _selects(args)
        if decides:
            current = nodes.current(signatures, builds.recorded(db), present)
            due = nodes.due(current) & selected
            if due and context.run.tags.get(MODE_TAG) == "full":
                due = selected & nodes.runnable - nodes.standing(current)
        builds.forget(db, due)
    if decides:
        models = due & keys.keys()
        _tell(context, len(models), len(selected & keys.keys()))
        for key in sorted({keys[node] for node in models} - context.selected_asset_keys):
            plan_materialization(context, key)
    options = [] if _selects(args) and selected >= keys.keys() else _selection(nodes, due)
    return Plan(nodes, signatures, due, due_only, [*options, *timezone])


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
