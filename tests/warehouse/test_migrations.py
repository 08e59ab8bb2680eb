"""A stream's declaration changes: what is in the tables already stays, in the new type."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from activecampaign_dagster.streams.declaration import Field, Type
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.warehouse import migrate
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.migrate import retype


def declared(**types: Type) -> Source:
    users = STREAMS["users"]
    fields = tuple(replace(field, type=types.get(field.name, field.type)) for field in users.fields)
    added = tuple(
        Field(name=name, type=type_, description="")
        for name, type_ in types.items()
        if name not in {f.name for f in fields}
    )
    stream = replace(users, fields=fields + added)
    return Source(stream_tables=(StreamTable(stream, "users", stream.sync_type),))


@pytest.fixture
def open_db(tmp_path: Path) -> partial:
    opened = partial(connect, tmp_path / "a.duckdb")
    with opened() as db:
        migrate.prepare(db, declared())
        db.execute(
            "insert into activecampaign.users (id, phone, cdate, links) values "
            "(1, '42', '2024-01-31 12:00:00+00', '{\"a\": 1}'), (2, '12.5', null, null), "
            "(3, '', '2024-06-30 12:00:00+00', null), (4, 'n/a', null, null)"
        )
    return opened


def test_a_text_column_becomes_a_number_and_what_is_no_number_is_kept(open_db: partial) -> None:
    with open_db() as db:
        assert retype(db, declared(phone=Type.BIGINT)) == ["users.phone: VARCHAR to BIGINT"]
        phones = db.execute("select phone from activecampaign.users order by id").fetchall()
        kept = db.execute(
            'select id, "column", "value", sync_id from activecampaign._rejected_values order by id'
        ).fetchall()
    assert phones == [(42,), (None,), (None,), (None,)]
    assert kept == [("2", "phone", "12.5", "migration"), ("4", "phone", "n/a", "migration")]


def test_a_second_time_changes_nothing(open_db: partial) -> None:
    source = declared(phone=Type.BIGINT)
    with open_db() as db:
        retype(db, source)
        before = db.execute("from activecampaign._rejected_values").fetchall()
        assert retype(db, source) == []
        assert db.execute("from activecampaign._rejected_values").fetchall() == before


@pytest.mark.parametrize(
    ("field", "type_"), [("cdate", Type.VARCHAR), ("links", Type.VARCHAR), ("id", Type.VARCHAR)]
)
def test_any_type_becomes_text_without_loss(open_db: partial, field: str, type_: Type) -> None:
    with open_db() as db:
        before = db.execute(f'select "{field}"::varchar from activecampaign.users').fetchall()
        retype(db, declared(**{field: type_}))
        assert db.execute(f'select "{field}" from activecampaign.users').fetchall() == before
        assert db.execute("from activecampaign._rejected_values").fetchall() == []


def test_a_text_that_is_no_json_becomes_a_json_string(open_db: partial) -> None:
    with open_db() as db:
        retype(db, declared(phone=Type.JSON))
        phones = db.execute("select phone from activecampaign.users order by id").fetchall()
    assert phones == [("42",), ("12.5",), ('""',), ('"n/a"',)]


def test_a_stamp_that_loses_its_offset_is_kept_as_it_was(open_db: partial) -> None:
    with open_db() as db:
        retype(db, declared(cdate=Type.TIMESTAMP))
        kept = db.execute(
            'select id, "value" from activecampaign._rejected_values order by id'
        ).fetchall()
    assert kept == [("1", "2024-01-31 12:00:00+00"), ("3", "2024-06-30 12:00:00+00")]


def test_a_column_that_nobody_had_declared_takes_the_type_it_is_declared_with(
    open_db: partial,
) -> None:
    with open_db() as db:
        db.execute("alter table activecampaign.users add column shoe_size varchar")
        db.execute("update activecampaign.users set shoe_size = '43' where id = 1")
        retype(db, declared(shoe_size=Type.BIGINT))
        sizes = db.execute("select shoe_size from activecampaign.users order by id").fetchall()
    assert sizes[0] == (43,)
