"""What a run of a job costs, beside that of another checkout: `python -m benchmarks.jobs OTHER`.

Each checkout syncs the same made-up account in turn, with a home and a database of its own: a first
full refresh, then rounds of a run in which nothing has changed and one in which a deal has.
"""

from __future__ import annotations

import argparse
import compileall
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.server import Sandbox

ROOT = Path(__file__).parents[1]
_DEFS = """
type: activecampaign_dagster.components.ActiveCampaignSource
attributes: {streams: core, requests_per_second: 0}
"""
_KINDS = ("first full refresh", "nothing changed", "one deal changed")


@dataclass(frozen=True)
class Checkout:
    """A copy of a checkout that syncs `core`, with its home and database beside it."""

    folder: Path

    @classmethod
    def of(cls, source: Path, folder: Path, defs: str = _DEFS) -> Checkout:
        """Copy what runs; defs: the account's YAML."""
        for part in ("activecampaign_dagster", "dbt_project"):
            ignored = shutil.ignore_patterns("target", "logs", "__pycache__")
            shutil.copytree(source / part, folder / part, ignore=ignored)
        for part in ("pyproject.toml", "dagster.yaml"):
            shutil.copy(source / part, folder)
        (folder / "activecampaign_dagster/defs/activecampaign/defs.yaml").write_text(defs)
        compileall.compile_dir(folder / "activecampaign_dagster", quiet=2)
        return cls(folder)

    @property
    def database(self) -> Path:
        """Where its streams land."""
        return self.folder / "warehouse.duckdb"

    def environment(self, sandbox: Sandbox) -> dict[str, str]:
        """What its commands need to know of the account."""
        return os.environ | {
            "ACTIVECAMPAIGN_URL": sandbox.url,
            "ACTIVECAMPAIGN_API_KEY": sandbox.api_key,
            "ACTIVECAMPAIGN_DATABASE": str(self.database),
            "DAGSTER_HOME": str(self.folder),
            "PYTHONPATH": str(self.folder),
        }

    def run(self, job: str, sandbox: Sandbox) -> tuple[float, float]:
        """Seconds of wall and CPU of a run."""
        command = [str(Path(sys.executable).with_name("dagster")), "job", "execute", "-j", job]
        command += ["-m", "activecampaign_dagster.definitions"]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        ran = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(sandbox),
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            raise SystemExit(ran.stdout[-2000:] + ran.stderr[-2000:])
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return time.monotonic() - began, cpu


def main() -> None:
    """Measure, and print a line for each run and the medians of the ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jobs", description=__doc__)
    parser.add_argument("other", type=Path, metavar="OTHER", help="the checkout to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    account = Account.generate(contacts=3000, deals=1500, field_values=9000)
    ratios: dict[str, list[tuple[float, float]]] = {kind: [] for kind in _KINDS}
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(account, requests_per_second=None))
        made = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pair = [
            Checkout.of(source, made / name)
            for name, source in (("other", options.other), ("this", ROOT))
        ]

        def measure(kind: str, job: str) -> None:
            (wall, cpu), (wall_of_this, cpu_of_this) = [each.run(job, sandbox) for each in pair]
            ratios[kind].append((wall_of_this / wall, cpu_of_this / cpu))
            print(
                f"{kind}: other {wall:.1f} s, {cpu:.1f} s of CPU; "
                f"this {wall_of_this:.1f} s, {cpu_of_this:.1f} s of CPU",
                flush=True,
            )

        measure("first full refresh", "full_refresh")
        for number in range(options.rounds):
            measure("nothing changed", "incremental_sync")
            account.update_deal(sorted(account.deals.live)[number], value=1_000_000 + number)
            measure("one deal changed", "incremental_sync")
    for kind, found in ratios.items():
        walls, cpus = zip(*found, strict=True)
        print(f"{kind}: {median(walls):.2f} of the wall, {median(cpus):.2f} of the CPU")


if __name__ == "__main__":
    main()
