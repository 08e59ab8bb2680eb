"""Runs dbt on the warehouse: its manifest, its models and its failures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import DagsterDbtCliRuntimeError, DbtCliInvocation, DbtProject

from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.dbt import command
from activecampaign_dagster.orchestration.dbt.command import ProjectError
from activecampaign_dagster.orchestration.dbt.metadata import Described, Relation
from activecampaign_dagster.orchestration.failures import (
    StepError,
    dbt_failure,
    dbt_reasons,
    failure,
)
from activecampaign_dagster.orchestration.resources import DATABASE_VARIABLE, database_path
from activecampaign_dagster.orchestration.stopping import stops_in_a_sentence
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.sql import SCHEMA
from activecampaign_dagster.warehouse.warehouse import WarehouseError

_MEMORY_VARIABLE = "ACTIVECAMPAIGN_DBT_MEMORY"


def build(
    project: DbtProject,
    args: Sequence[str],
    context: dg.AssetExecutionContext,
    *,
    accounts: Sequence[Account],
    key_of: Callable[[str], dg.AssetKey],
) -> Iterator[Any]:
    """Run dbt on the database that the streams land in; yields its events with their metadata.

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
    try:
        with connect(database_path()):  # which repairs what a killed process may have left
            pass
    except WarehouseError as error:
        raise failure(error, context) from None
    try:
        artefacts = command.run_folder(project, context.run.run_id)
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
    if any(isinstance(event, dg.Output) for event in events):
        results = run.get_artifact("run_results.json")["results"]
        with connect(database_path(), read_only=True) as db:
            yield from Described(
                nodes=run.manifest["nodes"],
                compiled={each["unique_id"]: each["compiled_code"] for each in results},
                keys=_relations(run.manifest["nodes"], accounts, key_of),
                db=db,
                log=context.log,
            ).events(events)
    if failed:
        raise failed


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


def _relations(
    nodes: Mapping[str, Any], accounts: Sequence[Account], key_of: Callable[[str], dg.AssetKey]
) -> dict[Relation, dg.AssetKey]:
    """The tables that are assets: dbt's and the streams'."""
    with warnings.catch_warnings():
        # dagster-dbt gives two for each model: that it uses what is in beta
        warnings.simplefilter("ignore", dg.BetaWarning)
        made = {
            (node["schema"], node["alias"]): key_of(node["name"])
            for node in nodes.values()
            if node["resource_type"] in {"model", "seed", "snapshot"}
        }
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
    generated = {"target", "logs"}
    return max(
        path.stat().st_mtime
        for child in folder.iterdir()
        if child.name not in generated
        for path in ([child] if child.is_file() else child.rglob("*"))
        if path.is_file()
    )
