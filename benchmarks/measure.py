"""A sandbox in a process of its own, and syncs of it in processes of their own."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.request import urlopen

KEY = "benchmark-key"


@dataclass(frozen=True)
class Served:
    """An account on loopback in another process."""

    url: str

    def stats(self) -> dict[str, Any]:
        """What it was asked for since the last `reset`."""
        with urlopen(f"{self.url}/sandbox/stats") as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def reset(self) -> None:
        """Forget what it was asked for."""
        urlopen(f"{self.url}/sandbox/reset-stats", data=b"").close()

    @property
    def environment(self) -> dict[str, str]:
        """What a sync of this account needs to know."""
        return {**os.environ, "ACTIVECAMPAIGN_URL": self.url, "ACTIVECAMPAIGN_API_KEY": KEY}


@contextmanager
def sandbox(
    contacts: int,
    deals: int,
    values: int,
    *,
    per_second: int = 0,
    latency: float = 0.0,
    jitter: float = 0.0,
    sizes: Mapping[str, float] = MappingProxyType({}),
) -> Iterator[Served]:
    """Serve an account of this size until the end of the block; 0 per second: no limit.

    sizes: of other collections, records in all or per parent.
    """
    options = {
        "port": 0,
        "contacts": contacts,
        "deals": deals,
        "field-values": values,
        "requests-per-second": per_second,
        "latency": latency,
        "jitter": jitter,
        "api-key": KEY,
    }
    command = [sys.executable, "-m", "activecampaign_dagster.sandbox"]
    command += [f"--{name}={value}" for name, value in options.items()]
    command += [f"--size={name}={value}" for name, value in sizes.items()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        found = re.search(r"http://\S+?:\d+", process.stdout.readline())
        assert found, "the sandbox did not start"
        yield Served(found[0])
    finally:
        process.terminate()
        process.wait()


def one_sync(
    served: Served, database: Path | str, mode: str, per_second: int = 0, streams: str = "core"
) -> dict[str, Any]:
    """What `benchmarks.one_sync` reports."""
    command = [sys.executable, "-m", "benchmarks.one_sync", str(database), mode, str(per_second)]
    command.append(streams)
    done = subprocess.run(
        command, env=served.environment, stdout=subprocess.PIPE, text=True, check=True
    )
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def median(reports: list[dict[str, Any]], key: str) -> float:
    """The median of a figure over repeated syncs."""
    return statistics.median(report[key] for report in reports)
