"""The project keeps to the rules of dbt-project-evaluator, read from dbt's manifest.

Its rules on layers, names, documentation, keys, contracts, exposures and chains of views are
asserted. Not asserted are model fan-out and rejoining, since `deals` is made to be summed up in
many ways.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from activecampaign_dagster.orchestration.assets.pipeline_report import marts_read
from activecampaign_dagster.orchestration.dbt.project import own_project
from activecampaign_dagster.report import page
from tests.dbt.conftest import PROJECT

# their columns are known only at run time
TESTED_BY_HAND = {
    "contact_custom_fields_wide",
    "deal_custom_fields_wide",
    "company_custom_fields_wide",
}


@pytest.fixture(scope="module")
def models(manifest):
    return {
        node["unique_id"]: node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
    }


def layer(node) -> str:
    return node["fqn"][1]


def parents(node) -> list[str]:
    return node["depends_on"]["nodes"]


def test_every_source_table_that_is_read_has_one_staging_model_and_each_of_those_one_table(
    manifest, models
):
    read_by = {}
    for node in models.values():
        for parent in parents(node):
            if parent.startswith("source."):
                read_by.setdefault(parent, []).append(node["name"])
    assert read_by
    for source, readers in read_by.items():
        assert readers == [f"stg_activecampaign__{source.split('.')[-1]}"]
    for node in models.values():
        sources = [parent for parent in parents(node) if parent.startswith("source.")]
        assert len(sources) == (1 if layer(node) == "staging" else 0), node["name"]


def test_no_layer_is_skipped_and_none_is_read_from_above(models):
    allowed = {
        "staging": {"source", "seed"},
        "intermediate": {"staging", "intermediate", "snapshot", "seed", "marts"},
        "marts": {"staging", "intermediate", "marts"},
    }
    for node in models.values():
        for parent in parents(node):
            kind = layer(models[parent]) if parent in models else parent.split(".")[0]
            assert kind in allowed[layer(node)], f"{node['name']} reads {parent}"


def test_an_intermediate_model_reads_a_mart_only_to_gather_what_that_one_typed(models):
    reading = {
        (node["name"], models[parent]["name"])
        for node in models.values()
        if layer(node) == "intermediate"
        for parent in parents(node)
        if parent in models and layer(models[parent]) == "marts"
    }
    assert reading == {("int_contacts__custom_fields", "contact_custom_fields")}


def test_names_tell_the_layer_and_folders_the_kind(models):
    pattern = {
        "staging": r"stg_activecampaign__[a-z_]+",
        "intermediate": r"int_[a-z_]+__[a-z_]+",
        "marts": r"(?!stg_|int_)[a-z_]+",
    }
    for node in models.values():
        assert re.fullmatch(pattern[layer(node)], node["name"])
        assert node["schema"] == layer(node)
        assert node["path"].split("/")[0] == layer(node)


def test_every_model_has_a_yaml_of_its_own(models):
    for node in models.values():
        assert Path(node["patch_path"].split("://")[1]).stem == node["name"]


def test_every_table_and_every_column_is_described(manifest, models, built):
    catalog = built.dbt.artifact("catalog")["nodes"]
    for node in manifest["nodes"].values():
        if node["resource_type"] not in {"model", "seed", "snapshot"}:
            continue
        assert node["description"], node["name"]
        described = {name for name, column in node["columns"].items() if column["description"]}
        columns = {name.lower() for name in catalog[node["unique_id"]]["columns"]}
        if node["name"] in TESTED_BY_HAND:
            assert described <= columns
        else:
            assert described == columns, node["name"]
    for source in manifest["sources"].values():
        assert source["description"]
        assert all(column["description"] for column in source["columns"].values())


def test_every_macro_and_test_is_described(manifest):
    own = [m for m in manifest["macros"].values() if m["package_name"] == "activecampaign"]
    assert own
    for macro in own:
        assert macro["description"], macro["name"]
    for node in manifest["nodes"].values():
        if node["resource_type"] == "test" and not node.get("test_metadata"):
            assert node["description"], node["name"]


def test_every_key_is_tested_and_begins_with_the_account(manifest, models):
    keys = {}
    for node in manifest["nodes"].values():
        if (node.get("test_metadata") or {}).get("name") == "primary_key":
            keys[node["attached_node"]] = node["test_metadata"]["kwargs"]["columns"]
    for unique_id, node in models.items():
        columns = keys.pop(unique_id)
        if node["name"] != "calendar":
            assert columns[0] == "account"
            assert len(columns) > 1
    assert {key.split(".")[-1] for key in keys} == {
        "accounts_snapshot",
        "deals_snapshot",
        "deal_stages_snapshot",
        "deal_groups_snapshot",
        "users_snapshot",
    }


def test_every_table_begins_with_the_account(built, models):
    catalog = built.dbt.artifact("catalog")["nodes"]
    for unique_id, node in models.items():
        first = min(catalog[unique_id]["columns"].values(), key=lambda column: column["index"])
        assert first["name"] == ("day" if node["name"] == "calendar" else "account")


def test_every_mart_has_a_contract_and_a_group_without_a_made_up_owner(manifest, models):
    groups = {group["name"]: group for group in manifest["groups"].values()}
    for node in models.values():
        assert not groups[node["group"]]["owner"].get("email")
        expected = node["path"].split("/")[1] if layer(node) == "marts" else layer(node)
        assert node["group"] == expected
        if layer(node) == "marts" and node["name"] not in TESTED_BY_HAND:
            assert node["config"]["contract"]["enforced"], node["name"]
            assert all(column["data_type"] for column in node["columns"].values())


def test_no_model_names_a_table_or_a_schema_by_hand(models):
    for node in models.values():
        code = re.sub(r"\s+", " ", node["raw_code"])
        named = re.findall(r"(?<!distinct )\b(?:from|join) (\w+\.\w+|activecampaign\w*)", code)
        assert not named, node["name"]


def test_a_chain_of_views_is_short(models):
    def depth(unique_id: str) -> int:
        node = models.get(unique_id)
        if node is None or node["config"]["materialized"] != "view":
            return 0
        return 1 + max((depth(parent) for parent in parents(node)), default=0)

    assert max(map(depth, models)) <= 4


def test_exposures_are_based_on_the_marts(manifest, models):
    assert manifest["exposures"]
    for exposure in manifest["exposures"].values():
        for parent in exposure["depends_on"]["nodes"]:
            assert layer(models[parent]) == "marts"
            assert models[parent]["access"] == "public"


def test_only_marts_are_public(models):
    for node in models.values():
        assert (node["access"] == "public") == (layer(node) == "marts"), node["name"]


def test_the_report_is_based_on_the_marts_that_it_reads(manifest):
    modules = Path(page.__file__).parent.glob("*.py")
    read = {mart for path in modules for mart in re.findall(r"\bmarts\.(\w+)", path.read_text())}
    named = manifest["exposures"]["exposure.activecampaign.pipeline_report"]["depends_on"]["nodes"]
    assert {name.split(".")[-1] for name in named} == read
    assert set(marts_read(own_project().project_dir)) == read


def test_every_source_has_a_freshness(manifest):
    for source in manifest["sources"].values():
        assert source["freshness"]["warn_after"]["count"], source["name"]
        assert source["loaded_at_query"], source["name"]


def test_the_metrics_that_sales_talks_about_are_defined(manifest):
    names = {metric["name"] for metric in manifest["metrics"].values()}
    assert {"deals_created", "deals_won", "pipeline_value", "win_rate", "sales_cycle"} <= names


ARITHMETIC = (
    r"\b(ratio|days_between|currency_units|choices|from_account_clock|sum|avg|median|arg_max|arg_max_null"
    r"|count|lag|lead|row_number)\b\s*\("
)


def test_all_arithmetic_has_unit_tests(manifest, models):
    tested = {test["model"] for test in manifest["unit_tests"].values()}
    calculating = {n["name"] for n in models.values() if re.search(ARITHMETIC, n["raw_code"])}
    assert len(calculating) > 15
    assert calculating - tested <= TESTED_BY_HAND


def test_nothing_is_downloaded(manifest):
    assert not (PROJECT / "packages.yml").exists()
    assert not (PROJECT / "dependencies.yml").exists()
    packages = {node["package_name"] for node in manifest["nodes"].values()}
    assert packages == {"activecampaign"}
    assert not re.search(r"\binstall\b|extensions", (PROJECT / "profiles.yml").read_text(), re.I)


def test_no_table_is_joined_without_its_account(models):
    """`using (…)` and `on` name the account wherever both sides are per account."""
    exceptions = {
        "stg_activecampaign__deals": "a seed has no account",
        "stg_activecampaign__ecommerce_orders": "the same seed",
        "int_deals__events": "the same seed",
        "int_deals__histories": "the same seed",
        "pipeline_daily": "a calendar has none either",
    }
    for node in models.values():
        if node["name"] in exceptions:
            continue
        code = re.sub(r"\s+", " ", node["raw_code"])
        for joined in re.findall(r"\bjoin\b.*?\b(?:using|on)\b\s*(.{0,60})", code):
            assert "account" in joined, f"{node['name']}: {joined}"
