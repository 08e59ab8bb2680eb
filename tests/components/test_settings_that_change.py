"""What becomes of a table whose account's settings are changed between two syncs."""

from __future__ import annotations

from pathlib import Path

from activecampaign_dagster.components.source import ActiveCampaignSource
from activecampaign_dagster.sync.request import Mode
from tests.helpers import Warehouse, serving


def test_deals_are_read_from_the_start_once_the_key_sees_them_in_full_again(
    tmp_path: Path,
) -> None:
    partial = ActiveCampaignSource.model_validate(
        {"streams": [{"name": "deals", "access": "partial"}]}
    )
    with serving() as sandbox:
        warehouse = Warehouse(tmp_path / "a.duckdb", ActiveCampaignSource().source())
        warehouse.sync(sandbox, streams=["deals"])
        before = warehouse.live("deals")
        warehouse.source = partial.source()
        warehouse.sync(sandbox, Mode.INCREMENTAL, streams=["deals"])
        assert warehouse.query("select count(mdate) from activecampaign.deals") == [(0,)]
        warehouse.source = ActiveCampaignSource().source()
        warehouse.sync(sandbox, Mode.INCREMENTAL, streams=["deals"])
        assert warehouse.live("deals") == before
