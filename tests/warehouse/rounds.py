"""Syncs of one account of several into one lake, in a process of its own.

`python -m tests.warehouse.rounds ACCOUNT ROUNDS`
The account comes from ACTIVECAMPAIGN_URL and ACTIVECAMPAIGN_API_KEY. After each round it says so,
and waits for a line before it begins the next one.
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.streams.source import Source, default_stream_tables
from activecampaign_dagster.sync.request import Mode, SyncRequest
from activecampaign_dagster.sync.run import sync
from activecampaign_dagster.warehouse.factory import warehouse_at
from activecampaign_dagster.warehouse.location import LAKE, locate


def source_of(account: str) -> Source:
    """An account whose tables begin with its name."""
    tables = tuple(
        replace(each, table=f"{account}_{each.table}") for each in default_stream_tables()
    )
    return Source(name=account, stream_tables=tables)


def main() -> None:
    """Sync round after round; every other one is full, the last one as well."""
    source, rounds = source_of(sys.argv[1]), int(sys.argv[2])
    warehouse = warehouse_at(locate(LAKE, Path.cwd() / "a.duckdb"))
    url, key = os.environ["ACTIVECAMPAIGN_URL"], os.environ["ACTIVECAMPAIGN_API_KEY"]
    log = logging.getLogger("sync")
    for number in range(rounds):
        mode = Mode.FULL if (rounds - number) % 2 else Mode.INCREMENTAL
        name = f"{source.name}-{number}"
        request = SyncRequest(streams=source.enabled, mode=mode, sync_id=name)
        with Client(url, key, per_second=None) as client:
            for _ in sync(source, request, client=client, warehouse=warehouse, log=log):
                pass
        print("landed", flush=True)
        sys.stdin.readline()


if __name__ == "__main__":
    main()
