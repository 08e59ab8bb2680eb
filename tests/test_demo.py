"""The README's first commands, as a stranger runs them."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.workspace.load_target import WorkspaceFileTarget, get_origins_from_toml

from activecampaign_dagster import demo

ROOT = Path(__file__).parents[1]


PROJECT = ("activecampaign_dagster", "dbt_project", "dagster.yaml", "workspace.yaml")


def label(root: Path) -> str:
    """What the UI, started with the project's workspace, finds the runs of its jobs by."""
    (origin,) = WorkspaceFileTarget([str(root / "workspace.yaml")]).create_origins()
    assert isinstance(origin, ManagedGrpcPythonEnvCodeLocationOrigin)
    return RemoteRepositoryOrigin(origin, "__repository__").get_label()


@pytest.mark.slow
def test_the_demo_and_the_first_query_of_the_readme_work_beside_an_account_of_ones_own(
    tmp_path: Path,
) -> None:
    root, real = tmp_path / "Ana's é project", tmp_path / "real.duckdb"
    root.mkdir()
    for name in (*PROJECT, "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, root / name)
    (root / ".env").write_text(
        "ACTIVECAMPAIGN_URL=http://127.0.0.1:9\nACTIVECAMPAIGN_API_KEY=real\n"
        f"ACTIVECAMPAIGN_DATABASE={real}\n"
    )
    own = {key: value for key, value in os.environ.items() if "ACTIVECAMPAIGN" not in key}
    home = tmp_path / "of_a_real_account"
    home.mkdir()
    environment = {**own, "DAGSTER_HOME": str(home), "PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "activecampaign_dagster.demo", "--contacts", "300"]
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"custom_field_values\s*│ INCREMENTAL │\s+\d{3}", done.stdout)
    assert "New business" in done.stdout
    assert not real.exists()

    rows = re.findall(r"│ (\w+) +│ (?:INCREMENTAL|FULL_TABLE) +│ +(\d+) │ +(\d+) │", done.stdout)
    deleted = {stream: int(number) for stream, _, number in rows}
    assert deleted["deals"] or deleted["contacts"], "the full sync at the end shows deletions"
    hidden = re.search(r"(\d+) deals are hidden from the API key", done.stdout)
    assert hidden
    assert int(hidden[1])
    assert not any(home.iterdir()), "its runs are not among those of a real account"
    with dg.DagsterInstance.from_config(str(root / "data" / "demo" / "home")) as instance:
        for job, number in (("full_refresh", 2), ("incremental_sync", 1)):
            tags = {".dagster/repository": "__repository__@activecampaign_demo.definitions"}
            listed = dg.RunsFilter(job_name=f"activecampaign__{job}", tags=tags)
            assert len(instance.get_runs(listed)) == number, "the UI's page of the job lists them"

    readme = (ROOT / "README.md").read_text()
    query = re.search(r'python -c "(import|\n.*?)"\n```', readme, flags=re.DOTALL)
    assert query
    shown = subprocess.run(
        [sys.executable, "-c", query[1]], cwd=root, capture_output=True, text=True, check=True
    )
    assert "Renewals" in shown.stdout
    assert "New business" in (root / "data" / "demo_report.html").read_text()


def test_make_takes_a_python_that_suits_or_says_that_there_is_none(tmp_path: Path) -> None:
    command = [str(shutil.which("make")), f"VENV={tmp_path / 'venv'}", "demo"]

    def make(*options: str) -> str:
        return subprocess.run(
            [*command, *options],
            cwd=ROOT,
            env={"PATH": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        ).stdout

    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")  # as one that does not suit answers
    (tmp_path / "python3").chmod(0o755)
    assert "No Python from 3.11 to 3.13 was found" in make()
    (tmp_path / "python3.12").symlink_to(sys.executable)
    assert "python3.12 -m venv" in make("--dry-run")


def test_the_code_location_is_called_the_same_however_dagster_is_started() -> None:
    module = "activecampaign_dagster.definitions"
    assert label(ROOT) == f"__repository__@{module}"
    project = ROOT / "pyproject.toml"
    assert [origin.location_name for origin in get_origins_from_toml(str(project))] == [module]
    dg_names = tomllib.loads(project.read_text())["tool"]["dg"]["project"]
    assert dg_names["code_location_name"] == dg_names["code_location_target_module"] == module
    of_demo = tomllib.loads(demo._PROJECT["pyproject.toml"])["tool"]["dg"]["project"]
    assert of_demo["code_location_name"] == demo._MODULE, "or Dagster warns in every process"


@pytest.mark.slow
def test_a_demo_leaves_the_database_to_the_ui_that_is_using_it(tmp_path: Path) -> None:
    shutil.copytree(ROOT / PROJECT[0], tmp_path / PROJECT[0])
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    demo = [sys.executable, "-m", "activecampaign_dagster.demo", "--contacts", "60"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    database = tmp_path / "data" / "demo.duckdb"
    database.parent.mkdir()
    database.write_text("of an earlier demo")
    in_the_background = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]  # as shells start it there
    ui = subprocess.Popen(
        [*in_the_background, *demo, "--ui", "--port", port],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with ui:
        assert ui.stdout
        assert "Starting anew" in ui.stdout.readline()
        assert "Dagster UI" in ui.stdout.readline()
        database.write_text("in use")
        done = subprocess.run(
            demo, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        ui.terminate()
    assert done.returncode == 2
    assert "is using" in done.stderr
    assert "stop it first" in done.stderr.splitlines()[-1]
    assert database.read_text() == "in use"


def test_a_port_that_is_taken_is_said_before_anything_begins(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        monkeypatch.setattr(sys, "argv", ["demo", "--ui", "--port", port])
        with pytest.raises(SystemExit) as ended:
            demo.main()
    assert ended.value.code == 2
    assert f"port {port} cannot be used" in capsys.readouterr().err
