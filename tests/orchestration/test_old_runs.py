"""Dagster's storage keeps what the last weeks need, and does not grow for ever."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from activecampaign_dagster.orchestration import old_runs
from activecampaign_dagster.orchestration.old_runs import KeepRunsError, clear_old_runs
from tests.orchestration.setup import Setup

ROOT = Path(__file__).parents[2]
LOG = logging.getLogger(__name__)
PARTITIONS = dg.StaticPartitionsDefinition(["may", "june"])


@dg.asset(partitions_def=PARTITIONS, check_specs=[dg.AssetCheckSpec("sound", asset="monthly")])
def monthly() -> Iterator[Any]:
    print("the step's output")
    yield dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])


@dg.asset
def others() -> None: ...


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def weeks_later(monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + timedelta(days=40)

    monkeypatch.setattr(old_runs, "datetime", Later)
    monkeypatch.setattr(old_runs, "_LAST", 1)


def run(instance: dg.DagsterInstance, partition: str = "may") -> str:
    ran = dg.materialize([monthly], instance=instance, partition_key=partition)
    return ran.dagster_run.run_id


def is_own(_: dg.DagsterRun) -> bool:
    return True


def traces(home: Path, run_id: str) -> set[str]:
    """The tables and files in which anything of a run is left."""
    found = {str(path.relative_to(home)) for path in home.rglob(f"*{run_id}*")}
    for file in home.rglob("*.db"):
        with sqlite3.connect(file) as db:
            tables = [name for (name,) in db.execute("select name from sqlite_master")]
            for table in tables:
                columns = [row[1] for row in db.execute(f"pragma table_info('{table}')")]
                if "run_id" in columns:
                    found |= {
                        f"{file.name}.{table}"
                        for _ in db.execute(f"select 1 from {table} where run_id = ?", [run_id])
                    }
        db.close()
    return found


@pytest.mark.usefixtures("weeks_later")
def test_nothing_is_left_of_an_old_run_that_a_later_one_has_replaced(
    home: dg.DagsterInstance, tmp_path: Path
) -> None:
    first, second = run(home), run(home)
    assert len(traces(tmp_path, first)) > 4
    clear_old_runs(home, LOG, "own", is_own)
    assert traces(tmp_path, first) == set()
    assert home.get_run_by_id(second)


@pytest.mark.usefixtures("weeks_later")
def test_what_was_last_said_of_an_asset_a_partition_and_a_check_stays(
    home: dg.DagsterInstance,
) -> None:
    in_may = run(home, "may")
    replaced, in_june = run(home, "june"), run(home, "june")
    clear_old_runs(home, LOG, "own", is_own)
    assert {each.run_id for each in home.get_runs()} == {in_may, in_june}
    assert replaced not in {each.run_id for each in home.get_runs()}
    assert set(home.get_materialized_partitions(monthly.key)) == {"may", "june"}
    [check] = home.event_log_storage.get_latest_asset_check_execution_by_key(
        list(monthly.check_keys)
    ).values()
    assert check.run_id == in_june


@pytest.mark.usefixtures("weeks_later")
def test_the_runs_of_others_stay(home: dg.DagsterInstance) -> None:
    theirs = [dg.materialize([others], instance=home).dagster_run.run_id for _ in range(3)]
    run(home)
    clear_old_runs(home, LOG, "own", lambda run: run.run_id not in theirs)
    assert {each.run_id for each in home.get_runs()} > set(theirs)


def test_recent_runs_stay(home: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_runs, "_LAST", 1)
    runs = {run(home), run(home), run(home)}
    clear_old_runs(home, LOG, "own", is_own)
    assert {each.run_id for each in home.get_runs()} == runs


@pytest.mark.usefixtures("weeks_later")
def test_0_days_keeps_all_runs(home: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIVECAMPAIGN_KEEP_RUNS", "0")
    runs = {run(home), run(home), run(home)}
    clear_old_runs(home, LOG, "own", is_own)
    assert {each.run_id for each in home.get_runs()} == runs


@pytest.mark.usefixtures("weeks_later")
def test_more_old_runs_than_are_cleared_at_once_are_cleared_by_the_next_runs(
    home: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_runs, "_AT_ONCE", 2)
    monkeypatch.setattr(old_runs, "_PAGE", 2)
    for _ in range(6):
        run(home)
    left = []
    for _ in range(4):
        clear_old_runs(home, LOG, "own", is_own)
        left.append(len(home.get_runs()))
    assert left == [4, 2, 1, 1]


@pytest.mark.usefixtures("weeks_later")
def test_it_is_looked_once_a_day(home: dg.DagsterInstance) -> None:
    run(home)
    clear_old_runs(home, LOG, "own", is_own)
    run(home)
    run(home)
    clear_old_runs(home, LOG, "own", is_own)
    assert len(home.get_runs()) == 3


@pytest.mark.parametrize("value", ["a month", "-1", "1.5", "٣", "9" * 30])
def test_a_setting_that_is_no_number_of_days_is_told(
    value: str, home: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIVECAMPAIGN_KEEP_RUNS", value)
    with pytest.raises(KeepRunsError, match="number of days, such as 30"):
        clear_old_runs(home, LOG, "own", is_own)


@pytest.mark.usefixtures("weeks_later")
def test_a_sync_clears_the_old_runs_of_its_account(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_runs, "_EVERY", timedelta(0))
    runs = [setup.run("incremental_sync").dagster_run.run_id for _ in range(4)]
    left = {each.run_id for each in setup.instance.get_runs()}
    assert runs[-1] in left
    assert len(left) < len(runs)
