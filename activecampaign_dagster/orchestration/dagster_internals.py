"""Every name that is borrowed from Dagster's private modules, behind a name of ours.

Dagster may move them in any release. `tests/orchestration/test_dagster_internals.py` has a test for
each, which says what it is for; no other module imports from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.assets.job.asset_job import (
    build_asset_job,
    get_asset_graph_for_job,
)
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.definitions.utils import is_valid_owner as _is_valid_owner
from dagster._core.errors import DagsterExecutionInterruptedError, DagsterUserCodeProcessError
from dagster._core.execution.context_creation_job import create_context_free_log_manager
from dagster._core.execution.plan.active import ActiveExecution
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.executor import in_process, multiprocess
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.event_log.sqlite import SqliteEventLogStorage
from dagster._core.storage.runs.schema import RunTagsTable
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG
from dagster._utils.interrupts import pop_captured_interrupt
from dagster._utils.schedules import is_valid_cron_schedule, schedule_execution_time_iterator
from dagster.components.core.defs_module import ComponentFileModel
from dagster.components.resolved.errors import ResolutionException
from dagster_dbt import DagsterDbtTranslator, DbtProject
from dagster_dbt.asset_utils import get_manifest_and_translator_from_dbt_assets
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage
from dagster_shared.check import CheckError
from dagster_shared.error import DagsterUnresolvableSymbolError, SerializableErrorInfo
from dagster_shared.record import as_dict
from dagster_shared.yaml_utils.source_position import SourcePositionTree
from sqlalchemy import exists

AssetJob = UnresolvedAssetJobDefinition  # returned by dg.define_asset_job
ComponentFile = ComponentFileModel  # the schema of a defs.yaml: type, attributes, requirements
TemplateError = ResolutionException  # a template in a YAML file cannot be filled in
UnknownSymbolError = DagsterUnresolvableSymbolError  # a defs.yaml's type names nothing
InterruptedRunError = DagsterExecutionInterruptedError  # a signal ended a run
PoolClaims = InstanceConcurrencyContext  # how a run claims a place in a pool
RunningSteps = ActiveExecution  # the steps of a run in this process
stop_was_asked_for = pop_captured_interrupt  # whether a signal has come that is not handled yet
BrokenInvariantError = CheckError  # what Dagster raises where it did not foresee a mistake


class MessageOnlyError(DagsterUserCodeProcessError):
    """An error that Dagster's commands, logs and UI show as its message alone.

    Dagster prints a stack trace with every error, except for those that it believes to have been
    reported by another process. Subclasses call `show_message` when they are made.
    """

    def show_message(self, message: str, name: str) -> None:
        """Set the text and the kind of error that are shown."""
        self.user_code_process_error_infos = [SerializableErrorInfo(message, [], name)]


class _MixedPartitionsJob(UnresolvedAssetJobDefinition):
    def resolve(
        self,
        asset_graph: Any,
        default_executor_def: dg.ExecutorDefinition | None = None,
        resource_defs: Mapping[str, dg.ResourceDefinition] | None = None,
    ) -> dg.JobDefinition:
        return build_asset_job(
            self.name,
            asset_graph=get_asset_graph_for_job(
                asset_graph, self.selection, allow_different_partitions_defs=True
            ),
            description=self.description,
            tags=self.tags,
            executor_def=self.executor_def or default_executor_def,
            resource_defs=resource_defs,
            allow_different_partitions_defs=True,
        )


def with_mixed_partitions(job: AssetJob) -> AssetJob:
    """The job over assets whose partitions differ; it runs without any.

    Dagster has such jobs for its own Materialize buttons, but offers no way to define one.
    """
    return _MixedPartitionsJob(**as_dict(job))


def silent_output(name: str) -> dg.Output[None]:
    """An asset's output by which what depends on it goes on, though nothing was materialized.

    Without an output Dagster skips all that depends on the asset.
    """
    return dg.Output(None, name, metadata={SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True})


def data_version_tags(version: str) -> dict[str, str]:
    """The tags of a logged materialization by which the UI tells that what is made of it is old.

    Dagster gives them to the materializations of outputs only.
    """
    return {DATA_VERSION_TAG: version}


def feeds_another_step(context: dg.AssetExecutionContext, key: dg.AssetKey) -> bool:
    """Whether a step other than the running one reads an asset that it makes, or checks it."""
    node = context.job_def.asset_layer.get(key)
    own = context.assets_def
    return bool(node.child_keys - own.keys or node.check_keys - set(own.check_keys))


def log_evaluation(context: dg.AssetExecutionContext, evaluation: dg.AssetCheckEvaluation) -> None:
    """Log the result of an asset check, planned or not, without an output of the step.

    A yielded result makes an output too, which is an event that tells nothing, and a warning if the
    check is not selected. Dagster takes evaluations here, but does not say so.
    """
    context.log_event(evaluation)


def job_page_tags(run: dg.DagsterRun) -> dict[str, str]:
    """The tags by which the UI's page of a job finds a run that `dagster job execute -m` started.

    The page asks for a label that Dagster gives only to runs that it launches itself; {} for those.
    """
    code = run.job_code_origin and run.job_code_origin.repository_origin.code_pointer
    if run.remote_job_origin is None and isinstance(code, ModuleCodePointer):
        return {REPOSITORY_LABEL_TAG: f"{SINGLETON_REPOSITORY_NAME}@{code.module}"}
    return {}


def is_valid_cron(text: str) -> bool:
    """Whether Dagster's scheduler accepts a cron expression."""
    return is_valid_cron_schedule(text)


def cron_ticks(start: datetime, crons: Sequence[str], timezone: str) -> Iterator[datetime]:
    """The moments from `start` on at which Dagster's scheduler would begin runs."""
    return schedule_execution_time_iterator(
        start.timestamp(), list(crons), timezone, ascending=True
    )


def is_valid_owner(owner: str) -> bool:
    """Whether Dagster accepts the owner of an asset: an e-mail address, or team:name."""
    return _is_valid_owner(owner)


@dataclass(frozen=True, slots=True)
class FilePositions:
    """The lines of a YAML file, or of one document in it, by the path of a setting."""

    _tree: SourcePositionTree

    @property
    def file(self) -> Path:
        """The file."""
        return Path(self._tree.position.filename)

    @property
    def first_line(self) -> int:
        """The line where the document begins."""
        return self._tree.position.start.line

    def line(self, path: Sequence[str | int]) -> int:
        """The line of a setting, or of the nearest one above it that is in the file."""
        position, _ = self._tree.lookup_closest_and_path(path, None)
        return position.start.line


def file_positions(context: dg.ResolutionContext) -> FilePositions | None:
    """The lines of the attributes that are being loaded; None if they come from no file."""
    tree = context.source_position_tree
    return FilePositions(tree) if tree else None


def dbt_manifest(
    context: dg.AssetExecutionContext,
) -> tuple[Mapping[str, Any], DagsterDbtTranslator]:
    """The manifest that a step's models were made of, and how it is read."""
    manifest, translator, _ = get_manifest_and_translator_from_dbt_assets([context.assets_def])
    return manifest, translator


def dbt_events(
    messages: Iterable[Mapping[str, Any]],
    manifest: Mapping[str, Any],
    translator: DagsterDbtTranslator,
    project: DbtProject,
    context: dg.AssetExecutionContext | None,
) -> Iterator[Any]:
    """What dbt's messages of nodes that ended are in Dagster: materializations and test results.

    context: of a step that planned them; without one they are events that nothing waits for.
    """
    for message in messages:
        event = DbtCoreCliEventMessage(raw_event=dict(message), event_history_metadata={})
        yield from event.to_default_asset_events(
            manifest=manifest, dagster_dbt_translator=translator, context=context, project=project
        )


def with_findings(
    event: dg.AssetCheckResult | dg.AssetCheckEvaluation,
    description: str,
    metadata: Mapping[str, dg.MetadataValue],
) -> dg.AssetCheckResult | dg.AssetCheckEvaluation:
    """The result of a check with what was found."""
    found = {**event.metadata, **metadata}
    if isinstance(event, dg.AssetCheckResult):
        return event._replace(description=description, metadata=found)
    about = {**as_dict(event), "description": description, "metadata": found}
    return dg.AssetCheckEvaluation(**about)


def remove_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete an ended run with all that it left in Dagster's storage.

    Dagster itself forgets the results of asset checks but the last (each is kept twice), the run's
    tags and its SQLite file, and the output of its steps.
    """
    instance.delete_run(run_id)
    events, runs = instance.event_log_storage, instance.run_storage
    if isinstance(events, SqlEventLogStorage):
        checks, later = AssetCheckExecutionsTable, AssetCheckExecutionsTable.alias()
        is_followed = exists().where(
            later.c.asset_key == checks.c.asset_key,
            later.c.check_name == checks.c.check_name,
            later.c.id > checks.c.id,
        )
        with events.index_connection() as connection:
            connection.execute(checks.delete().where(checks.c.run_id == run_id, is_followed))
    if isinstance(runs, SqlRunStorage):
        with runs.connect() as connection:
            connection.execute(RunTagsTable.delete().where(RunTagsTable.c.run_id == run_id))
    if isinstance(events, SqliteEventLogStorage):
        for file in Path(events.path_for_shard(run_id)).parent.glob(f"{run_id}.db*"):
            file.unlink()
    instance.compute_log_manager.delete_logs(prefix=[run_id])


def log_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterLogManager:
    """A run's log outside its steps: what is said there shows in the terminal and in the UI."""
    return create_context_free_log_manager(instance, run)


def seconds_until_ready(steps: RunningSteps) -> float:
    """How long a run has to wait before one of its steps may begin (again)."""
    seconds: float = steps.sleep_interval()  # type: ignore[no-untyped-call]
    return seconds


def wait_with(claims: type[PoolClaims], pause: Callable[[RunningSteps], None]) -> None:
    """Let runs in this process claim pools, and pause between their steps, in a way of ours.

    Dagster has no setting for either: its own claims wait for ever for a run that was killed, and
    its own pause hears no signal.
    """
    for module in (in_process, multiprocess):
        module.InstanceConcurrencyContext = claims  # type: ignore[attr-defined]
    ActiveExecution.sleep_til_ready = pause  # type: ignore[assignment,method-assign]
