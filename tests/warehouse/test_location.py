"""A setting names a place or is refused in a sentence; it never becomes a file of that name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

from activecampaign_dagster.components.errors import ConfigurationError
from activecampaign_dagster.warehouse.location import Engine, LocationError, locate
from activecampaign_dagster.warehouse.motherduck import MotherDuckWarehouse
from activecampaign_dagster.warehouse.warehouse import WarehouseError
from tests.components.projects import load

SECRET = "c4nary-9f3"
COMPLETE = {"PGDATABASE": "lake", "ACTIVECAMPAIGN_LAKE_FILES": "s3://bucket/lake"}
REFUSED = [
    (f"postgres://user:{SECRET}@host/lake", {}, "begins with postgres:, which is unknown"),
    (f"postgresql+psycopg2://u:{SECRET}@host", {}, "begins with postgresql+psycopg2:, which is"),
    ("s3://bucket/a.duckdb", {}, "begins with s3:, which is unknown"),
    ("file:a.duckdb", {}, "begins with file:, which is unknown"),
    ("ab:c", {}, "is written with its folder, as in ./NAME"),
    (f"postgres.prod:{SECRET}", {}, "begins with postgres.prod:, which is unknown"),
    ("x_y:z", {}, "begins with x_y:, which is unknown"),
    ("ducklake :postgres", COMPLETE, "begins with ducklake:, which is unknown"),
    ("ducklake", COMPLETE, "is not the path of a file: set it to a path, ducklake:postgres or md:"),
    (f"host=db dbname=lake password={SECRET}", {}, "is not the path of a file"),
    ("/", {}, "is not the path of a file"),
    ("data/..", {}, "is not the path of a file"),
    ("~nobody-of-that-name/a.duckdb", {}, "begins with ~ and the name of no user"),
    ("ducklake:postgres", {**COMPLETE, "PGDATABASE": f"x password={SECRET}"}, "must be the name"),
    ("ducklake:postgres", {**COMPLETE, "PGDATABASE": f"postgres://u:{SECRET}@h/d"}, "and nothing"),
    (f"ducklake:postgres:host=h password={SECRET}", COMPLETE, "is not ducklake:postgres: write"),
    ("ducklake:a.ducklake", COMPLETE, "must not contain a password"),
    ("ducklake:postgres", {}, "PGDATABASE is not: set it to the name of a PostgreSQL database"),
    ("ducklake:postgres", {"PGDATABASE": " "}, "PGDATABASE is not"),
    ("ducklake:postgres", {"PGDATABASE": "lake"}, "ACTIVECAMPAIGN_LAKE_FILES is not: set it to"),
    ("md:", {}, "begins with md:, which is unknown"),
    (f"md:name?motherduck_token={SECRET}", {}, "does not name a MotherDuck database"),
    ("md:activecampaign", {}, "and not activecampaign, which is the schema's name"),
    ("md:ActiveCampaign", {}, "and not activecampaign, which is the schema's name"),
    ("md:a name", {}, "write letters, digits and _"),
]


@pytest.mark.parametrize(
    ("setting", "engine", "label"),
    [
        ("", Engine.FILE, "{folder}/data/warehouse.duckdb"),
        ("b.duckdb", Engine.FILE, "{folder}/b.duckdb"),
        (" /a/b.duckdb ", Engine.FILE, "/a/b.duckdb"),
        ("./a:b", Engine.FILE, "{folder}/a:b"),
        ("data/md:b", Engine.FILE, "{folder}/data/md:b"),
        ("C:a.duckdb", Engine.FILE, "{folder}/C:a.duckdb"),
        ("~/b.duckdb", Engine.FILE, "{folder}/home/b.duckdb"),
        ("ducklake:postgres", Engine.LAKE, "ducklake:postgres (lake)"),
        ("md:sales_2", Engine.MOTHERDUCK, "md:sales_2"),
    ],
)
def test_a_setting_names_a_place(
    setting: str, engine: Engine, label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    place = locate(setting, tmp_path / "data" / "warehouse.duckdb", COMPLETE)
    assert place.engine is engine
    assert place.label == label.format(folder=tmp_path)
    # a program that is started from here finds the same place
    again = locate(place.setting, tmp_path / "elsewhere.duckdb", {**COMPLETE, **place.environment})
    assert (again.label, again.files) == (place.label, place.files)
    assert place.folder("staging").is_absolute()
    assert list(tmp_path.iterdir()) == []


def test_what_is_on_its_way_is_kept_in_the_scratch_folder_of_the_host(tmp_path: Path) -> None:
    scratch = {**COMPLETE, "ACTIVECAMPAIGN_SCRATCH": str(tmp_path / "scratch")}
    default = tmp_path / "data" / "warehouse.duckdb"
    for setting in ("", "ducklake:postgres", "md:sales"):
        assert locate(setting, default, scratch).folder("tmp").parent == tmp_path / "scratch"
        assert locate(setting, default, COMPLETE).folder("tmp").parent == tmp_path / "data"


@pytest.mark.parametrize(("setting", "settings", "said"), REFUSED)
def test_a_setting_that_names_no_place_is_refused_in_a_sentence(
    setting: str,
    settings: dict[str, str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LocationError) as raised:
        locate(setting, tmp_path / "a.duckdb", settings)
    message = str(raised.value)
    assert said in message
    assert message.startswith("ACTIVECAMPAIGN_DATABASE ")
    assert message.endswith(".")
    assert "\n" not in message
    assert SECRET not in message
    assert list(tmp_path.iterdir()) == []


def test_a_project_that_is_loaded_with_it_says_the_sentence_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("ACTIVECAMPAIGN_DATABASE", f"postgres://user:{SECRET}@host/lake")
    with pytest.raises(ConfigurationError) as raised:
        load(tmp_path, account="streams: core")
    first, second = str(raised.value).splitlines()
    assert first == "1 error in the configuration:"
    assert second.strip().startswith("ACTIVECAMPAIGN_DATABASE begins with postgres:, which is")
    assert SECRET not in str(raised.value)
    assert list((tmp_path / "cwd").iterdir()) == []


def test_motherduck_is_asked_for_the_database_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked: list[str] = []

    class StandIn:
        """A connection to MotherDuck, whose client alone knows `create database`."""

        def __init__(self, address: str) -> None:
            asked.append(address)
            self._db = duckdb.connect()

        def execute(self, sql: str) -> duckdb.DuckDBPyConnection:
            if name := re.fullmatch('create database if not exists "(.*)"', sql):
                sql = f"attach if not exists '{tmp_path / name[1]}.duckdb' as \"{name[1]}\""
            return self._db.execute(sql)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._db, name)

    place = locate("md:sales", tmp_path / "a.duckdb", {})
    warehouse = MotherDuckWarehouse(place, open=StandIn)  # type: ignore[arg-type]
    with warehouse.connect() as db:
        db.execute("create table t as select 1 as i")
    with warehouse.connect() as db:
        assert db.execute("from sales.t").fetchall() == [(1,)]
        assert db.execute("select current_setting('TimeZone')").fetchall() == [("UTC",)]
    assert warehouse.sizes() == {"tables": 1}
    assert set(asked) == {"md:"}
    assert {path.name for path in tmp_path.iterdir()} == {"sales.duckdb"}


def test_a_motherduck_that_refuses_is_a_sentence(tmp_path: Path) -> None:
    def refusing(address: str) -> duckdb.DuckDBPyConnection:
        raise duckdb.IOException("Your request is not authenticated.\nLog in")

    warehouse = MotherDuckWarehouse(locate("md:sales", tmp_path, {}), open=refusing)
    told = r"md:sales cannot be opened \(Your request is not authenticated\.\): set"
    with pytest.raises(WarehouseError, match=told), warehouse.connect():
        pass
