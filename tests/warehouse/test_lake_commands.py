"""What the commands do to a lake: make it, maintain it, move into it, forget a contact in it."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import duckdb
import pytest
from backports import zstd
from click.testing import CliRunner

from activecampaign_dagster import cli
from activecampaign_dagster.cli import main
from activecampaign_dagster.components.source import ActiveCampaignSource
from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.registry import CORE
from activecampaign_dagster.sync.request import Mode
from activecampaign_dagster.warehouse import lake as lake_module
from activecampaign_dagster.warehouse.copying import copy
from activecampaign_dagster.warehouse.location import locate
from activecampaign_dagster.warehouse.sql import quoted, relations
from activecampaign_dagster.warehouse.warehouse import WarehouseError
from tests.helpers import Warehouse, serving
from tests.lakes import ask, forget_connection
from tests.postgres_server import Server
from tests.sync.truth import differences
from tests.upgrades.test_release_0_1 import NOW, RELEASE, account_of_release

pytestmark = pytest.mark.slow
ADDRESS = "aaa.canary.bird@example.com"  # before all others, so that statistics tell it
TEXTS = {"email": ADDRESS, "firstName": "Aaaqzanary", "phone": "0049 7777 1"}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    account = Account.generate(seed=3, contacts=120, deals=60, field_values=150)
    with serving(account) as server:
        yield server


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def run(*args: str) -> str:
    """What a command says that ends well."""
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_lake_is_made_once_or_twice_and_says_what_it_holds(
    lake: Warehouse, sandbox: Sandbox
) -> None:
    assert lake.place
    for _ in range(2):
        assert run("warehouse", "init") == f"The warehouse is ready: {lake.place.label}\n"
    before = json.loads(run("warehouse", "status", "--json"))
    lake.sync(sandbox)
    after = json.loads(run("warehouse", "status", "--json"))
    assert after["warehouse"] == lake.place.label
    for name in ("tables", "snapshots", "files", "bytes of files"):
        assert after[name] > before[name], name
    assert f"{after['snapshots']:,}" in run("warehouse", "status")


@pytest.mark.parametrize("command", [["warehouse", "status"], ["warehouse", "tidy"]])
def test_a_command_that_looks_makes_no_lake(lake: Warehouse, command: list[str]) -> None:
    assert lake.place
    for _ in range(2):
        result = CliRunner().invoke(main, command)
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert result.stderr.startswith(f"Error: There is no warehouse at {lake.place.label} yet: ")
        assert "activecampaign warehouse init" in result.stderr
    assert not lake.opened.exists()
    assert not Path(lake.place.files).exists()
    run("warehouse", "init")
    assert lake.opened.exists()
    assert lake.place.label in run("warehouse", "status")


def test_maintenance_keeps_all_rows_and_says_what_it_has_done(
    lake: Warehouse, sandbox: Sandbox
) -> None:
    for _ in range(2):
        lake.sync(sandbox)
        for contact in sandbox.account.contacts.live[:40]:
            sandbox.account.update_contact(contact, phone="0123")
    lake.sync(sandbox)
    before = lake.tables()
    told = json.loads(run("warehouse", "tidy", "--json"))
    assert len(told["done"]) == 6
    assert lake.tables() == before
    sandbox.account.delete_contact(sandbox.account.contacts.live[0])
    lake.sync(sandbox)
    for name in CORE:
        assert differences(sandbox.account, lake.live(name), name) == [], name


def test_maintenance_by_a_role_that_may_only_read_is_refused_in_a_sentence(
    lake: Warehouse, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lake.place
    lake.sync(sandbox)
    ask("create role reader login password 'readers'")
    for grant in ("usage on schema public", "select on all tables in schema public"):
        ask(f"grant {grant} to reader", lake.place.database)
    forget_connection(lake.place)
    with monkeypatch.context() as patch:
        patch.setenv("PGUSER", "reader")
        patch.setenv("PGPASSWORD", "readers")
        result = CliRunner().invoke(main, ["warehouse", "tidy"])
        forget_connection(lake.place)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith(f"Error: {lake.place.label} cannot be maintained: ")
    assert "permission denied" in result.stderr


def test_maintenance_waits_for_a_writer(lake: Warehouse) -> None:
    run("warehouse", "init")
    is_done = threading.Event()

    def was_done_first() -> bool:
        next(lake.opened.tidy())
        return is_done.is_set()

    with ThreadPoolExecutor() as threads:
        with lake.opened.connect() as db:
            tidied = threads.submit(was_done_first)
            wait([tidied], timeout=1.5)
            assert not tidied.done()
            db.execute("create table activecampaign.of_writer as select 1 as i")
            is_done.set()
        assert tidied.result(60)


def test_a_writer_waits_for_maintenance(lake: Warehouse) -> None:
    run("warehouse", "init")
    is_over = threading.Event()

    def was_over() -> bool:
        with lake.opened.connect():
            return is_over.is_set()

    with ThreadPoolExecutor() as threads:
        maintenance = lake.opened.tidy()
        next(maintenance)
        written = threads.submit(was_over)
        with lake.opened.connect(read_only=True) as db:  # whoever only reads need not wait
            assert ("activecampaign", "_streams") in relations(db)
        for _ in maintenance:
            wait([written], timeout=0.3)
            assert not written.done()
        is_over.set()
        maintenance.close()
        assert written.result(60)


def test_a_file_of_the_last_release_moves_into_a_lake_and_syncs_go_on_there(
    lake: Warehouse, tmp_path: Path
) -> None:
    assert lake.place
    path = tmp_path / "release.duckdb"
    path.write_bytes(zstd.decompress(RELEASE.read_bytes()))
    said = run("warehouse", "copy", str(path), lake.place.setting)
    with duckdb.connect(path, read_only=True) as db:
        db.execute("set TimeZone = 'UTC'")
        places = [place for place, kind in relations(db).items() if kind == "BASE TABLE"]
        assert ("activecampaign", "contacts") in places
        for schema, name in places:
            theirs = db.execute(f"from {schema}.{name}")
            # the ledger has columns by now that the release did not know
            columns = ", ".join(quoted(column) for column, *_ in theirs.description)
            rows = theirs.fetchall()
            own = lake.query(f"select {columns} from {schema}.{name}")
            assert sorted(map(repr, own)) == sorted(map(repr, rows)), name
            assert f"{schema}.{name}: {len(rows):,} rows" in said
    result = CliRunner().invoke(main, ["warehouse", "copy", str(path), lake.place.setting])
    assert result.exit_code == 1
    assert "already has tables of streams: copy into an empty one" in result.output
    account = account_of_release()
    contact = account.contacts.live[-1]
    account.update_contact(contact, phone="0123", udate=NOW.replace(hour=13))
    before = lake.tables()
    with serving(account) as sandbox:
        outcomes = lake.sync(sandbox, Mode.INCREMENTAL)
        assert outcomes["contacts"].read.since is not None
        after = lake.tables()
        assert after["contacts"][contact]["phone"] == "0123"
        assert {name: after[name].keys() for name in CORE} == {
            name: before[name].keys() for name in CORE
        }
        lake.sync(sandbox)
        for name in CORE:
            assert differences(account, lake.live(name), name) == [], name


def test_a_copy_that_was_interrupted_is_refused_by_syncs_and_begins_anew(
    lake: Warehouse, sandbox: Sandbox, tmp_path: Path
) -> None:
    assert lake.place
    path = tmp_path / "release.duckdb"
    path.write_bytes(zstd.decompress(RELEASE.read_bytes()))
    run("warehouse", "init")
    copying = copy(locate(str(path), path), lake.opened)
    for table in copying:
        if table.table == "custom_fields":
            break
    copying.close()  # all that a kill leaves of it
    with pytest.raises(WarehouseError, match="`activecampaign warehouse copy FROM TO` once more"):
        lake.sync(sandbox)
    said = run("warehouse", "copy", str(path), lake.place.setting)
    assert "rows copied and compared" in said
    with duckdb.connect(path, read_only=True) as db:
        deals = db.execute("select count(*) from activecampaign.deals").fetchall()
    assert lake.query("select count(*) from activecampaign.deals") == deals
    with serving(account_of_release()) as server:
        lake.sync(server, Mode.INCREMENTAL)


def test_what_cannot_be_copied_is_told_in_a_sentence(lake: Warehouse, tmp_path: Path) -> None:
    assert lake.place
    for origin in (str(tmp_path / "none.duckdb"), lake.place.setting):
        result = CliRunner().invoke(main, ["warehouse", "copy", origin, lake.place.setting])
        assert result.exit_code == 1
        assert "is not a DuckDB file to copy from" in result.output
    assert not (tmp_path / "none.duckdb").exists()


def bytes_in(folder: Path, text: str) -> list[str]:
    """The files below a folder that hold a text, as it is or in a Parquet file's pages."""
    found = []
    for path in (each for each in folder.rglob("*") if each.is_file()):
        inside = path.read_bytes().lower()
        if path.suffix == ".parquet":
            rows = duckdb.sql(f"select t::varchar from '{path}' as t").fetchall()
            inside += str(rows).lower().encode()
        found += [path.name] if text.casefold().encode() in inside else []
    return found


def test_a_forgotten_contact_is_in_no_file_of_the_lake_and_nowhere_in_its_catalogue(
    lake: Warehouse, server: Server, sandbox: Sandbox
) -> None:
    assert lake.place
    person = sandbox.account.contacts.live[0]
    for phone in ("0049 7777 0", TEXTS["phone"]):  # rows of several snapshots
        sandbox.account.update_contact(person, **{**TEXTS, "phone": phone})
        lake.sync(sandbox)
    folders = (Path(lake.place.files), lake.place.stem.parent)
    for text in TEXTS.values():
        assert bytes_in(folders[0], text) or text in server.dump(lake.place.database)
    assert ADDRESS in server.dump(lake.place.database), "statistics tell the least of all texts"
    count = len(lake.table("contacts"))
    written = next(Path(lake.place.files).rglob("contacts/*.parquet"))
    shutil.copy(written, written.with_name("ducklake-of-a-killed-writer.parquet"))
    said = run("forget", ADDRESS)
    assert "activecampaign.contacts" in said
    assert len(lake.table("contacts")) == count - 1
    forget_connection(lake.place)
    for text in TEXTS.values():
        assert [bytes_in(folder, text) for folder in folders] == [[], []], text
        held = [line for line in server.dump(lake.place.database).splitlines() if text in line]
        assert held == []


def test_what_another_writer_keeps_from_being_erased_is_erased_by_a_run_that_is_told_to_rewrite(
    lake: Warehouse, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lake.place
    lake.sync(sandbox)
    person = str(sandbox.account.contacts.live[0])
    with monkeypatch.context() as patch, lake.opened.connect():
        patch.setattr(lake_module, "_PATIENCE", 1.0)
        result = CliRunner().invoke(main, ["forget", person])
    assert result.exit_code == 1
    assert "The rows are deleted, but the lake's files still contain them." in result.stderr
    assert result.stderr.endswith("run again once nobody does. Add --rewrite then.\n")
    assert "The database was rewritten." in run("forget", person, "--rewrite")


def test_status_reads_a_lake(
    lake: Warehouse, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lake.place
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    account = ActiveCampaignSource.model_validate({"streams": "core"}).account()
    monkeypatch.setattr(cli, "configured", lambda: [account])
    assert "activecampaign: not synced yet" in run("status")
    assert not lake.opened.exists(), "it only looks"
    lake.sync(sandbox)
    found = json.loads(run("status", "--json"))
    assert found["warehouse"] == lake.place.label
    rows = {each["stream"]: each["live_rows"] for each in found["accounts"][0]["streams"]}
    assert (rows["contacts"], rows["deals"]) == (120, 60)
