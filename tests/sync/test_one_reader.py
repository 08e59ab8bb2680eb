"""Two runs on one account never spend its limit twice, whatever they know of each other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from activecampaign_dagster.streams.registry import STREAMS
from tests.helpers import Warehouse, serving
from tests.sync.truth import differences


def test_two_processes_on_one_account_never_exceed_its_limit_together(tmp_path: Path) -> None:
    warehouses = [Warehouse(tmp_path / name / "a.duckdb") for name in ("one", "other")]
    with serving(requests_per_second=5) as sandbox:
        key = {"ACTIVECAMPAIGN_URL": sandbox.url, "ACTIVECAMPAIGN_API_KEY": sandbox.api_key}
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.sync.killable", str(warehouse.path), "full", "5"],
                env={**os.environ, **key},
                stdout=subprocess.DEVNULL,
            )
            for warehouse in warehouses
        ]
        assert [process.wait(60) for process in processes] == [0, 0]
        stats = sandbox.stats()
        assert stats["requests"] >= 20
        # ten if both read at once; a busy machine may hold a request up for longer than allowed for
        assert stats["max_requests_in_a_second"] <= 6
        assert stats["rate_limited"] <= 1
        for warehouse in warehouses:
            for name in STREAMS:
                assert differences(sandbox.account, warehouse.live(name), name) == []
