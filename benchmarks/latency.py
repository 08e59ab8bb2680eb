"""How long a change in the account takes to reach a mart, while Dagster runs by itself."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from statistics import median

import duckdb

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.server import Sandbox
from benchmarks.jobs import ROOT, Checkout

_DEFS = """
type: activecampaign_dagster.components.ActiveCampaignSource
attributes:
  streams: core
  trigger: {on_change: 10 seconds}
  full_sync: never
  drift: never
"""
_SAMPLES = 10
_PATIENCE = 300.0  # seconds


def latencies() -> Iterator[tuple[str, str]]:
    """`dagster dev` on 3,000 contacts and 1,500 deals, with `on_change: 10 seconds`: the seconds
    from a change of a deal in the account to its row in `marts.deals`."""
    account = Account.generate(contacts=3000, deals=1500, field_values=9000)
    with (
        tempfile.TemporaryDirectory() as made,
        Sandbox(account, requests_per_second=5) as sandbox,
    ):
        checkout = Checkout.of(ROOT, Path(made) / "project", _DEFS)
        folder, database = checkout.folder, checkout.database
        command = [str(Path(sys.executable).with_name("dagster")), "dev", "--port", "0"]
        command += ["-m", "activecampaign_dagster.definitions"]
        environment = checkout.environment(sandbox)
        with (
            (folder / "log").open("w") as log,
            subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) as dev,
        ):
            try:
                _wait_for(database, "select count(*) >= 1 from marts.deals", folder)
                time.sleep(20)
                yield from _figures(account, database, folder)
            finally:
                dev.terminate()
                dev.wait(60)


def _figures(account: Account, database: Path, folder: Path) -> Iterator[tuple[str, str]]:
    random = Random(1)
    taken = []
    for number in range(_SAMPLES):
        time.sleep(random.uniform(8, 18))  # at any moment between two looks
        deal = random.choice(sorted(account.deals.live))
        value = 1_000_003 + number
        began = time.monotonic()
        account.update_deal(deal, value=value)
        _wait_for(
            database,
            "select count(*) = 1 from marts.deals "
            f"where deal_id = {deal} and round(value * 100) = {value}",
            folder,
        )
        taken.append(time.monotonic() - began)
        print(f"    {taken[-1]:.1f} s", flush=True)
    yield "samples", str(len(taken))
    yield "median", f"{median(taken):.1f} s"
    yield "fastest and slowest", f"{min(taken):.1f} s, {max(taken):.1f} s"


def _wait_for(database: Path, sql: str, folder: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        try:
            with duckdb.connect(database, read_only=True) as db:
                row = db.execute(sql).fetchone()
                if row and row[0]:
                    return
        except duckdb.Error:
            pass  # it is being written
        time.sleep(0.3)
    raise TimeoutError((folder / "log").read_text()[-3000:])
