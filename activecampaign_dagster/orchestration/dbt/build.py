"""Runs dbt on the warehouse: its manifest, its models and its failures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import (
    DagsterDbtCliRuntimeError,
    DagsterDbtTranslator,
    DbtCliInvocation,
    DbtProject,
)
from dagster_dbt.asset_utils import get_manifest_and_translator_from_dbt_assets

from activecampaign_dagster.orchestration.account import MODE_TAG, Account
from activecampaign_dagster.orchestration.dagster_internals import (
    feeds_another_step,
    log_evaluation,
    silent_output,
)
from activecampaign_dagster.orchestration.dbt import command
from activecampaign_dagster.orchestration.dbt.command import ProjectError
from activecampaign_dagster.orchestration.dbt.due import Project, parents
from activecampaign_dagster.orchestration.dbt.ground import ground, own_files
from activecampaign_dagster.orchestration.dbt.metadata import Described, Relation
from activecampaign_dagster.orchestration.failures import (
    StepError,
    dbt_failure,
    dbt_reasons,
    failure,
)
from activecampaign_dagster.orchestration.resources import DATABASE_VARIABLE, database_path
from activecampaign_dagster.orchestration.stopping import stops_in_a_sentence
from activecampaign_dagster.warehouse import builds
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.sql import SCHEMA
from activecampaign_dagster.warehouse.warehouse import WarehouseError

_MEMORY_VARIABLE = "ACTIVECAMPAIGN_DBT_MEMORY"
_BUILT_TAG = "activecampaign/models_built"
_SUCCEEDED = {"success", "pass", "warn"}  # what dbt calls the end of a node
_SELECTING = {"-s", "--select", "-m", "--models", "--exclude", "--selector", "--resource-type"}


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
    manifest, translator, _ = get_manifest_and_translator_from_dbt_assets([context.assets_def])
    keys = _assets(manifest["nodes"], key_of)
    try:
        plan = _plan(project, args, context, accounts, manifest, keys)
        if plan.is_partial:
            # first, as Dagster wants an asset after those that it is made of
            due = {keys[node] for node in plan.due & keys.keys()}
            yield from _outputs_of_the_rest(context, due)
        if plan.due:
            yield from _built(project, args, context, accounts, plan, keys, translator)
    except WarehouseError as error:
        raise failure(error, context) from None


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to build. due: nodes. is_partial: whether that is for us to say, and not for the run."""

    nodes: Project
    signatures: Mapping[str, str]
    due: set[str]
    is_partial: bool


def _plan(
    project: DbtProject,
    args: Sequence[str],
    context: dg.AssetExecutionContext,
    accounts: Sequence[Account],
    manifest: Mapping[str, Any],
    keys: Mapping[str, dg.AssetKey],
) -> _Plan:
    """Decide what to build, and let it count as not built until it is."""
    nodes = Project(manifest)
    selected = {node for node, key in keys.items() if key in context.selected_asset_keys}
    selected |= {
        node
        for node, about in nodes.nodes.items()
        if about["resource_type"] == "test" and parents(about) & selected
    }
    with connect(database_path()) as db:  # which repairs what a killed process may have left
        signatures = nodes.signatures(ground(db, project, args, accounts))
        due = selected
        is_partial = _decides(context, args)
        if is_partial:
            due = nodes.due(signatures, builds.recorded(db), builds.relations(db)) & selected
            if due and context.run.tags[MODE_TAG] == "full":
                due = selected & nodes.runnable
        builds.forget(db, due)
    models, all_models = len(due & keys.keys()), len(selected & keys.keys())
    if is_partial:
        _tell(context, models, all_models)
    return _Plan(nodes, signatures, due, is_partial)


def _decides(context: dg.AssetExecutionContext, args: Sequence[str]) -> bool:
    """Whether neither who started the run nor the project has said which models to build."""
    run = context.run
    return (
        MODE_TAG in run.tags
        and not run.asset_selection
        and not any(arg.split("=")[0] in _SELECTING for arg in args)
    )


def _tell(context: dg.AssetExecutionContext, models: int, of: int) -> None:
    """Say in the log, and on the run's page and in the list of runs, how much is built."""
    if models:
        context.log.info("%s of %s models are built: the others are up to date.", models, of)
    else:
        context.log.info("No model is built: nothing has changed since the last build.")
    context.instance.add_run_tags(context.run.run_id, {_BUILT_TAG: f"{models} of {of}"})


def _built(
    project: DbtProject,
    args: Sequence[str],
    context: dg.AssetExecutionContext,
    accounts: Sequence[Account],
    plan: _Plan,
    keys: Mapping[str, dg.AssetKey],
    translator: DagsterDbtTranslator,
) -> Iterator[Any]:
    """Run dbt on what is planned, and note what was built."""
    manifest = plan.nodes.manifest
    nodes = manifest["nodes"]
    try:
        artefacts = command.run_folder(project, context.run.run_id)
        if plan.is_partial:
            chosen = [".".join(nodes[node]["fqn"]) for node in sorted(plan.due)]
            if plan.due >= plan.nodes.runnable:
                chosen = ["fqn:*"]
            options = ["--indirect-selection", "empty", "--select", " ".join(chosen)]
            about = (manifest, translator)
            run = command.start(project, [*args, *options], artefacts, about=about)
        else:
            run = command.start(project, args, artefacts, context)
    except OSError as error:
        raise StepError(
            f"dbt's artefacts cannot be written to {project.target_path} ({error.strerror}).",
            is_permanent=True,
        ) from None
    except ProjectError as error:
        raise StepError(str(error), is_permanent=True) from None
    events: list[Any] = []
    failed = _run(run, events, artefacts)
    results = _results(artefacts)
    if results:
        with connect(database_path()) as db:
            succeeded = {each["unique_id"] for each in results if each["status"] in _SUCCEEDED}
            known = builds.recorded(db)
            builds.record(db, plan.nodes.built(succeeded, plan.signatures, known))
            described = Described(
                nodes=nodes,
                compiled={each["unique_id"]: each["compiled_code"] for each in results},
                keys=_relations(nodes, accounts, keys),
                db=db,
                log=context.log,
            )
            yield from described.events(_as_outputs(events, context))
    if failed:
        raise failed


def _results(artefacts: Path) -> list[dict[str, Any]]:
    """What became of each node that dbt ran; none if it did not come so far."""
    try:
        found = json.loads((artefacts / "run_results.json").read_text("utf-8"))
    except (OSError, ValueError):
        return []
    results: list[dict[str, Any]] = found["results"]
    return results


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


def _run(run: DbtCliInvocation, events: list[Any], artefacts: Path) -> StepError | None:
    """Take in the events of a run until it ends; returns how it failed."""
    try:
        events.extend(run.stream())
    except DagsterDbtCliRuntimeError as error:
        command.mark_failed(artefacts)
        return dbt_failure(error, artefacts / "dbt.log")
    except subprocess.TimeoutExpired as error:  # it was asked to stop, and has not done so
        raise KeyboardInterrupt from error
    finally:
        command.end(run)
    return None


def _assets(
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


def put_dbt_on_path() -> None:
    """Let dagster-dbt find a dbt, which it insists on; another one is run (see `command`)."""
    if shutil.which("dbt") is None:
        here = str(Path(sys.executable).parent)
        os.environ["PATH"] = os.pathsep.join([here, os.environ.get("PATH", "")])


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


def beside_data(project: DbtProject) -> DbtProject:
    """The project, with its artefacts beside the database that the streams land in."""
    return command.beside(database_path(), project)


def prepare_manifest(project: DbtProject) -> None:
    """Parse the dbt project if its manifest does not reflect its files.

    Raises ProjectError if dbt cannot read it.
    """
    os.environ[DATABASE_VARIABLE] = str(database_path())
    if _is_current(project):
        return
    try:
        command.parse(project)
    except DagsterDbtCliRuntimeError as error:
        reasons = "\n    ".join(dbt_reasons(error))
        raise ProjectError(
            f"{project.project_dir}: dbt cannot read the project.\n    {reasons}"
        ) from error


def _is_current(project: DbtProject) -> bool:
    """Whether the manifest is of this project's files, in the folder where they are now."""
    manifest = project.manifest_path
    if not manifest.exists() or manifest.stat().st_mtime <= _newest(project.project_dir):
        return False
    return _seed_folder(project) in manifest.read_text("utf-8")


def _seed_folder(project: DbtProject) -> str:
    # dbt reads a seed's rows from where it was when the project was read
    return f'"root_path": {json.dumps(str(project.project_dir))}'


def _newest(folder: Path) -> float:
    """The time of the last change to the project's own files, in seconds since 1970."""
    return max(path.stat().st_mtime for path in own_files(folder))
