"""A Dagster component: the dbt models on top of the streams."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject, DbtProjectComponent

from activecampaign_dagster.components.source import accounts
from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.dbt_metadata import Described, Relation
from activecampaign_dagster.orchestration.resources import DATABASE_VARIABLE, database_path
from activecampaign_dagster.sync.source import SCHEMA
from activecampaign_dagster.sync.warehouse import connect

SOURCE = "activecampaign"  # the dbt source whose tables are the streams


class DbtModels(DbtProjectComponent):
    """The dbt project's models, seeds, snapshots and tests as assets and asset checks.

    Unlike its base it parses the project whenever the manifest is missing or older than the
    project's files, so that a fresh clone works in every way Dagster is started.
    """

    _streams: Sequence[Account] = ()

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The assets, from a manifest that is up to date."""
        self._streams = [one.account() for one in accounts(context)]
        _put_dbt_on_path()
        prepare_manifest(self.dbt_project)
        return self.build_defs_from_state(context, None)

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        """A model's asset. What reads a source depends on the stream of every account."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        if unique_id.startswith("source."):
            keys = self._keys(spec.key)
            return spec.replace_attributes(key=keys[0]) if keys else spec
        deps = {key: dep for dep in spec.deps for key in self._keys(dep.asset_key)}
        return spec.replace_attributes(
            deps=[
                dg.AssetDep(key, partition_mapping=dep.partition_mapping)
                for key, dep in deps.items()
            ]
        )

    def _keys(self, key: dg.AssetKey) -> list[dg.AssetKey]:
        """The assets that stand for a dependency: the streams, if it is a source's table."""
        of_accounts = [account.key(key.path[-1]) for account in self._streams]
        if key != dg.AssetKey([SOURCE, key.path[-1]]) and key not in of_accounts:
            return [key]
        stream = key.path[-1]
        return [a.key(stream) for a in self._streams if stream in a.source.enabled]

    def execute(self, context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        """Run dbt on the same database file that the streams land in, then describe its tables."""
        os.environ[DATABASE_VARIABLE] = str(database_path())
        run = dbt.cli(self.get_cli_args(context), context=context)
        events: list[Any] = []
        try:
            events.extend(run.stream())
        finally:
            if any(isinstance(event, dg.Output) for event in events):
                results = run.get_artifact("run_results.json")["results"]
                with connect(database_path(), read_only=True) as db:
                    yield from Described(
                        nodes=run.manifest["nodes"],
                        compiled={each["unique_id"]: each["compiled_code"] for each in results},
                        keys=self._relations(run.manifest["nodes"]),
                        db=db,
                        log=context.log,
                    ).events(events)

    def _relations(self, nodes: Mapping[str, Any]) -> dict[Relation, dg.AssetKey]:
        """The tables that are assets: dbt's and the streams'."""
        made = {
            (node["schema"], node["alias"]): self.asset_key_for_model(node["name"])
            for node in nodes.values()
            if node["resource_type"] in {"model", "seed", "snapshot"}
        }
        landed = {
            (SCHEMA, target.table): account.key(target.name)
            for account in self._streams
            for target in account.enabled
        }
        return {**made, **landed}


def _put_dbt_on_path() -> None:
    """Let dagster-dbt find the dbt of this environment, activated or not."""
    if shutil.which("dbt") is None:
        here = str(Path(sys.executable).parent)
        os.environ["PATH"] = os.pathsep.join([here, os.environ.get("PATH", "")])


def prepare_manifest(project: DbtProject) -> None:
    """Parse the dbt project if its manifest does not reflect its files or the database."""
    os.environ[DATABASE_VARIABLE] = str(database_path())
    manifest = project.manifest_path
    is_current = manifest.exists() and manifest.stat().st_mtime > _newest(project.project_dir)
    # the manifest names tables in full, and DuckDB calls a database by its file's name
    if is_current and f'"database": "{database_path().stem}"' in manifest.read_text("utf-8"):
        return
    project.preparer.prepare(project)


def _newest(folder: Path) -> float:
    """When the newest of the project's own files was changed, in seconds since 1970."""
    generated = {"target", "logs"}
    return max(
        path.stat().st_mtime
        for child in folder.iterdir()
        if child.name not in generated
        for path in ([child] if child.is_file() else child.rglob("*"))
        if path.is_file()
    )
