"""The components in a Dagster project of the user's own."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from activecampaign_dagster.components.errors import configuration_errors
from activecampaign_dagster.orchestration import resources
from activecampaign_dagster.orchestration.resources import about_earlier_default, location
from tests.components.projects import project

OWN = """
import dagster as dg

@dg.asset(required_resource_keys={"warehouse"}, deps=[dg.AssetKey(["crm", "deals"])])
def own(): ...

@dg.definitions
def definitions():
    resource = dg.ResourceDefinition.hardcoded_resource("somewhere else")
    return dg.Definitions(resources={"warehouse": resource})
"""
BELOW = """
import dagster as dg

DEALS = dg.AssetKey(["crm", "deals"])

@dg.asset(deps=[DEALS], partitions_def=dg.DailyPartitionsDefinition("2025-01-01"))
def daily(): ...

@dg.asset(deps=[DEALS])
def plain(): ...

@dg.asset(deps=[DEALS], tags={"activecampaign/job": ""})
def tagged(): ...
"""


@pytest.fixture(autouse=True)
def _no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_project", None)
    monkeypatch.setenv("ACTIVECAMPAIGN_DATABASE", "")  # undone at the end, whoever sets it


def definitions(root: Path, **accounts: str) -> dg.Definitions:
    """The definitions of a project that has nothing of this package but its components."""
    with project(root, **accounts) as package, configuration_errors():
        (package / "defs" / "jobs.py").write_text(OWN)
        return dg.load_from_defs_folder(path_within_project=package)


def test_accounts_bring_their_resources_and_leave_the_projects_own_alone(tmp_path: Path) -> None:
    loaded = definitions(tmp_path, crm="name: crm", shop="{name: shop, table_prefix: shop_}")
    dg.Definitions.validate_loadable(loaded)
    names = set(loaded.resources or {})
    assert names == {"activecampaign_warehouse", "crm_api", "shop_api", "warehouse"}


def test_jobs_leave_out_what_others_build_on_the_streams_unless_it_is_tagged(
    tmp_path: Path,
) -> None:
    with project(tmp_path, crm="name: crm") as package:
        (package / "defs" / "jobs.py").write_text(BELOW)
        loaded = dg.load_from_defs_folder(path_within_project=package)
    dg.Definitions.validate_loadable(loaded)  # a job cannot have two kinds of partitions
    keys = loaded.resolve_job_def("crm__full_refresh").asset_layer.executable_asset_keys
    assert {key.to_user_string() for key in keys if key.path[0] != "crm"} == {"tagged"}


def test_several_accounts_bring_one_watch_over_all_runs(tmp_path: Path) -> None:
    loaded = definitions(tmp_path, crm="name: crm", shop="{name: shop, table_prefix: shop_}")
    sensors = [sensor.name for sensor in loaded.get_repository_def().sensor_defs]
    assert sensors.count("activecampaign_watch") == 1


def test_the_database_lies_in_the_project_wherever_dagster_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with project(tmp_path, crm="name: crm") as package:
        dg.load_from_defs_folder(path_within_project=package)
    assert location().path == package.parent / "data" / "warehouse.duckdb"
    assert about_earlier_default(location()) is None


def test_an_existing_database_of_the_earlier_default_name_goes_on_being_used(
    tmp_path: Path,
) -> None:
    with project(tmp_path, crm="name: crm") as package:
        earlier = package.parent / "data" / "activecampaign.duckdb"
        earlier.parent.mkdir()
        earlier.touch()
        dg.load_from_defs_folder(path_within_project=package)
    assert location().path == earlier
    assert str(earlier) in str(about_earlier_default(location()))


def test_without_a_project_the_database_lies_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert location().path == tmp_path / "data" / "warehouse.duckdb"


def test_a_variable_goes_before_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIVECAMPAIGN_DATABASE", str(tmp_path / "own.duckdb"))
    definitions(tmp_path, crm="name: crm")
    assert location().path == tmp_path / "own.duckdb"
