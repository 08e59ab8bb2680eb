"""Runs dbt on the warehouse: its models, their tests and its failures."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import DagsterDbtTranslator, DbtProject

from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.dagster_internals import (
    dbt_events,
    dbt_manifest,
    feeds_another_step,
    log_evaluation,
    silent_output,
    with_findings,
)
from activecampaign_dagster.orchestration.dbt import artefacts
from activecampaign_dagster.orchestration.dbt.artefacts import ProjectError
from activecampaign_dagster.orchestration.dbt.metadata import Described, Relation
from activecampaign_dagster.orchestration.dbt.plan import Plan, assets, plan
from activecampaign_dagster.orchestration.failures import StepError, failure
from activecampaign_dagster.orchestration.resources import DATABASE_VARIABLE, database_path
from activecampaign_dagster.orchestration.stopping import stops_in_a_sentence
from activecampaign_dagster.warehouse import builds
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.sql import SCHEMA
from activecampaign_dagster.warehouse.warehouse import WarehouseError

_MEMORY_VARIABLE = "ACTIVECAMPAIGN_DBT_MEMORY"
_SUCCEEDED = {"success", "pass", "warn"}  # what dbt calls the end of a node


def build(
    project: DbtProject,
    args: Sequence[str],
    context: dg.AssetExecutionContext,
    *,
    accounts: Sequence[Account],
    key_of: Callable[[str], dg.AssetKey],
) -> Iterator[Any]:
    """Run dbt on the database that the streams land in; yields its events with their metadata.

    A run of a job builds what is due (see `due`), any other one all that it was asked for.
    args: of dbt's command. key_of: a model's name → its asset. Raises StepError, or StoppedRun on
    SIGTERM and Ctrl-C.
    """
    with stops_in_a_sentence("while it built the models"):
        yield from _build(project, args, context, accounts=accounts, key_of=key_of)


def _build(
    project: DbtProject,
    args: Sequence[str],
    context: dg.AssetExecutionContext,
    *,
    accounts: Sequence[Account],
    key_of: Callable[[str], dg.AssetKey],
) -> Iterator[Any]:
    os.environ[DATABASE_VARIABLE] = str(database_path())
    _check_memory()
    manifest, translator = dbt_manifest(context)
    keys = assets(manifest["nodes"], key_of)
    try:
        planned = plan(project, args, context, accounts, manifest, keys)
        if planned.is_partial:
            # first, as Dagster wants an asset after those that it is made of
            due = {keys[node] for node in planned.due & keys.keys()}
            yield from _outputs_of_the_rest(context, due)
        if planned.due:
            yield from _built(project, args, context, accounts, planned, keys, translator)
    except WarehouseError as error:
        raise failure(error, context) from None


def _built(
    project: DbtProject,
    args: Sequence[str],
    context: dg.AssetExecutionContext,
    accounts: Sequence[Account],
    planned: Plan,
    keys: Mapping[str, dg.AssetKey],
    translator: DagsterDbtTranslator,
) -> Iterator[Any]:
    """Run dbt on what is planned, and note what was built."""
    # dbt takes 0.6 s to import, and most runs build nothing
    from activecampaign_dagster.orchestration.dbt import runner  # noqa: PLC0415
    from activecampaign_dagster.orchestration.dbt.merged import broken_rules  # noqa: PLC0415

    nodes = planned.nodes.manifest["nodes"]
    try:
        place = artefacts.run_folder(project, context.run.run_id)
        about = runner.manifest(project, args)
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
        with connect(database_path()) as db:
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
                keys=_relations(nodes, accounts, keys),
                db=db,
                log=context.log,
            )
            events = dbt_events(
                ran.results,
                planned.nodes.manifest,
                translator,
                project,
                None if planned.is_partial else context,
            )
            events = (_with_broken_rules(event, broken) for event in events)
            yield from described.events(_as_outputs(events, context))
    if not ran.is_success:
        artefacts.mark_failed(place)
        raise _failure(ran.reasons, place / "dbt.log", broken)


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


def _as_outputs(events: Iterable[Any], context: dg.AssetExecutionContext) -> Iterator[Any]:
    """The events of a dbt that knows of no step, as those of this step."""
    for event in events:
        if isinstance(event, dg.AssetMaterialization):
            name = context.assets_def.get_output_name_for_asset_key(event.asset_key)
            yield dg.Output(None, name, metadata=event.metadata)
        elif isinstance(event, dg.AssetCheckEvaluation):
            log_evaluation(context, event)
        else:
            yield event


def _outputs_of_the_rest(
    context: dg.AssetExecutionContext, due: Collection[dg.AssetKey]
) -> Iterator[dg.Output[None]]:
    """What lets other steps use models that are up to date."""
    for key in sorted(context.selected_asset_keys - set(due)):
        if feeds_another_step(context, key):
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
