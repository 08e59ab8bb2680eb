"""With several accounts a job of its own builds the models, once rows have landed anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from activecampaign_dagster.components.errors import ConfigurationError
from activecampaign_dagster.orchestration.account import ALL_MODELS, MODE_TAG
from activecampaign_dagster.orchestration.automation import models as models_module
from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.server import Sandbox
from tests.components.projects import DBT, load
from tests.orchestration.setup import QUICK, environment, small

ROOT = Path(__file__).parents[3]
SETTINGS = "\n".join(f"{name}: '{value}'" for name, value in QUICK.items())
SHOP = f"{SETTINGS}\nname: shop\ntable_prefix: shop_\nurl_variable: SHOP_URL\n"
SHOP += "api_key_variable: SHOP_API_KEY\n"

pytestmark = [
    pytest.mark.slow,
    # dagster-dbt itself calls what Dagster has deprecated
    pytest.mark.filterwarnings("ignore::DeprecationWarning:dagster"),
]


@dataclass
class Two:
    """A project of two accounts, and an instance."""

    definitions: dg.Definitions
    shop: Account
    instance: dg.DagsterInstance
    cursor: str | None = None

    def run(self, job: str) -> dg.ExecuteInProcessResult:
        result = self.definitions.resolve_job_def(job).execute_in_process(instance=self.instance)
        assert result.success
        return result

    def tick(self, *, after: timedelta = timedelta(0)) -> tuple[int, str]:
        """How many builds a tick of the sensor requests, and why none; it keeps the cursor."""
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        sensor = self.definitions.resolve_sensor_def("build_models")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(models_module, "datetime", clock_ahead(after))
            data = sensor.evaluate_tick(context)
        self.cursor = data.cursor or self.cursor
        return len(data.run_requests or []), data.skip_message or ""


def clock_ahead(by: timedelta) -> type[datetime]:
    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + by

    return Later


def models(result: dg.ExecuteInProcessResult) -> set[str]:
    events = result.get_asset_materialization_events()
    keys = {event.asset_key.to_user_string() for event in events if event.asset_key}
    return {key for key in keys if key.split("/")[0] not in {"activecampaign", "shop"}}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    root = tmp_path_factory.mktemp("apart")
    shop = small(seed=2)
    with (
        pytest.MonkeyPatch.context() as patch,
        Sandbox(small(), requests_per_second=None) as first,
        Sandbox(shop, requests_per_second=None) as second,
        environment(patch, root, ACTIVECAMPAIGN=first, SHOP=second) as instance,
    ):
        dbt = {"dbt": DBT.format(ROOT / "dbt_project")}
        definitions = load(root, dbt, activecampaign=SETTINGS, shop=SHOP)
        yield Two(definitions, shop, instance)


def test_models_are_built_once_for_all_accounts_when_rows_have_landed(two: Two) -> None:
    assert two.tick() == (0, "No sync has ended yet.")
    for name in ("activecampaign", "shop"):
        assert not models(two.run(f"{name}__full_refresh"))
    assert two.tick() == (1, "")

    building = create_run_for_test(
        two.instance,
        job_name="build_models",
        tags={MODE_TAG: "models"},
        status=dg.DagsterRunStatus.STARTED,
    )
    assert two.tick(after=timedelta(hours=1)) == (
        0,
        f"The run {building.run_id[:8]} (build_models) builds the models already.",
    )
    two.instance.delete_run(building.run_id)

    assert {"marts/deals", "marts/contacts"} <= models(two.run("build_models"))
    count, reason = two.tick()
    assert not count
    assert reason.startswith("The last build began less than 15 minutes ago")

    two.run("shop__incremental_sync")
    quarter = timedelta(minutes=16)
    assert two.tick(after=quarter) == (0, "No row has changed since the last build.")
    two.shop.update_deal(next(iter(two.shop.deals.live)), value=4711)
    two.run("shop__incremental_sync")
    assert two.tick(after=quarter) == (1, "")
    assert two.tick(after=quarter) == (0, "No row has changed since the last build.")
    built = models(two.run("build_models"))
    assert "marts/deals" in built
    assert "marts/contact_tags" not in built

    failed = create_run_for_test(
        two.instance,
        job_name="build_models",
        tags={MODE_TAG: "models"},
        status=dg.DagsterRunStatus.FAILURE,
    )
    assert two.tick(after=quarter)[0] == 0
    assert two.tick(after=timedelta(minutes=61)) == (1, "")
    two.instance.delete_run(failed.run_id)


def test_a_build_takes_the_one_slot_of_its_pool_and_common_jobs_build_too(two: Two) -> None:
    nodes = two.definitions.resolve_asset_graph()
    deals = nodes.get(dg.AssetKey(["marts", "deals"]))
    assert deals.pools == nodes.get(ALL_MODELS).pools == {"dbt"}
    common = two.definitions.resolve_job_def("full_refresh").asset_layer.executable_asset_keys
    assert {ALL_MODELS, dg.AssetKey(["shop", "all_streams"])} <= common


def test_each_job_knows_the_resources_of_its_accounts_alone(two: Two) -> None:
    def apis(job: str) -> set[str]:
        resources = two.definitions.resolve_job_def(job).resource_defs
        return {name for name in resources if name.endswith("_api")}

    assert apis("shop__full_refresh") == {"shop_api"}
    assert apis("full_refresh") == {"activecampaign_api", "shop_api"}


def test_one_account_builds_its_models_itself(tmp_path: Path) -> None:
    dbt = {"dbt": DBT.format(ROOT / "dbt_project")}
    definitions = load(tmp_path, dbt, shop=SHOP)
    assert "build_models" not in {job.name for job in definitions.jobs or ()}
    assert "build_models" not in {sensor.name for sensor in definitions.sensors or ()}
    job = definitions.resolve_job_def("shop__incremental_sync")
    assert ALL_MODELS in job.asset_layer.executable_asset_keys
    graph = definitions.resolve_asset_graph()
    assert not graph.get(ALL_MODELS).pools
    deals = graph.get(dg.AssetKey(["marts", "deals"]))
    assert deals.metadata["built_by"].value == ALL_MODELS


def test_hosts_that_share_a_lake_leave_the_models_to_a_job_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = {"DATABASE": "ducklake:postgres", "LAKE_FILES": str(tmp_path)}
    for name, value in lake.items():
        monkeypatch.setenv(f"ACTIVECAMPAIGN_{name}", value)
    monkeypatch.setenv("PGDATABASE", "lake")
    definitions = load(tmp_path, shop=SHOP)
    job = definitions.resolve_job_def("shop__incremental_sync")
    assert "The job build_models builds" in str(job.description)


def test_a_warehouse_that_is_unknown_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIVECAMPAIGN_DATABASE", "oracle:x")
    with pytest.raises(ConfigurationError, match="begins with oracle:, which is unknown"):
        load(tmp_path, shop=SHOP)


def test_an_interval_that_is_none_is_told_when_the_definitions_load(tmp_path: Path) -> None:
    dbt = {"dbt": f"{DBT.format(ROOT / 'dbt_project')}  build_every: soon\n"}
    with pytest.raises(Exception, match="build_every of the dbt models: 'soon' is not a time span"):
        load(tmp_path, dbt, activecampaign=SETTINGS, shop=SHOP)
