"""How long dbt takes over an account: a first build, one without and one with changes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.raw_tables import change, fill

_SHARE = 0.01
_SLOWEST = 12
_TABLES = {"model", "snapshot"}

Size = tuple[int, int, int, int]  # contacts, deals, field values, custom fields


def builds(size: Size, tiny: Size) -> Iterator[tuple[str, str]]:
    """Lines on builds of an account; those of a tiny one tell what dbt takes for itself."""
    itself = _reports(tiny)
    reports = _reports(size)
    contacts, deals, values, fields = size
    yield "**account**", f"{contacts:,} contacts, {deals:,} deals, {values:,} values"
    yield "custom fields", str(fields)
    above = {n: r["cpu_seconds"] - itself[n]["cpu_seconds"] for n, r in reports.items()}
    for name, report in reports.items():
        yield (
            name,
            f"{report['seconds']:.1f} s wall, {report['cpu_seconds']:.1f} s CPU, of which "
            f"{itself[name]['cpu_seconds']:.1f} also for {tiny[0]:,} contacts "
            f"(above that {above[name] / above['first']:.0%} of the first build); "
            f"{report['peak_mb']:.0f} MB peak",
        )
    times = [
        {node["name"]: node["seconds"] for node in report["nodes"] if node["type"] in _TABLES}
        for report in reports.values()
    ]
    yield "**seconds per model**", ", ".join(reports)
    for model in sorted(times[0], key=lambda model: -times[0][model])[:_SLOWEST]:
        yield f"`{model}`", ", ".join(f"{of_build[model]:.1f}" for of_build in times)


def _reports(size: Size) -> dict[str, dict[str, Any]]:
    """What `benchmarks.one_build` reports of builds in a row."""
    with tempfile.TemporaryDirectory() as folder:
        database, target = Path(folder) / "a.duckdb", Path(folder) / "target"
        _apart(fill, database, *size)
        reports = {"first": build(str(database), target)}
        reports["nothing changed"] = build(str(database), target)
        for number, name in enumerate(("1 % changed", "another 1 % changed"), start=1):
            _apart(change, database, _SHARE, number)
            reports[name] = build(str(database), target)
    return reports


def _apart(function: Callable[..., None], *args: Any) -> None:
    """Call it in another process: Linux counts a parent's memory as its children's peak."""
    process = get_context("spawn").Process(target=function, args=args)
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{function.__name__} failed")


def build(database: str, target: Path) -> dict[str, Any]:
    """What `benchmarks.one_build` reports of a build of a warehouse, as its setting names it."""
    command = [sys.executable, "-m", "benchmarks.one_build", database, str(target)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report
