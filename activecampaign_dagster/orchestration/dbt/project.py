"""The dbt project as this project runs it: its manifest, made whenever its files have changed."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from dagster_dbt import DbtProject

from activecampaign_dagster.orchestration.dbt import artefacts
from activecampaign_dagster.orchestration.dbt.ground import own_files
from activecampaign_dagster.orchestration.resources import DATABASE_VARIABLE, database_path


def put_dbt_on_path() -> None:
    """Let dagster-dbt find a dbt, which it insists on; another one is run (see `command`)."""
    if shutil.which("dbt") is None:
        here = str(Path(sys.executable).parent)
        os.environ["PATH"] = os.pathsep.join([here, os.environ.get("PATH", "")])


def beside_data(project: DbtProject) -> DbtProject:
    """The project, with its artefacts beside the database that the streams land in."""
    return artefacts.beside(database_path(), project)


def prepare_manifest(project: DbtProject) -> None:
    """Parse the dbt project if its manifest does not reflect its files.

    Raises ProjectError if dbt cannot read it.
    """
    os.environ[DATABASE_VARIABLE] = str(database_path())
    if _is_current(project):
        return
    # dbt takes 0.6 s to import, and projects seldom change
    from activecampaign_dagster.orchestration.dbt import runner  # noqa: PLC0415

    runner.parse(project)


def _is_current(project: DbtProject) -> bool:
    """Whether the manifest is of this project's files, in the folder where they are now."""
    manifest = project.manifest_path
    if not artefacts.is_parsed(project) or manifest.stat().st_mtime <= _newest(project.project_dir):
        return False
    return _seed_folder(project) in manifest.read_text("utf-8")


def _seed_folder(project: DbtProject) -> str:
    # dbt reads a seed's rows from where it was when the project was read
    return f'"root_path": {json.dumps(str(project.project_dir))}'


def _newest(folder: Path) -> float:
    """The time of the last change to the project's own files, in seconds since 1970."""
    return max(path.stat().st_mtime for path in own_files(folder))
