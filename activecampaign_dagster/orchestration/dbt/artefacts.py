"""Where dbt's artefacts are put: beside the database, those of each run in a folder of its own."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from dagster_dbt import DbtProject

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.warehouse.location import Location
from activecampaign_dagster.warehouse.private import make_folder

# Of runs: about 4 MB each. The last one that failed is kept as well.
_KEPT_RUNS = 5
_FAILED = "failed"  # a file that marks a run's artefacts
READ = "partial_parse.msgpack"  # what dbt has read
MERGED = "merged.msgpack"  # the same, as it is run
OF = "read.sha256"  # of what was read, and by which dbt
MANIFEST = "manifest.json"


class ProjectError(ActiveCampaignError):
    """The dbt project cannot be read; the message says why."""

    is_permanent = True


def beside(location: Location, project: DbtProject) -> DbtProject:
    """The project, with its artefacts in a folder beside the database.

    There they can always be written, and two databases of one project do not share them.
    """
    return DbtProject(
        project.project_dir,
        target_path=location.folder("dbt"),
        profiles_dir=project.profiles_dir,
        profile=project.profile,
        target=project.target,
        packaged_project_dir=project.packaged_project_dir,
        state_path=project.state_path,
    )


def is_parsed(project: DbtProject, of: str) -> bool:
    """Whether there is all that `runner.parse` makes, of what has that signature."""
    folder = project.target_path
    try:
        is_same = (folder / OF).read_text() == of
    except OSError:
        return False
    return is_same and all((folder / name).exists() for name in (READ, MERGED, MANIFEST))


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
