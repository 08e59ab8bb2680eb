"""What `activecampaign status` prints: the last syncs, failures and the next runs."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from activecampaign_dagster.api.printable import counted, one_line
from activecampaign_dagster.commands.catalogue import every
from activecampaign_dagster.orchestration import history
from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.dagster_internals import stopped_triggers
from activecampaign_dagster.orchestration.history import Failure, Running
from activecampaign_dagster.orchestration.triggers import Trigger
from activecampaign_dagster.orchestration.wording import enumerated
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.warehouse import ledger
from activecampaign_dagster.warehouse.glance import glance
from activecampaign_dagster.warehouse.ledger import Line
from activecampaign_dagster.warehouse.warehouse import Warehouse

_WIDTH = 100  # columns
_TRIGGERS = {"incremental": "incremental sync", "full": "full sync"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """The next start of a job by itself. at: None if it depends on changes; is_on: None if unknown.

    rhythm: what the account's settings say about it.
    """

    sync: str
    at: datetime | None
    rhythm: str
    is_on: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What is known of an account. lines: of its enabled streams, by name."""

    account: Account
    lines: Mapping[str, Line]
    nexts: Sequence[Next]
    last_failure: Failure | None
    running: Running | None

    @property
    def last_synced_at(self) -> datetime | None:
        """When one of its streams was synced last."""
        return max(
            (at for line in self.lines.values() if (at := line.last_synced_at)), default=None
        )

    @property
    def has_failed_since(self) -> bool:
        """Whether the run that synced some streams then failed, and no later one has synced any."""
        return (
            self.last_failure is not None
            and not self.is_over
            and any(line.sync_id == self.last_failure.run_id for line in self.lines.values())
        )

    @property
    def is_over(self) -> bool:
        """Whether a later run than the last one that failed has synced a stream."""
        return any(map(self._is_later, self.lines.values()))

    def failed(self, stream: str) -> str | None:
        """Why the last attempt at a stream failed; None if it did not."""
        line = self.lines.get(stream)
        if not self.last_failure or (line and self._is_later(line)):
            return None
        return self.last_failure.streams.get(stream)

    def _is_later(self, line: Line) -> bool:
        failure, at = self.last_failure, line.last_synced_at
        if failure is None or at is None or line.sync_id == failure.run_id:
            return False
        # rows have the account's clock, and runs this machine's
        return line.sync_id in failure.later or at > failure.began


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The status of accounts. has_daemon: None without DAGSTER_HOME. others: not configured."""

    warehouse: str
    statuses: Sequence[Status]
    others: Sequence[str]
    has_daemon: bool | None
    now: datetime


def report(accounts: Sequence[Account], warehouse: Warehouse) -> Report:
    """The status of accounts; raises WarehouseError or HistoryError."""
    now = datetime.now(UTC)
    lines = glance(warehouse, ledger.lines) if warehouse.exists() else []
    failures: dict[str, Failure | None] = {}
    runs: dict[str, Running | None] = {}
    off: frozenset[str] | None = None
    has_daemon = None
    if os.environ.get("DAGSTER_HOME"):
        with history.instance_of_home() as instance:
            failures = {one.name: history.last_failure(instance, one) for one in accounts}
            runs = {one.name: history.running(instance, one) for one in accounts}
            off, has_daemon = stopped_triggers(instance), history.has_daemon(instance)
    statuses = [
        Status(
            account=one,
            lines={
                line.stream: line
                for line in lines
                if line.account == one.name and line.stream in one.source.enabled
            },
            nexts=list(_nexts(one, off, now)),
            last_failure=failures.get(one.name),
            running=runs.get(one.name),
        )
        for one in accounts
    ]
    others = sorted({line.account for line in lines} - {one.name for one in accounts})
    return Report(
        warehouse=warehouse.location.label,
        statuses=statuses,
        others=others,
        has_daemon=has_daemon,
        now=now,
    )


def as_dict(found: Report) -> dict[str, Any]:
    """The report for machines."""
    return {
        "warehouse": found.warehouse,
        "history_is_known": found.has_daemon is not None,
        "daemon_is_running": found.has_daemon,
        "accounts": [_account(status) for status in found.statuses],
        "accounts_not_configured": found.others,
    }


def as_text(found: Report) -> Iterator[str]:
    """The report for people, in lines of at most 100 columns where names allow it."""
    for status in found.statuses:
        yield from _about_account(status, found)
        yield ""
    if found.others:
        yield from _wrapped(
            f"The warehouse also has tables of {enumerated(found.others, 'and')}, which this "
            "project does not configure."
        )
    if found.has_daemon is None:
        yield from _wrapped(
            "DAGSTER_HOME is not set, so it is unknown which runs failed and whether schedules are "
            "switched on. Set it to the folder that your Dagster uses."
        )
    elif not found.has_daemon and any(status.nexts for status in found.statuses):
        yield from _wrapped(
            "Dagster's daemon is not running, so no run starts by itself. Start `dagster dev` or "
            "`dagster-daemon run`."
        )
    yield from _wrapped(f"Warehouse: {found.warehouse}")


def _nexts(account: Account, off: frozenset[str] | None, now: datetime) -> Iterator[Next]:
    for mode, trigger in (("incremental", account.trigger), ("full", account.full_sync)):
        names = {account.schedule(mode)}
        if trigger.poll_seconds is not None:
            names = {f"{account.name}__on_change", "on_change"}
        elif not trigger.crons:
            continue
        yield Next(
            sync=mode,
            at=next(trigger.ticks(now), None),
            rhythm=_rhythm(trigger),
            is_on=None if off is None else names.isdisjoint(off),
        )


def _rhythm(trigger: Trigger) -> str:
    if trigger.poll_seconds is not None:
        return f"when something has changed, checked every {trigger.poll_seconds} s"
    if trigger.interval:
        return every(trigger.interval)
    return f"cron {', '.join(trigger.crons)}"


def _account(status: Status) -> dict[str, Any]:
    return {
        "account": status.account.name,
        "last_synced_at": status.last_synced_at,
        "running": asdict(status.running) if status.running else None,
        "streams": [_stream(status, name) for name in _in_order(status)],
        "last_failure": _failure(status.last_failure) if status.last_failure else None,
        "next_runs": [asdict(each) for each in status.nexts],
    }


def _failure(failure: Failure) -> dict[str, Any]:
    shown = asdict(failure)
    del shown["later"]
    return shown


def _stream(status: Status, name: str) -> dict[str, Any]:
    line = status.lines.get(name)
    return {
        "stream": name,
        "table": line.table if line else None,
        "last_synced_at": line.last_synced_at if line else None,
        "last_sync": _kind(line) if line else None,
        "last_full_sync_at": line.last_full_sync_at if line else None,
        "live_rows": line.live_rows if line else None,
        "deleted_rows": line.deleted_rows if line else None,
        "unavailable": line.unavailable if line else None,
        "failed": status.failed(name),
    }


def _in_order(status: Status) -> list[str]:
    return [name for name in STREAMS if name in status.account.source.enabled]


def _kind(line: Line) -> str | None:
    if line.last_synced_at is None:
        return None
    return "full" if line.last_full_sync_at == line.last_synced_at else "incremental"


def _about_account(status: Status, found: Report) -> Iterator[str]:
    zone = status.account.partitions.start.tzinfo or UTC
    name = status.account.name
    if last := status.last_synced_at:
        by = ", by a run that then failed" if status.has_failed_since else ""
        yield f"{name}: last synced {_shown(last, zone)} {zone}, {_ago(found.now - last)}{by}"
        yield from _table(status, zone)
        yield from _notes(status)
    elif status.running:
        yield f"{name}: not synced yet."
    else:
        yield from _wrapped(
            f"{name}: not synced yet. Start the job {status.account.job('full')}, for example in "
            "Dagster's UI."
        )
    if run := status.running:
        began = f"{_shown(run.began, zone)} {zone}"
        yield f"A sync has been running since {began}: {run.job} ({run.run_id[:8]})."
    if failure := status.last_failure:
        since = "later syncs succeeded" if status.is_over else "no sync has succeeded since"
        yield from _wrapped(
            f"Last failed run: {_shown(failure.at, zone)} {zone}, {failure.job} "
            f"({failure.run_id[:8]}); {since}. {one_line(failure.message)}"
        )
    elif found.has_daemon is not None:
        yield "Last failed run: none is known."
    for each in status.nexts:
        state = {None: "", True: "; switched on", False: "; switched off in Dagster's UI"}[
            each.is_on
        ]
        at = f"{_shown(each.at, zone)} {zone}, " if each.at else ""
        yield from _wrapped(f"Next {_TRIGGERS[each.sync]}: {at}{each.rhythm}{state}")
    if not status.nexts:
        yield "Next sync: only when you start one, because its trigger is manual."


def _table(status: Status, zone: Any) -> Iterator[str]:
    rows = [("stream", "last sync", "", "live rows", "deleted rows")]
    for name in _in_order(status):
        line = status.lines.get(name)
        if line and line.last_synced_at:
            rows.append(
                (
                    *(name, _shown(line.last_synced_at, zone), _kind(line) or ""),
                    *(f"{line.live_rows:,}", f"{line.deleted_rows:,}"),
                )
            )
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    for stream, at, kind, live, deleted in rows:
        left = f"  {stream:{widths[0]}}  {at:{widths[1]}}  {kind:{widths[2]}}"
        yield f"{left}  {live:>{widths[3]}}  {deleted:>{widths[4]}}"


def _notes(status: Status) -> Iterator[str]:
    """A sentence for each group of streams whose rows do not tell all."""
    lines = status.lines
    for name in _in_order(status):
        if reason := status.failed(name):
            yield from _wrapped(f"{name}: failed. {one_line(reason)}", "  ")
        elif name in lines and (reason := lines[name].unavailable):
            yield from _wrapped(f"{name}: {one_line(reason)}", "  ")
    waiting = [
        name
        for name in _in_order(status)
        if not (name in lines and (lines[name].last_synced_at or lines[name].unavailable))
    ]
    if waiting:
        yield from _wrapped(f"Not synced yet: {', '.join(waiting)}.", "  ")


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _shown(at: datetime, zone: Any) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def _ago(span: Any) -> str:
    minutes = int(span.total_seconds() // 60)
    for size, name in ((1440, "day"), (60, "hour"), (1, "minute")):
        if count := minutes // size:
            return f"{counted(count, name)} ago"
    return "just now"
