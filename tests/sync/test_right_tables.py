"""Whatever happens to the account and to the runs, the tables are right."""

from __future__ import annotations

import contextlib
import os
import random
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.faults import error
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.sync.run import SyncError
from activecampaign_dagster.sync.source import Mode, Window
from tests.helpers import Warehouse, live, serving
from tests.sync.truth import differences

INCREMENTAL = [name for name, stream in STREAMS.items() if stream.sync_type == "INCREMENTAL"]
EXAMPLES = int(os.environ.get("EXAMPLES", "4"))  # 200 take a quarter of an hour


steps = st.lists(
    st.sampled_from(["change", "full", "incremental", "window", "failing full", "failing"]),
    min_size=2,
    max_size=7,
)


@given(steps, st.integers(0, 2**32))
@example(["failing", "window", "failing", "change", "failing"], 859)
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
        for step in [*history, "incremental", "full"]:
            act(step, rng, sandbox, warehouse)
            tables = warehouse.tables()
            if step == "full":
                for name in STREAMS:
                    assert differences(account, live(tables[name]), name) == []
            if step == "incremental":
                for name in INCREMENTAL:
                    wrong = differences(account, live(tables[name]), name)
                    assert [line for line in wrong if "not in the account" not in line] == []
            for name in INCREMENTAL:
                rows = set(tables[name])
                assert ever[name] <= rows, f"{name}: rows that were landed have disappeared"
                ever[name] = rows
        before = warehouse.tables()
        for mode in (Mode.INCREMENTAL, Mode.FULL):
            warehouse.sync(sandbox, mode)
            assert warehouse.tables() == before


def act(step: str, rng: random.Random, sandbox: Sandbox, warehouse: Warehouse) -> None:
    account = sandbox.account
    match step:
        case "change":
            account.churn(rng, 25)
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
        case _:
            warehouse.sync(sandbox, Mode(step))
