"""dbt finds nothing by chance: which program runs, what it is told, where it writes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from dagster_dbt import DbtProject
from dbt.adapters.duckdb.connections import DuckDBConnectionManager

from activecampaign_dagster.components.errors import ConfigurationError
from activecampaign_dagster.orchestration.dbt import artefacts, ground
from activecampaign_dagster.warehouse.location import locate
from tests.components.projects import DBT, load, project
from tests.orchestration.setup import environment, failure

ROOT = Path(__file__).parents[3]
# all that a seed and a calendar need: dbt takes long to read the rest
UNREAD = ("target", "logs", "staging", "intermediate", "semantics", "snapshots", "singular")
UNREAD = (*UNREAD, "sales", "marketing", "overview.md")

pytestmark = [
    pytest.mark.slow,
    # dagster-dbt itself calls what Dagster has deprecated
    pytest.mark.filterwarnings("ignore::DeprecationWarning:dagster"),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dbt project: a seed and a model that needs no stream."""
    folder = tmp_path_factory.mktemp("models") / "dbt_project"
    shutil.copytree(ROOT / "dbt_project", folder, ignore=shutil.ignore_patterns(*UNREAD))
    return folder


def definitions(root: Path, models: Path) -> dg.Definitions:
    root.mkdir(exist_ok=True)
    return load(root, {"dbt": DBT.format(models)}, activecampaign="streams: [deals]")


def run(loaded: dg.Definitions, *, fails: bool = False) -> str:
    """What a run says that builds the model and the seed; fails the test if it fails."""
    assets = [dg.AssetKey(["marts", "calendar"]), dg.AssetKey(["seeds", "currency_decimals"])]
    with dg.DagsterInstance.ephemeral() as instance:
        result = loaded.resolve_job_def("__ASSET_JOB").execute_in_process(
            instance=instance, raise_on_error=False, asset_selection=assets
        )
    said = "" if result.success else failure(result)
    assert result.success is not fails, said
    return said


def is_built(database: Path) -> bool:
    with duckdb.connect() as db:
        db.execute(f"attach '{database}' as built (read_only)")
        [rows] = db.execute("select count(*) from built.marts.calendar").fetchone() or (0,)
    return rows > 8000


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    with environment(monkeypatch, tmp_path):
        yield tmp_path / "warehouse.duckdb"


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Another dbt and another project's settings, as a shell may have them."""
    other = tmp_path / "other"
    other.mkdir()
    for program in ("dbt", "dbtf"):
        (other / program).write_text(f"#!/bin/sh\ntouch {other}/called\nexit 1\n")
        (other / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{other}{os.pathsep}{os.environ['PATH']}")
    (other / "profiles.yml").write_text("other: {target: prod, outputs: {}}")
    for name, value in {
        "TARGET": "prod",
        "PROFILE": "other",
        "PROFILES_DIR": str(other),
        "PROJECT_DIR": str(other),
        "TARGET_PATH": str(other / "target"),
        "LOG_PATH": str(other / "logs"),
        "VARS": "{as_of: never}",
        "DEFER": "true",
        "STATE": str(other),
        "FAIL_FAST": "true",
        "EMPTY": "true",
        "FULL_REFRESH": "not a boolean",
        "WARN_ERROR": "true",
        "LOG_LEVEL": "none",
        "ENGINE_TARGET_PATH": str(other / "engine"),
    }.items():
        monkeypatch.setenv(f"DBT_{name}", value)
    return other


def test_neither_another_dbt_nor_the_settings_of_another_project_make_a_difference(
    elsewhere: Path, database: Path, models: Path
) -> None:
    before = {name: value for name, value in os.environ.items() if name.startswith("DBT_")}
    run(definitions(database.parent / "home", models))
    assert is_built(database)
    assert {path.name for path in elsewhere.iterdir()} == {"dbt", "dbtf", "profiles.yml"}
    after = {name: value for name, value in os.environ.items() if name.startswith("DBT_")}
    assert after == before  # they are another component's, perhaps


def test_artefacts_lie_beside_the_database_and_nothing_is_written_to_the_project(
    database: Path, models: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in models.rglob("*")}
    loaded = definitions(database.parent / "home", models)
    manifest = Path(f"{database}.dbt") / "manifest.json"
    was = manifest.stat().st_mtime_ns
    run(loaded)
    definitions(database.parent / "again", models)
    assert manifest.stat().st_mtime_ns == was  # read once
    assert {path: path.stat().st_mtime_ns for path in models.rglob("*")} == before
    [of_run] = (manifest.parent / "runs").iterdir()
    assert (of_run / "dbt.log").exists()
    assert json.loads((of_run / "run_results.json").read_text())["results"]
    assert {path.name for path in manifest.parent.iterdir()} == {
        *("manifest.json", "partial_parse.msgpack", "merged.msgpack", "read.sha256", "runs")
    }


def test_a_build_prints_its_models_and_no_tests_that_pass(
    database: Path, models: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    loaded = definitions(database.parent / "home", models)
    capfd.readouterr()
    run(loaded)
    said = capfd.readouterr().out
    assert "START sql table model marts.calendar" in said
    assert "OK created sql table model marts.calendar" in said
    assert " test " not in said
    assert "PASS calendar" not in said
    [of_run] = Path(f"{database}.dbt", "runs").iterdir()
    assert "PASS calendar_rules" in (of_run / "dbt.log").read_text()


def test_all_that_a_build_writes_is_its_owners_alone_in_a_project_that_narrows_no_umask(
    database: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide, seen = set(), set()

    def look() -> None:
        written = [*database.parent.glob("warehouse*"), *Path(f"{database}.dbt").rglob("*")]
        seen.update(path.name for path in written)
        wide.update(path.name for path in written if path.stat().st_mode & 0o077)

    close = DuckDBConnectionManager.close_all_connections

    def look_before_closing() -> None:
        look()
        close()

    monkeypatch.setattr(DuckDBConnectionManager, "close_all_connections", look_before_closing)
    source = "{streams: [deals]}"
    with project(database.parent, {"dbt": DBT.format(models)}, activecampaign=source) as own:
        (own / "defs" / "jobs.py").unlink()
        os.umask(0o022)
        run(dg.load_from_defs_folder(path_within_project=own))
    look()
    assert {"warehouse.duckdb", "warehouse.duckdb.wal", "dbt.log", "manifest.json"} <= seen
    assert wide == set()


def test_what_another_version_of_dbt_has_read_is_read_anew(
    database: Path,
    models: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ground, "version", lambda _: "1.0.0")
        definitions(database.parent / "home", models)
    merged = Path(f"{database}.dbt") / "merged.msgpack"
    merged.write_bytes(b"of another dbt")
    run(definitions(database.parent / "again", models))
    assert is_built(database)
    assert "partial parsing" not in capsys.readouterr().out  # reading the project is no news


def test_a_file_that_is_gone_and_a_variable_that_was_set_are_noticed(
    database: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = tmp_path / "models"
    shutil.copytree(models, copied)
    shared = copied / "models" / "marts" / "shared"
    (shared / "gone.sql").write_text("select 1 as one")
    (shared / "said.sql").write_text('select \'{{ env_var("SAID", "x") }}\' as said')

    manifest = Path(f"{database}.dbt") / "manifest.json"

    def assets(home: str) -> set[str]:
        definitions(tmp_path / home, copied)
        return {node["name"] for node in json.loads(manifest.read_text())["nodes"].values()}

    assert {"gone", "said"} <= assets("first")
    (shared / "gone.sql").unlink()
    assert "gone" not in assets("second")
    before = manifest.stat().st_mtime_ns
    monkeypatch.setenv("SAID", "y")
    assets("third")
    assert manifest.stat().st_mtime_ns != before


def test_a_project_that_was_moved_is_read_anew(database: Path, models: Path) -> None:
    first = database.parent / "first"
    shutil.copytree(models, first)
    definitions(database.parent / "home", first)
    second = first.rename(database.parent / "second")
    run(definitions(database.parent / "again", second))
    assert is_built(database)


@pytest.mark.parametrize("name", ["temp", "main", "system", "it's #1"])
def test_a_database_may_have_any_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, models: Path, name: str
) -> None:
    monkeypatch.setenv("ACTIVECAMPAIGN_DATABASE", str(tmp_path / f"{name}.duckdb"))
    run(definitions(tmp_path / "home", models))
    (tmp_path / f"{name}.duckdb").rename(tmp_path / "renamed.duckdb")
    assert is_built(tmp_path / "renamed.duckdb")


UNPRIVILEGED = """
import sys
from pathlib import Path
from tests.orchestration.dbt.test_runner import definitions, run
folder = Path(sys.argv[1])
try:
    (folder / "dbt_project" / "target").mkdir()
except OSError:
    run(definitions(folder / "data" / "home", folder / "dbt_project"))
else:
    raise SystemExit("the project can be written")
"""


NOBODY = ["--reuid=65534", "--regid=65534", "--clear-groups"]
# which lets it read this Python where it, or a folder that it lies in, is root's
NOBODY += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
NOBODY += ["--securebits=+no_setuid_fixup"]  # else access(2) does not count it


@pytest.mark.skipif(
    os.name == "nt" or os.geteuid() != 0 or not shutil.which("setpriv"),
    reason="only root can be another user",
)
def test_a_user_without_a_name_or_a_home_builds_a_project_that_it_cannot_write(
    models: Path,
) -> None:
    """As in an image whose files are root's."""
    with tempfile.TemporaryDirectory() as made:  # pytest's own folders are closed to others
        folder = Path(made)
        folder.chmod(0o755)
        shutil.copytree(models, folder / "dbt_project")
        (folder / "data").mkdir()
        os.chown(folder / "data", 65534, 65534)
        ran = subprocess.run(
            ["setpriv", *NOBODY, "--", sys.executable, "-B", "-c", UNPRIVILEGED, folder],
            cwd=ROOT,
            env={
                "ACTIVECAMPAIGN_DATABASE": str(folder / "data" / "warehouse.duckdb"),
                "HOME": "/nonexistent",
                "PATH": "/usr/bin:/bin",
                "TMPDIR": str(folder / "data"),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
        assert is_built(folder / "data" / "warehouse.duckdb")


def test_a_folder_for_artefacts_that_cannot_be_made_is_a_mistake_with_what_to_do(
    database: Path, models: Path
) -> None:
    Path(f"{database}.dbt").write_text("a file")
    with pytest.raises(ConfigurationError) as raised:
        definitions(database.parent / "home", models)
    said = str(raised.value)
    assert f"{database}.dbt" in said
    assert "set ACTIVECAMPAIGN_DATABASE to a path in a folder that can be written" in said


def test_the_artefacts_of_the_last_runs_and_of_the_last_failed_one_are_kept(
    tmp_path: Path, models: Path
) -> None:
    location = locate("", tmp_path / "warehouse.duckdb")
    project = artefacts.beside(location, DbtProject(models))
    made = []
    for number in range(20):
        made.append(artefacts.run_folder(project, f"{number:08}-run"))
        os.utime(made[-1], (number, number))
        if number in {3, 8}:
            artefacts.mark_failed(made[-1])
            os.utime(made[-1], (number, number))
    kept = {path for path in made if path.exists()}
    assert kept == {made[8], *made[15:]}
