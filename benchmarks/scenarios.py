"""What is measured: each scenario yields lines of (what, figure)."""

from __future__ import annotations

import logging
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.faults import Fault, Request, html
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.registry import CORE
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.sync.deletions import LEFT
from activecampaign_dagster.sync.outcomes import Outcome
from activecampaign_dagster.sync.request import Mode, SyncRequest
from activecampaign_dagster.sync.run import sync
from activecampaign_dagster.warehouse.factory import warehouse_at
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.ledger import OFFSETS_HONOURED, forget_fact, store_facts
from activecampaign_dagster.warehouse.location import locate
from benchmarks.builds import builds
from benchmarks.growth import daily
from benchmarks.lakes import compared
from benchmarks.latency import latencies
from benchmarks.measure import Served, median, one_sync, sandbox
from benchmarks.paging import paging as pagings
from benchmarks.searches import searches

Lines = Iterator[tuple[str, str]]
REPEATS = 5
MEDIUM = (20_000, 10_000, 60_000)  # contacts, deals, field values
SMALL = (2_000, 1_000, 6_000)
LARGE = (1_000_000, 300_000, 5_000_000)
CHILDREN = {  # per contact or deal
    "contactTags": 4,
    "contactLists": 1.5,
    "contactAutomations": 1,
    "dealCustomFieldData": 3,
}
ROOT = Path(__file__).parents[1]


def medium() -> Lines:
    """A full sync and one in which nothing changed, without rate limit or latency."""
    yield from _full_and_unchanged(MEDIUM, REPEATS)


def latency() -> Lines:
    """The same at 30 ms of latency."""
    yield from _full_and_unchanged(MEDIUM, REPEATS, latency=0.03)


def large() -> Lines:
    """A million contacts with five million field values, and a tenth and a third of that."""
    for share in (0.1, 0.33, 1.0):
        contacts, deals, values = (round(rows * share) for rows in LARGE)
        yield "**account**", f"{contacts:,} contacts, {deals:,} deals, {values:,} values"
        yield from _full_and_unchanged((contacts, deals, values), 1)


def _full_and_unchanged(size: tuple[int, int, int], repeats: int, latency: float = 0.0) -> Lines:
    with sandbox(*size, latency=latency) as served, tempfile.TemporaryDirectory() as folder:
        for mode in ("full", "incremental"):
            reports = []
            for number in range(repeats):
                path = Path(folder) / f"{number}.duckdb"
                reports.append(one_sync(served, path, mode))
            name = "full sync" if mode == "full" else "nothing changed"
            yield (
                name,
                f"{median(reports, 'seconds'):.2f} s wall, "
                f"{median(reports, 'cpu_seconds'):.2f} s CPU, "
                f"{median(reports, 'peak_mb'):.0f} MB peak, "
                f"{median(reports, 'disk_mb'):.0f} MB staged at the most, "
                f"{median(reports, 'requests'):.0f} requests",
            )
            if mode == "full":
                yield from _stages(reports[0], sum(size))


def _stages(report: dict[str, Any], rows: int) -> Lines:
    reading = max(stream["read_seconds"] for stream in report["streams"].values())
    landing = report["seconds"] - reading
    yield "of which reading", f"{reading:.2f} s, {rows / reading:,.0f} rows/s"
    yield "of which landing alone", f"{landing:.2f} s, {rows / landing:,.0f} rows/s"


def everything() -> Lines:
    """All streams that are on: a full sync and a quiet one, without a limit and at 5 requests/s."""
    for per_second in (0, 5):
        with (
            sandbox(*MEDIUM, per_second=per_second, sizes=CHILDREN) as served,
            tempfile.TemporaryDirectory() as folder,
        ):
            limit = f"{per_second} requests/s" if per_second else "no limit"
            for mode in ("full", "incremental"):
                reports, ratios = [], []
                for number in range(1 if per_second else 3):
                    served.reset()
                    path = Path(folder) / f"{number}.duckdb"
                    report = one_sync(served, path, mode, per_second, "all")
                    reports.append(report)
                    ideal = max(report["requests"] - 5, 1) / 5  # the first five may go at once
                    ratios.append({"ratio": served.stats()["seconds"] / ideal})
                refused = sum(report["statuses"].get("429", 0) for report in reports)
                figure = (
                    f"{median(reports, 'requests'):.0f} requests, "
                    f"{median(reports, 'seconds'):.2f} s wall, "
                    f"{median(reports, 'cpu_seconds'):.2f} s CPU, "
                    f"{median(reports, 'peak_mb'):.0f} MB peak, {refused} refusals (429)"
                )
                if per_second and mode == "full":
                    figure += f", {median(ratios, 'ratio'):.3f} of the ideal time"
                yield f"{mode} sync, {limit}", figure
                if mode == "full" and not per_second:
                    rows = {name: s["live"] for name, s in reports[0]["streams"].items()}
                    yield "rows", f"{sum(rows.values()):,} in {len(rows)} tables"


def limited() -> Lines:
    """A tenth of the account at 5 requests/s, at three latencies."""
    for latency in (0.0, 0.03, 0.15):
        yield from _limited(SMALL, latency, REPEATS)


def limited_whole() -> Lines:
    """The whole account at 5 requests/s; with jitter, requests arrive up to that much later."""
    for latency, jitter in ((0.0, 0.0), (0.15, 0.0), (2.0, 0.0), (0.15, 0.08)):
        yield from _limited(MEDIUM, latency, 1, jitter)


def _limited(
    size: tuple[int, int, int], latency: float, repeats: int, jitter: float = 0.0
) -> Lines:
    with (
        sandbox(*size, per_second=5, latency=latency, jitter=jitter) as served,
        tempfile.TemporaryDirectory() as folder,
    ):
        ratios, refused = [], 0
        for number in range(repeats):
            served.reset()
            report = one_sync(served, Path(folder) / f"{number}.duckdb", "full", 5)
            stats = served.stats()
            ideal = (report["requests"] - 5) / 5  # the first five may go at once
            ratios.append({"ratio": stats["seconds"] / ideal})
            refused += stats["rate_limited"]
        yield (
            f"{latency * 1000:.0f} ms" + (f", {jitter * 1000:.0f} ms of jitter" if jitter else ""),
            f"{median(ratios, 'ratio'):.3f} of the ideal time, {report['requests']} requests; "
            f"{refused} refusals (429) in {repeats} runs",
        )


def churn() -> Lines:
    """One deletion, one insert and one update of contacts and of deals per page read."""
    lost = doubled = changes = 0
    for seed in range(REPEATS):
        account = Account.generate(seed=seed, contacts=10_000, deals=5_000, field_values=30_000)
        rng = random.Random(seed)
        before = {"contacts": set(account.contacts.live), "deals": set(account.deals.live)}

        def change(
            request: Request, _: int, account: Account = account, rng: random.Random = rng
        ) -> None:
            nonlocal changes
            if request.path == "contacts":
                account.delete_contact(rng.choice(account.contacts.live))
                account.update_contact(rng.choice(account.contacts.live), phone=str(changes))
                account.add_contact()
            elif request.path == "deals":
                account.delete_deal(rng.choice(account.deals.live))
                account.update_deal(rng.choice(account.deals.live), title=str(changes))
                account.add_deal()
            changes += 3

        found = _landed(account, change)
        for name, ids in before.items():
            live = ids & set(getattr(account, name).live)
            lost += len(live - set(found[name]))
            doubled += len(found[name]) - len(set(found[name]))
    yield (
        f"{REPEATS} full syncs",
        f"{lost} rows lost, {doubled} rows duplicated, {changes} changes while reading",
    )


def paging() -> Lines:
    """Rows lost by three ways of paging; one record is deleted per 100 rows read."""
    yield from pagings(_landed)


def failing() -> Lines:
    """One page in ten answers 502 with HTML."""
    account = Account.generate(contacts=10_000, deals=5_000, field_values=30_000)
    numbers = count()

    def fail(*_: object) -> Fault | None:
        return html(502) if next(numbers) % 10 == 5 else None

    began = time.perf_counter()
    found = _landed(account, fail)
    seconds = time.perf_counter() - began
    wrong = sum(
        set(found[name]) != set(getattr(account, name).live) for name in ("contacts", "deals")
    )
    yield "full sync", f"{wrong} tables wrong, {seconds:.1f} s with the waits before retries"


def _landed(account: Account, rule: Callable[..., Any]) -> dict[str, list[int]]:
    """The ids of a full sync's live rows by stream, in an account that `rule` disturbs."""
    logging.getLogger("sync").setLevel("ERROR")
    with (
        Sandbox(account, requests_per_second=None, faults=[rule]) as served,
        Client(served.url, served.api_key, per_second=None) as client,
        tempfile.TemporaryDirectory() as folder,
    ):
        path = Path(folder) / "a.duckdb"
        request = SyncRequest(streams=frozenset(CORE), mode=Mode.FULL, sync_id="benchmark")
        for _ in sync(
            Source(),
            request,
            client=client,
            warehouse=warehouse_at(locate(str(path), path)),
            log=logging.getLogger("sync"),
        ):
            pass
        with connect(path) as db:
            live = "where _deleted_at is null"
            return {
                name: [
                    i
                    for (i,) in db.execute(
                        f"select id from activecampaign.{name} {live}"
                    ).fetchall()
                ]
                for name in ("contacts", "deals")
            }


def dagster() -> Lines:
    """`dagster job execute -j full_refresh` over all months since 2020 as partitions."""
    with sandbox(*SMALL) as served:
        first, whole, plain = [], [], []
        for _ in range(3):
            with tempfile.TemporaryDirectory() as folder:
                began = time.time()
                report = _job(served, Path(folder))
                whole.append({"seconds": time.time() - began})
                first.append({"seconds": report})
                plain.append(one_sync(served, Path(folder) / "plain.duckdb", "full"))
        yield "from `dagster job execute` to the first request", f"{median(first, 'seconds'):.1f} s"
        yield "full_refresh with dbt, in all", f"{median(whole, 'seconds'):.1f} s"
        yield "the same sync alone", f"{median(plain, 'seconds'):.1f} s"


def deletions() -> Lines:
    """The search for deletions alone at full size, its requests counted; a full sync beside it.

    Driven over the sandbox's answers without HTTP; seconds are requests divided by 5 a second.
    A stub is a deal that the key may not see: it does not tell when it was created.
    """
    for share in (0.0, 0.02):
        yield "**stubs**", f"{share:.0%} of the deals"
        yield from searches(*LARGE[:2], share)


def deletions_tenth() -> Lines:
    """A tenth of that, by whole syncs over HTTP.

    Seconds are requests divided by 5 a second. Totals follow the filters and offsets are honoured,
    as `check` finds. What a search leaves is marked before the next case.
    """
    yield from _deletions(*(rows // 10 for rows in LARGE[:2]))


def _deletions(contacts: int, deals: int) -> Lines:
    account = Account.generate(contacts=contacts, deals=deals, field_values=0)
    source = Source(searches=True, pivots=False, overlap=timedelta(minutes=10))
    rng, streams = random.Random(1), ("contacts", "deals")
    logging.getLogger("sync").setLevel("ERROR")
    with (
        Sandbox(account, requests_per_second=None) as served,
        tempfile.TemporaryDirectory() as folder,
    ):
        path = Path(folder) / "a.duckdb"
        first = _synced(served, source, path, streams, Mode.FULL, None)
        honoured = {f"{OFFSETS_HONOURED}:{name}": "yes" for name in streams}
        store_facts(partial(connect, path), source.name, honoured)
        yield (
            "full sync",
            ", ".join(
                f"{name}: {o.requests:,} requests, {o.requests / 5:,.0f} s at 5/s"
                for name, o in first.items()
            ),
        )
        for number, is_block in ((0, False), (1, False), (10, False), (100, False), (1000, True)):
            gone = {
                "contacts": _chosen(list(account.contacts.live), number, rng, is_block=is_block),
                "deals": _chosen(
                    list(account.deals.by_created.ids(0, len(account.deals))),
                    number,
                    rng,
                    is_block=is_block,
                ),
            }
            for contact in gone["contacts"]:
                account.delete_contact(contact)
            for deal in gone["deals"]:
                account.delete_deal(deal)
            found = _synced(served, source, path, streams, Mode.INCREMENTAL, None)
            lines = (
                f"{name}: {o.landed.deleted} found by {o.searched} requests"
                for name, o in found.items()
            )
            requests = sum(o.requests for o in found.values())
            yield (
                f"{number:,} deletions of each" + (" in a block" if is_block else ""),
                f"{', '.join(lines)}; {requests} requests in all, {requests / 5:.0f} s at 5/s",
            )
            _mark(path, source.name, gone)


def _mark(path: Path, account: str, gone: Mapping[str, list[int]]) -> None:
    """Mark what a search may have left, as a full sync does."""
    with connect(path) as db:
        for name, ids in gone.items():
            db.execute(
                f"update activecampaign.{name} set _deleted_at = now() "
                "where _deleted_at is null and id in (select unnest(?))",
                [ids],
            )
            forget_fact(db, account, f"{LEFT}:{name}")


def growth() -> Lines:
    """Size of the database over 200 days of incremental syncs with 1 % changed in each."""
    yield from daily(*MEDIUM)


def lake() -> Lines:
    """A lake against a file, by the same work in turns; PostgreSQL on the same machine.

    CPU is the client's alone, PostgreSQL's is not counted. Small: 2,000 contacts, 1,000 deals.
    """
    yield from compared(MEDIUM, SMALL, rounds=3)


def _chosen(ids: list[int], number: int, rng: random.Random, *, is_block: bool) -> list[int]:
    if is_block:
        return ids[len(ids) // 3 :][:number]
    return rng.sample(ids, number)


def _synced(
    served: Sandbox,
    source: Source,
    path: Path,
    streams: tuple[str, ...],
    mode: Mode,
    per_second: int | None,
) -> dict[str, Outcome]:
    """One sync in this process; outcomes by stream."""
    request = SyncRequest(streams=frozenset(streams), mode=mode, sync_id="benchmark")
    with Client(served.url, served.api_key, per_second=per_second) as client:
        return {
            outcome.stream_table.name: outcome
            for outcome in sync(
                source,
                request,
                client=client,
                warehouse=warehouse_at(locate(str(path), path)),
                log=logging.getLogger("sync"),
            )
        }


def _job(served: Served, folder: Path) -> float:
    """Run `full_refresh`; returns seconds until the account was first asked for something."""
    shutil.copy(ROOT / "dagster.yaml", folder)
    served.reset()
    environment = {
        **served.environment,
        "DAGSTER_HOME": str(folder),
        "ACTIVECAMPAIGN_DATABASE": str(folder / "a.duckdb"),
    }
    command = [str(Path(sys.executable).with_name("dagster")), "job", "execute"]
    command += ["-m", "activecampaign_dagster.definitions", "-j", "full_refresh"]
    began = time.time()
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not served.stats()["requests"] and process.poll() is None:
        time.sleep(0.05)
    seconds = time.time() - began
    if process.wait():
        raise RuntimeError("full_refresh failed")
    return seconds


def dbt_large() -> Lines:
    """`dbt build` with its tests over a million contacts, with 20 and with 500 custom fields."""
    for fields in (20, 500):
        yield from builds((*LARGE, fields), tiny=(1_000, 300, 5_000, fields))


SCENARIOS: dict[str, Callable[[], Lines]] = {
    "medium": medium,
    "latency": latency,
    "everything": everything,
    "limited": limited,
    "limited_whole": limited_whole,
    "churn": churn,
    "paging": paging,
    "failing": failing,
    "dagster": dagster,
    "large": large,
    "dbt_large": dbt_large,
    "deletions": deletions,
    "deletions_tenth": deletions_tenth,
    "growth": growth,
    "lake": lake,
    "on_change": latencies,
}
