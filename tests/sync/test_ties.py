"""Deals that were created in one second: nobody promises an order among them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sync.request import Mode, Window
from tests.helpers import Warehouse, serving
from tests.sync.truth import differences


@pytest.mark.parametrize("imported", [100, 300])
def test_no_deal_of_an_import_is_lost_though_they_change_places_with_every_request(
    imported: int, warehouse: Warehouse
) -> None:
    account = Account.generate(
        seed=1, contacts=20, deals=900, field_values=0, bulk_import=imported, stub_share=0
    )
    account.ties = Random(1)
    now = datetime.now(UTC)
    with serving(account) as sandbox:
        warehouse.sync(sandbox, streams=["deals"])
        assert differences(account, warehouse.live("deals"), "deals") == []
        for deal in account.deals.live:
            account.update_deal(deal, title=f"changed {deal}")
        warehouse.sync(sandbox, Mode.INCREMENTAL, streams=["deals"])
        assert differences(account, warehouse.live("deals"), "deals") == []
        window = Window(now - timedelta(hours=1), now + timedelta(hours=1))
        outcome = warehouse.sync(sandbox, Mode.WINDOW, streams=["deals"], window=window)
        assert outcome["deals"].landed.unchanged == 900
        assert warehouse.sync(sandbox, streams=["deals"])["deals"].landed.deleted == 0


def test_an_import_in_a_steady_order_costs_no_further_requests(warehouse: Warehouse) -> None:
    account = Account.generate(seed=1, contacts=20, deals=900, field_values=0, bulk_import=300)
    with serving(account) as sandbox:
        warehouse.sync(sandbox, streams=["deals"])
        assert len(sandbox.requests) <= 11
