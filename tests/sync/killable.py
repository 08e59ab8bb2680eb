"""A sync in a process of its own, to be killed.

`python -m tests.sync.killable DATABASE MODE [REQUESTS_PER_SECOND]`
The account comes from ACTIVECAMPAIGN_URL and ACTIVECAMPAIGN_API_KEY. Segments are small and the
reading is slow, so that there is something to go on from. Prints what it is at.
"""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.sync import spool
from activecampaign_dagster.sync.request import Mode, SyncRequest
from activecampaign_dagster.sync.run import sync
from activecampaign_dagster.warehouse import scratch
from activecampaign_dagster.warehouse.factory import warehouse_at
from activecampaign_dagster.warehouse.location import locate

SEGMENT_BYTES = 30_000  # a page of contacts is about 100,000


def main() -> None:
    """Sync until done or killed."""
    mode = Mode(sys.argv[2])
    per_second = int(sys.argv[3]) if len(sys.argv) > 3 else None
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "WARNING"))
    spool._SEGMENT_BYTES = SEGMENT_BYTES
    scratch._SMALL_BYTES = 4 * SEGMENT_BYTES
    request = SyncRequest(
        streams=frozenset(STREAMS), mode=mode, sync_id="killable", at=datetime.now(UTC)
    )
    url, key = os.environ["ACTIVECAMPAIGN_URL"], os.environ["ACTIVECAMPAIGN_API_KEY"]
    print("reading", flush=True)
    with Client(url, key, per_second=per_second) as client:
        for outcome in sync(
            Source(),
            request,
            client=client,
            warehouse=warehouse_at(locate(sys.argv[1], Path.cwd())),
            log=logging.getLogger("sync"),
        ):
            print("landed", outcome.stream_table.name, flush=True)
    print("done", flush=True)


if __name__ == "__main__":
    main()
