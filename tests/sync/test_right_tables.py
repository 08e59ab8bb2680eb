"""Whatever happens to the account and to the runs, the tables are right."""

from __future__ import annotations

import contextlib
import os
import random
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.faults import error
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.registry import CORE, STREAMS
from activecampaign_dagster.sync.outcomes import SyncError
from activecampaign_dagster.sync.request import Mode, Window
from tests.helpers import Table, Warehouse, live, serving
from tests.sync.truth import differences

INCREMENTAL = [name for name in CORE if STREAMS[name].sync_type == "INCREMENTAL"]
EXAMPLES = int(os.environ.get("EXAMPLES", "4"))  # 200 take a quarter of an hour


steps = st.lists(
    st.sampled_from(
        ["change", "hide or show", "full", "incremental", "window", "failing full", "failing"]
    ),
    min_size=2,
    max_size=7,
)


@pytest.mark.slow
@given(steps, st.integers(0, 2**32))
@example(["failing", "window", "failing", "change", "failing"], 859)
@example(["failing full", "hide or show", "full"], 1)
@example(["hide or show", "full", "change", "incremental", "hide or show", "full"], 7)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
def test_any_history_of_changes_and_runs_ends_in_the_right_tables(
    history: list[str], seed: int
) -> None:
    rng = random.Random(seed)
    account = Account.generate(seed=seed % 1000, contacts=120, deals=105, field_values=150)
    with tempfile.TemporaryDirectory() as folder, serving(account) as sandbox:
        warehouse = Warehouse(Path(folder) / "warehouse.duckdb")
        warehouse.sync(sandbox)
        ever: dict[str, set[int]] = {name: set() for name in INCREMENTAL}
        ever_full: set[int] = set()
        for step in [*history, "incremental", "full"]:
            act(step, rng, sandbox, warehouse)
            tables = warehouse.tables()
            if step == "full":
                for name in CORE:
                    assert differences(account, live(tables[name]), name) == []
                stubs = {i for i, deal in account.truth("deals").items() if deal["isDisabled"]}
                marked = {i for i, row in tables["deals"].items() if row["_hidden_at"]}
                assert marked & live(tables["deals"]).keys() == stubs
            if step == "incremental":
                shown = {f"deals {i}" for i in shown_without_a_stamp(account, tables["deals"])}
                for name in INCREMENTAL:
                    wrong = differences(account, live(tables[name]), name)
                    wrong = [line for line in wrong if "not in the account" not in line]
                    assert [line for line in wrong if line.partition(".")[0] not in shown] == []
            full_rows = {i for i, row in tables["deals"].items() if not row["isDisabled"]}
            assert ever_full <= full_rows, "a stub has overwritten a full row"
            ever_full = full_rows
            for name in INCREMENTAL:
                rows = set(tables[name])
                assert ever[name] <= rows, f"{name}: rows that were landed have disappeared"
                ever[name] = rows
        before = warehouse.tables()
        for mode in (Mode.INCREMENTAL, Mode.FULL):
            warehouse.sync(sandbox, mode)
            assert warehouse.tables() == before


def shown_without_a_stamp(account: Account, deals: Table) -> set[int]:
    """Stubs in the table whose pipeline is shown now: only a full read need bring them."""
    truth = account.truth("deals")
    return {i for i in deals.keys() & truth if deals[i]["isDisabled"] > truth[i]["isDisabled"]}


def act(step: str, rng: random.Random, sandbox: Sandbox, warehouse: Warehouse) -> None:
    account = sandbox.account
    match step:
        case "change":
            account.churn(rng, 25)
        case "hide or show":
            pipeline = rng.choice(sorted(account.tables["dealGroups"]))
            hide = pipeline not in account.hidden
            (account.hide_pipeline if hide else account.show_pipeline)(pipeline)
        case "window":
            start = datetime.now(UTC) - timedelta(days=rng.randrange(1, 1500))
            window = Window(start, start + timedelta(days=rng.randrange(1, 400)))
            warehouse.sync(sandbox, Mode.WINDOW, window=window)
        case "failing" | "failing full":
            left = len(sandbox.requests) + rng.randrange(1, 9)
            sandbox.faults.append(lambda _, n: error(400) if n > left else None)
            with contextlib.suppress(SyncError):
                warehouse.sync(sandbox, Mode.FULL if "full" in step else Mode.INCREMENTAL)
            sandbox.faults.clear()
        case "full":
            # hiding moves no stamp: what was read before the kill may have been hidden since
            if warehouse.sync(sandbox)["deals"].resumed:
                warehouse.sync(sandbox)
        case _:
            warehouse.sync(sandbox, Mode(step))
