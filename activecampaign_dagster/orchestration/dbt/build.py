"""Runs dbt on the warehouse: its models, their tests and its failures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import DagsterDbtTranslator, DbtProject

from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.dagster_internals import (
    Versions,
    dbt_events,
    dbt_manifest,
    feeds_another_step,
    silent_output,
    with_findings,
)
from activecampaign_dagster.orchestration.dbt import artefacts
from activecampaign_dagster.orchestration.dbt.artefacts import ProjectError
from activecampaign_dagster.orchestration.dbt.metadata import Described, Relation
from activecampaign_dagster.orchestration.dbt.plan import Plan, assets, plan
from activecampaign_dagster.orchestration.dbt.transient import passes
from activecampaign_dagster.orchestration.failures import StepError, failure
from activecampaign_dagster.orchestration.resources import location, warehouse
from activecampaign_dagster.orchestration.stopping import stops_in_a_sentence
from activecampaign_dagster.orchestration.storage_errors import outlast_restarts
from activecampaign_dagster.warehouse import builds
from activecampaign_dagster.warehouse.sql import SCHEMA
from activecampaign_dagster.warehouse.warehouse import WarehouseError

_MEMORY_VARIABLE = "ACTIVECAMPAIGN_DBT_MEMORY"
_SUCCEEDED = {"success", "pass", "warn"}  # what dbt calls the end of a node


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """The models of a dbt project in Dagster.

    definition: their assets. key_of: a model's name → its asset.
    """

    project: DbtProject
    definition: dg.AssetsDefinition
    accounts: Sequence[Account]
    key_of: Callable[[str], dg.AssetKey]


def build(
    models: Models, args: Sequence[str], context: dg.AssetExecutionContext, *, due_only: bool
) -> Iterator[Any]:
    """Run dbt on the database that the streams land in; yields its events with their metadata.

    args: of dbt's command. due_only: build what is due of all models (see `due`), whichever the
    step is asked for; else all that it is asked for. Raises StepError, or StoppedRun on SIGTERM and
    Ctrl-C.
    """
    outlast_restarts(context.instance)
    with stops_in_a_sentence("while it built the models"):
        yield from _build(models, args, context, due_only=due_only)


def _build(
    models: Models, args: Sequence[str], context: dg.AssetExecutionContext, *, due_only: bool
) -> Iterator[Any]:
    os.environ.update(location().environment)
    _check_memory()
    manifest, translator = dbt_manifest(models.definition)
    keys = assets(manifest["nodes"], models.key_of)
    try:
        planned = plan(models.project, args, context, models.accounts, manifest, keys, due_only)
        if planned.due:
            events = _built(models, args, context, planned, keys, translator)
            yield from _reported(events, models, context) if due_only else events
        if due_only:
            yield from _outputs(
                context, [keys[node] for node in planned.nodes.nodes if node in keys]
            )
    except WarehouseError as error:
        raise failure(error, context) from None


def _built(
    models: Models,
    args: Sequence[str],
    context: dg.AssetExecutionContext,
    planned: Plan,
    keys: Mapping[str, dg.AssetKey],
    translator: DagsterDbtTranslator,
) -> Iterator[Any]:
    """Run dbt on what is planned, and note what was built."""
    project = models.project
    # dbt takes 0.6 s to import, and most runs build nothing
    from activecampaign_dagster.orchestration.dbt import runner  # noqa: PLC0415
    from activecampaign_dagster.orchestration.dbt.merged import broken_rules  # noqa: PLC0415

    nodes = planned.nodes.manifest["nodes"]
    try:
        place = artefacts.run_folder(project, context.run.run_id)
        about = runner.manifest(project, args)
        with warehouse().in_use():
            ran = runner.run(project, [*args, *planned.options], place, about)
    except OSError as error:
        raise StepError(
            f"dbt's artefacts cannot be written to {project.target_path} ({error.strerror}).",
            is_permanent=True,
        ) from None
    except ProjectError as error:
        raise StepError(str(error), is_permanent=True) from None
    results = list(ran.result.results) if hasattr(ran.result, "results") else []
    compiled = {each.node.unique_id: getattr(each.node, "compiled_code", "") for each in results}
    broken: dict[str, list[tuple[str, str, str]]] = {}
    if results:
        with warehouse().connect() as db:
            succeeded = {each.node.unique_id for each in results if each.status in _SUCCEEDED}
            known = builds.recorded(db)
            builds.record(db, planned.nodes.built(succeeded, planned.signatures, known))
            broken = {
                each.node.unique_id: broken_rules(
                    db, compiled[each.node.unique_id], each.node.database
                )
                for each in results
                if each.status in {"fail", "warn", "error"}
            }
            described = Described(
                nodes=nodes,
                compiled=compiled,
                keys=_relations(nodes, models.accounts, keys),
                db=db,
                log=context.log,
            )
            events = dbt_events(
                ran.results,
                planned.nodes.manifest,
                translator,
                project,
                None if planned.is_due_only else context,
            )
            events = (_with_broken_rules(event, broken) for event in events)
            yield from described.events(events)
    if not ran.is_success:
        artefacts.mark_failed(place)
        failed = _failure(ran.reasons, place / "dbt.log", broken)
        raise failure(failed, context) if passes(results, ran.reasons) else failed


def _with_broken_rules(event: Any, broken: Mapping[str, list[tuple[str, str, str]]]) -> Any:
    """A test's result, with what is broken and how to see the rows."""
    if not isinstance(event, dg.AssetCheckResult | dg.AssetCheckEvaluation):
        return event
    rules = broken.get(str(event.metadata["unique_id"].value))
    if not rules:
        return event
    shown = "\n\n".join(f"{rows}: {rule}\n```sql\n{sql}\n```" for rows, rule, sql in rules)
    return with_findings(
        event,
        description="; ".join(f"{rows}: {rule}" for rows, rule, _ in rules),
        metadata={"broken_rules": dg.MetadataValue.md(shown)},
    )


def _failure(
    reasons: Sequence[str], log: Path, broken: Mapping[str, list[tuple[str, str, str]]]
) -> StepError:
    """A failed build of the models, shown as the errors that dbt reported."""
    rules = [
        f"  {node.split('.')[2]}: {rows}: {rule}"
        for node, found in broken.items()
        for rows, rule, _ in found
    ]
    lines = "\n".join([*reasons, *rules]) or "It does not say why."
    where = f"; its full log is {log}" if log.exists() else ""  # it may have refused its arguments
    return StepError(f"dbt failed{where}.\n{lines}", is_permanent=False)


def _reported(
    events: Iterable[Any], models: Models, context: dg.AssetExecutionContext
) -> Iterator[Any]:
    """The events of models that are no outputs of the step, with their versions."""
    specs, versions = models.definition.specs_by_key, Versions(context.instance)
    for event in events:
        if isinstance(event, dg.AssetMaterialization):
            tags = versions.tags(specs[event.asset_key], context.run.run_id)
            yield event._replace(tags={**(event.tags or {}), **tags})
        else:
            yield event


def _outputs(
    context: dg.AssetExecutionContext, keys: Sequence[dg.AssetKey]
) -> Iterator[dg.Output[None]]:
    """What lets other steps go on that read models of this one; keys: all models, parents first."""
    for key in keys:
        if key in context.selected_asset_keys and feeds_another_step(context, key):
            yield silent_output(context.assets_def.get_output_name_for_asset_key(key))


def _relations(
    nodes: Mapping[str, Any], accounts: Sequence[Account], keys: Mapping[str, dg.AssetKey]
) -> dict[Relation, dg.AssetKey]:
    """The tables that are assets: dbt's and the streams'."""
    made = {(nodes[node]["schema"], nodes[node]["alias"]): key for node, key in keys.items()}
    landed = {
        (SCHEMA, stream_table.table): account.key(stream_table.name)
        for account in accounts
        for stream_table in account.enabled
    }
    return {**made, **landed}


def _check_memory() -> None:
    """Dbt would answer a limit that is none with pages of stack traces."""
    limit = os.environ.get(_MEMORY_VARIABLE)
    if limit is None:
        return
    try:
        duckdb.connect(config={"memory_limit": limit}).close()
    except duckdb.Error:
        raise StepError(
            f"{_MEMORY_VARIABLE} is {limit!r}, which is not a size: set it to one such as '2GB'.",
            is_permanent=True,
        ) from None
