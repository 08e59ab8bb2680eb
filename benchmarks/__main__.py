"""`python -m benchmarks [SCENARIO …]`: measure, print a table, write RESULTS.md.

Without arguments all scenarios but the largest run. Figures of scenarios that did not run stay
as they are in RESULTS.md.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.scenarios import SCENARIOS

_FOLDER = Path(__file__).parent
_KEPT = _FOLDER / "results.json"


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    names = parser.parse_args().scenarios or [
        name
        for name in SCENARIOS
        if "large" not in name and name not in {"deletions", "growth", "lake", "on_change"}
    ]
    unknown = set(names) - set(SCENARIOS)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    kept = json.loads(_KEPT.read_text()) if _KEPT.exists() else {}
    for name in names:
        print(f"{name}: {SCENARIOS[name].__doc__}", flush=True)
        lines = []
        for what, figure in SCENARIOS[name]():
            print(f"  {what}: {figure}", flush=True)
            lines.append((what, figure))
        kept[name] = {"when": _conditions(), "lines": lines}
        _KEPT.write_text(json.dumps(kept, indent=1) + "\n")
        (_FOLDER / "RESULTS.md").write_text(_page(kept))


def _conditions() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "dagster", "dbt-core"))
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores ({platform.machine()}), "
        f"load {os.getloadavg()[1]:.1f}, Python {platform.python_version()}, {packages}"
    )


def _page(kept: dict[str, dict[str, object]]) -> str:
    text = (
        "# Figures\n\nMade by `python -m benchmarks`; the account is the sandbox in a process of "
        "its own, on the same machine. A load above 0 at the time of measuring means that other "
        "programs had a share of the cores.\n"
    )
    for name, scenario in SCENARIOS.items():
        if name in kept:
            text += f"\n## {name}\n{inspect.getdoc(scenario)}\n\n| | |\n|---|---|\n"
            lines: list[tuple[str, str]] = kept[name]["lines"]  # type: ignore[assignment]
            text += "".join(f"| {what} | {figure} |\n" for what, figure in lines)
            text += f"\n{kept[name]['when']}\n"
    return text


if __name__ == "__main__":
    main()
