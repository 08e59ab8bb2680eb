"""Many accounts in one file, by list or table, and the folders that a code location serves."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from activecampaign_dagster.components.errors import ConfigurationError, configuration_errors
from tests.components.projects import load, project

TYPE = "type: activecampaign_dagster.ActiveCampaignAccounts\nattributes:\n"
TWO = f"""{TYPE}
  streams: core
  timezone: Europe/Berlin
  accounts:
    - name: acme
    - {{name: globex, timezone: America/New_York, table_prefix: gx_, streams: deals}}
"""
TABLE = """name,api_key_variable,streams,trigger
acme,,,
globex,GLOBEX_SECRET,deals,manual
"""


def with_table(root: Path, settings: str, table: str) -> dg.Definitions:
    with project(root, {"clients": f"{TYPE}{settings}"}) as package:
        (package / "defs" / "clients" / "clients.csv").write_text(table)
        with configuration_errors():
            return dg.load_from_defs_folder(path_within_project=package)


def mistakes(raised: pytest.ExceptionInfo[ConfigurationError]) -> list[str]:
    return [line.strip().rpartition("/defs/")[2] for line in str(raised.value).splitlines()[1:]]


def keys(definitions: dg.Definitions) -> set[str]:
    found = definitions.resolve_asset_graph().get_all_asset_keys()
    return {key.to_user_string() for key in found}


def table_name(definitions: dg.Definitions, key: str) -> object:
    return (
        definitions.resolve_asset_graph()
        .get(dg.AssetKey(key.split("/")))
        .metadata["dagster/table_name"]
    )


def test_accounts_of_a_list_have_settings_in_common_and_of_their_own(tmp_path: Path) -> None:
    loaded = load(tmp_path, {"clients": TWO})
    assert {"acme/deals", "acme/users", "globex/deals"} <= keys(loaded)
    assert "globex/users" not in keys(loaded)
    assert "acme_deals" in str(table_name(loaded, "acme/deals"))
    assert "gx_deals" in str(table_name(loaded, "globex/deals"))
    graph = loaded.resolve_asset_graph()
    zones = {
        name: graph.get(dg.AssetKey([name, "deals"])).partitions_def.timezone  # type: ignore[union-attr]
        for name in ("acme", "globex")
    }
    assert zones == {"acme": "Europe/Berlin", "globex": "America/New_York"}
    resources = loaded.resources or {}
    assert resources["acme_api"].url_variable == "ACME_URL"
    assert resources["globex_api"].api_key_variable == "GLOBEX_API_KEY"
    jobs = {job.name for job in loaded.get_repository_def().get_all_jobs()}
    assert {"acme__full_refresh", "globex__incremental_sync", "full_refresh"} <= jobs


def test_accounts_of_a_table_are_its_rows(tmp_path: Path) -> None:
    loaded = with_table(tmp_path, "  streams: core\n  accounts: clients.csv\n", TABLE)
    assert {"acme/users", "globex/deals"} <= keys(loaded)
    assert "globex/users" not in keys(loaded)
    resources = loaded.resources or {}
    assert resources["acme_api"].api_key_variable == "ACME_API_KEY"
    assert resources["globex_api"].api_key_variable == "GLOBEX_SECRET"
    assert resources["globex_api"].url_variable == "GLOBEX_URL"


def test_a_list_stands_beside_files_of_single_accounts(tmp_path: Path) -> None:
    loaded = load(tmp_path, {"clients": TWO}, own="name: own")
    assert {"acme/deals", "globex/deals", "own/deals"} <= keys(loaded)
    sensors = [sensor.name for sensor in loaded.get_repository_def().sensor_defs]
    assert sorted(sensors) == ["activecampaign_watch", "drift", "first_sync"]


def test_mistakes_in_a_list_are_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    wrong = f"""{TYPE}
  streams: core
  partition: year
  accounts:
    - name: acme
      timezone: Europe/Berln
    - name: acme
    - url_variable: GLOBEX_URL
    - {{name: shop, table_prefix: acme_}}
"""
    with pytest.raises(ConfigurationError) as raised:
        load(tmp_path, {"clients": wrong})
    found = mistakes(raised)
    assert found[0] == (
        "clients/defs.yaml:10: accounts.2: an account needs a name: write for example {name: shop}."
    )
    assert found[1].startswith("clients/defs.yaml:5: partition: ")
    assert found[2] == (
        "clients/defs.yaml:8: accounts.0.timezone: there is no time zone 'Europe/Berln'; "
        "did you mean Europe/Berlin?"
    )
    assert found[3].startswith(
        "clients/defs.yaml:9: accounts.1.name: another account is also called"
    )
    assert found[4].startswith("clients/defs.yaml:11: accounts.3.table_prefix: this account would")
    assert len(found) == 5


def test_an_invalid_name_is_one_error(tmp_path: Path) -> None:
    wrong = f"{TYPE}  accounts: [name: My Shop]\n"
    with pytest.raises(ConfigurationError) as raised:
        load(tmp_path, {"clients": wrong})
    (line,) = mistakes(raised)
    assert "accounts.0.name: 'My Shop' is an invalid name" in line


def test_mistakes_in_a_table_are_told_with_its_lines(tmp_path: Path) -> None:
    table = "name,timezone\nacme,Europe/Berln\n,UTC\nacme,UTC\nshort\n"
    with pytest.raises(ConfigurationError) as raised:
        with_table(tmp_path, "  accounts: clients.csv\n  partition: year\n", table)
    found = mistakes(raised)
    assert found[:2] == [
        "clients/defs.yaml:3: accounts: line 3 of clients.csv has no name.",
        "clients/defs.yaml:3: accounts: line 5 of clients.csv does not have as many cells as the "
        "first line.",
    ]
    assert found[2].startswith("clients/clients.csv:2: timezone: there is no time zone")
    assert found[3].startswith("clients/defs.yaml:4: partition: ")
    assert found[4].startswith("clients/clients.csv:4: name: another account is also called 'acme'")
    assert len(found) == 5


@pytest.mark.parametrize(
    ("settings", "table", "said"),
    [
        ("  accounts: clients.csv\n", "name,timezon\na,UTC\n", "did you mean timezone?"),
        ("  accounts: clients.csv\n", "name\n", "clients.csv has no rows"),
        ("  accounts: other.csv\n", "", "other.csv cannot be read: No such file"),
        ("  streams: core\n", "", "list the accounts, or write the path of a CSV file"),
        ("  accounts: []\n", "", "list the accounts, or write the path of a CSV file"),
        ("  name: a\n  accounts: [{name: b}]\n", "", "name: is each account's own"),
    ],
)
def test_what_is_wrong_with_the_accounts_as_a_whole_is_a_sentence(
    tmp_path: Path, settings: str, table: str, said: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        with_table(tmp_path, settings, table)
    assert said in str(raised.value)


def test_a_code_location_serves_the_folders_that_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIVECAMPAIGN_DEFS", "north, own")
    south = "{name: south, streams: nonsense}"  # nobody looks into what others serve
    loaded = load(tmp_path, {"north": TWO}, own="name: own", south=south)
    assert {"acme/deals", "globex/deals", "own/deals"} <= keys(loaded)
    assert not {key for key in keys(loaded) if key.startswith("south/")}


def test_one_account_of_a_divided_project_leaves_the_models_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIVECAMPAIGN_DEFS", "own")
    job = load(tmp_path, own="name: own").resolve_job_def("own__full_refresh")
    assert "The job build_models builds the dbt models" in str(job.description)


def test_a_folder_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIVECAMPAIGN_DEFS", "nort")
    with pytest.raises(ConfigurationError, match="ACTIVECAMPAIGN_DEFS names nort, which is not"):
        load(tmp_path, north="name: north")
