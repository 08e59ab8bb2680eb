"""A run of a job builds what has changed, and says so; whoever asks for a model gets it built."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from activecampaign_dagster.orchestration.account import JOB_TAG
from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.server import Sandbox
from tests.components.projects import DBT, load
from tests.orchestration.setup import QUICK, environment, small

ROOT = Path(__file__).parents[3]
SETTINGS = "\n".join(f"{name}: '{value}'" for name, value in QUICK.items())

pytestmark = [
    pytest.mark.slow,
    # dagster-dbt itself calls what Dagster has deprecated
    pytest.mark.filterwarnings("ignore::DeprecationWarning:dagster"),
]


@dataclass
class Built:
    """A project, its account, and an instance; the jobs have run once."""

    definitions: dg.Definitions
    account: Account
    instance: dg.DagsterInstance
    models: Path
    database: Path
    at_first: frozenset[str] = frozenset()  # what the first run built

    def run(self, *models: str) -> dg.ExecuteInProcessResult:
        """A run of the job, or of models alone."""
        keys = [dg.AssetKey(model.split("/")) for model in models]
        job = "__ASSET_JOB" if models else "activecampaign__incremental_sync"
        result = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, asset_selection=keys or None
        )
        assert result.success
        return result


def built(result: dg.ExecuteInProcessResult) -> set[str]:
    """The models that a run has built."""
    events = result.get_asset_materialization_events()
    keys = {event.asset_key.to_user_string() for event in events if event.asset_key}
    others = {"pipeline_report", "activecampaign_models"}
    return {key for key in keys - others if not key.startswith("activecampaign/")}


def planned(result: dg.ExecuteInProcessResult, instance: dg.DagsterInstance) -> set[str]:
    """What the UI shows as under way while a run goes on."""
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    events = [record.dagster_event for record in instance.all_logs(result.run_id, of_type=kind)]
    return {event.asset_key.to_user_string() for event in events if event and event.asset_key}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    root = tmp_path_factory.mktemp("built")
    models = root / "dbt_project"
    shutil.copytree(ROOT / "dbt_project", models, ignore=shutil.ignore_patterns("target", "logs"))
    account = small()
    with (
        pytest.MonkeyPatch.context() as patch,
        Sandbox(account, requests_per_second=None) as sandbox,
        environment(patch, root, ACTIVECAMPAIGN=sandbox) as instance,
    ):
        definitions = load(root, {"dbt": DBT.format(models)}, activecampaign=SETTINGS)
        found = Built(definitions, account, instance, models, root / "warehouse.duckdb")
        found.at_first = frozenset(built(found.run()))
        assert "marts/deals" in found.at_first
        yield found


def test_models_of_streams_that_are_off_are_built_with_the_others(project: Built) -> None:
    """As empty tables, which somebody may ask or put into a report."""
    assert {"marts/contacts", "marts/lead_scores", "marts/orders"} <= project.at_first


def test_a_run_that_finds_nothing_new_builds_no_model_and_says_so(project: Built) -> None:
    runs = project.database.with_name("warehouse.duckdb.dbt") / "runs"
    before = set(runs.iterdir())
    result = project.run()
    assert built(result) == set()
    assert set(runs.iterdir()) == before  # dbt was not started
    run = project.instance.get_run_by_id(result.run_id)
    assert run
    assert run.tags["activecampaign/models_built"] == f"0 of {len(project.at_first)}"
    said = [record.user_message for record in project.instance.all_logs(result.run_id)]
    assert "No model is built: nothing has changed since the last build." in said
    assert not [event for event in result.all_events if event.is_step_skipped]
    checks = [e for e in result.all_events if e.event_type_value.endswith("EVALUATION_PLANNED")]
    assert not checks
    assert not planned(result, project.instance) & project.at_first


def test_the_version_of_a_stream_stays_where_no_row_has_changed(project: Built) -> None:
    key = dg.AssetKey(["activecampaign", "deals"])

    def version() -> str:
        project.run()
        event = project.instance.get_latest_materialization_event(key)
        assert event
        assert event.asset_materialization
        return (event.asset_materialization.tags or {})["dagster/data_version"]

    before = version()
    assert version() == before
    project.account.update_deal(next(iter(project.account.deals.live)), value=4711)
    assert version() != before


def test_after_a_change_of_a_deal_what_is_made_of_deals_is_built(project: Built) -> None:
    project.run()
    project.account.update_deal(next(iter(project.account.deals.live)), value=123456)
    result = project.run()
    models = built(result)
    assert {"marts/deals", "snapshots/deals_snapshot"} <= models
    assert not {each for each in models if each.startswith("staging/")}  # views stand as they are
    assert "marts/campaign_performance" not in models
    checked = {each.asset_key.to_user_string() for each in result.get_asset_check_evaluations()}
    assert {"marts/deals", "staging/stg_activecampaign__deals"} <= checked
    assert "marts/campaign_performance" not in checked
    assert models <= planned(result, project.instance)
    assert built(project.run()) == set()


def test_what_a_job_built_has_the_versions_by_which_dagster_tells_what_is_out_of_date(
    project: Built,
) -> None:
    project.account.update_deal(next(iter(project.account.deals.live)), value=5)
    models = built(project.run())
    tags = {}
    for key in project.at_first:
        event = project.instance.get_latest_materialization_event(dg.AssetKey(key.split("/")))
        assert event
        assert event.asset_materialization
        tags[key] = event.asset_materialization.tags or {}
    prefix = "dagster/input_data_version/"
    for model in models:
        inputs = {
            tag.removeprefix(prefix): version
            for tag, version in tags[model].items()
            if tag.startswith(prefix)
        }
        assert inputs
        assert inputs.items() <= {k: tags[k]["dagster/data_version"] for k in inputs}.items()
    graph = project.definitions.resolve_asset_graph()
    for key, found in tags.items():
        assert found["dagster/code_version"] == graph.get(dg.AssetKey(key.split("/"))).code_version


def test_a_model_that_fails_in_a_job_is_shown_as_failed(project: Built) -> None:
    project.run()
    with duckdb.connect(project.database) as db:
        db.execute("drop table marts.campaign_performance; drop view marts.deals")
        db.execute("create or replace view staging.stg_activecampaign__campaigns as select 1 as n")
    result = project.definitions.resolve_job_def(
        "activecampaign__incremental_sync"
    ).execute_in_process(instance=project.instance, raise_on_error=False)
    assert not result.success
    assert "marts/campaign_performance" in planned(result, project.instance) - built(result)
    assert "marts/deals" in built(result)
    with duckdb.connect(project.database) as db:
        db.execute("drop view staging.stg_activecampaign__campaigns")
    project.run()


def test_an_asset_that_waits_for_a_mart_goes_into_the_jobs_with_what_the_mart_is_made_of(
    project: Built,
) -> None:
    @dg.asset(deps=[dg.AssetKey(["marts", "deals"])], tags={JOB_TAG: ""})
    def export() -> None:
        """An asset of the user's own."""

    definitions = dg.Definitions.merge(project.definitions, dg.Definitions(assets=[export]))
    job = definitions.resolve_job_def("activecampaign__incremental_sync")
    keys = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    assert {"export", "marts/deals", "staging/stg_activecampaign__deals"} <= keys
    assert "marts/contact_tags" not in keys
    project.account.update_deal(next(iter(project.account.deals.live)), value=8)
    result = job.execute_in_process(instance=project.instance)
    order = [event.asset_key.path[-1] for event in result.get_asset_materialization_events()]
    assert order.index("deals") < order.index("export")
    assert order.count("deal_stage_history") == 1  # by one of the two steps that build


def test_the_asset_of_all_models_builds_what_is_due(project: Built) -> None:
    project.run()
    with duckdb.connect(project.database) as db:
        db.execute("drop table marts.campaign_performance")
    assert built(project.run("activecampaign_models")) == {"marts/campaign_performance"}
    assert built(project.run("activecampaign_models")) == set()


def test_a_model_that_somebody_asks_for_is_built_always(project: Built) -> None:
    assert built(project.run("marts/campaign_performance")) == {"marts/campaign_performance"}
    # and counts as built
    assert built(project.run()) == set()


def test_a_table_that_somebody_dropped_is_built_again(project: Built) -> None:
    with duckdb.connect(project.database) as db:
        db.execute("drop table marts.campaign_performance")
    assert built(project.run()) == {"marts/campaign_performance"}


def test_all_is_built_after_a_change_of_the_project(project: Built) -> None:
    with (project.models / "macros" / "ids.sql").open("a") as macro:
        macro.write("\n")
    assert built(project.run()) == project.at_first
