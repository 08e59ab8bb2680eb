"""The systemd units start what is there, as a user of their own that can write one folder."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.files import BIN, DEPLOY, ROOT, assert_exists

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
HOME = "/opt/activecampaign/"
COMMANDS = f"{HOME}.venv/bin/"
STATE = "/var/lib/activecampaign"


def values(unit: Path, name: str) -> list[str]:
    """All values of a setting."""
    lines = unit.read_text("utf-8").splitlines()
    return [line.split("=", 1)[1] for line in lines if line.startswith(f"{name}=")]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_command_exists_with_its_options(unit: Path) -> None:
    [started] = values(unit, "ExecStart")
    command = shlex.split(started)
    assert command[0].startswith(COMMANDS)
    assert_exists([command[0].removeprefix(COMMANDS), *command[1:]])
    for line in (started, *values(unit, "ExecStartPre")):
        for part in shlex.split(line):
            if part.startswith(HOME) and not part.startswith(COMMANDS):
                assert (ROOT / part.removeprefix(HOME)).exists(), part


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_what_it_writes_lies_in_the_folder_that_systemd_gives_it(unit: Path) -> None:
    assert values(unit, "StateDirectory") == ["activecampaign"]
    assert values(unit, "ProtectSystem") == ["strict"]
    settings = [each for line in values(unit, "Environment") for each in line.split()]
    paths = {part for _, part in (each.split("=", 1) for each in settings) if "/" in part}
    assert paths
    assert all(path.startswith(STATE) for path in paths)


def test_only_the_code_server_knows_the_keys() -> None:
    assert [u.stem for u in UNITS if values(u, "EnvironmentFile")] == ["activecampaign-code"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed here")
def test_systemd_finds_nothing_to_complain_about(tmp_path: Path) -> None:
    copies = []
    for unit in UNITS:
        text = unit.read_text("utf-8").replace(COMMANDS, f"{BIN}/")
        copies.append(tmp_path / unit.name)
        copies[-1].write_text(text.replace(f"file://{HOME}", f"file://{ROOT}/"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *copies],
        capture_output=True,
        text=True,
        check=False,
    )
    # those of the system's own units are not ours
    said = [line for line in done.stderr.splitlines() if "activecampaign" in line]
    assert not said
