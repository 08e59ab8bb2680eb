"""Every name that is borrowed from Dagster's private modules, behind a name of ours.

Dagster may move them in any release. `tests/orchestration/test_dagster_internals.py` has a test for
each, which says what it is for; no other module imports from them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._cli.utils import TMP_DAGSTER_HOME_PREFIX
from dagster._config.pythonic_config.resource import (
    ConfigurableResourceFactoryResourceDefinition,
)
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.assets.definition.assets_definition import (
    stringify_asset_key_to_input_name,
)
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.data_version import (
    DATA_VERSION_TAG,
    DEFAULT_DATA_VERSION,
    compute_logical_data_version,
    extract_data_version_from_entry,
)
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.definitions.utils import is_valid_owner as _is_valid_owner
from dagster._core.errors import DagsterExecutionInterruptedError, DagsterUserCodeProcessError
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent
from dagster._core.execution.context_creation_job import create_context_free_log_manager
from dagster._core.execution.plan.active import ActiveExecution
from dagster._core.execution.plan.execute_step import _build_data_version_tags
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.executor import in_process, multiprocess
from dagster._core.scheduler.instigation import InstigatorStatus
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.event_log.sqlite import SqliteEventLogStorage
from dagster._core.storage.runs.schema import RunTagsTable
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG
from dagster._utils.cached_method import cached_method
from dagster._utils.interrupts import pop_captured_interrupt
from dagster._utils.schedules import is_valid_cron_schedule, schedule_execution_time_iterator
from dagster.components.core.defs_module import ComponentFileModel
from dagster.components.resolved.core_models import OpSpec
from dagster.components.resolved.errors import ResolutionException
from dagster_dbt import DagsterDbtTranslator, DbtProject
from dagster_dbt.asset_utils import get_manifest_and_translator_from_dbt_assets
from dagster_dbt.components.dbt_component_utils import (
    DagsterDbtComponentTranslatorSettings,
    _set_resolution_context,
)
from dagster_dbt.components.dbt_project.component import DbtProjectArgs, resolve_dbt_project
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage
from dagster_dbt.dbt_project_manager import DbtProjectManager, RemoteGitDbtProjectManager
from dagster_shared.check import CheckError
from dagster_shared.error import DagsterUnresolvableSymbolError, SerializableErrorInfo
from dagster_shared.record import as_dict
from dagster_shared.utils.config import discover_config_file
from dagster_shared.yaml_utils.source_position import SourcePositionTree
from sqlalchemy import exists
from sqlalchemy.engine import URL

AssetJob = UnresolvedAssetJobDefinition  # returned by dg.define_asset_job
ComponentFile = ComponentFileModel  # the schema of a defs.yaml: type, attributes, requirements
TemplateError = ResolutionException  # a template in a YAML file cannot be filled in
UnknownSymbolError = DagsterUnresolvableSymbolError  # a defs.yaml's type names nothing
InterruptedRunError = DagsterExecutionInterruptedError  # a signal ended a run
PoolClaims = InstanceConcurrencyContext  # how a run claims a place in a pool
RunningSteps = ActiveExecution  # the steps of a run in this process
stop_was_asked_for = pop_captured_interrupt  # whether a signal has come that is not handled yet
# the setting `project` of a dbt component: how it is resolved, what it is then, and in a YAML file
resolved_dbt_project = resolve_dbt_project
DbtProjectOrSource = DbtProject | DbtProjectManager
DbtProjectAsWritten = str | DbtProjectArgs.model() | RemoteGitDbtProjectManager.model()
DbtTranslation = DagsterDbtComponentTranslatorSettings  # its setting `translation_settings`
dbt_arguments_of = _set_resolution_context  # by which a component's cli_args are filled in
BrokenInvariantError = CheckError  # what Dagster raises where it did not foresee a mistake


def project_folder(path: Path) -> Path | None:
    """The root of the Dagster project that a path lies in; None if it lies in none."""
    file = discover_config_file(path, lambda config: "project" in config)
    return file and file.parent


class MessageOnlyError(DagsterUserCodeProcessError):
    """An error that Dagster's commands, logs and UI show as its message alone.

    Dagster prints a stack trace with every error, except for those that it believes to have been
    reported by another process. Subclasses call `show_message` when they are made.
    """

    def show_message(self, message: str, name: str) -> None:
        """Set the text and the kind of error that are shown."""
        self.user_code_process_error_infos = [SerializableErrorInfo(message, [], name)]


def over_assets(
    job: AssetJob,
    *,
    without: type[dg.ConfigurableResource[Any]],
    reported_by: Mapping[dg.AssetKey, dg.AssetKey],
) -> AssetJob:
    """The job as Dagster makes it, but for two things.

    without: it has those resources of this kind only that its assets ask for. Dagster gives each
    job all resources of the project, in its configuration and its snapshot: of 150 accounts, 300
    jobs with 150 resources each.
    reported_by: asset → the one that reports it in this job. What depends on the first waits for
    the second, as Dagster knows of no dependencies but those between the assets of a job.
    """

    class OwnJob(UnresolvedAssetJobDefinition):
        def resolve(
            self,
            asset_graph: Any,
            default_executor_def: dg.ExecutorDefinition | None = None,
            resource_defs: Mapping[str, dg.ResourceDefinition] | None = None,
        ) -> dg.JobDefinition:
            keys = self.selection.resolve(asset_graph)
            asset_graph = _with_waiting(asset_graph, keys, reported_by)
            needed = {
                name
                for assets in asset_graph.assets_defs_for_keys(keys)
                for name in assets.required_resource_keys
            }
            kept = {
                name: resource
                for name, resource in (resource_defs or {}).items()
                if name in needed or _kind(resource) is not without
            }
            return super().resolve(asset_graph, default_executor_def, kept)

    return OwnJob(**as_dict(job))


def _with_waiting(
    graph: AssetGraph, keys: Iterable[dg.AssetKey], reported_by: Mapping[dg.AssetKey, dg.AssetKey]
) -> AssetGraph:
    """The graph, where those of `keys` that depend on what is reported wait for its reporter.

    Assets made of a graph of ops do not wait, as Dagster cannot give them another input.
    """
    changed = {}
    for assets in graph.assets_defs_for_keys(keys):
        depends_on = {dep.asset_key for spec in assets.specs for dep in spec.deps}
        on = {reported_by[key] for key in depends_on if key in reported_by} - depends_on
        if on and isinstance(assets.node_def, dg.OpDefinition):
            changed[id(assets)] = _waiting_for(assets, tuple(sorted(on)))
    if not changed:
        return graph
    return AssetGraph.from_assets([changed.get(id(each), each) for each in graph.assets_defs])


@cache  # an op of a name is one object in all jobs of a project
def _waiting_for(assets: dg.AssetsDefinition, keys: tuple[dg.AssetKey, ...]) -> dg.AssetsDefinition:
    more = assets.map_asset_specs(lambda spec: spec.replace_attributes(deps=[*spec.deps, *keys]))
    inputs = {stringify_asset_key_to_input_name(key): key for key in keys}
    attributes = more.get_attributes_dict()
    # which Dagster leaves as it was
    attributes["keys_by_input_name"] = {**attributes["keys_by_input_name"], **inputs}
    # outside of the jobs it is the op that it was
    node = attributes["node_def"]
    names = [node.name, "after", *(part for key in keys for part in key.path)]
    attributes["node_def"] = node.with_replaced_properties(name="__".join(names))
    return dg.AssetsDefinition.dagster_internal_init(**attributes)


class SetInCode(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A resource that is set in code only: launchpads have no field for what it is made of.

    Dagster offers each field there, and stores in clear whatever is typed into it.
    """

    @cached_method
    def get_resource_definition(self) -> ConfigurableResourceFactoryResourceDefinition:
        """The definition, which refuses all configuration of a run."""
        own = super().get_resource_definition()
        as_set = self._resolved_config_dict
        return ConfigurableResourceFactoryResourceDefinition(
            type(self),
            resource_fn=own.resource_fn,
            config_schema=own.configured(lambda _: as_set, config_schema={}).config_schema,
            description=self.__doc__,
            nested_resources={},
            nested_partial_resources={},
        )


def _kind(resource: dg.ResourceDefinition) -> type | None:
    return getattr(resource, "configurable_resource_cls", None)


def in_pool(op: OpSpec | None, pool: str) -> OpSpec:
    """A component's settings of its op, with a pool unless they name one."""
    return op.model_copy(update={"pool": op.pool or pool}) if op else OpSpec(pool=pool)


def named(op: OpSpec | None, name: str) -> OpSpec:
    """A component's settings of its op, with a name unless they have one."""
    return op.model_copy(update={"name": op.name or name}) if op else OpSpec(name=name)


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


def plan_materialization(context: dg.AssetExecutionContext, key: dg.AssetKey) -> None:
    """Let the UI show an asset as under way, and as failed if the step ends without it.

    Dagster says so itself, when a run begins, of all assets that the run could materialize.
    """
    step = context.get_step_execution_context().step.key
    planned = AssetMaterializationPlannedData(key, partition=None, partitions_subset=None)
    event = DagsterEvent.build_asset_materialization_planned_event(context.job_name, step, planned)
    context.instance.report_dagster_event(event, context.run.run_id, logging.DEBUG)


class Versions:
    """The versions of assets that a step materializes though they are no outputs of it.

    By them the UI tells whether an asset is older than its code or than what it is made of. Dagster
    gives them to the materializations of outputs only.
    """

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._known: dict[dg.AssetKey, Any] = {}

    def tags(self, spec: dg.AssetSpec, run_id: str) -> dict[str, str]:
        """The tags of an asset's materialization; what it is made of comes before it."""
        code = spec.code_version or run_id  # as Dagster has it for outputs
        inputs = {dep.asset_key: self._current(dep.asset_key) for dep in spec.deps}
        versions = {key: found["data_version"] for key, found in inputs.items()}
        version = compute_logical_data_version(code, versions)
        self._known[spec.key] = {"data_version": version, "storage_id": None}
        tags: dict[str, str] = _build_data_version_tags(
            version, code, inputs, data_version_is_user_provided=False
        )
        return tags

    def _current(self, key: dg.AssetKey) -> Any:
        if key not in self._known:
            record = self._instance.get_latest_data_version_record(key)
            version = record and extract_data_version_from_entry(record.event_log_entry)
            self._known[key] = {
                "data_version": version or DEFAULT_DATA_VERSION,
                "storage_id": record and record.storage_id,
            }
        return self._known[key]


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


def is_forgotten(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether what is noted of a run is removed when its command ends, so that no UI shows it.

    Commands do so where DAGSTER_HOME is not set, `dagster dev` apart, which launches its runs.
    """
    is_removed = Path(instance.root_directory).name.startswith(TMP_DAGSTER_HOME_PREFIX)
    return is_removed and run.remote_job_origin is None


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

    def has(self, path: Sequence[str | int]) -> bool:
        """Whether a setting is in the file."""
        tree = self._tree
        for part in path:
            if part not in tree.children:
                return False
            tree = tree.children[part]
        return True


def file_positions(context: dg.ResolutionContext) -> FilePositions | None:
    """The lines of the attributes that are being loaded; None if they come from no file."""
    tree = context.source_position_tree
    return FilePositions(tree) if tree else None


def dbt_manifest(models: dg.AssetsDefinition) -> tuple[Mapping[str, Any], DagsterDbtTranslator]:
    """The manifest that models were made of, and how it is read."""
    manifest, translator, _ = get_manifest_and_translator_from_dbt_assets([models])
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


def storage_urls(instance: dg.DagsterInstance) -> set[URL]:
    """The addresses of the database servers that hold an instance's records; none for files."""
    storages = (instance.run_storage, instance.event_log_storage, instance.schedule_storage)
    engines = [getattr(storage, "_engine", None) for storage in storages]
    urls = {engine.url for engine in engines if engine is not None}
    return {url for url in urls if url.get_backend_name() != "sqlite"}


def stopped_triggers(instance: dg.DagsterInstance) -> frozenset[str]:
    """The names of the schedules and sensors that somebody has switched off in the UI."""
    states = instance.all_instigator_state()
    off = (state for state in states if state.status is InstigatorStatus.STOPPED)
    return frozenset(state.instigator_name for state in off)


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
