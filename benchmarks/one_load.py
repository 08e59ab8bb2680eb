"""One load of the definitions in a process of its own, measured: prints a JSON object.

python -m benchmarks.one_load, in the folder of a project: imports, every job resolved, and the
snapshot that a code server gives to Dagster's daemon and web server.
"""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path

from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.reconstruct import initialize_repository_def_from_pointer
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster_shared.serdes import serialize_value


def main() -> None:
    """Load once and report."""
    pointer = ModuleCodePointer("activecampaign_dagster.definitions", "defs", str(Path.cwd()))
    repository = initialize_repository_def_from_pointer(pointer)
    jobs = repository.get_all_jobs()
    snapshot = RepositorySnap.from_def(repository, defer_snapshots=True)
    served = serialize_value(snapshot)
    cpu_seconds = time.process_time()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    whole = serialize_value(RepositorySnap.from_def(repository, defer_snapshots=False))
    report = {
        "cpu_seconds": cpu_seconds,
        "peak_mb": peak_mb,
        "snapshot_mb": len(served) / 1e6,
        "with_jobs_mb": len(whole) / 1e6,
        "jobs": len(jobs),
        "assets": len(snapshot.asset_nodes),
        "checks": len(snapshot.asset_check_nodes or ()),
        "automations": len(snapshot.schedules) + len(snapshot.sensors),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
