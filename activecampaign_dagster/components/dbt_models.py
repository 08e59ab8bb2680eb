"""A Dagster component: the dbt models on top of the streams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject, DbtProjectComponent

from activecampaign_dagster.components.errors import ConfigurationError
from activecampaign_dagster.components.source import accounts
from activecampaign_dagster.orchestration.account import MODELS_TAG, Account
from activecampaign_dagster.orchestration.dbt.artefacts import ProjectError
from activecampaign_dagster.orchestration.dbt.build import build
from activecampaign_dagster.orchestration.dbt.project import (
    beside_data,
    prepare_manifest,
    put_dbt_on_path,
)
from activecampaign_dagster.orchestration.failures import failure
from activecampaign_dagster.orchestration.old_runs import KeepRunsError, clear_old_runs

SOURCE = "activecampaign"  # the dbt source whose tables are the streams


class DbtModels(DbtProjectComponent):
    """The dbt project's models, seeds, snapshots and tests as assets and asset checks.

    Unlike its base it parses the project whenever the manifest is missing or older than the
    project's files, so that a fresh clone works in every way Dagster is started.
    """

    _streams: Sequence[Account] = ()

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The assets, from a manifest that is up to date."""
        put_dbt_on_path()
        models = replace(self, project=beside_data(self.dbt_project))
        models._streams = [one.account() for one in accounts(context)]
        try:
            prepare_manifest(models.dbt_project)
        except ProjectError as error:
            raise ConfigurationError([str(error)]) from error
        return models.build_defs_from_state(context, None)

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
        if manifest["nodes"].get(unique_id, {}).get("package_name") == SOURCE:
            spec = spec.merge_attributes(tags={MODELS_TAG: ""})
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
        """Run dbt on the same database file that the streams land in, then describe its tables."""
        yield from build(
            self.dbt_project,
            self.get_cli_args(context),
            context,
            accounts=self._streams,
            key_of=self.asset_key_for_model,
        )
        own = context.assets_def.keys
        try:
            clear_old_runs(
                context.instance,
                context.log,
                context.op_def.name,
                lambda run: not own.isdisjoint(run.asset_selection or ()),
            )
        except KeepRunsError as error:
            raise failure(error, context) from None
