"""One sync in a process of its own, measured: prints a JSON object.

python -m benchmarks.one_sync DATABASE MODE [REQUESTS_PER_SECOND [STREAMS]]

DATABASE is written as in ACTIVECAMPAIGN_DATABASE; the account comes from ACTIVECAMPAIGN_URL and
ACTIVECAMPAIGN_API_KEY; MODE is full or incremental; 0 requests per second means no limit; STREAMS
is core or all. Reading and landing only, without Dagster and dbt, as a scheduled run does it.
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
from datetime import timedelta
from pathlib import Path

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.streams.registry import CORE, STREAMS
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.sync.request import Mode, SyncRequest
from activecampaign_dagster.sync.run import sync
from activecampaign_dagster.warehouse.factory import warehouse_at
from activecampaign_dagster.warehouse.location import Location, locate

_AN_HOUR = timedelta(hours=1)


class Disk(threading.Thread):
    """Watches how much is staged or spilled beside the database at the most."""

    def __init__(self, location: Location) -> None:
        super().__init__(daemon=True)
        self.most = 0
        self._folders = [location.folder("staging"), location.folder("tmp")]

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


def _everything() -> Source:
    """All streams that are on, each in its own rhythm."""
    chosen = [stream for stream in STREAMS.values() if stream.default]
    stream_tables = tuple(
        StreamTable(s, s.name, s.sync_type, reread=s.beside.passes if s.beside else _AN_HOUR)
        for s in chosen
    )
    return Source(stream_tables=stream_tables, enabled=frozenset(s.name for s in chosen))


def main() -> None:
    """Sync once and report."""
    database, mode, *rest = sys.argv[1:]
    per_second = int(rest[0]) if rest else 0
    logging.basicConfig(level=os.environ.get("LOG", "WARNING"), stream=sys.stderr)
    location = locate(database, Path("a.duckdb"))
    source = _everything() if rest[1:] == ["all"] else Source()
    request = SyncRequest(
        streams=source.enabled,
        mode=Mode(mode),
        sync_id="benchmark",
        rests=source.enabled > set(CORE),
        compares=source.enabled > set(CORE),
    )
    disk = Disk(location)
    disk.start()
    began, cpu = time.perf_counter(), time.process_time()
    with Client(
        os.environ["ACTIVECAMPAIGN_URL"],
        os.environ["ACTIVECAMPAIGN_API_KEY"],
        per_second=per_second or None,
    ) as client:
        outcomes = list(
            sync(
                source,
                request,
                client=client,
                warehouse=warehouse_at(location),
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
