"""The database under any name: built, copied, renamed, attached beside others."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from tests.dbt.conftest import NOW, Dbt, Observed

VIEWS = """
    select schema_name || '.' || view_name from duckdb_views()
    where not internal and database_name = current_database()
"""


def count_rows(db: duckdb.DuckDBPyConnection, database: str = "") -> dict[str, int]:
    """View → its rows, under its name or, if one is given, behind the database's."""
    found = {}
    for (view,) in db.execute(VIEWS).fetchall():
        name = f"{database}.{view}" if database else view
        [found[view]] = db.execute(f"select count(*) from {name}").fetchone() or ()
    return found


@pytest.fixture(scope="module")
def rows(built) -> dict[str, int]:
    """View → its rows in the file as dbt left it."""
    with duckdb.connect(built.dbt.database, read_only=True) as db:
        found = count_rows(db)
    assert len(found) > 10
    schemas = {name.split(".")[0] for name in found}
    assert schemas == {"activecampaign", "staging", "intermediate", "marts"}
    return found


@pytest.mark.parametrize(
    "name", ["copy.duckdb", "of 2 march.db", "Größe-1.duckdb", "select.duckdb"]
)
def test_the_views_of_a_copy_work_whatever_it_is_called(built, rows, tmp_path, name):
    shutil.copy(built.dbt.database, tmp_path / name)
    with duckdb.connect(tmp_path / name, read_only=True) as db:
        assert count_rows(db) == rows


def test_the_views_work_in_a_database_that_is_attached_under_another_name(built, rows):
    """Also beside one with the same schemas, whose rows are not taken for its own."""
    with duckdb.connect() as db:
        for schema in ("activecampaign", "staging", "snapshots"):
            db.execute(f"create schema {schema}; create table {schema}.deals as select 1 as id")
        db.execute(f"attach '{built.dbt.database}' as other (read_only)")
        db.execute("use other")
        assert count_rows(db) == rows
        views = db.execute(VIEWS).fetchall()
        db.execute("use memory")
        found = {v: db.execute(f"select count(*) from other.{v}").fetchone() for (v,) in views}
        assert found == {view: (number,) for view, number in rows.items()}


def built_as(observed: Observed, folder: Path, name: str) -> Dbt:
    """The account synced into a file of a name, and built there."""
    dbt = observed.dbt
    named = Dbt(folder / name, folder, {}, dbt.patch)
    observed.dbt, observed.warehouse.file = named, named.database
    observed.sync(at=NOW)
    named.build()
    return named


@pytest.mark.slow
@pytest.mark.parametrize("name", ["temp.duckdb", "Main #1;'a'.duckdb"])
def test_a_file_with_a_name_that_duckdb_keeps_for_itself_is_built_like_any_other(
    built, make_observed, rows, tmp_path, name
):
    observed = make_observed(1)
    dbt = built_as(observed, tmp_path, name)
    dbt.build(tests=True)  # on what is there, as most builds are
    assert dbt.rows("select count(*) as n from marts.deals") == built.dbt.rows(
        "select count(*) as n from marts.deals"
    )
    shutil.copy(dbt.database, tmp_path / "copy.duckdb")
    with duckdb.connect(tmp_path / "copy.duckdb", read_only=True) as db:
        assert count_rows(db) == rows


@pytest.mark.slow
def test_the_views_of_a_file_that_is_called_like_a_schema_work_under_that_name(
    make_observed, rows, tmp_path
):
    """As earlier versions' default is; in it DuckDB wants the schema's own tables with the file's
    name, too, as it would not know which of the two a name without both is.
    """
    dbt = built_as(make_observed(1), tmp_path, "activecampaign.duckdb")
    with duckdb.connect(dbt.database, read_only=True) as db:
        assert count_rows(db, "activecampaign") == rows
        count = "select count(*) from marts.deals"
        assert db.execute(count).fetchone() == (rows["marts.deals"],)
    # of a copy, all but those that are made of that schema
    shutil.copy(dbt.database, tmp_path / "copy.duckdb")
    with duckdb.connect(tmp_path / "copy.duckdb", read_only=True) as db:
        count = "select count(*) from intermediate.int_deal_stages__known"
        assert db.execute(count).fetchone() == (rows["intermediate.int_deal_stages__known"],)
