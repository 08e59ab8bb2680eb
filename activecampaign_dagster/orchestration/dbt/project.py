"""The dbt project as this project runs it: its manifest, made whenever its files have changed."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from dagster_dbt import DbtProject

from activecampaign_dagster.orchestration.dbt import artefacts
from activecampaign_dagster.orchestration.dbt.ground import signature
from activecampaign_dagster.orchestration.resources import location
from activecampaign_dagster.orchestration.shipped import shipped


def own_project() -> DbtProject:
    """The dbt project of this package."""
    return DbtProject(shipped("dbt_project"))


def put_dbt_on_path() -> None:
    """Let dagster-dbt find a dbt, which it insists on; what is run is another (see `runner`)."""
    if shutil.which("dbt") is None:
        here = str(Path(sys.executable).parent)
        os.environ["PATH"] = os.pathsep.join([here, os.environ.get("PATH", "")])


def beside_data(project: DbtProject) -> DbtProject:
    """The project, with its artefacts beside the database that the streams land in."""
    return artefacts.beside(location(), project)


def prepare_manifest(project: DbtProject) -> None:
    """Parse the dbt project if its manifest does not reflect its files.

    Raises ProjectError if dbt cannot read it.
    """
    os.environ.update(location().environment)
    # with the folder, as dbt reads a seed's rows from where it was when the project was read
    of = f"{project.project_dir}\n{signature(project.project_dir)}\n"
    if artefacts.is_parsed(project, of):
        return
    # dbt takes 0.6 s to import, and projects seldom change
    from activecampaign_dagster.orchestration.dbt import runner  # noqa: PLC0415

    runner.parse(project, of)
