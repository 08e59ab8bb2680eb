"""The dbt project works as a package of another project, which has its own schemas and profile."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.dbt.conftest import PROJECT, VARS, Observed

pytestmark = pytest.mark.slow

COMPANY = Path(__file__).with_name("company")


@pytest.fixture(scope="module")
def company(built: Observed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of an account that was built by this project, built by another one as well."""
    folder = tmp_path_factory.mktemp("company")
    project = shutil.copytree(COMPANY, folder / "project")
    database = folder / "company.duckdb"
    shutil.copy(built.dbt.database, database)
    dbt(project, database, "deps")
    dbt(
        project,
        database,
        "build",
        "--exclude-resource-type=unit_test",
        f"--vars={json.dumps(VARS)}",
    )
    return database


def dbt(project: Path, database: Path, *args: str) -> None:
    variables = {
        "COMPANY_DATABASE": str(database),
        "ACTIVECAMPAIGN_DBT_PROJECT": str(PROJECT),
        "DO_NOT_TRACK": "1",
    }
    inherited = {
        k: v for k, v in os.environ.items() if not k.startswith(("DBT_", "ACTIVECAMPAIGN"))
    }
    ran = subprocess.run(
        [sys.executable, "-m", "dbt.cli.main", *args],
        cwd=project,
        env=inherited | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]


def relations(db: duckdb.DuckDBPyConnection, schema: str) -> set[str]:
    rows = db.execute(
        "select table_name from information_schema.tables where table_schema = ?", [schema]
    ).fetchall()
    return {name for (name,) in rows}


def test_tables_lie_in_the_other_projects_schemas_with_its_prefix(company: Path) -> None:
    with duckdb.connect(company, read_only=True) as db:
        for schema in ("staging", "intermediate", "marts", "snapshots", "seeds"):
            own = relations(db, schema)
            assert own
            assert relations(db, f"analytics_{schema}") == {f"crm_{name}" for name in own}


def test_every_mart_holds_what_it_holds_in_the_project_itself(company: Path) -> None:
    with duckdb.connect(company, read_only=True) as db:
        marts = relations(db, "marts")
        different = {
            mart
            for mart in marts
            if db.execute(
                f"(from marts.{mart} except all from analytics_marts.crm_{mart}) union all "
                f"(from analytics_marts.crm_{mart} except all from marts.{mart})"
            ).fetchone()
        }
    assert different == set()


def test_models_of_the_other_project_refer_to_the_marts(company: Path) -> None:
    with duckdb.connect(company, read_only=True) as db:
        [[models]] = db.execute("select count(*) from analytics.won_by_pipeline").fetchall()
        [[pipelines]] = db.execute("select count(*) from marts.pipelines").fetchall()
    assert models == pipelines > 0
