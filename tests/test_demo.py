"""The README's first commands, as a stranger runs them."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from activecampaign_dagster import demo

ROOT = Path(__file__).parents[1]


PROJECT = ("activecampaign_dagster", "dbt_project", "dagster.yaml", "workspace.yaml")


@pytest.mark.slow
def test_the_demo_and_the_first_query_of_the_readme_work_beside_an_account_of_ones_own(
    tmp_path: Path,
) -> None:
    root, real = tmp_path / "project", tmp_path / "real.duckdb"
    root.mkdir()
    for name in (*PROJECT, "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, root / name)
    (root / ".env").write_text(
        "ACTIVECAMPAIGN_URL=http://127.0.0.1:9\nACTIVECAMPAIGN_API_KEY=real\n"
        f"ACTIVECAMPAIGN_DATABASE={real}\n"
    )
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copy(ROOT / "dagster.yaml", home)
    own = {key: value for key, value in os.environ.items() if "ACTIVECAMPAIGN" not in key}
    environment = {**own, "DAGSTER_HOME": str(home), "PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "activecampaign_dagster.demo", "--contacts", "300"]
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"custom_field_values\s*│ INCREMENTAL │\s+\d{3}", done.stdout)
    assert "New business" in done.stdout
    assert not real.exists()

    readme = (ROOT / "README.md").read_text()
    query = re.search(r'python -c "(import|\n.*?)"\n```', readme, flags=re.DOTALL)
    assert query
    shown = subprocess.run(
        [sys.executable, "-c", query[1]], cwd=root, capture_output=True, text=True, check=True
    )
    assert "Renewals" in shown.stdout
    assert (root / "data" / "demo_report.html").stat().st_size > 1_000_000


def test_a_port_that_is_taken_is_said_before_anything_begins(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        monkeypatch.setattr(sys, "argv", ["demo", "--ui", "--port", port])
        with pytest.raises(SystemExit) as ended:
            demo.main()
    assert ended.value.code == 2
    assert f"port {port} cannot be used" in capsys.readouterr().err
