"""A server that misbehaves in one stream at a time, and what a sync makes of it.

python -m benchmarks.hostile [WORD …] — runs the scenarios whose names or kinds hold one of the
words, or all, and prints a table of what each kind ended in, followed by what is worth a look. The
server shares nothing with the sandbox. Waits between retries are shortened; nothing else is.
HOSTILE.md has the figures of a run.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from activecampaign_dagster.api import retry
from activecampaign_dagster.api.client import Client
from activecampaign_dagster.streams.registry import CORE
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.sync.outcomes import SyncError
from activecampaign_dagster.sync.request import Mode, SyncRequest
from activecampaign_dagster.sync.run import sync
from activecampaign_dagster.warehouse.factory import warehouse_at
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.location import locate
from benchmarks.hostile_records import all_records
from benchmarks.hostile_server import KEY, ROWS, Hostile, Scenario
from benchmarks.hostile_wires import all_wires

_AT_ONCE = 4
_LONGEST = 240.0  # seconds until a sync counts as hung
_STOP_AFTER = 3.0  # seconds after the misbehaving answer began


def _interrupt(*_: object) -> None:
    """End as Dagster ends a run: by an exception in the main thread."""
    raise KeyboardInterrupt


def child(url: str, folder: str, modes: str) -> None:
    """Sync in each of the modes and print what came of it as one JSON object."""
    signal.signal(signal.SIGTERM, _interrupt)
    retry._FIRST_WAIT, retry._LONGEST_WAIT = 0.05, 0.2
    retry._LONGEST_RETRY_AFTER = 0.2
    logging.basicConfig(level="DEBUG", stream=sys.stderr)
    path = Path(folder) / "hostile.duckdb"
    report: dict[str, Any] = {"ends": {}}
    for mode in modes.split("+"):
        request = SyncRequest(streams=frozenset(CORE), mode=Mode(mode), sync_id=mode)
        limits = {"per_second": None, "read_timeout": 2.0, "answer_timeout": 10.0}
        try:
            with Client(url, KEY, **limits) as client:  # type: ignore[arg-type]
                warehouse = warehouse_at(locate(str(path), path))
                log = logging.getLogger("sync")
                for _ in sync(Source(), request, client=client, warehouse=warehouse, log=log):
                    pass
            report["ends"][mode] = ["landed", ""]
        except SyncError as error:
            kinds = {type(each).__name__ for each in error.failures.values()}
            end = "unforeseen" if "UnforeseenError" in kinds else "sentence"
            report["ends"][mode] = [end, f"{'/'.join(sorted(kinds))}: {error}"]
        except KeyboardInterrupt:
            report["ends"][mode] = ["stopped", ""]
            break
        except Exception as error:
            is_ours = any(c.__name__ == "ActiveCampaignError" for c in type(error).__mro__)
            traceback.print_exc()
            report["ends"][mode] = [
                "sentence" if is_ours else "trace",
                f"{type(error).__name__}: {error}",
            ]
    with contextlib.suppress(Exception), connect(path) as db:
        for name in CORE:
            with contextlib.suppress(Exception):
                counted = db.execute(
                    "select count(distinct id) from activecampaign."
                    f"{name} where id between 1 and {ROWS[name]}"
                ).fetchone()
                report[name] = counted and counted[0]
    print("\nREPORT" + json.dumps(report), flush=True)


def _spelt(text: str) -> str:
    return re.sub(r"[\W_]", "", unquote(re.sub(r"\\[xu]00[01][0-9a-f]|\\[nrt]", "", text))).lower()


def leaks(text: str) -> bool:
    """Whether a text holds 10 characters of the key in a row, however they are spelt."""
    parts = [KEY[i : i + 10].lower() for i in range(len(KEY) - 9)]
    spelt = _spelt(text)
    return any(part in spelt for part in parts)


def _high_water(pid: int) -> int:
    """The most memory that a process has had, in kB; its ru_maxrss begins with its parent's."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) if found else 0
    return 0


def run(scenario: Scenario, *, stop: bool = False) -> dict[str, Any]:
    """One scenario in a process of its own; what it ended in, and what that took."""
    with Hostile(scenario) as server, tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        modes = "full" if scenario.wire else "full+incremental"
        command = [sys.executable, "-m", "benchmarks.hostile", "--child", server.url, folder, modes]
        began = time.monotonic()
        with out.open("wb") as file:
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        deadline, stopped, status, usage = began + _LONGEST, 0.0, 0, None
        most = 0
        while usage is None:
            most = max(most, _high_water(process.pid))
            pid, status, found = os.wait4(process.pid, os.WNOHANG)
            usage = found if pid else None
            now = time.monotonic()
            if not pid and stop and not stopped and server.seen.wait(0.01):
                time.sleep(_STOP_AFTER)
                process.send_signal(signal.SIGTERM)
                stopped = time.monotonic()
            elif not pid and now > deadline:
                process.kill()
                deadline += _LONGEST
            time.sleep(0.02)
        process.returncode = os.waitstatus_to_exitcode(status)
        took = time.monotonic() - (stopped or began)
        text = out.read_text("utf-8", "replace")
    _, _, tail = text.rpartition("\nREPORT")
    report: dict[str, Any] = {"ends": {}}
    with contextlib.suppress(ValueError):
        report = json.loads(tail)
    own = {scenario.stream, "custom_field_values" if scenario.stream == "contacts" else ""}
    full = {name: report.get(name) for name in CORE}
    ends = report["ends"] or {"full": ["killed" if took >= _LONGEST else "trace", text[-600:]]}
    return {
        "name": scenario.name,
        "kind": scenario.kind,
        "stream": scenario.stream,
        "ends": ends,
        "lost": [name for name in CORE if name not in own and full[name] != ROWS[name]],
        "rows": {name: full[name] for name in CORE if name in own and full[name] != ROWS[name]},
        "mb": most / 1024,
        "seconds": took,
        "stop": took if stopped else None,
        "leaks": [line[:300] for line in text.splitlines() if leaks(line)],
        "leaks_in_all": leaks(text),
        "exit": process.returncode,
        "trace": re.findall(r"Traceback.*?(?=\n(?:INFO|DEBUG|WARNING|ERROR):|\Z)", text, re.DOTALL),
    }


def table(results: list[dict[str, Any]]) -> str:
    """By kind: how many ended in what, neighbours lost, keys printed, worst memory and stop."""
    lines = [
        "| kind | runs | ended in | lost neighbours | printed the key | worst MB | s to stop |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind in dict.fromkeys(each["kind"] for each in results):
        mine = [each for each in results if each["kind"] == kind]
        ends = Counter(end for each in mine for end, _ in each["ends"].values())
        stops = [each["stop"] for each in mine if each["stop"] is not None]
        lines.append(
            f"| {kind} | {len(mine)} | {', '.join(f'{n} {end}' for end, n in ends.items())} "
            f"| {sum(bool(e['lost']) and not e['stop'] for e in mine)} "
            f"| {sum(bool(e['leaks']) for e in mine)} "
            f"| {max(e['mb'] for e in mine):.0f} | {f'{max(stops):.1f}' if stops else ''} |"
        )
    return "\n".join(lines)


def _worth_a_look(each: dict[str, Any]) -> bool:
    ends = {end for end, _ in each["ends"].values()}
    lost = each["stop"] is None and (each["lost"] or (each["rows"] and "landed" in ends))
    is_bad = ends & {"trace", "unforeseen", "killed"} or each["leaks"] or each["leaks_in_all"]
    return bool(is_bad or lost or each["mb"] > 600 or (each["stop"] or 0) > 3 or each["exit"])


def main() -> None:
    """Run the scenarios, a few at once, and print the table and what is worth a look."""
    words = sys.argv[1:]
    every = [Scenario("none", "well-formed", "deals"), *all_records(), *all_wires()]
    chosen = [s for s in every if not words or any(w in f"{s.kind}: {s.name}" for w in words)]
    lock, results = threading.Lock(), []

    def one(job: tuple[Scenario, bool]) -> None:
        each = run(job[0], stop=job[1])
        with lock:
            results.append(each)
            found = {mode: f"{end} {text[:200]!r}" for mode, (end, text) in each["ends"].items()}
            print(
                f"{each['name']:40} {each['mb']:5.0f} MB {each['seconds']:5.1f} s {found}",
                flush=True,
            )

    jobs = [(s, False) for s in chosen] + [(s, True) for s in chosen if s.slow]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(one, jobs))
    print(f"\n{table(results)}\n")
    for each in filter(_worth_a_look, results):
        print(json.dumps({**each, "trace": [t[-900:] for t in each["trace"][-1:]]}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
