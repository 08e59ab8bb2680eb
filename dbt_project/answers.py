"""Write the answers below the questions of the marts: `python dbt_project/answers.py`.

Each page of `models/marts` has its questions as SQL, and so has docs/questions.md. This makes an
account up, always the same one, lets it live for some weeks with a sync and a snapshot after each,
builds the models, asks the questions and puts each answer below its question, in place of the one
that was there. The pages hold the same answers for everybody, so that a change of the models shows
in what it changes here.
"""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import duckdb
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.sync.request import Mode, SyncRequest
from activecampaign_dagster.sync.run import sync
from activecampaign_dagster.warehouse.factory import warehouse_at
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.location import locate

PROJECT = Path(__file__).parent
QUESTIONS = PROJECT.parent / "docs" / "questions.md"
PAGES = [*sorted((PROJECT / "models" / "marts").rglob("*.md")), QUESTIONS]

NOW = datetime(2026, 3, 2, 6, tzinfo=UTC)  # when the last sync ran and the questions are asked
WEEKS = 3  # for which the account was watched
CHANGES_PER_WEEK = 250
SIZES = {"contacts": 900, "deals": 700, "field_values": 2000, "years": 3, "campaign_count": 30}

# a question in bold, its SQL and, once it was asked, its answer
QUESTION = re.compile(
    r"^(?P<question>\*\*[^*]+\*\*.*\n\n```sql\n(?P<sql>(?:(?!```).*\n)+)```\n)(?:\n(?:\|.*\n)+)?",
    re.MULTILINE,
)
NUMBER = ("INTEGER", "BIGINT", "HUGEINT", "DOUBLE", "DECIMAL")


def write() -> None:
    """Rewrite the answers of all pages."""
    with tempfile.TemporaryDirectory() as folder, asking(made_up(Path(folder))) as db:
        for page in PAGES:
            page.write_text(answered(page.read_text(), db))


def made_up(folder: Path, manifest: Manifest | None = None) -> Path:
    """A database with the models of the made-up account; `manifest` is the project, if parsed."""
    database = folder / "warehouse.duckdb"
    now = NOW - timedelta(weeks=WEEKS)
    account = Account.generate(seed=1, now=now, clock=lambda: now, **SIZES)
    _name_forms_and_campaigns(account)
    random = Random(1)  # noqa: S311
    dbt = partial(_dbt, database, manifest or _dbt(database, None, "parse"))
    without_tests = ("--exclude-resource-type=test", "--exclude-resource-type=unit_test")
    with Sandbox(account, requests_per_second=None) as sandbox:
        _sync(database, sandbox, now)
        dbt("build", "--select=+resource_type:snapshot", *without_tests)
        while now < NOW:
            for _ in range(CHANGES_PER_WEEK):
                now += timedelta(weeks=1) / CHANGES_PER_WEEK
                account.churn(random, 1)
            _sync(database, sandbox, now)
            dbt("snapshot")
    dbt("build", *without_tests)
    return database


def _name_forms_and_campaigns(account: Account) -> None:
    """Say by which form and campaign contacts came and left, which a sandbox leaves open."""
    for number, membership in account.truth("contactLists").items():
        form = str(1 + number % 3) if number % 4 else None
        campaign = str(1 + number % 7) if membership["udate"] else None
        account.update_record("contactLists", number, form=form, campaign=campaign)


def _sync(database: Path, sandbox: Sandbox, at: datetime) -> None:
    tables = tuple(StreamTable(s, s.name, s.sync_type) for s in STREAMS.values())
    source = Source(stream_tables=tables, enabled=frozenset(STREAMS))
    request = SyncRequest(streams=source.enabled, mode=Mode.FULL, sync_id=f"{at:%Y-%m-%d}", at=at)
    with Client(sandbox.url, sandbox.api_key, per_second=None) as client:
        outcomes = sync(
            source,
            request,
            client=client,
            warehouse=warehouse_at(locate(str(database), database)),
            log=logging.getLogger(__name__),
        )
        for _ in outcomes:  # a stream is landed when its outcome is asked for
            pass


def _dbt(database: Path, manifest: Manifest | None, command: str, *options: str) -> Any:
    """The result of a dbt command."""
    os.environ["ACTIVECAMPAIGN_DATABASE"] = str(database)
    places = {"project-dir": PROJECT, "profiles-dir": PROJECT, "target-path": database.parent}
    settings = [
        "--quiet",
        "--log-level-file=none",
        "--no-write-json",
        f"--vars={json.dumps({'as_of': str(NOW)})}",
    ]
    settings += [f"--{name}={place}" for name, place in places.items()]
    try:
        result = dbtRunner(manifest=manifest).invoke([command, *options, *settings])
    finally:
        DuckDBConnectionManager.close_all_connections()
    if not result.success:
        raise SystemExit(f"dbt {command} failed")
    return result.result


@contextmanager
def asking(database: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection for which it is always NOW."""
    with connect(database) as db:
        db.execute(f"create temp macro now() as timestamptz '{NOW}'")
        yield db


def answered(page: str, db: duckdb.DuckDBPyConnection) -> str:
    """A page with the answers that `db` gives."""

    def with_answer(found: re.Match[str]) -> str:
        return f"{found['question']}\n{table(db.execute(found['sql']))}"

    return QUESTION.sub(with_answer, page)


def table(result: duckdb.DuckDBPyConnection) -> str:
    """The rows of a query as a Markdown table."""
    rows = result.fetchall()
    names = [column[0] for column in result.description]
    numeric = [str(column[1]).startswith(NUMBER) for column in result.description]
    lines = [names, ["---:" if right else "---" for right in numeric]]
    lines += [[text(*cell) for cell in zip(names, row, strict=True)] for row in rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def text(column: str, value: Any) -> str:
    """A value as a reader wants to see it."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case int() if not column.endswith("_id"):
            return f"{value:,}"
        case float() | Decimal():
            return f"{value:,f}".rstrip("0").rstrip(".")
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
    return str(value).replace("|", "\\|")


if __name__ == "__main__":
    write()
