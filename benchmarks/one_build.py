"""One `dbt build` in a process of its own, measured: prints a JSON object.

python -m benchmarks.one_build DATABASE TARGET [DBT ARGUMENT …] — what Dagster builds, tests
included. TARGET is a folder for dbt's artifacts; the next build reads what it left there.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

_PROJECT = Path(__file__).parents[1] / "dbt_project"


def main() -> None:
    """Build once and report."""
    database, target, *arguments = sys.argv[1:]
    os.environ["ACTIVECAMPAIGN_DATABASE"] = database
    places = {"project-dir": _PROJECT, "profiles-dir": _PROJECT, "target-path": target}
    options = [f"--{name}={place}" for name, place in places.items()]
    began, cpu = time.perf_counter(), time.process_time()
    options += ["--exclude-resource-type=unit_test", "--quiet", "--log-level-file=none"]
    done = dbtRunner().invoke(["build", *options, *arguments])
    DuckDBConnectionManager.close_all_connections()  # its checkpoint is part of the build
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    if not done.success:
        raise done.exception or RuntimeError("a model or a test failed")
    report = {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "nodes": [
            {
                "name": result.node.name,
                "type": str(result.node.resource_type),
                "status": str(result.status),
                "seconds": result.execution_time,
            }
            for result in done.result  # type: ignore[union-attr]
        ],
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
