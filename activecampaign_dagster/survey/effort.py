"""Works out how many requests the syncs of an account take, from the numbers of its records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from activecampaign_dagster.streams.declaration import (
    PAGE_ROWS,
    ByOffset,
    ByPage,
    NewestFirst,
    SyncType,
)
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.sync.axis import axis_of
from activecampaign_dagster.sync.plan import Read, plan
from activecampaign_dagster.sync.request import Mode, SyncRequest

Totals = Mapping[str, int | None]  # stream → its number of records; None: the account does not say
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Count:
    """A number of requests. at_least: not all that it depends on is known."""

    requests: int = 0
    at_least: bool = False

    def __add__(self, other: Count) -> Count:
        return Count(self.requests + other.requests, self.at_least or other.at_least)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reread:
    """What an incremental sync reads whole although it could not tell of a change.

    stream: the one whose pages are read. of: the streams that are read by it. count: the requests
    of each time. every: the time between two.
    """

    stream: str
    of: tuple[str, ...]
    count: Count
    every: timedelta

    @property
    def per_day(self) -> Count:
        """The most requests that it takes in a day."""
        return Count(round(self.count.requests * (_DAY / self.every)), self.count.at_least)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The requests that one stream takes.

    full: in a full sync. incremental: in an incremental one, when nothing changed. comes_with: the
    stream whose pages bring it, so that it takes at most one, for its number of records. reread:
    what is read whole for this stream and for those that come with it.
    """

    stream: str
    full: Count = Count()
    incremental: Count = Count()
    comes_with: str | None = None
    reread: Reread | None = None


def costs(source: Source, totals: Totals) -> list[Cost]:
    """The cost of each enabled stream, in their order."""
    full = _by_stream(_reads(source, Mode.FULL))
    quiet = _by_stream(_reads(source, Mode.INCREMENTAL))
    rereads = {reread.stream: reread for reread in _rereads(totals, full, quiet)}
    found = []
    for stream_table in source.stream_tables:
        if (read := full.get(stream_table.name)) is None:
            continue
        # the first of the streams that a read feeds stands for it
        is_first = read.stream_tables[0] is stream_table
        later = (quiet.get(t.name) for t in read.stream_tables if is_first)
        seldom = next(filter(None, later), None)
        in_full, in_passing = _comparisons(stream_table, read)
        if source.searches and _is_searched(stream_table, seldom):
            in_passing += Count(1)
        found.append(
            Cost(
                stream=stream_table.name,
                full=(count(read, totals) if is_first else Count()) + in_full,
                incremental=(count(seldom, totals) if seldom else Count()) + in_passing,
                comes_with=read.stream.name if read.main is not stream_table else None,
                reread=rereads.get(read.stream.name) if is_first else None,
            )
        )
    return found


def _is_searched(stream_table: StreamTable, read: Read | None) -> bool:
    """Whether the total of a stream is compared after an incremental read of it."""
    is_own = read is not None and read.main is stream_table
    return is_own and read is not None and not read.is_full and axis_of(read.stream) is not None


def _comparisons(stream_table: StreamTable, read: Read) -> tuple[Count, Count]:
    """The requests for a child's number of records: in a full sync, and in an incremental one."""
    if read.main is stream_table or not stream_table.stream.has_own_pages:
        return Count(), Count()
    may_pass_early = stream_table.reread and stream_table.sync_type is SyncType.INCREMENTAL
    return Count(1), Count(1 if may_pass_early else 0)


def total(counts: Iterable[Count]) -> Count:
    """The sum of some counts."""
    return sum(counts, Count())


def count(read: Read, totals: Totals) -> Count:
    """The requests of a read."""
    each, walk = read.stream.each, read.stream.walk
    if each and not read.stream.beside:
        number = totals.get(each.stream)
        return Count(number or 0, at_least=True) if number else Count(1, number is None)
    if not _is_whole(read):
        # a log whose path knows no order is asked for its end first
        return Count(2 if isinstance(walk, NewestFirst) and not walk.order else 1)
    number = totals.get(read.stream.name)
    if number is None:
        return Count(1, at_least=True)
    rows = walk.rows if isinstance(walk, ByOffset | ByPage) else PAGE_ROWS
    # offset pages overlap by a row; the others end with a page that is not full
    overlap = 1 if isinstance(walk, ByOffset) else 0
    return Count(1 + max(number - overlap, 0) // (rows - overlap))


def _reads(source: Source, mode: Mode) -> tuple[Read, ...]:
    """The reads of a sync in a mode, of an account that was read a moment ago."""
    request = SyncRequest(streams=source.enabled, mode=mode, sync_id="")
    if mode is Mode.FULL:
        return plan(source, request, {})
    marks = dict.fromkeys(source.enabled, datetime.now(UTC))
    return plan(source, request, marks, resting=_resting(source), landed=STREAMS.keys())


def _by_stream(reads: Iterable[Read]) -> dict[str, Read]:
    """Stream → the read that brings it."""
    return {stream_table.name: read for read in reads for stream_table in read.stream_tables}


def _resting(source: Source) -> frozenset[str]:
    """The streams that a sync leaves out where they were read whole a moment ago."""
    return frozenset(
        t.name for t in source.stream_tables if t.sync_type is SyncType.FULL_TABLE and t.reread
    )


def _is_whole(read: Read) -> bool:
    """Whether a read takes all pages of its stream."""
    can_tell = read.stream.can_filter or isinstance(read.stream.walk, NewestFirst)
    return read.is_full or not can_tell


def _rereads(
    totals: Totals, full: Mapping[str, Read], quiet: Mapping[str, Read]
) -> Iterable[Reread]:
    """What is read whole at intervals, unless each sync does so: by the stream that is read."""
    in_each_sync = {read.stream.name for read in quiet.values() if _is_whole(read)}
    for read in {read.name: read for read in full.values()}.values():
        due = [t for t in read.stream_tables if t.reread]
        if not due or read.stream.name in in_each_sync:
            continue
        yield Reread(
            stream=read.stream.name,
            of=tuple(t.name for t in due),
            count=count(read, totals),
            every=min(t.reread for t in due if t.reread),
        )
