"""The wheel in a Dagster project that Dagster's own scaffold has made, as the README tells it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from activecampaign_dagster import __version__
from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.server import Sandbox

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@dataclass
class Project:
    """A project, and the environment in which the wheel is installed."""

    folder: Path
    bin: Path
    sandbox: Sandbox

    def run(self, command: str, *arguments: str, folder: Path | None = None) -> str:
        """What a command of the environment prints; it must succeed."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ACTIVE", "DAGSTER"))}
        environment = {
            **{k: v for k, v in inherited.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}},
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "ACTIVECAMPAIGN_URL": self.sandbox.url,
            "ACTIVECAMPAIGN_API_KEY": self.sandbox.api_key,
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "COLUMNS": "200",
        }
        done = subprocess.run(
            [str(self.bin / command), *arguments],
            cwd=folder or self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=1800,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    @property
    def installed(self) -> set[Path]:
        """The files of the package in site-packages, compiled ones apart."""
        [package] = self.bin.parent.glob("lib/*/site-packages/activecampaign_dagster")
        return {path for path in package.rglob("*") if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The README's steps up to `dg scaffold defs`."""
    folder = tmp_path_factory.mktemp("own")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    [wheel] = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=True)
    account = Account.generate(contacts=60, deals=40, field_values=120, years=1, campaign_count=5)
    with Sandbox(account, requests_per_second=None) as sandbox:
        made = Project(folder / "shop", folder / "venv" / "bin", sandbox)
        pip = ("-m", "pip", "install", "-q", "--no-compile", "-c", str(ROOT / "constraints.txt"))
        made.run("python", *pip, str(wheel), "dagster-dg-cli", folder=folder)
        scaffold = [str(Path(sys.executable).with_name("create-dagster")), "project", "shop"]
        made.run(*scaffold, "--no-uv-sync", folder=folder)  # which would fetch other versions
        made.run("python", *pip, "--no-deps", "-e", ".")
        for component, name in (("ActiveCampaignSource", "crm"), ("DbtModels", "crm_models")):
            made.run("dg", "scaffold", "defs", f"activecampaign_dagster.{component}", name)
        source = made.folder / "src" / "shop" / "defs" / "crm" / "defs.yaml"
        source.write_text(f"{source.read_text().rstrip()}\n  requests_per_second: 0\n")
        yield made


def test_the_components_are_listed(project: Project) -> None:
    listed = json.loads(project.run("dg", "list", "components", "--json"))["items"]
    names = {one["key"] for one in listed if one["key"].startswith("activecampaign_dagster.")}
    assert names == {
        "activecampaign_dagster.ActiveCampaignAccounts",
        "activecampaign_dagster.ActiveCampaignSource",
        "activecampaign_dagster.DbtModels",
    }


def test_one_sync_and_the_models_work_and_leave_site_packages_alone(project: Project) -> None:
    before = project.installed
    project.run("dg", "check", "defs")
    project.run("dg", "check", "yaml")
    checked = project.run("activecampaign", "check")
    assert checked.startswith(f"crm: {project.sandbox.url}")
    definitions = json.loads(project.run("dg", "list", "defs", "--json"))
    assets = {each["asset_key"] for each in definitions["assets"]}
    assert {"crm/deals", "crm/contacts", "marts/deals", "marts/pipelines"} <= assets
    assert "pipeline_report" in assets
    jobs = {each["name"] for each in definitions["jobs"]}
    assert {"crm__full_refresh", "crm__incremental_sync"} <= jobs

    project.run("dg", "launch", "--job", "crm__full_refresh")
    data = project.folder / "data"
    assert not (data / "activecampaign.duckdb").exists()
    with duckdb.connect(data / "warehouse.duckdb", read_only=True) as db:
        landed = db.sql("select count(*) from activecampaign.deals").fetchone()
        modelled = db.sql("select count(*) from marts.deals where account = 'crm'").fetchone()
    assert landed == modelled == (len(project.sandbox.account.visible_ids("deals")),)
    assert (data / "warehouse_report.html").exists()
    assert [path for path in data.rglob("*") if path.stat().st_mode & 0o077] == []
    assert (data / "warehouse.duckdb.dbt" / "manifest.json").exists()
    assert project.installed == before


def test_the_demo_runs_in_an_empty_folder(project: Project, tmp_path: Path) -> None:
    before = project.installed
    shown = project.run(
        "python", "-m", "activecampaign_dagster.demo", "--contacts", "60", folder=tmp_path
    )
    assert "python -m activecampaign_dagster.demo --ui" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert (tmp_path / "data" / "demo.duckdb").exists()
    assert project.installed == before


def test_the_command_tells_its_version(project: Project) -> None:
    assert __version__ in project.run("activecampaign", "--version")
