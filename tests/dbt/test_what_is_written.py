"""What people read: questions with their SQL, the diagram, settings, time zones."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from dbt_project import answers
from dbt_project.lineage import without_unit_tests
from tests.dbt.conftest import NOW, PROJECT

PAGES = answers.PAGES


@pytest.fixture(scope="module")
def asked(built, session_patch, tmp_path_factory):
    """The account that the documented answers come from."""
    session_patch.setenv("ACTIVECAMPAIGN_DATABASE", "set by the account's own dbt")
    folder = tmp_path_factory.mktemp("answers")
    database = answers.made_up(folder, built.dbt.parsed())
    with answers.asking(database) as db:
        yield db


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_documented_answer_is_what_its_question_answers(asked, page):
    assert answers.answered(page.read_text(), asked) == page.read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_question_has_an_answer(page):
    text = page.read_text()
    asked = text.count("```sql")
    with_rows = re.findall(r"```sql\n[^`]+```\n\n\|.+\|\n\|[-:| ]+\|\n\|.+\|\n", text)
    assert asked == text.count("\n**") == len(with_rows) > 0


def test_every_test_of_the_project_passes(built):
    """Also the unit tests, whose rows are their own; other tests build without them."""
    built.dbt.run("test")


def test_every_mart_names_the_questions_that_it_answers(manifest):
    described = {page.stem for page in PAGES if page != answers.QUESTIONS}
    for node in manifest["nodes"].values():
        if is_model(node) and node["name"] in described:
            assert "Questions this answers" in node["description"], node["name"]
            described.remove(node["name"])
        else:
            is_mart = is_model(node) and node["fqn"][1] == "marts"
            assert not is_mart or node["name"] == "calendar"
    assert not described


def is_model(node) -> bool:
    return node["resource_type"] == "model"


def test_the_diagram_is_current(built):
    from dbt_project import erd  # noqa: PLC0415 - it takes more than a second

    page = PROJECT.parent / "docs" / "data-model.md"
    assert page.read_text() == erd.page(built.dbt.target)


def test_the_lineage_of_dbts_docs_has_models_and_no_unit_tests(built):
    manifest = built.dbt.artifact("manifest")
    assert manifest["unit_tests"]
    shown = without_unit_tests(manifest)
    assert "unit_test." not in json.dumps([shown["parent_map"], shown["child_map"]])
    assert shown["child_map"].keys() == manifest["child_map"].keys() - manifest["unit_tests"].keys()
    assert shown["nodes"] == manifest["nodes"]


def test_sql_is_formatted():
    checked = subprocess.run(  # noqa: PLW1510
        [
            Path(sys.executable).with_name("sqlfmt"),
            *("--check", "--no-progressbar", "--exclude", PROJECT / "target" / "**"),
            PROJECT,
        ],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stderr


def test_the_sources_are_fresh_after_a_sync(make_observed):
    observed = make_observed(8, contacts=5, deals=5, field_values=5)
    observed.sync(at=NOW)
    with pytest.raises(pytest.fail.Exception):
        observed.dbt.run("source", "freshness")
    observed.dbt.execute("update activecampaign._stream_entries set last_synced_at = now()")
    observed.dbt.run("source", "freshness")


def test_the_project_gives_no_deprecation_warning(artifacts, monkeypatch):
    monkeypatch.setenv("ACTIVECAMPAIGN_DATABASE", str(artifacts / "nothing" / "warehouse.duckdb"))
    options = ["--quiet", "--warn-error", "--log-level-file=none", "--no-partial-parse"]
    places = [f"--project-dir={PROJECT}", f"--profiles-dir={PROJECT}"]
    result = dbtRunner().invoke(["parse", *options, *places, f"--target-path={artifacts / 'w'}"])
    assert result.success, result.exception


@pytest.mark.slow
def test_the_default_database_is_found_from_the_root_and_from_the_project(
    built, tmp_path, monkeypatch
):
    """`data/warehouse.duckdb` under the root, wherever dbt is called."""
    # without what takes dbt long to parse
    others = ("target", "logs", "intermediate", "marts", "semantics", "snapshots", "singular")
    ignored = shutil.ignore_patterns(*others)
    shutil.copytree(PROJECT, tmp_path / "dbt_project", ignore=ignored)
    (tmp_path / "data").mkdir()
    shutil.copy(built.dbt.database, tmp_path / "data" / "warehouse.duckdb")
    monkeypatch.delenv("ACTIVECAMPAIGN_DATABASE")
    quick = ["--log-level=none", "--log-level-file=none"]
    from_root = ["--project-dir=dbt_project", "--profiles-dir=dbt_project"]
    monkeypatch.chdir(tmp_path)
    project = dbtRunner().invoke(["parse", *quick, *from_root]).result
    for folder, options in {tmp_path: from_root, tmp_path / "dbt_project": []}.items():
        monkeypatch.chdir(folder)
        try:
            run = ["run", "--select=stg_activecampaign__users", *quick, *options]
            ran = dbtRunner(manifest=project).invoke(run)
        finally:
            DuckDBConnectionManager.close_all_connections()
        assert ran.success, ran.exception
    assert [path.name for path in tmp_path.rglob("*.duckdb")] == ["warehouse.duckdb"]


def test_tables_may_have_other_names_and_the_account_another_name(make_observed):
    observed = make_observed(9, contacts=5, deals=5, field_values=5)
    observed.sync(at=NOW)
    observed.dbt.execute("alter table activecampaign.deals rename to eu_deals")
    variables = {
        "activecampaign_tables": {"deals": "eu_deals"},
        "activecampaign_account": "Europe's own",
    }
    observed.dbt.build("+deals", variables=variables)
    rows = observed.dbt.rows("from marts.deals")
    assert len(rows) == len(observed.tables["deals"])
    assert {row["account"] for row in rows} == {"Europe's own"}


def test_days_and_months_are_those_of_the_reporting_time_zone(make_observed):
    """Around both changes to and from summer time, and with both Chicago offsets in one deal."""
    observed = make_observed(10, contacts=2, deals=2, field_values=1)
    observed.sync(at=NOW)
    dbt = observed.dbt
    dbt.execute("delete from activecampaign.deals")
    stamps = {
        1: ("2025-03-29T18:30:00-05:00", "2025-03-30T18:30:00-05:00"),  # Berlin: 30th, 31st
        2: ("2025-10-25T16:59:00-05:00", "2025-11-30T17:30:00-06:00"),  # 25th, 1 December
        3: ("2025-01-01T00:30:00-06:00", "2025-07-01T00:30:00-05:00"),  # both offsets
    }
    for number, (created, modified) in stamps.items():
        dbt.execute(
            "insert into activecampaign.deals (id, status, value, currency, cdate, mdate, "
            f"_synced_at) values ({number}, 1, 100, 'eur', '{created}', '{modified}', '{NOW}')"
        )
    dbt.build("+deals", variables={"reporting_timezone": "Europe/Berlin"})
    rows = {row["deal_id"]: row for row in dbt.rows("from marts.deals")}
    assert rows[1]["created_date"] == date(2025, 3, 30)
    assert rows[1]["closed_date"] == date(2025, 3, 31)
    assert rows[1]["days_to_close"] == 1
    assert rows[2]["created_date"] == date(2025, 10, 25)
    assert rows[2]["closed_month"] == date(2025, 12, 1)
    assert rows[3]["days_to_close"] == pytest.approx(181 - 1 / 24, abs=0.006)


def test_ages_are_measured_to_the_last_sync_unless_told_otherwise(make_observed):
    observed = make_observed(11, contacts=20, deals=60, field_values=1)
    observed.sync(at=NOW)
    observed.sync(at=NOW + timedelta(days=1), streams=["users"])
    query = "select deal_id, days_open from marts.deals order by all"
    observed.dbt.build("+deals")
    once = observed.dbt.rows(query)
    observed.dbt.build("+deals")
    assert observed.dbt.rows(query) == once
    observed.dbt.build("deals", variables={"as_of": ""})
    assert observed.dbt.rows(query) != once
    days = f"(epoch(timestamptz '{NOW + timedelta(days=1)}') - epoch(created_at)) / 86400"
    other = f"status = 'open' and not is_deleted and abs(days_open - {days}) > 0.006"
    assert observed.dbt.rows(f"from marts.deals where {other}") == []


def test_dbt_waits_for_a_lock_on_the_file(built, tmp_path):
    database = tmp_path / "warehouse.duckdb"
    shutil.copy(built.dbt.database, database)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import duckdb, sys, time\n"
            "held = duckdb.connect(sys.argv[1])\n"
            "print('held', flush=True)\n"
            "time.sleep(2)\n",
            database,
        ],
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout.readline() == b"held\n"
        try:
            replace(built.dbt, database=database).build("stg_activecampaign__users")
        finally:
            DuckDBConnectionManager.close_all_connections()
