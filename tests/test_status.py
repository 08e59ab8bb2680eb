"""The command `activecampaign status`: what it tells of syncs, failures and the next runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from click.testing import CliRunner, Result
from dagster._core.test_utils import create_run_for_test

from activecampaign_dagster import cli
from activecampaign_dagster.api.printable import one_line
from activecampaign_dagster.components.source import ActiveCampaignSource
from activecampaign_dagster.orchestration.account import MODE_TAG
from activecampaign_dagster.orchestration.dead_runs import lock_of, runs_folder
from activecampaign_dagster.sandbox import faults
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.registry import CORE
from activecampaign_dagster.warehouse import glance
from tests.orchestration.setup import Setup, small

pytestmark = pytest.mark.usefixtures("no_waits")
_HOLDS = """
import sys, duckdb
db = duckdb.connect(sys.argv[1])
db.execute("create table mine as select range from range(100000)")
db.execute("begin; delete from activecampaign._stream_entries")
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(small(), requests_per_second=None) as served:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("DAGSTER_HOME", raising=False)
        for prefix in ("ACTIVECAMPAIGN", "SHOP"):
            monkeypatch.setenv(f"{prefix}_URL", served.url)
            monkeypatch.setenv(f"{prefix}_API_KEY", served.api_key)
        monkeypatch.setenv("ACTIVECAMPAIGN_DATABASE", str(tmp_path / "a.duckdb"))
        yield served


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as found:
        yield found


@pytest.fixture
def homeless() -> Iterator[dg.DagsterInstance]:
    """An instance that the command cannot find."""
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def setup(
    monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance, *accounts: dict[str, Any]
) -> Setup:
    """Accounts that the command finds configured."""
    shared = {"requests_per_second": 0, "streams": "core"}
    sources = [ActiveCampaignSource.model_validate({**shared, **one}) for one in accounts or [{}]]
    made = Setup(sources, instance, Path.cwd() / "a.duckdb")
    monkeypatch.setattr(cli, "configured", lambda: made.accounts)
    return made


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(cli.main, ["status", *arguments])
    assert result.exit_code == 0, result.output
    return result


def told(*arguments: str) -> dict[str, Any]:
    """What the command tells machines of its only account."""
    [found] = json.loads(run("--json", *arguments).stdout)["accounts"]
    return dict(found)


def line_of(stream: str) -> list[str]:
    [line] = [line for line in run().output.splitlines() if line.startswith(f"  {stream} ")]
    return line.split()


@contextmanager
def another_writer(database: Path) -> Iterator[None]:
    """A process that has the database open, with rows of its own and a transaction under way."""
    command = [sys.executable, "-c", _HOLDS, str(database)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "open\n"
        with pytest.raises(duckdb.IOException, match="lock"):
            duckdb.connect(database, read_only=True)
        yield
        process.kill()


def test_before_the_first_sync_a_sentence_says_how_to_begin(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, homeless: dg.DagsterInstance
) -> None:
    setup(monkeypatch, homeless)
    output = run().output
    assert "activecampaign: not synced yet. Start the job full_refresh" in output
    assert "DAGSTER_HOME is not set, so it is unknown which runs failed" in output
    assert not Path("a.duckdb").exists()
    found = told()
    assert found["last_synced_at"] is None
    assert {stream["stream"] for stream in found["streams"]} == set(CORE)


def test_each_stream_is_told_with_its_last_sync_and_rows(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    made = setup(monkeypatch, instance)
    made.run("full_refresh")
    assert line_of("contacts")[-3:] == ["full", "60", "0"]
    for contact in sandbox.account.contacts.live[:2]:
        sandbox.account.delete_contact(contact)
    made.run("incremental_sync")
    assert line_of("contacts")[-3:] == ["incremental", "58", "2"]
    assert "activecampaign: last synced" in run().output
    assert "Last failed run: none is known." in run().output
    assert max(map(len, run().output.splitlines())) <= 100
    contacts = next(each for each in told()["streams"] if each["stream"] == "contacts")
    assert (contacts["live_rows"], contacts["deleted_rows"]) == (58, 2)
    at, full = (
        datetime.fromisoformat(contacts[name]) for name in ("last_synced_at", "last_full_sync_at")
    )
    assert full < at <= datetime.now(UTC)


def test_it_reads_a_file_that_another_process_has_open_for_writing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, homeless: dg.DagsterInstance, tmp_path: Path
) -> None:
    made = setup(monkeypatch, homeless)
    made.run("full_refresh")
    before = told()
    with another_writer(tmp_path / "a.duckdb"):
        assert told() == before
        assert line_of("contacts")[-3:] == ["full", "60", "0"]
    assert before["streams"][0]["live_rows"]


def test_it_reads_on_while_a_writer_writes_checkpoints(tmp_path: Path) -> None:
    database = tmp_path / "a.duckdb"
    writes = """
import sys, duckdb
db = duckdb.connect(sys.argv[1])
db.execute("create table n as select 0 as i; create table rest as select range from range(1000000)")
print("open", flush=True)
for i in range(1, 100_000):
    db.execute(f"begin; update n set i = {i}; insert into rest from range(5000); commit")
    if i % 5 == 0:
        db.execute("checkpoint")
"""
    command = [sys.executable, "-c", writes, str(database)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        seen = [
            glance._without_lock(database, lambda db: db.execute("from n").fetchall()[0][0])
            for _ in range(5)
        ]
        process.kill()
    assert seen == sorted(seen)
    assert seen[-1] > seen[0]


def test_a_failure_is_told_with_its_stream_until_a_later_sync_succeeds(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    made = setup(monkeypatch, instance, {"streams": ["users", "campaigns"]})
    made.run("full_refresh")
    sandbox.faults = [faults.always(faults.error(403), "campaigns")]
    made.run("full_refresh", fails=True)
    output = run().output
    assert "  campaigns: failed. " in output
    assert "no sync has succeeded since" in output
    found = told()
    failed = {each["stream"]: each["failed"] for each in found["streams"]}
    assert "may not read campaigns" in failed["campaigns"]
    assert failed["users"] is None
    assert found["last_failure"]["job"] == "full_refresh"
    sandbox.faults = []
    made.run("full_refresh")
    output = run().output
    assert "campaigns: failed" not in output
    assert "later syncs succeeded" in output


def test_during_a_first_sync_it_says_since_when_one_runs(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    made = setup(monkeypatch, instance, {"streams": ["campaigns"]})
    outputs, found = [], []

    def look(_: object) -> None:
        outputs.append(run().output)
        found.append(told())

    sandbox.faults = [faults.times(1, faults.changed(look), "campaigns")]
    result = made.run("full_refresh")
    [output], [account] = outputs, found
    assert "activecampaign: not synced yet.\nA sync has been running since 20" in output
    assert f" UTC: full_refresh ({result.run_id[:8]})." in output
    assert "Start the job" not in output
    assert account["running"]["run_id"] == result.run_id
    assert datetime.fromisoformat(account["running"]["began"]) <= datetime.now(UTC)
    assert told()["running"] is None


def test_a_run_whose_process_is_gone_is_not_under_way(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    setup(monkeypatch, instance)
    started = dg.DagsterRunStatus.STARTED
    left = create_run_for_test(
        instance, job_name="full_refresh", status=started, tags={MODE_TAG: "full"}
    )
    assert told()["running"]["run_id"] == left.run_id
    runs = runs_folder(instance)
    assert runs
    lock_of(runs, left.run_id).touch()  # which nobody holds
    assert told()["running"] is None


def test_a_run_that_synced_some_streams_and_failed_is_told_beside_their_time(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    made = setup(monkeypatch, instance, {"streams": ["users", "campaigns"]})
    sandbox.faults = [faults.always(faults.error(403), "campaigns")]
    made.run("full_refresh", fails=True)
    [header] = [line for line in run().output.splitlines() if "last synced" in line]
    assert header.endswith(", just now, by a run that then failed")
    sandbox.faults = []
    made.run("full_refresh")
    assert "then failed" not in run().output


def test_a_long_message_is_cut_behind_a_word() -> None:
    text = one_line("The API key is not accepted. " * 20)
    assert len(text) <= 200
    assert text.endswith(("The…", "API…", "key…", "is…", "not…", "accepted.…"))
    assert one_line("x" * 500) == "x" * 199 + "…"
    assert one_line("as it\nis") == "as it is"


def test_several_accounts_are_told_apart_also_in_their_failures(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    shop = {
        "name": "shop",
        "table_prefix": "shop_",
        "url_variable": "SHOP_URL",
        "api_key_variable": "SHOP_API_KEY",
        "trigger": "manual",
    }
    made = setup(monkeypatch, instance, {}, shop)
    made.run("activecampaign__full_refresh")
    monkeypatch.setenv("SHOP_API_KEY", "wrong")
    made.run("shop__full_refresh", fails=True)
    first, second = json.loads(run("--json").stdout)["accounts"]
    assert first["last_synced_at"]
    assert first["last_failure"] is None
    assert second["last_synced_at"] is None
    assert "The API key is not accepted" in second["last_failure"]["message"]
    assert [each["sync"] for each in first["next_runs"]] == ["incremental", "full"]
    assert second["next_runs"] == []
    assert "only when you start one, because its trigger is manual" in run().output


@pytest.mark.slow
def test_the_next_run_is_due_when_the_schedule_says_unless_it_is_switched_off(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    setup(monkeypatch, instance, {"trigger": {"cron": "30 4 * * *"}, "timezone": "Asia/Tokyo"})
    hourly, weekly = told()["next_runs"]
    due = datetime.fromisoformat(hourly["at"])
    assert timedelta(0) < due - datetime.now(UTC) <= timedelta(days=1)
    assert (due.astimezone(UTC).hour, due.minute) == (19, 30)
    assert hourly["is_on"] is weekly["is_on"] is True
    module = ["-m", "activecampaign_dagster.definitions"]
    command = [str(Path(sys.executable).with_name("dagster")), "schedule", "stop", *module]
    subprocess.run([*command, "activecampaign__full_refresh_schedule"], check=True)
    hourly, weekly = told()["next_runs"]
    assert (hourly["is_on"], weekly["is_on"]) == (True, False)
    output = run().output
    assert "switched off in Dagster's UI" in output
    assert "Dagster's daemon is not running, so no run starts by itself." in output
    assert "04:30 Asia/Tokyo, cron 30 4 * * *; switched on" in output


def test_a_home_that_cannot_be_read_is_one_sentence_and_exit_code_1(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, homeless: dg.DagsterInstance
) -> None:
    setup(monkeypatch, homeless)
    monkeypatch.setenv("DAGSTER_HOME", "/nowhere/at/all")
    result = CliRunner().invoke(cli.main, ["status", "--json"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "Dagster's storage in DAGSTER_HOME cannot be read" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_the_page_shows_how_the_output_is_read_by_machines(
    sandbox: Sandbox, homeless: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = (Path(cli.__file__).parents[1] / "docs" / "operations.md").read_text()
    section = page.partition("## Output for machines")[2]
    script = section.partition("```sh\n")[2].partition("```")[0]
    assert "activecampaign status --json" in script
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = ["bash", "-euo", "pipefail", "-c", script]
    before = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    assert "activecampaign contacts None" in before.stdout
    setup(monkeypatch, homeless).run("full_refresh")
    after = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    assert "activecampaign contacts" not in after.stdout
    assert after.stderr == ""
