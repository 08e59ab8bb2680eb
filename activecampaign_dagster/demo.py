"""The demo: syncs a simulated account, changes it, syncs it again and shows the models.

Run as `python -m activecampaign_dagster.demo`; with `--ui` it serves the Dagster UI on the
simulated account instead.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import requests

from activecampaign_dagster.orchestration.assets.pipeline_report import report_path
from activecampaign_dagster.orchestration.resources import DATABASE_VARIABLE, PROJECT_ROOT
from activecampaign_dagster.warehouse.file import connect

_DATABASE = PROJECT_ROOT / "data" / "demo.duckdb"
# Dagster's commands prefer an .env where they run, which may name a real account and its database
_FOLDER = PROJECT_ROOT / "data" / "demo"


def main() -> None:
    """Parse the arguments and run the demo or the UI."""
    parser = argparse.ArgumentParser(
        prog="python -m activecampaign_dagster.demo", description=__doc__
    )
    parser.add_argument("--ui", action="store_true", help="serve the Dagster UI on the sandbox")
    parser.add_argument("--contacts", type=int, default=2_000, help="size of the simulated account")
    parser.add_argument("--port", type=int, default=3000, help="port of the UI")
    options = parser.parse_args()
    if options.ui:
        _check_port(parser, options.port)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # what a shell starts in the background ignores it, and dagster then ignores SIGTERM, too
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with _alone(parser):
            _begin_anew()
            with _sandbox(options.contacts, live=options.ui) as url:
                if options.ui:
                    _serve_ui(options.port)
                else:
                    _tour(url)
    except KeyboardInterrupt:
        sys.exit(130)


def _check_port(parser: argparse.ArgumentParser, port: int) -> None:
    try:
        with socket.create_server(("127.0.0.1", port)):
            pass
    except (OSError, OverflowError) as error:
        parser.error(f"port {port} cannot be used ({error}): choose another with --port")


@contextmanager
def _alone(parser: argparse.ArgumentParser) -> Iterator[None]:
    """Hold the demo's database, which whoever begins removes; ends if another process has it."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(_FOLDER / "lock", timeout=0):
            yield
    except filelock.Timeout:
        parser.error(
            f"a demo or its UI (make dev) is using {_DATABASE}: stop it first, with Ctrl-C there"
        )


def _begin_anew() -> None:
    """Forget the simulated account of an earlier run: this one has other records."""
    for leftover in (_DATABASE, _DATABASE.with_name(f"{_DATABASE.name}.wal")):
        leftover.unlink(missing_ok=True)
    shutil.rmtree(_DATABASE.with_name(f"{_DATABASE.name}.staging"), ignore_errors=True)
    shutil.copy(PROJECT_ROOT / "dagster.yaml", _FOLDER)


@contextmanager
def _sandbox(contacts: int, *, live: bool) -> Iterator[str]:
    """The sandbox in a process of its own, with the environment pointing at it."""
    command = [sys.executable, "-m", "activecampaign_dagster.sandbox", "--port", "0"]
    command += ["--contacts", str(contacts), "--deals", str(contacts // 2)]
    command += ["--field-values", str(contacts * 3)]
    # nobody should wait for a demo; the real limit is 5 requests per second
    command += ["--requests-per-second", "0", *(["--live"] if live else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            lines = [process.stdout.readline() for _ in range(3)] if process.stdout else []
            pairs = (line.strip().removeprefix("export ").split("=", 1) for line in lines[1:])
            os.environ |= dict(pairs)
            os.environ[DATABASE_VARIABLE] = str(_DATABASE)
            yield os.environ["ACTIVECAMPAIGN_URL"]
        finally:
            process.terminate()


def _serve_ui(port: int) -> None:
    print(f"Dagster UI on a simulated account with live changes: http://127.0.0.1:{port}")
    print(f"Database: {_DATABASE}. Stop with Ctrl-C.", flush=True)
    command = [_program("dagster"), "dev", "--workspace", str(PROJECT_ROOT / "workspace.yaml")]
    with subprocess.Popen([*command, "--port", str(port)], cwd=_FOLDER) as process:
        try:
            process.wait()
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise


def _tour(url: str) -> None:
    _execute("full_refresh", "Full refresh of a simulated account")
    changes = requests.post(f"{url}/sandbox/churn", params={"changes": 200}, timeout=10).json()
    print(f"  the account has changed: {len(changes['changes'])} records added, edited or deleted")
    _execute("incremental_sync", "Incremental sync of what changed")
    _summarise()


def _execute(job: str, title: str) -> None:
    """Run a job as a user would; on failure show the end of its log."""
    log = _FOLDER / f"{job}.log"
    print(f"{title} (log: {log.relative_to(PROJECT_ROOT)}) …", end="", flush=True)
    began = time.monotonic()
    command = [_program("dagster"), "job", "execute", "-j", job]
    command += ["-m", "activecampaign_dagster.definitions"]
    with log.open("w") as out:
        done = subprocess.run(command, cwd=_FOLDER, stdout=out, stderr=out, check=False)
    print(f" {time.monotonic() - began:.0f} s")
    if done.returncode:
        sys.exit("".join(log.read_text().splitlines(keepends=True)[-30:]))


def _program(name: str) -> str:
    """A command of this environment, activated or not."""
    return str(Path(sys.executable).with_name(name))


_TABLES = """
    select
        stream, table_name as "table", sync_type, live_rows, deleted_rows,
        strftime(watermark, '%Y-%m-%d %H:%M') as newest_change
    from activecampaign._streams
    order by live_rows desc
"""
_PIPELINES = """
    with by_currency as (
        select *, sum(deals) over (partition by pipeline_id, stage_id) as all_deals
        from marts.pipeline_stages
    )
    select
        pipeline,
        coalesce(stage, '(stage is gone)') as stage,
        sum(open_deals)::bigint as open,
        sum(won_deals)::bigint as won,
        sum(lost_deals)::bigint as lost,
        round(100 * sum(won_deals) / nullif(sum(won_deals + lost_deals), 0))::int as "win %",
        string_agg(currency || ' ' || format('{:,}', open_value::bigint), ', ' order by currency)
            filter (open_value > 0) as open_value
    from by_currency
    where all_deals > 0
    group by all
    order by pipeline, min(stage_position) nulls last
"""


def _summarise() -> None:
    with connect(_DATABASE, read_only=True) as db:
        print("\nTables as they were landed (schema activecampaign)")
        db.sql(_TABLES).show(max_rows=20, max_width=120)
        print("Deals by pipeline and stage (marts.pipeline_stages, values in currency units)")
        db.sql(_PIPELINES).show(max_rows=60, max_width=140)
    print(f"Database  {_DATABASE}")
    print(f"Report    {report_path(_DATABASE)}")
    print("Models    make docs  → http://127.0.0.1:8080 (dbt docs)")
    print("UI        make dev   → http://127.0.0.1:3000 (Dagster)")


if __name__ == "__main__":
    main()
