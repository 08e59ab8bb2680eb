"""A Dagster component: the dbt models on top of the streams."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Annotated, Any

import dagster as dg
import duckdb
from dagster_dbt import DbtCliResource, DbtProject, DbtProjectComponent

from activecampaign_dagster.components.errors import ConfigurationError
from activecampaign_dagster.components.scaffold import ModelsScaffolder
from activecampaign_dagster.components.served import is_divided, is_served
from activecampaign_dagster.components.source import accounts
from activecampaign_dagster.orchestration.account import (
    ALL_MODELS,
    JOB_TAG,
    MODE_TAG,
    MODELS_TAG,
    Account,
)
from activecampaign_dagster.orchestration.assets.pipeline_report import (
    marts_read,
    pipeline_report,
)
from activecampaign_dagster.orchestration.automation.models import models_sensor
from activecampaign_dagster.orchestration.dagster_internals import (
    DbtProjectAsWritten,
    DbtProjectOrSource,
    DbtTranslation,
    dbt_arguments_of,
    in_pool,
    named,
    resolved_dbt_project,
)
from activecampaign_dagster.orchestration.dbt.all_models import all_models
from activecampaign_dagster.orchestration.dbt.artefacts import ProjectError
from activecampaign_dagster.orchestration.dbt.build import Models, build
from activecampaign_dagster.orchestration.dbt.ground import ground
from activecampaign_dagster.orchestration.dbt.project import (
    beside_data,
    own_project,
    prepare_manifest,
    put_dbt_on_path,
)
from activecampaign_dagster.orchestration.failures import failure
from activecampaign_dagster.orchestration.jobs import is_build, models_job, show_in_ui
from activecampaign_dagster.orchestration.maintenance import maintenance
from activecampaign_dagster.orchestration.old_runs import KeepRunsError, clear_old_runs
from activecampaign_dagster.orchestration.pool_claims import wait_for_living_runs_only
from activecampaign_dagster.orchestration.resources import (
    WAREHOUSE,
    WAREHOUSE_KEY,
    location,
    use_project,
)
from activecampaign_dagster.orchestration.triggers import span
from activecampaign_dagster.warehouse import builds

POOL = "dbt"  # of one slot, where several runs could build the models at once
_STEP = "build_chosen_models"  # unless the component's `op` names it
SOURCE = "activecampaign"  # the dbt source whose tables are the streams


@dataclass
class _Settings(DbtProjectComponent):
    """The base's settings, with the defaults that this package's project needs."""

    build_every: Annotated[
        str,
        dg.Resolver.default(
            description="With several accounts, the shortest time between two automatic builds, "
            "such as 15 minutes, 1 hour."
        ),
    ] = "15 minutes"
    project: Annotated[
        DbtProjectOrSource,
        dg.Resolver(
            resolved_dbt_project,
            model_field_type=DbtProjectAsWritten,
            description="Your own dbt project: its folder, or a mapping. Default: the project "
            "that comes with the package.",
        ),
    ] = field(default_factory=own_project)
    # unit tests run SQL on invented rows: the test suite runs them, not every build
    cli_args: Annotated[
        list[str | dict[str, Any]],
        dg.Resolver.passthrough(description="The dbt command and its options."),
    ] = field(default_factory=lambda: ["build", "--exclude-resource-type", "unit_test"])
    translation_settings: Annotated[
        DbtTranslation | None,
        dg.Resolver.default(description="How dbt models become assets."),
    ] = field(default_factory=lambda: DbtTranslation(enable_source_tests_as_checks=True))


@dg.scaffold_with(ModelsScaffolder)
class DbtModels(_Settings):
    """The dbt models of all accounts, their tests and the pipeline report: one per project.

    Without attributes it builds the dbt project that comes with the package. Unlike its base
    class, it parses the project if the manifest is missing or older than the project's files.
    """

    _streams: Sequence[Account] = ()
    _definition: dg.AssetsDefinition | None = None

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The assets, from a manifest that is up to date."""
        use_project(context.project_root)
        if not is_served(context, context.path):
            return dg.Definitions()
        every = self._every()  # a mistake is told even if no sensor starts builds
        put_dbt_on_path()
        models = replace(self, project=beside_data(self.dbt_project))
        models._streams = [one.account() for one in accounts(context)]
        is_alone = not is_divided() and all(a.builds_models for a in models._streams)
        if not is_alone:
            wait_for_living_runs_only()
            models.op = in_pool(models.op, POOL)
        models.op = named(models.op, _STEP)
        try:
            prepare_manifest(models.dbt_project)
        except ProjectError as error:
            raise ConfigurationError([str(error)]) from error
        built = models.build_defs_from_state(context, None)
        [definition] = built.assets or ()
        assert isinstance(definition, dg.AssetsDefinition)  # noqa: S101
        models._definition = definition
        resources = {WAREHOUSE_KEY: WAREHOUSE}
        above = dg.Definitions(assets=models._above(context), resources=resources)
        parts = [built, maintenance(), above]
        if not is_alone:
            parts.append(models._builds(every))
        return dg.Definitions.merge(*parts)

    def _above(self, context: dg.ComponentLoadContext) -> list[dg.AssetsDefinition]:
        """The asset by which jobs build the models, and the report on them."""
        assert self._definition  # noqa: S101
        found = []
        if any(MODELS_TAG in spec.tags for spec in self._definition.specs):

            def build_due(run: dg.AssetExecutionContext) -> Iterator[Any]:
                with dbt_arguments_of(context.resolution_context):
                    yield from self.build(run, due_only=True)

            pool = self.op.pool if self.op else None
            after = [account.all_streams for account in self._streams]
            found.append(all_models(self._definition, build_due, pool, after, self._owners))
        if read := marts_read(self.dbt_project.project_dir):
            marts = {mart: self.asset_key_for_model(mart) for mart in read}
            found.append(pipeline_report(marts, self._owners))
        return found

    @property
    def _owners(self) -> Sequence[str]:
        """Those of the accounts, whose rows all models hold."""
        return list(dict.fromkeys(owner for one in self._streams for owner in one.owners))

    def _builds(self, every: timedelta) -> dg.Definitions:
        """The job that builds the models, and the sensor that starts it."""
        assert self._definition  # noqa: S101
        job = models_job()
        keys = {*self._definition.keys, ALL_MODELS}
        sensor = models_sensor(job, every=every, models=keys, ground=self._ground)
        return dg.Definitions(jobs=[job], sensors=[sensor])

    def _every(self) -> timedelta:
        try:
            return span(self.build_every)
        except ValueError as error:
            raise ConfigurationError([f"build_every of the dbt models: {error}."]) from None

    def _ground(self, db: duckdb.DuckDBPyConnection) -> str:
        """A digest of what the models are made of now."""
        found = ground(db, self.dbt_project, (), self._streams)
        parts = [f"{name} {content}" for name, content in sorted(found.streams.items())]
        return builds.digest(found.common, found.day, *parts)

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        """A model's asset. What reads a source depends on the stream of every account.

        Only streams have a freshness policy: Dagster would call a model late that has been left as
        it is because nothing below it has changed.
        """
        spec = super().get_asset_spec(manifest, unique_id, project)
        if unique_id.startswith("source."):
            keys = self._keys(spec.key)
            return spec.replace_attributes(key=keys[0]) if keys else spec
        spec = spec.merge_attributes(tags={JOB_TAG: ""})
        if any(node["package_name"] == SOURCE for node in manifest["nodes"].values()):
            # the jobs are on that asset's page
            built_by = {"built_by": dg.MetadataValue.asset(ALL_MODELS)}
            spec = spec.merge_attributes(
                tags={MODELS_TAG: ""}, metadata=built_by, owners=self._owners
            )
        node = manifest["nodes"][unique_id]
        name = location().table(node["schema"], node["alias"])
        spec = spec.merge_attributes(metadata={"dagster/table_name": name})
        deps = {key: dep for dep in spec.deps for key in self._keys(dep.asset_key)}
        return spec.replace_attributes(
            deps=[
                dg.AssetDep(key, partition_mapping=dep.partition_mapping)
                for key, dep in deps.items()
            ],
        )

    def get_asset_check_spec(
        self,
        asset_spec: dg.AssetSpec,
        manifest: Mapping[str, Any],
        unique_id: str,
        project: DbtProject | None,
    ) -> dg.AssetCheckSpec | None:
        """A test's check, with what the test says that it makes sure of."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec and spec._replace(description=manifest["nodes"][unique_id]["description"])

    def _keys(self, key: dg.AssetKey) -> list[dg.AssetKey]:
        """The assets that stand for a dependency: the streams, if it is a source's table."""
        of_accounts = [account.key(key.path[-1]) for account in self._streams]
        if key != dg.AssetKey([SOURCE, key.path[-1]]) and key not in of_accounts:
            return [key]
        stream = key.path[-1]
        return [a.key(stream) for a in self._streams if stream in a.source.enabled]

    def execute(self, context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:  # noqa: ARG002
        """Build the models that a run asks for; one of a job asks for those that are due."""
        run = context.run
        is_of_job = MODE_TAG in run.tags and not run.asset_selection
        yield from self.build(context, due_only=is_of_job)

    def build(self, context: dg.AssetExecutionContext, *, due_only: bool) -> Iterator[Any]:
        """Run dbt on the same database file that the streams land in, then describe its tables."""
        assert self._definition  # noqa: S101
        models = Models(
            project=self.dbt_project,
            definition=self._definition,
            accounts=self._streams,
            key_of=self.asset_key_for_model,
        )
        yield from build(models, self.get_cli_args(context), context, due_only=due_only)
        own = self._definition.keys
        show_in_ui(context.run, context.instance)
        try:
            clear_old_runs(
                context.instance,
                context.log,
                context.op_def.name,
                lambda run: is_build(run) or not own.isdisjoint(run.asset_selection or ()),
            )
        except KeepRunsError as error:
            raise failure(error, context) from None
