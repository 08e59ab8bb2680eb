"""The files that `dg scaffold defs` begins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from activecampaign_dagster.components.errors import configuration_errors
from activecampaign_dagster.components.source import ActiveCampaignSource, clashes
from tests.components.projects import TYPE, project


def scaffold(package: Path, *what: str) -> Any:
    """What `dg scaffold defs` writes."""
    command = [str(Path(sys.executable).with_name("dg")), "scaffold", "defs", *what]
    subprocess.run(command, cwd=package.parent, capture_output=True, check=True, timeout=120)
    return yaml.safe_load((package / "defs" / what[-1] / "defs.yaml").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_file_that_is_scaffolded_keeps_the_account_apart_from_the_first(
    tmp_path: Path,
) -> None:
    with project(tmp_path, activecampaign="description: The first") as package:
        written = scaffold(package, TYPE, "web-shop")["attributes"]
    assert written == {
        "name": "web_shop",
        "url_variable": "WEB_SHOP_URL",
        "api_key_variable": "WEB_SHOP_API_KEY",
        "table_prefix": "web_shop_",
    }
    second = ActiveCampaignSource.model_validate(written)
    assert not second.mistakes()
    assert clashes([ActiveCampaignSource(), second]) == [[], []]


@pytest.mark.slow
def test_a_name_that_is_reserved_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with project(tmp_path) as package:
        with pytest.raises(subprocess.CalledProcessError) as raised:
            scaffold(package, "activecampaign_dagster.ActiveCampaignSource", "marts")
        assert not (package / "defs" / "marts").exists()
    said = raised.value.stderr.decode()
    assert "'marts' is reserved for the asset keys of dbt models: choose another name." in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_the_file_of_several_accounts_loads_as_it_is_scaffolded(tmp_path: Path) -> None:
    with project(tmp_path, activecampaign="description: The first") as package:
        written = scaffold(package, "activecampaign_dagster.ActiveCampaignAccounts", "agencies")
        with configuration_errors():
            definitions = dg.load_from_defs_folder(path_within_project=package)
    assert written == {
        "type": "activecampaign_dagster.ActiveCampaignAccounts",
        "attributes": {"accounts": [{"name": "agencies_1"}, {"name": "agencies_2"}]},
    }
    keys = definitions.resolve_all_asset_keys()
    assert {key.path[0] for key in keys if key.path[-1] == "deals"} == {
        *("activecampaign", "agencies_1", "agencies_2"),
    }


@pytest.mark.slow
def test_the_first_account_is_the_one_of_the_usual_variables_and_models_need_no_settings(
    tmp_path: Path,
) -> None:
    with project(tmp_path) as package:
        account = scaffold(package, "activecampaign_dagster.ActiveCampaignSource", "crm")
        models = scaffold(package, "activecampaign_dagster.DbtModels", "crm_models")
    assert account == {
        "type": "activecampaign_dagster.ActiveCampaignSource",
        "attributes": {"name": "crm"},
    }
    assert models == {"type": "activecampaign_dagster.DbtModels", "attributes": {}}
