"""A person is forgotten in every table and in every byte, and nobody else loses anything."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result

from activecampaign_dagster.cli import main
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.registry import CORE, STREAMS
from activecampaign_dagster.warehouse.file import connect
from tests.helpers import Warehouse

ADDRESS = "canary.bird+x@example.com"
TEXTS = {
    "email": ADDRESS,
    "firstName": "Qzanary",
    "lastName": "Vbirdington",
    "phone": "0049 7777 1",
    "ip": "203.0.113.77",
    "ua": "Qzbrowser/7.1",
}
NEIGHBOUR = f"the.{ADDRESS}"


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ACTIVECAMPAIGN_DATABASE", str(tmp_path / "a.duckdb"))
    monkeypatch.chdir(tmp_path)
    return Warehouse(tmp_path / "a.duckdb")


@pytest.fixture
def person(synced: Warehouse, sandbox: Sandbox) -> int:
    """A contact with a deal and values, in tables of every kind."""
    account = sandbox.account
    deal = synced.query("select id, contact from activecampaign.deals where contact > 0 limit 1")[0]
    person: int = deal[1]
    account.update_contact(person, **TEXTS)
    neighbour = next(i for i in synced.live("contacts") if i != person)
    account.update_contact(neighbour, email=NEIGHBOUR)
    synced.sync(sandbox)
    assert synced.query(f"from activecampaign.custom_field_values where contact = {person}")
    with duckdb.connect(synced.path) as db:
        db.execute(f"use {synced.path.stem}.activecampaign")
        db.execute(f"""
            update activecampaign.deals set title = 'For Qzanary Vbirdington',
                description = 'Came from 203.0.113.77' where id = {deal[0]};
            create schema marts; create schema snapshots; create schema staging;
            create table marts.contacts as select 'activecampaign' as account, id as contact_id,
                email, "firstName" || ' ' || "lastName" as full_name from activecampaign.contacts;
            create table marts.deals as select 'activecampaign' as account, id as deal_id,
                contact as contact_id, value from activecampaign.deals;
            create table snapshots.notes as
                select 1 as note_id, 'Ask {ADDRESS}.' as text, ['{ADDRESS}', 'b'] as list
                union all select 2, 'Ask {NEIGHBOUR}', ['c'];
            insert into activecampaign._rejected_values values
                ('activecampaign', 'contacts', '{person}', 'udate', 'soon', 's'),
                ('activecampaign', 'deals', '1', 'value', 'from {ADDRESS}', 's'),
                ('activecampaign', 'deals', '2', 'value', 'many', 's');
            create view staging.v as
                select email from "{synced.path.stem}"."activecampaign"."contacts";
            comment on table marts.deals is 'what is sold';
        """)
    (synced.staging / "contacts").mkdir(parents=True)
    (synced.staging / "contacts" / "1.ndjson").write_text(ADDRESS)
    return person


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["forget", *args])


def bytes_in(folder: Path, text: str) -> list[str]:
    """The files below a folder that hold a text, in any case."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return [p.name for p in found if text.casefold().encode() in p.read_bytes().lower()]


@pytest.mark.parametrize("by", ["id", "address", "address in capitals"])
def test_a_forgotten_contact_is_in_no_table_and_in_no_byte(
    synced: Warehouse, person: int, tmp_path: Path, by: str
) -> None:
    for text in TEXTS.values():
        assert "a.duckdb" in bytes_in(tmp_path, text), "DuckDB does not compress a text so short"
    before = synced.query("select count(*), sum(value) from activecampaign.deals")
    contacts = synced.query("select count(*) from marts.contacts")[0][0]
    result = run({"id": str(person), "address": ADDRESS}.get(by, ADDRESS.upper()))
    assert result.exit_code == 0, result.output
    for text in TEXTS.values():
        assert set(bytes_in(tmp_path, text)) <= ({"a.duckdb"} if text == ADDRESS else set())
    for schema, table in synced.query(
        "select schema_name, table_name from duckdb_tables() where not internal"
    ):
        rows = synced.query(f"select t::varchar from {schema}.{table} as t")
        for text in TEXTS.values():
            left = [r for (r,) in rows if text.casefold() in r.casefold() and NEIGHBOUR not in r]
            assert left == [], (table, text)
    for name in CORE:
        columns = [f.name for f in STREAMS[name].fields if f.references == "contacts"]
        for column in columns:
            assert not synced.query(f'from activecampaign.{name} where "{column}" = {person}')
    assert synced.query("select count(*), sum(value) from activecampaign.deals") == before
    assert synced.query("select count(*) from marts.contacts")[0][0] == contacts - 1
    assert synced.query("select count(*) from marts.deals where contact_id is null")[0][0] >= 1
    assert synced.query('select "value" from activecampaign._rejected_values') == [("many",)]
    assert synced.query("from snapshots.notes order by note_id") == [
        (1, None, None),
        (2, f"Ask {NEIGHBOUR}", ["c"]),
    ]
    assert not (synced.staging / "contacts").exists()
    assert "activecampaign.contacts" in result.output
    assert "1 rows deleted" in result.output
    ((live, total),) = synced.query(
        "select live_rows, \"rows\" from activecampaign._streams where stream = 'contacts'"
    )
    assert (live, total) == (len(synced.live("contacts")), len(synced.table("contacts")))


def test_what_is_left_works_as_before(synced: Warehouse, person: int) -> None:
    synced.path.chmod(0o600)
    assert run(str(person)).exit_code == 0
    with duckdb.connect(synced.path) as db:
        assert db.execute("select count(*) from staging.v").fetchone()
        comments = db.execute("select comment from duckdb_tables() where comment is not null")
        assert comments.fetchall() == [("what is sold",)]
    assert oct(synced.path.stat().st_mode)[-3:] == "600"
    assert [p.name for p in synced.path.parent.iterdir() if "rewritten" in p.name] == []


def test_a_contact_that_is_in_no_table_costs_no_rewriting_unless_it_is_asked_for(
    synced: Warehouse,
) -> None:
    before = synced.path.stat().st_ino
    result = run("nobody@example.com")
    assert result.exit_code == 0
    assert "No table contains the contact." in result.output
    assert "The database was not rewritten." in result.output
    assert synced.path.stat().st_ino == before
    result = run("nobody@example.com", "--rewrite")
    assert "The database was rewritten." in result.output
    assert synced.path.stat().st_ino != before


def test_an_id_needs_its_account_where_the_database_holds_several(
    synced: Warehouse, person: int
) -> None:
    with connect(synced.path) as db:
        db.execute("""
            create table activecampaign.b_contacts as from activecampaign.contacts;
            insert into activecampaign._stream_entries by name
                select 'b' as account, 'contacts' as stream, 'b_contacts' as table_name,
                    1 as entry, false as is_withdrawn;
        """)
    result = run(str(person))
    assert result.exit_code == 1
    assert "--account, one of activecampaign, b" in result.output
    result = run(str(person), "--account", "b")
    assert result.exit_code == 0, result.output
    assert person in synced.table("contacts")
    assert not synced.query(f"from activecampaign.b_contacts where id = {person}")
    result = run(ADDRESS, "--account", "c")
    assert "has no account 'c'; it has activecampaign, b" in result.output


@pytest.mark.parametrize("who", ["Jane", "-1", "1.5", ""])
def test_what_is_neither_an_id_nor_an_address_is_refused(synced: Warehouse, who: str) -> None:
    result = run("--", who)
    assert result.exit_code == 1
    assert "neither the id nor the e-mail address" in result.output
    assert "Traceback" not in result.output


def test_no_database_is_a_sentence_and_makes_none(warehouse: Warehouse) -> None:
    result = run(ADDRESS)
    assert result.exit_code == 1
    assert "There is no database" in result.output
    assert not warehouse.path.exists()


def test_without_room_for_a_second_file_it_says_what_is_left_to_do(
    synced: Warehouse, person: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = synced.path.with_name(f".{synced.path.name}.rewritten")
    real = os.fsync

    def full(fd: int) -> None:
        if Path(f"/proc/self/fd/{fd}").resolve() == fresh:
            raise OSError(28, "No space left on device")
        real(fd)

    monkeypatch.setattr(os, "fsync", full)
    result = run(str(person))
    assert result.exit_code == 1
    assert "could not be rewritten ([Errno 28] No space left" in result.output
    assert "run the command again with --rewrite" in " ".join(result.output.split())
    assert not fresh.exists()
    assert person not in synced.table("contacts")


def test_a_copy_that_was_made_before_is_not_touched(
    synced: Warehouse, person: int, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.duckdb"
    shutil.copy(synced.path, backup)
    before = backup.read_bytes()
    assert run(str(person)).exit_code == 0
    assert backup.read_bytes() == before
