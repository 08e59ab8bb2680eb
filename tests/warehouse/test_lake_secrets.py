"""The password of a lake's catalogue is in no error, log, metadata, list of processes or path."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from activecampaign_dagster.sandbox.account import Account
from tests.helpers import Warehouse, serving

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
CANARY = "c4nary"
DAGSTER = [sys.executable, "-m", "dagster", "asset", "materialize"]
SYNC = [
    *DAGSTER,
    "-m",
    "activecampaign_dagster.definitions",
    "--select",
    "activecampaign/users",
    "--partition",
    "2025-06-01",
]
COMMANDS = {
    "status": [sys.executable, "-m", "activecampaign_dagster.cli", "warehouse", "status"],
    "a run of Dagster": SYNC,
}


def run(command: Sequence[str], cwd: Path, environment: dict[str, str]) -> tuple[int, str, str]:
    """Exit code, what it said, and the command lines of all processes while it ran."""
    lines = set[str]()
    said = cwd / "said"
    with (
        said.open("w") as file,
        subprocess.Popen(
            command, cwd=cwd, env=environment, stdout=file, stderr=subprocess.STDOUT
        ) as process,
    ):
        while process.poll() is None:
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    lines.add(path.read_text(errors="replace"))
                except OSError:  # it has ended
                    continue
            time.sleep(0.3)
    return process.returncode, said.read_text(), "\n".join(lines)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("is_right", [True, False])
def test_the_password_is_nowhere_but_in_its_variable(
    lake: Warehouse, tmp_path: Path, name: str, is_right: bool
) -> None:
    assert CANARY in os.environ["PGPASSWORD"]
    with lake.opened.connect():  # makes it: the status of none would be a refusal
        pass
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text("utf-8"))
    with serving(Account.generate(seed=1, contacts=5, deals=5, field_values=5)) as sandbox:
        environment = {
            **os.environ,
            "ACTIVECAMPAIGN_URL": sandbox.url,
            "ACTIVECAMPAIGN_API_KEY": sandbox.api_key,
            "DAGSTER_HOME": str(home),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "HOME": str(tmp_path),
            **({} if is_right else {"PGPASSWORD": f"{CANARY}-that-is-wrong"}),
        }
        code, said, processes = run(COMMANDS[name], tmp_path, environment)
    assert (code == 0) is is_right, said
    assert CANARY not in said
    assert CANARY not in processes
    if not is_right:
        assert "password authentication failed" in said
        assert "Traceback" not in said
    for path in tmp_path.rglob("*"):
        assert CANARY not in str(path)
        if path.is_file() and not path.is_symlink():
            assert CANARY.encode() not in path.read_bytes(), path
