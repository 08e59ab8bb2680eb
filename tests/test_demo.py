"""The README's first commands, as a stranger runs them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_demo_and_the_first_query_of_the_readme_work(tmp_path: Path) -> None:
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copy(ROOT / "dagster.yaml", home)
    own = {key: value for key, value in os.environ.items() if "ACTIVECAMPAIGN" not in key}
    environment = {**own, "DAGSTER_HOME": str(home)}
    demo = [sys.executable, "-m", "activecampaign_dagster.demo", "--contacts", "300"]
    done = subprocess.run(
        demo, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"custom_field_values\s*│ INCREMENTAL │\s+\d{3}", done.stdout)
    assert "New business" in done.stdout

    readme = (ROOT / "README.md").read_text()
    query = re.search(r'python -c "(import|\n.*?)"\n```', readme, flags=re.DOTALL)
    assert query
    shown = subprocess.run(
        [sys.executable, "-c", query[1]], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "Renewals" in shown.stdout
    assert (ROOT / "data" / "pipeline_report.html").stat().st_size > 1_000_000
