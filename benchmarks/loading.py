"""What many accounts cost to load, beside another checkout: `python -m benchmarks.loading OTHER`.

Each checkout loads so many accounts of `core`, one file each, in turn. CPU and memory are those of
a process that imports the definitions, resolves every job and makes the snapshot that a code server
gives out; the second size has the snapshots of all jobs in it, which Dagster asks for one by one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.jobs import ROOT, Checkout

_DEFS = """
type: activecampaign_dagster.components.ActiveCampaignSource
attributes:
  name: client_{0}
  table_prefix: client_{0}_
  url_variable: CLIENT_{0}_URL
  api_key_variable: CLIENT_{0}_API_KEY
  streams: core
"""


def main() -> None:
    """Measure, and print a line for each number of accounts and checkout."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loading", description=__doc__)
    parser.add_argument("other", type=Path, metavar="OTHER", help="the checkout to compare with")
    parser.add_argument("--accounts", type=int, nargs="+", default=[1, 10, 50, 150])
    options = parser.parse_args()
    for count in options.accounts:
        with tempfile.TemporaryDirectory() as folder:
            for name, source in (("other", options.other), ("this", ROOT)):
                made = Checkout.of(source, Path(folder) / name, _DEFS.format(0))
                for number in range(1, count):
                    of_account = made.folder / f"activecampaign_dagster/defs/client_{number}"
                    of_account.mkdir()
                    (of_account / "defs.yaml").write_text(_DEFS.format(number))
                _load(made)  # which parses the dbt project
                print(f"{count} accounts, {name}: {_in_words(_load(made))}", flush=True)


def _load(checkout: Checkout) -> dict[str, Any]:
    paths = [str(checkout.folder), str(ROOT)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.one_load"],
        cwd=checkout.folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def _in_words(report: dict[str, Any]) -> str:
    return (
        f"{report['cpu_seconds']:.1f} s of CPU, {report['peak_mb']:.0f} MB peak, snapshot of "
        f"{report['snapshot_mb']:.1f} MB, with all jobs {report['with_jobs_mb']:.1f} MB; "
        f"{report['assets']} assets, {report['checks']} checks, {report['jobs']} jobs, "
        f"{report['automations']} schedules and sensors"
    )


if __name__ == "__main__":
    main()
