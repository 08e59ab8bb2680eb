"""A killed sync, started again, ends in the right tables and does not read everything twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.sync import spool
from activecampaign_dagster.sync.request import Mode
from activecampaign_dagster.warehouse import scratch
from tests.helpers import Warehouse, live, serving
from tests.sync.killable import SEGMENT_BYTES
from tests.sync.truth import differences

KILLS = int(os.environ.get("KILLS", "6"))  # a hundred take some minutes


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    account = Account.generate(seed=7, contacts=700, deals=500, field_values=1200)
    with serving(account, latency=0.005) as server:
        yield server


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the killed process."""
    monkeypatch.setattr(spool, "_SEGMENT_BYTES", SEGMENT_BYTES)
    monkeypatch.setattr(scratch, "_SMALL_BYTES", 4 * SEGMENT_BYTES)


def start(sandbox: Sandbox, warehouse: Warehouse, mode: Mode) -> subprocess.Popen[str]:
    """A sync in another process, which has begun to read."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.sync.killable", str(warehouse.path), str(mode)],
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "ACTIVECAMPAIGN_URL": sandbox.url,
            "ACTIVECAMPAIGN_API_KEY": sandbox.api_key,
        },
    )
    assert process.stdout
    assert process.stdout.readline() == "reading\n"
    return process


def kill(process: subprocess.Popen[str]) -> str:
    """Kill without mercy; returns what was done until then."""
    process.send_signal(signal.SIGKILL)
    said, _ = process.communicate()
    return said


def assert_right(sandbox: Sandbox, warehouse: Warehouse, seed: object) -> None:
    for name, table in warehouse.tables().items():
        assert differences(sandbox.account, live(table), name) == [], seed


@pytest.mark.slow
def test_after_a_kill_at_any_moment_the_next_run_ends_in_the_right_tables(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    seconds = 2.0
    resumed = finished = landed = 0
    for number in range(KILLS):
        rng = random.Random(number)
        fresh = number % 3 == 0
        if fresh:
            warehouse = Warehouse(tmp_path / f"{number}.duckdb")
        sandbox.account.churn(rng, 30)
        mode = Mode.FULL if fresh or number % 3 == 1 else Mode.INCREMENTAL
        process = start(sandbox, warehouse, mode)
        began = time.monotonic()
        time.sleep(rng.uniform(0, seconds))
        said = kill(process)
        finished += "done" in said
        landed += "landed" in said
        if "done" in said:
            seconds = min(seconds, time.monotonic() - began)
        if number % 2:
            sandbox.account.churn(rng, 30)
        outcomes = warehouse.sync(sandbox, mode)
        resumed += any(outcome.resumed for outcome in outcomes.values())
        if mode is Mode.INCREMENTAL:  # deletions show in a full sync only
            warehouse.sync(sandbox)
        assert_right(sandbox, warehouse, number)
        assert list(warehouse.staging.rglob("*.*")) == []
    print(f"{KILLS} kills: {resumed} resumed, {landed} after landing began, {finished} too late")
    assert finished < KILLS
    assert resumed > 0  # two in three, unless the machine is so slow that no kill finds a segment


def test_after_a_kill_while_reading_it_goes_on_from_the_last_whole_segment(
    warehouse: Warehouse,
) -> None:
    account = Account.generate(seed=7, contacts=2500, deals=10, field_values=100)
    with serving(account, latency=0.1) as sandbox:
        process = start(sandbox, warehouse, Mode.FULL)
        while asked(sandbox) < 20:
            assert process.poll() is None
            time.sleep(0.01)
        kill(process)
        sandbox.latency = 0
        time.sleep(0.2)  # what was under way
        sandbox.reset_stats()
        outcomes = warehouse.sync(sandbox)
        assert outcomes["contacts"].resumed
        assert outcomes["contacts"].rows_read >= 2500
        assert asked(sandbox) < 20  # of 26, some of which were under way
        assert_right(sandbox, warehouse, None)


def asked(sandbox: Sandbox) -> int:
    """How many pages of contacts were asked for."""
    return sum(request.path == "contacts" for request in list(sandbox.requests))


@pytest.mark.parametrize("totals", [True, False])
def test_what_changes_between_a_kill_and_the_next_run_is_seen(
    sandbox: Sandbox, warehouse: Warehouse, totals: bool
) -> None:
    if not totals:
        sandbox.account.meta = dict.fromkeys(
            (s.endpoint.collection for s in STREAMS.values()), "absent"
        )
    sandbox.latency = 0.1
    process = start(sandbox, warehouse, Mode.FULL)
    while not list(warehouse.staging.rglob("*-contacts.ndjson.zst")):
        assert process.poll() is None
        time.sleep(0.01)
    kill(process)
    sandbox.latency = 0
    segments = f"{warehouse.staging}/**/*-contacts.ndjson.zst"
    staged = duckdb.sql(f"select r.id::bigint from read_ndjson('{segments}')").fetchall()
    (gone,), (changed,), (moved,) = staged[:3]
    sandbox.account.delete_contact(gone)
    sandbox.account.update_contact(changed, phone="0123")
    values = sandbox.account.values
    sandbox.account.delete_field_value(next(n for n in values.live if values.owner(n)[0] == moved))
    sandbox.account.add_contact()
    warehouse.sync(sandbox)
    assert gone not in warehouse.live("contacts")
    assert warehouse.live("contacts")[changed]["phone"] == "0123"
    assert_right(sandbox, warehouse, None)
