"""A Dagster component: the dbt models on top of the streams."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import DbtCliResource, DbtProject, DbtProjectComponent
from dagster_dbt.errors import DagsterDbtCliRuntimeError
from packaging.version import Version

from activecampaign_dagster.components.mistakes import ConfigurationError
from activecampaign_dagster.components.source import accounts
from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.dbt_metadata import Described, Relation
from activecampaign_dagster.orchestration.failures import (
    PlainFailure,
    dbt_failure,
    dbt_reasons,
    failure,
)
from activecampaign_dagster.orchestration.freshness import freshness_policy
from activecampaign_dagster.orchestration.resources import DATABASE_VARIABLE, database_path
from activecampaign_dagster.sync.source import SCHEMA
from activecampaign_dagster.sync.warehouse import WarehouseError, connect

_MEMORY_VARIABLE = "ACTIVECAMPAIGN_DBT_MEMORY"
SOURCE = "activecampaign"  # the dbt source whose tables are the streams


class _Dbt(DbtCliResource):
    """dbt without what takes Dagster 4 s of CPU in each run: it asks dbt's command for its version,
    and reads all macros for a connection that nothing here uses."""

    @cached_property
    def _cli_version(self) -> Version:
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, _args: Sequence[str]) -> None:  # type: ignore[override]
        return None


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
        """A model's asset. What reads a source depends on the stream of every account.

        A model is as fresh as the syncs of the accounts it is made of.
        """
        spec = super().get_asset_spec(manifest, unique_id, project)
        if unique_id.startswith("source."):
            keys = self._keys(spec.key)
            return spec.replace_attributes(key=keys[0]) if keys else spec
        streams = _streams_read(manifest, unique_id)
        read = [account for account in self._streams if streams & account.source.enabled]
        deps = {key: dep for dep in spec.deps for key in self._keys(dep.asset_key)}
        return spec.replace_attributes(
            deps=[
                dg.AssetDep(key, partition_mapping=dep.partition_mapping)
                for key, dep in deps.items()
            ],
            freshness_policy=freshness_policy(*read),
        )

    def get_asset_check_spec(
        self,
        asset_spec: dg.AssetSpec,
        manifest: Mapping[str, Any],
        unique_id: str,
        project: DbtProject | None,
    ) -> dg.AssetCheckSpec | None:
        """A test's check, described: most tests are a generic one and what it is applied to."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec and spec._replace(description=_about_test(manifest, unique_id))

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
        _check_memory()
        try:
            with connect(database_path()):  # which mends what a killed process may have left
                pass
        except WarehouseError as error:
            raise failure(error, context) from None
        dbt = _Dbt(project_dir=self.dbt_project)  # type: ignore[arg-type]
        run = dbt.cli(self.get_cli_args(context), context=context)
        events: list[Any] = []
        try:
            events.extend(run.stream())
        except DagsterDbtCliRuntimeError as error:
            raise dbt_failure(error, run.target_path / "dbt.log") from None
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
        with warnings.catch_warnings():
            # dagster-dbt gives two for each model: that it uses what is in beta
            warnings.simplefilter("ignore", dg.BetaWarning)
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


def _streams_read(manifest: Mapping[str, Any], unique_id: str) -> set[str]:
    """The streams that a node is made of, directly or through others."""
    seen = {unique_id}
    waiting = [unique_id]
    while waiting:
        new = set(manifest["parent_map"].get(waiting.pop(), [])) - seen
        seen |= new
        waiting += new
    prefix = f"source.{manifest['metadata']['project_name']}.{SOURCE}."
    return {node.removeprefix(prefix) for node in seen if node.startswith(prefix)}


def _about_test(manifest: Mapping[str, Any], unique_id: str) -> str:
    """What a dbt test makes sure of."""
    test = manifest["nodes"][unique_id]
    generic = test.get("test_metadata")
    if test["description"] or not generic:
        return str(test["description"])
    macro = f"test_{generic['name']}"
    macros = [manifest["macros"][each] for each in test["depends_on"]["macros"]]
    meaning = next((m["description"] for m in macros if m["name"] == macro), "")
    # dbt's own have no description
    meaning = meaning or f"{generic['name'].replace('_', ' ').capitalize()}."
    applied = [f"{k}: {v}" for k, v in generic["kwargs"].items() if k != "model"]
    return f"{meaning} {'; '.join(applied)}."


def _put_dbt_on_path() -> None:
    """Let dagster-dbt find the dbt of this environment, activated or not."""
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
        raise PlainFailure(
            f"{_MEMORY_VARIABLE} is {limit!r}, which is no size: set it to one such as '2GB'.",
            permanent=True,
        ) from None


def prepare_manifest(project: DbtProject) -> None:
    """Parse the dbt project if its manifest does not reflect its files or the database.

    Raises ConfigurationError if dbt cannot read it.
    """
    os.environ[DATABASE_VARIABLE] = str(database_path())
    manifest = project.manifest_path
    is_current = manifest.exists() and manifest.stat().st_mtime > _newest(project.project_dir)
    # the manifest names tables in full, and DuckDB calls a database by its file's name
    if is_current and f'"database": "{database_path().stem}"' in manifest.read_text("utf-8"):
        return
    try:
        project.preparer.prepare(project)
    except DagsterDbtCliRuntimeError as error:
        reasons = "\n    ".join(dbt_reasons(error))
        raise ConfigurationError(
            [f"{project.project_dir}: dbt cannot read the project.\n    {reasons}"]
        ) from error


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
