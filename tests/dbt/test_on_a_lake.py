"""The whole dbt project on a DuckLake: what it makes is what it makes of a file."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sync.request import Mode
from activecampaign_dagster.warehouse.sql import relations
from tests.dbt.conftest import PROJECT, Clock
from tests.helpers import Warehouse, serving
from tests.lakes import new_lake

pytestmark = pytest.mark.slow

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
Rows = list[tuple[Any, ...]]


def build(warehouse: Warehouse, folder: Path, *options: str) -> None:
    """`dbt build` as a person types it."""
    dbt = str(Path(sys.executable).with_name("dbt"))
    places = {"project-dir": PROJECT, "profiles-dir": PROJECT}
    places |= {"target-path": folder / "target", "log-path": folder / "logs"}
    ran = subprocess.run(
        [dbt, "build", *options, *(f"--{name}={place}" for name, place in places.items())],
        env={**os.environ, **warehouse.location.environment, "DBT_SEND_ANONYMOUS_USAGE_STATS": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-4000:]


def marts(warehouse: Warehouse) -> dict[str, Rows]:
    """Mart → its rows, in an order of their own."""
    found = {}
    with warehouse.opened.connect() as db:
        for schema, name in relations(db):
            if schema == "marts":
                rows = db.execute(f'from marts."{name}"').fetchall()
                found[name] = sorted(rows, key=repr)
    return found


def test_marts_of_a_lake_have_the_rows_of_a_file_also_after_a_change(tmp_path: Path) -> None:
    clock = Clock(NOW)
    sizes = {"contacts": 60, "deals": 40, "field_values": 120}
    account = Account.generate(seed=3, now=NOW, clock=clock, **sizes)
    with new_lake(tmp_path / "lake") as place:
        both = [
            (Warehouse(tmp_path / "warehouse.duckdb"), tmp_path / "of_file"),
            (Warehouse(tmp_path / "warehouse.duckdb", place=place), tmp_path / "of_lake"),
        ]
        with serving(account) as sandbox:
            sync = partial(Warehouse.sync, sandbox=sandbox)
            for warehouse, folder in both:
                sync(warehouse, mode=Mode.FULL, at=NOW)
                # unit tests and snapshots, too
                build(warehouse, folder)
            first = [marts(warehouse) for warehouse, _ in both]
            clock.now += timedelta(days=1)
            account.churn(random.Random(1), 60)
            for warehouse, folder in both:
                sync(warehouse, mode=Mode.FULL, at=clock.now)
                build(warehouse, folder, "--exclude-resource-type", "unit_test")
        second = [marts(warehouse) for warehouse, _ in both]
    for of_file, of_lake in (first, second):
        assert of_file.keys() == of_lake.keys()
        assert [name for name in of_file if of_file[name] != of_lake[name]] == []
    assert first[0]["deals"] != second[0]["deals"]
