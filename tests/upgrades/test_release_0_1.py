"""What users of release 0.1 have goes on working: its databases and its YAML files.

`release_0_1.duckdb.zst` is a database that release 0.1 filled: a full sync of the account below,
and an incremental one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from backports import zstd

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.faults import always, changed
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.registry import CORE
from activecampaign_dagster.sync.request import Mode
from tests.components.projects import load
from tests.helpers import Warehouse, serving
from tests.sync.truth import differences

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
RELEASE = Path(__file__).with_name("release_0_1.duckdb.zst")
YAML = """
type: activecampaign_dagster.components.source.ActiveCampaignSource
attributes:
  streams: all
  extract_contact_custom_fields: true
  trigger: {every: 1 hour}
"""


def account_of_release() -> Account:
    """The account as it was when the release had synced it."""
    account = Account.generate(
        seed=7, now=NOW, contacts=40, deals=30, field_values=90, campaign_count=5, years=2
    )
    # it was changed between the two syncs of the release
    account.update_contact(account.contacts.live[0], phone="2", udate=NOW.replace(hour=13))
    return account


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with serving(account_of_release()) as server:
        yield server


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    path = tmp_path / "a.duckdb"
    path.write_bytes(zstd.decompress(RELEASE.read_bytes()))
    return Warehouse(path)


def test_an_incremental_sync_goes_on_where_the_release_ended(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    before = warehouse.tables()
    contact = sandbox.account.contacts.live[-1]
    sandbox.account.update_contact(contact, phone="0123", udate=NOW.replace(hour=13))
    outcomes = warehouse.sync(sandbox, Mode.INCREMENTAL)
    assert outcomes["contacts"].read.since is not None
    after = warehouse.tables()
    assert after["contacts"][contact]["phone"] == "0123"
    for name in CORE:
        assert after[name].keys() == before[name].keys(), name
    for row, record in before["contacts"].items():
        assert after["contacts"][row]["customFields"] == record["customFields"]


def test_a_full_sync_ends_in_the_account_as_it_is(sandbox: Sandbox, warehouse: Warehouse) -> None:
    warehouse.sync(sandbox, Mode.FULL)
    for name in CORE:
        assert differences(sandbox.account, warehouse.live(name), name) == [], name


def test_custom_fields_follow_a_definition_that_is_renamed_after_the_upgrade(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    field = next(iter(sandbox.account.truth("fields")))

    def rename(body: dict[str, list[dict[str, str]]]) -> None:
        for record in body["fields"]:
            if record["id"] == str(field):
                record["perstag"] = "RENAMED_SINCE"

    sandbox.faults.append(always(changed(rename), "fields"))
    warehouse.sync(sandbox, Mode.INCREMENTAL)
    found = warehouse.query(
        """select count(*) from activecampaign.contacts, json_each("customFields")
        where key = 'RENAMED_SINCE'"""
    )
    values = sandbox.account.truth("fieldValues").values()
    assert found == [(sum(int(value["field"]) == field for value in values),)]


def test_a_yaml_file_of_the_release_is_loaded(tmp_path: Path) -> None:
    defs = load(tmp_path, {"account": YAML})
    assert defs.get_repository_def().has_job("activecampaign__incremental_sync")
