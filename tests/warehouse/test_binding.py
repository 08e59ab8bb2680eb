"""Tables hold the rows of one account, whatever the URL is changed to."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from activecampaign_dagster.api.errors import AddressError
from activecampaign_dagster.sandbox.faults import always, error
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.sync.request import Mode
from activecampaign_dagster.warehouse import migrate
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.warehouse import WarehouseError
from tests.helpers import Warehouse
from tests.sync.truth import differences

ADDRESS = "select account, value from activecampaign._account_facts where fact = 'address'"


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """A file called like the schema, as the default one is."""
    return Warehouse(tmp_path / "activecampaign.duckdb")


def elsewhere(sandbox: Sandbox) -> str:
    """The URL of an account under another name."""
    return sandbox.url.replace("127.0.0.1", "localhost")


def refused(sandbox: Sandbox, warehouse: Warehouse) -> str:
    """What a sync from elsewhere says, which reads nothing."""
    sandbox.reset_stats()
    with pytest.raises(WarehouseError) as caught:
        warehouse.sync(sandbox, Mode.INCREMENTAL, url=elsewhere(sandbox))
    assert sandbox.requests == []
    return str(caught.value)


def test_another_account_is_not_read_into_the_tables_of_the_first(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    warehouse.sync(sandbox, streams=["users"])
    assert warehouse.query(ADDRESS) == [("activecampaign", "127.0.0.1")]
    said = refused(sandbox, warehouse)
    assert "hold the account 127.0.0.1, but the URL is that of localhost" in said
    assert "ACTIVECAMPAIGN_DATABASE" in said
    assert "table_prefix" in said
    assert len(said.splitlines()) == 2
    warehouse.sync(sandbox, Mode.INCREMENTAL)
    assert warehouse.query(ADDRESS) == [("activecampaign", "127.0.0.1")]


def test_another_account_under_another_name_is_not_read_into_tables_that_are_filled(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    """Two projects that share a warehouse know nothing of each other's settings."""
    warehouse.sync(sandbox, streams=["users"])
    first = warehouse.source
    warehouse.source = replace(first, name="shop")
    said = refused(sandbox, warehouse)
    assert "are those of 'activecampaign', which hold the account 127.0.0.1" in said
    assert "give 'shop' a table_prefix" in said
    warehouse.source = first
    warehouse.sync(sandbox, Mode.INCREMENTAL, streams=["users"])
    assert differences(sandbox.account, warehouse.live("users"), "users") == []
    listed = "select account from activecampaign._streams where table_name = 'users'"
    assert warehouse.query(listed) == [("activecampaign",)]


def test_an_account_that_moves_under_a_new_name_needs_the_statement_that_is_named(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    warehouse.sync(sandbox, streams=["users"])
    warehouse.source = replace(warehouse.source, name="shop")
    _, _, statement = refused(sandbox, warehouse).partition("run in the database: ")
    with duckdb.connect(warehouse.path) as db:
        db.execute(statement)
    warehouse.sync(sandbox, streams=["users"], url=elsewhere(sandbox))
    listed = "select account from activecampaign._streams where table_name = 'users'"
    assert warehouse.query(listed) == [("shop",)]


def test_the_statement_that_is_named_lets_an_account_move(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    warehouse.sync(sandbox, streams=["users"])
    _, _, statement = refused(sandbox, warehouse).partition("run in the database: ")
    with duckdb.connect(warehouse.path) as db:
        db.execute(statement)
    warehouse.sync(sandbox, url=elsewhere(sandbox))
    assert warehouse.query(ADDRESS) == [("activecampaign", "localhost")]


def test_a_new_table_prefix_makes_room_for_another_account(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    warehouse.sync(sandbox, streams=["users"])
    stream_tables = tuple(
        replace(t, table=f"new_{t.table}") for t in warehouse.source.stream_tables
    )
    warehouse.source = Source(stream_tables=stream_tables)
    warehouse.sync(sandbox, streams=["users"], url=elsewhere(sandbox))
    assert warehouse.query("select count(*) from activecampaign.new_users") == [(8,)]


def test_a_wrong_url_that_brought_no_rows_is_forgotten(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    sandbox.faults.append(always(error(404)))
    with pytest.raises(AddressError):
        warehouse.sync(sandbox, url=elsewhere(sandbox))
    sandbox.faults.clear()
    warehouse.sync(sandbox, streams=["users"])
    assert warehouse.query(ADDRESS) == [("activecampaign", "127.0.0.1")]


def test_of_two_first_syncs_of_two_accounts_at_once_only_one_lands(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    with ThreadPoolExecutor(1) as threads:
        other: list[Future[object]] = []

        def begin_the_other(*_: object) -> None:
            if not other:
                url = elsewhere(sandbox)
                other.append(threads.submit(warehouse.sync, sandbox, streams=["users"], url=url))
                while warehouse.query(ADDRESS) != [("activecampaign", "localhost")]:
                    assert not other[0].done()

        sandbox.faults.append(begin_the_other)
        warehouse.sync(sandbox, streams=["users"])
        with pytest.raises(WarehouseError, match="but the URL is that of localhost"):
            other[0].result()
    assert warehouse.query(ADDRESS) == [("activecampaign", "127.0.0.1")]


def test_an_account_that_is_given_another_name_while_it_is_read_is_listed_once(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    def rename(*_: object) -> None:
        with connect(warehouse.path) as db:
            migrate.prepare(db, Source(name="renamed"))

    sandbox.faults.append(rename)
    warehouse.sync(sandbox, streams=["users"])
    listed = "select account from activecampaign._streams where table_name = 'users'"
    assert warehouse.query(listed) == [("renamed",)]


def test_the_ledger_is_read_in_a_file_that_is_called_like_the_schema(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    assert warehouse.path.stem == "activecampaign"
    warehouse.sync(sandbox, streams=["users"])
    with duckdb.connect(warehouse.path, read_only=True) as db:
        for view in ("_streams", "_account_facts"):
            assert db.execute(f"from activecampaign.activecampaign.{view}").fetchall()


def test_tables_from_before_addresses_were_noted_are_of_the_account_at_hand(
    sandbox: Sandbox, warehouse: Warehouse
) -> None:
    warehouse.sync(sandbox, streams=["users"])
    warehouse.query("delete from activecampaign._account_fact_entries where fact = 'address'")
    warehouse.sync(sandbox, Mode.INCREMENTAL, streams=["users"], url=elsewhere(sandbox))
    assert warehouse.query(ADDRESS) == [("activecampaign", "localhost")]
    assert differences(sandbox.account, warehouse.live("users"), "users") == []
