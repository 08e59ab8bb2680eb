"""Two accounts side by side: their own assets, tables, pools, jobs and schedules."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from activecampaign_dagster.components.source import ActiveCampaignSource
from activecampaign_dagster.orchestration.account import MODE_TAG
from activecampaign_dagster.sandbox.server import Sandbox
from tests.orchestration.setup import QUICK, Setup, environment, failure, small


def test_two_accounts_keep_apart_and_are_read_by_the_common_jobs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (
        Sandbox(small(seed=1), requests_per_second=None) as first,
        Sandbox(small(seed=2, contacts=30), requests_per_second=None) as second,
        environment(monkeypatch, tmp_path, ACTIVECAMPAIGN=first, SHOP=second) as instance,
    ):
        sources = [
            ActiveCampaignSource.model_validate(QUICK),
            ActiveCampaignSource.model_validate(
                {
                    **QUICK,
                    "name": "shop",
                    "table_prefix": "shop_",
                    "url_variable": "SHOP_URL",
                    "api_key_variable": "SHOP_API_KEY",
                    "streams": ["contacts", {"name": "deals", "table": "orders"}],
                    "timezone": "Europe/Berlin",
                    "partition": "week",
                    "trigger": "on_change",
                }
            ),
        ]
        setup = Setup(sources, instance, tmp_path / "warehouse.duckdb")
        for job, covers in {
            "full_refresh": "Reads all of every account (activecampaign, shop)",
            "activecampaign__full_refresh": "Reads all of the account 'activecampaign'",
            "shop__incremental_sync": "Reads what changed in the account 'shop' since",
        }.items():
            assert str(setup.definitions.resolve_job_def(job).description).startswith(covers)
            one_fails = "If one account cannot be read, the others are still loaded"
            described = str(setup.definitions.resolve_job_def(job).description)
            assert (one_fails in described) == (job == "full_refresh")
            assert ("The job build_models builds the dbt models" in described) == (
                job != "full_refresh"
            )
        setup.run("full_refresh")
        assert setup.query("select count(*) from activecampaign.contacts") == [(60,)]
        assert setup.query("select count(*) from activecampaign.shop_contacts") == [(30,)]
        assert setup.query("select count(*) > 0 from activecampaign.shop_orders") == [(True,)]
        tables = setup.query(
            "select table_name from duckdb_tables() where table_name = 'shop_users'"
        )
        assert not tables, "the shop's users are not read"
        known = setup.query("select distinct account from activecampaign._streams order by all")
        assert known == [("activecampaign",), ("shop",)]
        keys = {
            key.to_user_string()
            for key in setup.definitions.resolve_asset_graph().get_all_asset_keys()
        }
        assert {"activecampaign/users", "shop/contacts", "shop/deals"} <= keys
        assert "shop/users" not in keys
        assert {account.pool for account in setup.accounts} == {
            "activecampaign_activecampaign",
            "activecampaign_shop",
        }
        setup.run("shop__incremental_sync")
        assert len(instance.get_runs()) == 2
        before = len(second.requests)
        month = setup.account.partitions.get_partition_keys()[-1]
        result = setup.run(tags={"dagster/partition": month}, fails=True)
        assert "A job reads the whole account, not partitions" in failure(result)
        assert len(second.requests) == before


def test_an_account_whose_run_is_under_way_does_not_hold_up_the_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shop = ActiveCampaignSource.model_validate({"name": "shop", "table_prefix": "shop_"}).account()
    tags = {MODE_TAG: "full"}
    run = dg.DagsterRun(job_name="activecampaign__full_refresh", tags=tags)
    assert not shop.is_read_by(run)
    assert shop.is_read_by(dg.DagsterRun(job_name="full_refresh", tags=tags))
    # another project's
    assert not shop.is_read_by(dg.DagsterRun(job_name="full_refresh"))
    assert shop.is_read_by(
        dg.DagsterRun(job_name="__ASSET_JOB", asset_selection=frozenset({shop.key("deals")}))
    )
