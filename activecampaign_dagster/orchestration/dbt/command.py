"""dbt as it is run here: which program, in what environment, and where its artefacts are put.

Nothing of it is found by chance: another dbt on the PATH, the settings of another project in DBT_*
variables, and a project folder that cannot be written make no difference.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliInvocation, DbtProject

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.orchestration.dagster_internals import LeanDbt
from activecampaign_dagster.warehouse.private import SharingError, make_folder

# Of runs: 3 MB each. The last one that failed is kept as well.
_KEPT_RUNS = 5
_GRACE = 2.0  # seconds in which a dbt that is to stop may do so by itself
_FAILED = "failed"  # a file that marks a run's artefacts
_PARSED = ("partial_parse.msgpack", "manifest.json")
_changing_environment = threading.Lock()


class ProjectError(ActiveCampaignError):
    """The dbt project cannot be read; the message says why."""

    is_permanent = True


def beside(database: Path, project: DbtProject) -> DbtProject:
    """The project, with its artefacts in a folder beside the database.

    There they can always be written, and two databases of one project do not share them.
    """
    return DbtProject(
        project.project_dir,
        target_path=database.with_name(f"{database.name}.dbt"),
        profiles_dir=project.profiles_dir,
        profile=project.profile,
        target=project.target,
        packaged_project_dir=project.packaged_project_dir,
        state_path=project.state_path,
    )


def parse(project: DbtProject) -> None:
    """Make the manifest anew; both it and what dbt has read appear at once and whole.

    Raises ProjectError if there is no dbt or no room for the manifest, and what dbt raises.
    """
    folder = project.target_path
    place = folder / f"parse-{uuid4().hex[:8]}"
    try:
        make_folder(place)
    except SharingError as error:
        raise ProjectError(str(error)) from error
    except OSError as error:
        raise ProjectError(
            f"The folder {folder} for dbt's artefacts cannot be written ({error.strerror}): set "
            "ACTIVECAMPAIGN_DATABASE to a path in a folder that can be written."
        ) from error
    try:
        start(project, ["parse", "--quiet"], place).wait()
        for name in _PARSED:
            (place / name).replace(folder / name)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def run_folder(project: DbtProject, run_id: str) -> Path:
    """A new folder for the artefacts of a run; those of old runs are removed."""
    runs = project.target_path / "runs"
    place = runs / f"{run_id[:8]}-{uuid4().hex[:8]}"
    make_folder(place)
    _remove_old(runs)
    return place


def mark_failed(run: Path) -> None:
    """Keep the artefacts of a run until another one fails."""
    with suppress(OSError):
        (run / _FAILED).touch()


def _remove_old(runs: Path) -> None:
    """Leave the last few runs and the last one that failed."""
    newest_first = sorted(runs.iterdir(), key=lambda run: run.stat().st_mtime, reverse=True)
    failed = [run for run in newest_first if (run / _FAILED).exists()]
    for run in newest_first[_KEPT_RUNS:]:
        if run not in failed[:1]:
            shutil.rmtree(run, ignore_errors=True)


def start(
    project: DbtProject,
    args: Sequence[str],
    artefacts: Path,
    context: dg.AssetExecutionContext | None = None,
    about: tuple[Mapping[str, Any], DagsterDbtTranslator] | None = None,
) -> DbtCliInvocation:
    """A command of dbt in a process of its own. Raises ProjectError if there is no dbt.

    context: of a step that chooses what is run. about: else the manifest, and how it is read.
    """
    manifest, translator = about or (None, None)
    dbt = LeanDbt(project_dir=project, dbt_executable=_program())  # type: ignore[arg-type]
    # dagster-dbt takes from there what dbt has read of the project
    with _dbt_variables(DBT_TARGET_PATH=str(project.target_path)):
        run = dbt.cli(
            args,
            manifest=manifest,
            dagster_dbt_translator=translator,
            context=context,
            target_path=artefacts,
        )
    run.project = project
    run.termination_timeout_seconds = _GRACE
    return run


def end(run: DbtCliInvocation) -> None:
    """End a dbt that is still at work: it is asked to, then killed."""
    for number in (signal.SIGINT, signal.SIGKILL):
        if run.process.poll() is None:
            run.process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                run.process.wait(_GRACE)


def _program() -> str:
    """The dbt that was installed with this Python."""
    places = [str(Path(sys.executable).parent), sysconfig.get_path("scripts")]
    program = shutil.which("dbt", path=os.pathsep.join(places))
    if program is None:
        raise ProjectError(
            f"There is no dbt in {places[0]}, where Python is: install this project's requirements "
            "there (pip install activecampaign-dagster)."
        )
    return program


@contextmanager
def _dbt_variables(**ours: str) -> Iterator[None]:
    """Let a process begin with no other DBT_* variables than these.

    The others may be another project's, and come back: it may be in this process, too.
    """
    with _changing_environment:
        theirs: dict[str, Any] = {
            name: os.environ.pop(name) for name in list(os.environ) if name.startswith("DBT_")
        }
        os.environ.update(ours)
        try:
            yield
        finally:
            for name in ours:
                del os.environ[name]
            os.environ.update(theirs)
