"""The demo: a made-up account, synced, changed, synced again, and what the models say of it.

Run as `python -m activecampaign_dagster.demo`; with `--ui` it serves the Dagster UI on the
made-up account instead.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from activecampaign_dagster.orchestration.resources import DATABASE_VARIABLE, PROJECT_ROOT
from activecampaign_dagster.sync.warehouse import connect

_DATABASE = PROJECT_ROOT / "data" / "demo.duckdb"
_LOGS = PROJECT_ROOT / "data" / "demo_logs"


def main() -> None:
    """Parse the arguments and run the demo or the UI."""
    parser = argparse.ArgumentParser(prog="python -m activecampaign_dagster.demo", description=__doc__)
    parser.add_argument("--ui", action="store_true", help="serve the Dagster UI on the sandbox")
    parser.add_argument("--contacts", type=int, default=2_000, help="size of the made-up account")
    parser.add_argument("--port", type=int, default=3000, help="port of the UI")
    options = parser.parse_args()
    try:
        with _sandbox(options.contacts, live=options.ui) as url:
            if options.ui:
                _serve_ui(options.port)
            else:
                _tour(url)
    except KeyboardInterrupt:
        sys.exit(130)


@contextmanager
def _sandbox(contacts: int, *, live: bool) -> Iterator[str]:
    """The sandbox in a process of its own, with the environment pointing at it."""
    command = [sys.executable, "-m", "activecampaign_dagster.sandbox", "--port", "0"]
    command += ["--contacts", str(contacts), "--deals", str(contacts // 2)]
    command += ["--field-values", str(contacts * 3)]
    # the demo is not there to make anybody wait; the limit is what the tests are for
    command += ["--requests-per-second", "0", *(["--live"] if live else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        exports = dict(
            line.strip().removeprefix("export ").split("=", 1)
            for line in (process.stdout.readline() for _ in range(3))
            if "export " in line
        )
        os.environ |= exports
        os.environ[DATABASE_VARIABLE] = str(_DATABASE)
        yield exports["ACTIVECAMPAIGN_URL"]
    finally:
        process.terminate()
        process.wait()
