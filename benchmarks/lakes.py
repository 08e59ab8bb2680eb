"""A DuckDB file against a DuckLake: the same work in turns, in processes of their own."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from activecampaign_dagster.warehouse.location import LAKE
from benchmarks.builds import build
from benchmarks.measure import Served, one_sync, sandbox
from tests.lakes import new_lake

_SYNCS = {
    "first full sync": "full",
    "full sync, nothing changed": "full",
    "incremental sync, nothing new": "incremental",
}
_BUILDS = ("`dbt build` with tests, first", "`dbt build`, nothing changed")

Size = tuple[int, int, int]  # contacts, deals, field values
Reports = dict[str, list[dict[str, Any]]]  # of a warehouse: by what was done, once a round


def compared(size: Size, small: Size, rounds: int) -> Iterator[tuple[str, str]]:
    """Lines on syncs and builds of an account in both, and on requests of a small one at 5/s."""
    found: dict[str, Reports] = {"file": {}, "lake": {}}
    with sandbox(*size) as served:
        for number in range(1, rounds + 1):
            with tempfile.TemporaryDirectory() as place, _pair(folder := Path(place)) as databases:
                for what, mode in _SYNCS.items():
                    for name, database in databases.items():
                        report = one_sync(served, database, mode)
                        found[name].setdefault(what, []).append(report)
                for what in _BUILDS if number == rounds else ():
                    for name, database in databases.items():
                        report = build(database, folder / f"{name}.dbt")
                        found[name].setdefault(what, []).append(report)
    contacts, deals, values = size
    yield "**account**", f"{contacts:,} contacts, {deals:,} deals, {values:,} values"
    yield "rounds", f"{rounds}, file and lake in turns, medians; builds in the last one alone"
    for what in (*_SYNCS, *_BUILDS):
        file, lake = (_figures(found[name][what]) for name in found)
        ratio = lake["cpu_seconds"] / file["cpu_seconds"]
        yield what, f"file {_told(file)}; lake {_told(lake)}: {ratio:.2f} times the CPU"
    yield from _requests(small)


@contextmanager
def _pair(folder: Path) -> Iterator[dict[str, str]]:
    """A new file and a new lake: what each is called, and the setting that names it."""
    with new_lake(folder):
        yield {"file": str(folder / "a.duckdb"), "lake": LAKE}


def _figures(reports: list[dict[str, Any]]) -> dict[str, float]:
    names = ("cpu_seconds", "seconds", "peak_mb")
    return {name: statistics.median(report[name] for report in reports) for name in names}


def _told(figures: dict[str, float]) -> str:
    return (
        f"{figures['cpu_seconds']:.2f} s CPU, {figures['seconds']:.2f} s wall, "
        f"{figures['peak_mb']:.0f} MB"
    )


def _requests(size: Size) -> Iterator[tuple[str, str]]:
    with (
        sandbox(*size, per_second=5) as served,
        tempfile.TemporaryDirectory() as place,
        _pair(Path(place)) as databases,
    ):
        for name, database in databases.items():
            yield f"full sync at 5 requests/s, {name}", _rate(served, database)


def _rate(served: Served, database: str) -> str:
    served.reset()
    one_sync(served, database, "full", 5)
    stats = served.stats()
    rate = (stats["requests"] - 5) / stats["seconds"]  # the first five may go at once
    return (
        f"{stats['requests']} requests, {rate:.2f} requests/s as the account sees them, "
        f"{stats['rate_limited']} refusals (429)"
    )
