"""A Dagster component: the dbt models on top of the streams."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject, DbtProjectComponent

from activecampaign_dagster.orchestration.resources import DATABASE_VARIABLE, database_path


class DbtModels(DbtProjectComponent):
    """The dbt project's models, seeds, snapshots and tests as assets and asset checks.

    Unlike its base it parses the project whenever the manifest is missing or older than the
    project's files, so that a fresh clone works in every way Dagster is started.
    """

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The assets, from a manifest that is up to date."""
        _put_dbt_on_path()
        prepare_manifest(self.dbt_project)
        return self.build_defs_from_state(context, None)

    def execute(self, context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        """Run dbt on the same database file that the streams land in."""
        os.environ[DATABASE_VARIABLE] = str(database_path())
        yield from super().execute(context, dbt)


def _put_dbt_on_path() -> None:
    """Let dagster-dbt find the dbt of this environment, activated or not."""
    if shutil.which("dbt") is None:
        here = str(Path(sys.executable).parent)
        os.environ["PATH"] = os.pathsep.join([here, os.environ.get("PATH", "")])


def prepare_manifest(project: DbtProject) -> None:
    """Parse the dbt project if its manifest does not reflect its files."""
    manifest = project.manifest_path
    if manifest.exists() and manifest.stat().st_mtime > _newest(project.project_dir):
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
