"""dbt's models as assets: what they say after a run (rows, columns, what these are made of), and
what a run says that fails."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from activecampaign_dagster.components.errors import ConfigurationError
from activecampaign_dagster.orchestration.dbt.metadata import column_sources
from activecampaign_dagster.sandbox.server import Sandbox
from tests.components.projects import DBT, load
from tests.orchestration.setup import QUICK, environment, failure, small

ROOT = Path(__file__).parents[3]
QUICKLY = "\n".join(f"{name}: '{value}'" for name, value in QUICK.items() if name != "streams")
HOURLY = f"""
streams: [deals, contacts, deal_groups, deal_stages, custom_fields, custom_field_values, users]
trigger: {{every: 1 hour}}
{QUICKLY}
"""
SHOP = f"""
name: shop
trigger: {{every: 1 day}}
table_prefix: shop_
url_variable: SHOP_URL
api_key_variable: SHOP_API_KEY
{QUICKLY}
"""

Ran = tuple[dg.Definitions, dg.ExecuteInProcessResult]
pytestmark = [
    # dagster-dbt itself calls what Dagster has deprecated
    pytest.mark.filterwarnings("ignore::DeprecationWarning:dagster"),
    # and could fill pages with what it uses that is in beta
    pytest.mark.filterwarnings("error::dagster.BetaWarning:dagster_dbt.dagster_dbt_translator"),
]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """Definitions with two accounts, and a run over both."""
    root = tmp_path_factory.mktemp("lineage")
    models = root / "dbt_project"
    shutil.copytree(ROOT / "dbt_project", models, ignore=shutil.ignore_patterns("target", "logs"))
    with (
        pytest.MonkeyPatch.context() as patch,
        Sandbox(small(seed=1), requests_per_second=None) as first,
        Sandbox(small(seed=2), requests_per_second=None) as second,
        environment(patch, root, ACTIVECAMPAIGN=first, SHOP=second) as instance,
    ):
        accounts = {"activecampaign": HOURLY, "shop": SHOP}
        definitions = load(root, {"dbt": DBT.format(models)}, **accounts)
        result = definitions.resolve_job_def("full_refresh").execute_in_process(instance=instance)
        assert result.success
        yield definitions, result


@pytest.fixture(scope="module")
def metadata(ran: Ran) -> dict[str, dict[str, Any]]:
    """Asset → the metadata of its materialization."""
    return {
        event.asset_key.to_user_string(): {
            name: value.value for name, value in event.materialization.metadata.items()
        }
        for event in ran[1].get_asset_materialization_events()
        if event.partition is None
    }


def sources(metadata: dict[str, Any], column: str) -> set[str]:
    """The columns of assets that a column, `asset.column`, is made of."""
    asset, name = column.split(".")
    lineage: dg.TableColumnLineage = metadata[asset]["dagster/column_lineage"]
    return {
        f"{dep.asset_key.to_user_string()}.{dep.column_name}"
        for dep in lineage.deps_by_column[name]
    }


def origins(metadata: dict[str, Any], column: str) -> set[str]:
    """The columns of streams that a column comes from in the end."""
    if column.split("/", maxsplit=1)[0] in {"activecampaign", "shop", "seeds"}:
        return {column}
    return {origin for each in sources(metadata, column) for origin in origins(metadata, each)}


@pytest.mark.slow
def test_a_column_of_a_mart_can_be_followed_to_the_streams_of_every_account(metadata):
    described = "intermediate/int_deals__described.value"
    assert sources(metadata, "marts/deals.value") == {described}
    assert sources(metadata, described) == {"staging/stg_activecampaign__deals.value"}
    assert sources(metadata, "staging/stg_activecampaign__deals.company_id") == {
        f"{account}/deals.{name}"
        for account in ("activecampaign", "shop")
        for name in ("account", "customerAccount")
    }
    assert origins(metadata, "marts/deals.value") == {
        "activecampaign/deals.value",
        "shop/deals.value",
        "seeds/currency_decimals.decimals",
    }
    assert origins(metadata, "marts/deals.owner") == {
        f"{account}/users.{name}"
        for account in ("activecampaign", "shop")
        for name in ("firstName", "lastName", "username")
    }
    assert sources(metadata, "snapshots/deals_snapshot.stage_id") == {
        "intermediate/int_deals__tracked.stage_id"
    }


@pytest.mark.slow
def test_nearly_every_column_of_the_models_has_a_lineage(metadata):
    without: dict[str, list[str]] = {}
    number = 0
    for asset, about in metadata.items():
        if asset.split("/")[0] not in {"staging", "intermediate", "marts"}:
            continue
        if asset == "intermediate/int_deals__events":
            continue  # a union by name, which sqlglot cannot follow
        deps = about["dagster/column_lineage"].deps_by_column
        if not any(deps.values()) and "stg_" in asset:
            continue  # of a stream that is off: an empty table
        schema = [column.name for column in about["dagster/column_schema"].columns]
        assert set(deps) == set(schema), asset
        number += len(schema)
        without |= {asset: found} if (found := [n for n in schema if not deps[n]]) else {}
    # a calendar has no sources
    without.pop("marts/calendar")
    # the account and its zone are constants of each table that staging reads; the rest counts rows
    constant = {name for asset in without if "stg_" in asset for name in without[asset]}
    assert constant == {"account", "time_zone"}
    assert sum(map(len, without.values())) < 0.05 * number, without


@pytest.mark.slow
def test_a_table_has_its_row_count_and_all_have_typed_and_described_columns(metadata):
    assert metadata["intermediate/int_deals__described"]["dagster/row_count"] == 80
    assert metadata["seeds/currency_decimals"]["dagster/row_count"] > 10
    columns = {
        column.name: column
        for column in metadata["staging/stg_activecampaign__deals"]["dagster/column_schema"].columns
    }
    assert columns["value"].type == "DECIMAL(24,4)"
    assert columns["value"].description
    assert "dagster/row_count" not in metadata["staging/stg_activecampaign__deals"]


@pytest.mark.slow
def test_the_lineage_can_be_read_in_the_open_source_ui(metadata):
    shown = metadata["staging/stg_activecampaign__deals"]["columns_from"]
    assert shown["value"] == [
        "activecampaign/deals.value",
        "shop/deals.value",
        "seeds/currency_decimals.decimals",
    ]


@pytest.mark.slow
def test_only_streams_have_to_be_fresh_as_a_model_may_have_nothing_to_follow(ran):
    """Dagster goes by materializations alone, and would call what is not built late."""
    graph = ran[0].resolve_asset_graph()
    policies = {key: graph.get(key).freshness_policy for key in graph.materializable_asset_keys}
    assert policies[dg.AssetKey(["shop", "deals"])] == dg.FreshnessPolicy.time_window(
        warn_window=timedelta(hours=25), fail_window=timedelta(hours=49)
    )
    late = {key.path[0] for key, policy in policies.items() if policy}
    assert late == {"activecampaign", "shop"}


@pytest.mark.slow
def test_every_check_says_what_it_makes_sure_of(ran):
    graph = ran[0].resolve_asset_graph()
    specs = {key: graph.get_check_spec(key) for key in graph.asset_check_keys}
    assert not [key for key, spec in specs.items() if not spec.description]
    said = {spec.description for key, spec in specs.items() if key.asset_key.path[0] == "marts"}
    assert any("Every row has all parts of the key" in each and "deal_id" in each for each in said)


@pytest.mark.slow
def test_where_one_account_of_several_fails_the_job_of_the_models_builds_them(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster skips what comes after a failed step, in the jobs over all accounts that is dbt."""
    definitions = ran[0]
    monkeypatch.setenv("SHOP_API_KEY", "wrong")
    with duckdb.connect(os.environ["ACTIVECAMPAIGN_DATABASE"]) as db:  # as a sync that lands a deal
        db.execute(
            "update activecampaign.deals set _sync_id = 'another' "
            "where id = (select min(id) from activecampaign.deals)"
        )
    with dg.DagsterInstance.ephemeral() as instance:

        def built(job: str) -> set[str]:
            result = definitions.resolve_job_def(job).execute_in_process(
                instance=instance, raise_on_error=False
            )
            events = result.get_asset_materialization_events()
            return {event.asset_key.path[0] for event in events if event.asset_key}

        assert built("incremental_sync") == {"activecampaign"}
        assert "marts" in built("build_models")


def test_a_union_by_name_is_followed_by_name():
    """Also where a column is in one table only, and where the tables' columns differ in order."""
    tables = {
        ("raw", "a"): {"id": "bigint", "title": "varchar", "Value": "bigint"},
        ("raw", "b"): {"value": "bigint", "extra": "varchar", "id": "bigint"},
    }
    sql = """
        with rows as (
            select *
            from (
                select 'a' as account, * from raw.a
                union all by name
                select 'b' as account, * from raw.b
            )
        )
        select account, id + 1 as number, value, title, extra, count(*) over () as of_all from rows
    """
    assert column_sources(sql, tables) == {
        "account": set(),
        "number": {(("raw", "a"), "id"), (("raw", "b"), "id")},
        "value": {(("raw", "a"), "Value"), (("raw", "b"), "value")},
        "title": {(("raw", "a"), "title")},
        "extra": {(("raw", "b"), "extra")},
        "of_all": set(),
    }


def failed(definitions: dg.Definitions, asset: str) -> str:
    """What a run says that builds one model or seed and fails."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("__ASSET_JOB").execute_in_process(
            instance=instance,
            raise_on_error=False,
            asset_selection=[dg.AssetKey(asset.split("/"))],
        )
    return failure(result)


def test_a_model_that_fails_is_named_with_the_reason_and_no_stack_trace(
    ran: Ran, tmp_path: Path
) -> None:
    # a database without streams; at another path dbt would parse the whole project anew
    database = Path(os.environ["ACTIVECAMPAIGN_DATABASE"])
    database.rename(tmp_path / "put aside")
    try:
        said = failed(ran[0], "staging/stg_activecampaign__deals")
    finally:
        (tmp_path / "put aside").rename(database)
    assert said.startswith("dbt failed; its full log is ")
    log = Path(said.split(" log is ")[1].split("\n")[0].rstrip("."))
    assert "stg_activecampaign__deals" in log.read_text()
    assert "stg_activecampaign__deals" in said
    assert "exist" in said
    assert "Traceback" not in said


def test_a_model_that_fails_for_what_may_pass_is_built_again(
    ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activecampaign_dagster.orchestration.failures.FIRST_WAIT", 0.0)
    database = Path(os.environ["ACTIVECAMPAIGN_DATABASE"])
    database.rename(tmp_path / "put aside")
    try:
        with duckdb.connect(database) as db:  # with a stream that lies on a disk that is away
            db.execute(f"copy (select 1 as id) to '{tmp_path}/away.csv'")
            db.execute("create schema activecampaign")
            db.execute(f"create view activecampaign.deals as from '{tmp_path}/away.csv'")
        (tmp_path / "away.csv").unlink()
        with dg.DagsterInstance.ephemeral() as instance:
            result = (
                ran[0]
                .resolve_job_def("__ASSET_JOB")
                .execute_in_process(
                    instance=instance,
                    raise_on_error=False,
                    asset_selection=[dg.AssetKey(["staging", "stg_activecampaign__deals"])],
                )
            )
            [run] = instance.get_runs()
    finally:
        database.unlink()
        (tmp_path / "put aside").rename(database)
    assert len([e for e in result.all_events if e.is_step_up_for_retry]) == 2
    assert "IO Error" in failure(result)
    assert run.tags["activecampaign/failure"] == "transient"


def test_a_project_that_dbt_cannot_read_is_a_mistake_with_its_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    models = tmp_path / "dbt_project"
    # what dbt would read before it gets there
    others = ("target", "logs", "staging", "intermediate", "semantics", "snapshots", "tests")
    shutil.copytree(ROOT / "dbt_project", models, ignore=shutil.ignore_patterns(*others))
    (models / "models" / "marts" / "sales" / "deals.sql").write_text("select {% if %}")
    with environment(monkeypatch, tmp_path), pytest.raises(ConfigurationError) as raised:
        load(tmp_path, {"dbt": DBT.format(models)}, activecampaign="streams: [deals]")
    said = str(raised.value)
    assert f"{models}: dbt cannot read the project." in said
    assert "models/marts/sales/deals.sql" in said
    assert "Traceback" not in said
    assert "Stack Trace" not in said


def test_a_memory_limit_that_is_no_size_is_named_before_dbt_starts(
    ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIVECAMPAIGN_DBT_MEMORY", "lots")
    assert failed(ran[0], "seeds/currency_decimals") == (
        "ACTIVECAMPAIGN_DBT_MEMORY is 'lots', which is not a size: set it to one such as '2GB'."
    )
