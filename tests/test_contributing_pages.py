"""docs/contributing, followed to the letter in a copy of the repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "contributing"
LEFT_OUT = (".*", "build", "data", "target", "logs", "__pycache__", "dbt_packages", "images")
# the sentence above a block says what is done with it; one of commands needs none
STEP = re.compile(
    r"(?:^(?P<what>Create|Add to the end of|In) `(?P<path>[^`]+)`"
    r"(?:, add (?P<side>above|below) the line `(?P<line>[^`]+)`)?:\n\n)?"
    r"^(?P<fence>```+)(?P<language>\w+)\n(?P<block>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
SYNC = """
import logging
from pathlib import Path
from activecampaign_dagster.api.client import Client
from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.sync.request import Mode, SyncRequest
from activecampaign_dagster.sync.run import sync
from activecampaign_dagster.warehouse.factory import warehouse_at
from activecampaign_dagster.warehouse.location import locate

path = Path("data/demo.duckdb")
path.parent.mkdir(exist_ok=True)
account = Account.generate(contacts=20, deals=20, field_values=20)
tables = tuple(StreamTable(s, s.name, s.sync_type) for s in STREAMS.values())
source = Source(stream_tables=tables, enabled=frozenset(STREAMS))
request = SyncRequest(streams=frozenset(STREAMS), mode=Mode.FULL, sync_id="first")
with (
    Sandbox(account, requests_per_second=None) as sandbox,
    Client(sandbox.url, sandbox.api_key, per_second=None) as client,
):
    warehouse = warehouse_at(locate(str(path), path))
    list(sync(source, request, client=client, warehouse=warehouse, log=logging.getLogger()))
"""
Run = Callable[[str], str]
pytestmark = pytest.mark.slow


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT, tmp_path / "copy", ignore=shutil.ignore_patterns(*LEFT_OUT))
    return tmp_path / "copy"


@pytest.fixture
def run(copy: Path) -> Run:
    """Runs commands in the copy, which comes before what is installed."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    ours = {"PATH": path, "PYTHONPATH": str(copy), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    others = {k: v for k, v in os.environ.items() if not k.startswith(("ACTIVECAMPAIGN", "PYTEST"))}

    def commands(text: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=copy,
            env=others | ours,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}"
        return done.stdout

    return commands


def follow(page: str, copy: Path, run: Run) -> str:
    """Do what a page says; gives what its commands have printed."""
    said = ""
    for step in STEP.finditer((PAGES / page).read_text(encoding="utf-8")):
        if step["what"] is None:
            assert step["language"] == "sh", f"nothing says what this block is for: {step[0]}"
            said += run(step["block"])
            continue
        path = copy / step["path"]
        assert path.exists() == (step["what"] != "Create"), path
        path.write_text(changed(path, step), encoding="utf-8")
    return said


def changed(path: Path, step: re.Match[str]) -> str:
    """The text of a file once a step is done."""
    if step["what"] == "Create":
        return step["block"]
    text = path.read_text(encoding="utf-8")
    if step["line"] is None:
        return f"{text.rstrip()}\n\n{'' if path.suffix == '.txt' else chr(10)}{step['block']}"
    lines = text.splitlines(keepends=True)
    [found] = [number for number, line in enumerate(lines) if line.strip() == step["line"]]
    gap = "\n\n" if step["side"] == "above" else ""
    lines.insert(found + (step["side"] == "below"), step["block"] + gap)
    return "".join(lines)


def rows(run: Run, sql: str) -> list[str]:
    """What a query on the copy's database returns, a row a line."""
    query = f"duckdb.connect('data/demo.duckdb', read_only=True).execute({sql!r})"
    lines = run(f'python -c "import duckdb; print(*{query}.fetchall(), sep=chr(10))"')
    return lines.splitlines()


def test_a_stream_that_is_added_as_its_page_says_is_read_into_its_table(
    copy: Path, run: Run
) -> None:
    said = follow("stream.md", copy, run)
    assert "One row per badge that users can earn." in said
    assert "| `badges` | badge that users can earn |" in (copy / "docs/streams.md").read_text()
    run(f"python - <<'END'\n{SYNC}\nEND")
    assert rows(run, "select title from activecampaign.badges order by id") == [
        "('Gold',)",
        "('Silver',)",
        "('Bronze',)",
    ]


def test_a_model_that_is_added_as_its_page_says_is_built(copy: Path, run: Run) -> None:
    run(f"python - <<'END'\n{SYNC}\nEND")
    said = follow("model.md", copy, run)
    assert "team_sizes_counts_members_per_account" in said
    assert "sales/team_sizes.md" in (copy / "docs/models.md").read_text()
    assert rows(run, "select members > 0 from marts.team_sizes limit 1") == ["(True,)"]


def test_a_check_that_is_added_as_its_page_says_finds_what_it_is_for(copy: Path, run: Run) -> None:
    said = follow("check.md", copy, run)
    assert re.search(r"\b1 passed", said) or said.count("[100%]") == 2
    assert "| `future_changes` | `warn` |" in (copy / "docs/configuration.md").read_text()


@pytest.mark.parametrize("page", ["stream.md", "model.md", "check.md"])
def test_no_block_of_a_page_is_overlooked(page: str) -> None:
    text = (PAGES / page).read_text(encoding="utf-8")
    steps = list(STEP.finditer(text))
    assert len(steps) >= 4
    assert "```" not in STEP.sub("", text)
