"""The demo: syncs a simulated account, changes it, syncs it again and shows the tables.

Run as `python -m activecampaign_dagster.demo`; with `--ui` it serves the Dagster UI on the
simulated account instead. All that it makes lies in the folder data, where it is run.
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
from typing import Any

import filelock
import requests

from activecampaign_dagster.orchestration.assets.pipeline_report import report_path
from activecampaign_dagster.orchestration.shipped import shipped
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.location import DATABASE_VARIABLE, locate

_DATABASE = Path("data/demo.duckdb").absolute()
# Dagster's commands prefer an .env where they run, which may name a real account and its database
_FOLDER = _DATABASE.with_name("demo")
_HOME = _FOLDER / "home"  # so that its runs are not among those of a real account
_PIPELINE = 2  # that the key loses sight of
_ACCOUNT = "activecampaign"
_MODULE = "activecampaign_demo.definitions"
# a project such as anybody makes who adds the package to one of their own
_PROJECT = {
    "pyproject.toml": """\
[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "activecampaign_demo"
code_location_name = "activecampaign_demo.definitions"
""",
    "activecampaign_demo/definitions.py": """\
from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
""",
    "activecampaign_demo/defs/account/defs.yaml": f"""\
type: activecampaign_dagster.ActiveCampaignSource
attributes:
  name: {_ACCOUNT}
  description: A simulated account
""",
    "activecampaign_demo/defs/models/defs.yaml": "type: activecampaign_dagster.DbtModels\n",
}


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
    if _DATABASE.exists():
        print(
            f"Starting anew: the database and the runs of the last demo ({_DATABASE}) are removed."
        )
    for leftover in (_DATABASE, _DATABASE.with_name(f"{_DATABASE.name}.wal")):
        leftover.unlink(missing_ok=True)
    for folder in (_DATABASE.with_name(f"{_DATABASE.name}.staging"), _HOME):
        shutil.rmtree(folder, ignore_errors=True)
    for name, text in _PROJECT.items():
        (_FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (_FOLDER / name).write_text(text)
    _HOME.mkdir()
    shutil.copy(shipped("dagster.yaml"), _HOME)
    os.environ["DAGSTER_HOME"] = str(_HOME)


@contextmanager
def _sandbox(contacts: int, *, live: bool) -> Iterator[str]:
    """The sandbox in a process of its own, with the environment pointing at it."""
    command = [sys.executable, "-m", "activecampaign_dagster.sandbox", "--port", "0"]
    command += ["--contacts", str(contacts)]
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
    command = [_program("dagster"), "dev", "-m", _MODULE, "--port", str(port)]
    # dg dev, which Dagster would have us use, starts this same command
    environment = os.environ | {"PYTHONWARNINGS": "ignore:Function `dev_command` is superseded"}
    with subprocess.Popen(command, cwd=_FOLDER, env=environment) as process:
        try:
            process.wait()
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise


def _tour(url: str) -> None:
    _execute("full_refresh", "1. Full refresh: reads all records and builds the models")
    changes = _change(url, "churn", changes=200)["changes"]
    _change(url, "hide-pipeline", id=_PIPELINE)
    print(f"2. The account changes: {len(changes)} records are added, edited or deleted, and the")
    print("   API key's user may no longer see the deals of one pipeline")
    _execute("incremental_sync", "3. Incremental sync: reads what changed, looks for deletions")
    _execute("full_refresh", "4. Full refresh: finds all deletions and all hidden deals")
    _summarise()


def _change(url: str, what: str, **how: int) -> dict[str, Any]:
    answer = requests.post(f"{url}/sandbox/{what}", params=how, timeout=10)
    answer.raise_for_status()
    changed: dict[str, Any] = answer.json()
    return changed


def _execute(job: str, title: str) -> None:
    """Run a job of the account as a user would; on failure show the end of its log."""
    log = _FOLDER / f"{job}.log"
    print(f"{title} …", end="", flush=True)
    began = time.monotonic()
    command = [_program("dagster"), "job", "execute", "-m", _MODULE, "-j", f"{_ACCOUNT}__{job}"]
    with log.open("w") as out:
        done = subprocess.run(command, cwd=_FOLDER, stdout=out, stderr=out, check=False)
    print(f" {time.monotonic() - began:.0f} s")
    if done.returncode:
        sys.exit("".join(log.read_text().splitlines(keepends=True)[-30:]))


def _program(name: str) -> str:
    """A command of this environment, activated or not."""
    return str(Path(sys.executable).with_name(name))


# the core and what was deleted, before the many that are as in the account
_TABLES = """
    select stream, sync_type, live_rows, deleted_rows, newest_change
    from (
        select
            stream, sync_type, live_rows, deleted_rows,
            strftime(watermark, '%Y-%m-%d %H:%M') as newest_change
        from activecampaign._streams
        order by deleted_rows > 0 desc, live_rows desc
        limit 15
    )
    order by live_rows desc
"""
_HIDDEN = """
    select count(*) from activecampaign.deals
    where _hidden_at is not null and _deleted_at is null
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
        (streams,) = db.execute("select count(*) from activecampaign._streams").fetchone() or (0,)
        (hidden,) = db.execute(_HIDDEN).fetchone() or (0,)
        print(f"\nTables in the schema activecampaign, one per stream: 15 of {streams}")
        print("  live_rows      records that the account has now")
        print("  deleted_rows   records that were deleted there; they stay, with _deleted_at set")
        print("  newest_change  the last change that was read; the next sync begins before it")
        db.sql(_TABLES).show(max_rows=20, max_width=120)
        print(f"{hidden} deals are hidden from the API key: they stay as they were last seen, with")
        print("_hidden_at set. Those that were open then may be decided now, and do not count as")
        print("open.\n")
        print("Deals by pipeline and stage, from marts.pipeline_stages")
        print("  win %       of the deals that were decided in this stage")
        print("  open_value  of the open deals, in units of each currency")
        db.sql(_PIPELINES).show(max_rows=60, max_width=140)
    is_clone = shipped("Makefile").exists()
    ui = "make dev" if is_clone else "python -m activecampaign_dagster.demo --ui"
    print(f"Database  {_DATABASE}")
    print(f"Report    {report_path(locate(str(_DATABASE), _DATABASE))}: open it in a browser")
    print(f"Project   {_FOLDER}: the YAML files, the logs and the run history")
    print("\nNext")
    print(f"  {ui}: Dagster's UI on a simulated account, http://127.0.0.1:3000")
    if is_clone:
        print(
            "  make dbt-docs: all tables and columns, with example queries, http://127.0.0.1:8080"
        )
    print("  The README has a first query, and says how to read an account of your own")


if __name__ == "__main__":
    main()
