"""What `activecampaign streams --cost` and `activecampaign check` print about requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from activecampaign_dagster.commands.catalogue import every
from activecampaign_dagster.orchestration.wording import enumerated
from activecampaign_dagster.streams.declaration import PAGE_ROWS, Family
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.survey import effort
from activecampaign_dagster.survey.effort import Cost, Count, Reread
from activecampaign_dagster.survey.totals import Total

_MOST_NAMED = 3  # rereads, or streams, that a line names


def table(account: str, costs: Sequence[Cost], totals: Mapping[str, Total]) -> Iterator[str]:
    """A line for each stream, by family, and the sums."""
    rows = [("", "records", "first full sync", "incremental", "read whole")]
    for family in Family:
        of_family = [cost for cost in costs if STREAMS[cost.stream].family is family]
        rows += [(str(family), "", "", "", "")] if of_family else []
        rows += [_row(cost, totals) for cost in of_family]
    rereads = [cost.reread for cost in costs if cost.reread]
    per_day = f"{_shown(effort.total(reread.per_day for reread in rereads))} a day"
    full, quiet = (effort.total(counts) for counts in _columns(costs))
    rows.append(("total", "", _shown(full), _shown(quiet), per_day))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    yield f"{account}: requests per sync, each for {PAGE_ROWS} records at most"
    for name, records, first, later, whole in rows:
        line = f"  {name:{widths[0]}}  {records:>{widths[1]}}  {first:>{widths[2]}}"
        yield f"{line}  {later:>{widths[3]}}  {whole}".rstrip()
    yield from (f"{name}: {total.error}" for name, total in totals.items() if _is_error(total))
    for name, total in totals.items():
        if total.unavailable:
            yield f"{name}: the account lacks {total.unavailable}, so it is not read"


def about_rereads(rereads: Sequence[Reread]) -> str:
    """A sentence about what streams that are read whole take in a day."""
    if not rereads:
        return "Incremental syncs never read a whole stream."
    costly = sorted(rereads, key=lambda reread: reread.per_day.requests, reverse=True)
    parts = [
        f"{reread.count.requests:,} for {reread.stream} {every(reread.every)}"
        for reread in costly[:_MOST_NAMED]
    ]
    sum_ = effort.total(reread.per_day for reread in rereads)
    unknown = ", and more for streams whose number of records is unknown" if sum_.at_least else ""
    return (
        "Incremental syncs also read whole streams, as often as `reread` says: up to "
        f"{sum_.requests:,} requests a day{unknown}. Most of it: {enumerated(parts, 'and')}."
    )


def as_dict(reread: Reread) -> dict[str, Any]:
    """What is read whole, for machines."""
    return {
        "stream": reread.stream,
        "of": list(reread.of),
        "requests": reread.count.requests,
        "at_least": reread.count.at_least,
        "every_seconds": reread.every.total_seconds(),
        "requests_per_day": reread.per_day.requests,
    }


def described(cost: Cost, totals: Mapping[str, Total]) -> dict[str, Any]:
    """The cost of a stream, for machines."""
    total = totals.get(cost.stream, Total())
    return {
        "stream": cost.stream,
        "records": total.rows,
        "error": total.error,
        "unavailable": total.unavailable,
        "comes_with": cost.comes_with,
        "first_full_sync": cost.full.requests,
        "incremental_sync": cost.incremental.requests,
        "at_least": cost.full.at_least,
        "reread": as_dict(cost.reread) if cost.reread else None,
    }


def _columns(costs: Sequence[Cost]) -> tuple[list[Count], list[Count]]:
    return [cost.full for cost in costs], [cost.incremental for cost in costs]


def _row(cost: Cost, totals: Mapping[str, Total]) -> tuple[str, str, str, str, str]:
    name = f"  {cost.stream}"
    total = totals.get(cost.stream, Total())
    records = "" if total.rows is None else f"{total.rows:,}"
    whole = f"with {cost.comes_with}" if cost.comes_with else ""
    if cost.reread:
        whole += ", " if whole else ""
        whole += f"{every(cost.reread.every)}: {_shown(cost.reread.count)}"
        if others := [name for name in cost.reread.of if name != cost.stream]:
            whole += f", for {_named(others)}"
    return name, records, _shown(cost.full), _shown(cost.incremental), whole


def _named(streams: Sequence[str]) -> str:
    """Streams by name, or their number where these are many."""
    if len(streams) <= _MOST_NAMED:
        return enumerated(streams, "and")
    return f"{len(streams)} streams that come with it"


def _is_error(total: Total) -> bool:
    return total.error is not None and total.unavailable is None


def _shown(count: Count) -> str:
    return f"{'≥ ' if count.at_least else ''}{count.requests:,}"
