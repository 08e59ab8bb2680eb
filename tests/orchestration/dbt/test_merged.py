"""The tests of a model are one: they ask what they asked, and each broken rule has its name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from dbt.contracts.graph.manifest import Manifest

from tests.components.projects import DBT, load
from tests.orchestration.setup import environment, failure

ROOT = Path(__file__).parents[3]

pytestmark = [
    pytest.mark.slow,
    # dagster-dbt itself calls what Dagster has deprecated
    pytest.mark.filterwarnings("ignore::DeprecationWarning:dagster"),
]

PROJECT = """
name: shop
version: "1.0"
profile: activecampaign
"""
MODELS = {
    "prices.sql": "select * from (values (1, 'a', 2.5), (1, 'b', -1), (2, null, -3)) "
    "as prices(price_id, kind, price)",
    "totals.sql": "select sum(price) as total from {{ ref('prices') }}",
    "kinds.sql": "select 'a' as kind",
}
SCHEMA = """
models:
  - name: prices
    columns:
      - name: price_id
        data_tests: [unique, not_null]
      - name: kind
        data_tests:
          - not_null
          - not_null: {name: kind_of_dear_ones, config: {where: "price > 2"}}
          - accepted_values: {arguments: {values: ["a", "c"]}, config: {severity: warn}}
          - relationships: {arguments: {to: ref('kinds'), field: kind}, config: {severity: warn}}
      - name: price
        data_tests:
          - not_null: {config: {error_if: ">1"}}
          - unique: {config: {tags: [slow]}}
          - not_null: {name: said, config: {where: "kind like '%b'"}}
          - accepted_values: {name: listed, arguments: {values: [2.5, -3], quote: false}, config:
              {where: "kind is null or kind like 'a%' and kind <> 'it''s'"}}
"""
ODD = """
models:
  - name: prices
    columns:
      - name: price_id
        data_tests: [not_null, since: {arguments: {since: 2024-01-01}}]
      - name: kind
        data_tests:
          - not_null: {description: "{{ '{% x %}' }} is said"}
          - accepted_values: {arguments: {values: [1], quote: false}}
  - name: totals
    versions: [{v: 1}, {v: 2, defined_in: totals_2}]
    columns:
      - name: total
        data_tests: [not_null]
"""
SINCE = """{% test since(model, column_name, since) %}
select * from {{ model }} where {{ column_name }} is null and date '{{ since }}' > date '2020-01-01'
{% endtest %}"""
LATER = """
models:
  - name: prices
    columns:
      - name: kind
        data_tests:
          - relationships: {arguments: {to: ref('kinds'), field: kind}}
"""


class Shop:
    """A small dbt project of its own, as a component of a Dagster project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models = folder / "dbt_project"
        (self.models / "models").mkdir(parents=True)
        (self.models / "dbt_project.yml").write_text(PROJECT)
        shutil.copy(ROOT / "dbt_project" / "profiles.yml", self.models)
        for name, sql in MODELS.items():
            (self.models / "models" / name).write_text(sql)

    def add(self, path: str, text: str) -> None:
        """Add a file to the project."""
        file = self.models / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)

    def load(self, schema: str) -> dg.Definitions:
        (self.models / "models" / "schema.yml").write_text(schema)
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return load(home, {"dbt": DBT.format(self.models)}, activecampaign="streams: [deals]")

    def build(self, schema: str) -> dg.ExecuteInProcessResult:
        definitions = self.load(schema)
        made = definitions.resolve_all_asset_keys()
        keys = [key for key in made if len(key.path) == 1]
        with dg.DagsterInstance.ephemeral() as instance:
            return definitions.resolve_job_def("__ASSET_JOB").execute_in_process(
                instance=instance, raise_on_error=False, asset_selection=keys
            )


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Shop]:
    with environment(monkeypatch, tmp_path):
        yield Shop(tmp_path)


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {each.check_name: each for each in result.get_asset_check_evaluations()}


def test_each_broken_rule_is_named_with_its_rows_and_how_to_see_them(shop: Shop) -> None:
    result = shop.build(SCHEMA)
    assert not result.success
    found = evaluations(result)
    rules = found["prices_rules"]
    assert not rules.passed
    assert rules.severity is dg.AssetCheckSeverity.ERROR
    assert rules.description == (
        "1 row: No value of the column is there twice. column_name: price_id.; "
        "1 row: No value of the column is missing. column_name: kind."
    )
    shown = str(rules.metadata["broken_rules"].value)
    with duckdb.connect(shop.folder / "warehouse.duckdb") as db:
        for sql in shown.split("```sql\n")[1:]:
            assert db.execute(sql.partition("```")[0]).fetchall()
    said = failure(result)
    assert "prices_rules: 1 row: No value of the column is missing. column_name: kind." in said
    assert "Traceback" not in said


def test_warnings_are_a_check_of_their_own_and_fail_nothing(shop: Shop) -> None:
    result = shop.build(SCHEMA)
    warnings = evaluations(result)["prices_warnings"]
    assert not warnings.passed
    assert warnings.severity is dg.AssetCheckSeverity.WARN
    assert warnings.description == (
        "1 row: The column has no other values than these. column_name: kind; "
        "values: ['a', 'c'].; 1 row: Every value of the column is found in the other table. "
        "column_name: kind; to: ref('kinds'); field: kind."
    )


def test_a_test_with_conditions_of_its_own_stays_alone(shop: Shop) -> None:
    found = evaluations(shop.build(SCHEMA))
    alone = {"not_null_prices_price", "unique_prices_price"}
    assert found.keys() == {"prices_rules", "prices_warnings", *alone}
    assert all(found[name].passed for name in alone)


def test_a_test_of_ones_own_may_have_the_name_of_a_merged_one(shop: Shop) -> None:
    shop.add("tests/prices_rules.sql", "select * from {{ ref('kinds') }} where kind = 'z'")
    shop.load(SCHEMA)
    nodes = json.loads((shop.folder / "warehouse.duckdb.dbt" / "manifest.json").read_text())[
        "nodes"
    ]
    assert {"test.shop.prices_rules", "test.shop.prices_rules.merged"} <= nodes.keys()


def test_dates_braces_and_rules_that_cannot_run_are_told_rule_by_rule(shop: Shop) -> None:
    shop.add("macros/since.sql", SINCE)
    found = evaluations(shop.build(ODD.partition("  - name: totals")[0]))
    assert found["since_prices_price_id__2024_01_01"].passed
    rules = found["prices_rules"]
    assert not rules.passed
    assert "1 row: (% x %) is said" in str(rules.description)
    assert "Conversion Error" in str(rules.description)


def test_each_version_of_a_model_keeps_its_tests(shop: Shop) -> None:
    shop.add("macros/since.sql", SINCE)
    shop.add("models/totals_2.sql", "select null as total")
    (shop.models / "models" / "totals.sql").rename(shop.models / "models" / "totals_v1.sql")
    shop.load(ODD)
    nodes = json.loads((shop.folder / "warehouse.duckdb.dbt" / "manifest.json").read_text())[
        "nodes"
    ]
    for version in (1, 2):
        tested = nodes[f"test.shop.totals_v{version}_rules.merged"]["depends_on"]["nodes"]
        assert tested == [f"model.shop.totals.v{version}"]


def test_models_below_a_broken_one_are_not_built(shop: Shop) -> None:
    result = shop.build(SCHEMA)
    made = {each.asset_key.to_user_string() for each in result.get_asset_materialization_events()}
    assert made == {"prices", "kinds"}


def test_a_test_that_needs_another_model_holds_back_what_it_held_back_before(shop: Shop) -> None:
    result = shop.build(LATER)
    assert not result.success
    assert evaluations(result).keys() == {"prices_rules_with_kinds"}
    made = {each.asset_key.to_user_string() for each in result.get_asset_materialization_events()}
    assert made == {"prices", "kinds", "totals"}  # totals has nothing to do with kinds


def test_every_assertion_of_the_project_is_in_one_test_and_no_model_has_three(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with environment(monkeypatch, tmp_path):
        load(
            tmp_path,
            {"dbt": DBT.format(ROOT / "dbt_project")},
            activecampaign="streams: [deals]",
        )
    folder = tmp_path / "warehouse.duckdb.dbt"
    read = Manifest.from_msgpack((folder / "partial_parse.msgpack").read_bytes())
    before = [node for node in read.nodes.values() if node.resource_type == "test"]
    merged = json.loads((folder / "manifest.json").read_text())["nodes"]
    after = [node for node in merged.values() if node["resource_type"] == "test"]
    assert sum(node["raw_code"].count("as rule,") or 1 for node in after) == len(before) > 80
    assert len(after) < 0.75 * len(before)
    called = " ".join(node["raw_code"] for node in after)
    for node in before:
        about = getattr(node, "test_metadata", None)
        column = about and about.kwargs.get("column_name")
        assert not column or f"column_name='{column}'" in called
