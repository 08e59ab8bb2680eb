"""One sync in a process of its own, measured: prints a JSON object.

python -m benchmarks.one_sync DATABASE MODE [REQUESTS_PER_SECOND] — the account comes from
ACTIVECAMPAIGN_URL and ACTIVECAMPAIGN_API_KEY; MODE is full or incremental; 0 requests per second
means no limit. Reading and landing only, without Dagster and dbt.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import sys
import threading
import time
from functools import partial
from pathlib import Path

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.streams.registry import CORE
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.sync.request import Mode, SyncRequest
from activecampaign_dagster.sync.run import sync
from activecampaign_dagster.warehouse.file import connect


class Disk(threading.Thread):
    """Watches how much is staged or spilled beside the database at the most."""

    def __init__(self, database: Path) -> None:
        super().__init__(daemon=True)
        self.most = 0
        self._folders = [Path(f"{database}.staging"), Path(f"{database}.tmp")]

    def run(self) -> None:
        """Look every tenth of a second."""
        while True:
            self.most = max(self.most, sum(map(_size, self._folders)))
            time.sleep(0.1)


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += (Path(parent) / name).stat().st_size
    return total


def main() -> None:
    """Sync once and report."""
    database, mode, *rest = sys.argv[1:]
    per_second = int(rest[0]) if rest else 0
    logging.basicConfig(level=os.environ.get("LOG", "WARNING"), stream=sys.stderr)
    path = Path(database)
    request = SyncRequest(streams=frozenset(CORE), mode=Mode(mode), sync_id="benchmark")
    disk = Disk(path)
    disk.start()
    began, cpu = time.perf_counter(), time.process_time()
    with Client(
        os.environ["ACTIVECAMPAIGN_URL"],
        os.environ["ACTIVECAMPAIGN_API_KEY"],
        per_second=per_second or None,
    ) as client:
        outcomes = list(
            sync(
                Source(),
                request,
                client=client,
                connect=partial(connect, path),
                staging=path.with_name(f"{path.name}.staging"),
                log=logging.getLogger("sync"),
            )
        )
        seconds = time.perf_counter() - began
        statuses = {str(status): count for status, count in client.statuses.items()}
        report = {
            "seconds": round(seconds, 3),
            "cpu_seconds": round(time.process_time() - cpu, 3),
            "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            "disk_mb": round(disk.most / 1e6, 1),
            "requests": client.requests,
            "statuses": statuses,
            "streams": {
                o.stream_table.name: {
                    "live": o.landed.live_rows,
                    "inserted": o.landed.inserted,
                    "updated": o.landed.updated,
                    "unchanged": o.landed.unchanged,
                    "read_seconds": round(o.seconds, 3),
                }
                for o in outcomes
            },
        }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
