"""Which reads a run needs: pure decisions, from the source, the request and the watermarks."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from activecampaign_dagster.api.client import Params
from activecampaign_dagster.api.stamps import write_stamp
from activecampaign_dagster.streams.declaration import Beside, Pivot, Stream, SyncType
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.sync.request import Mode, SyncRequest, Window


@dataclass(frozen=True, slots=True)
class Child:
    """A stream whose records come beside a parent's pages.

    is_kept: they land in their table; else only what is made of them on the parent does.
    """

    stream_table: StreamTable
    is_kept: bool = True

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.stream_table.name

    @property
    def beside(self) -> Beside:
        """How its records come."""
        beside = self.stream_table.stream.beside
        assert beside is not None  # noqa: S101
        return beside


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One walk over one collection, and the tables that it feeds.

    `main`: the table of its own records, if they are kept. `children`: what comes beside its pages.
    `parent`: the stream beside whose pages the records of `main` come, too.
    `since`, `until`: only records last changed in [since, until) count; None: no limit.
    `margin`: how much more the account is asked for at either end of that span.
    `pivot`: how a field of `main` is made of a child's records, where it is to be filled.
    `listed`: fields with the ids of records that have a table of their own. They come only where
    those are asked for beside, so that they would say another thing with each kind of read.
    """

    stream: Stream
    main: StreamTable | None = None
    children: tuple[Child, ...] = ()
    parent: Stream | None = None
    since: datetime | None = None
    until: datetime | None = None
    margin: timedelta = timedelta(0)
    pivot: Pivot | None = None
    listed: frozenset[str] = frozenset()

    @property
    def stream_tables(self) -> tuple[StreamTable, ...]:
        """The tables that it feeds."""
        kept = (child.stream_table for child in self.children if child.is_kept)
        return (*((self.main,) if self.main else ()), *kept)

    @property
    def name(self) -> str:
        """The streams that it feeds, or the one that it reads: its name in the log."""
        return "+".join(t.name for t in self.stream_tables) or self.stream.name

    @property
    def pivoted(self) -> Child | None:
        """The child of whose records a field of `main` is made."""
        if self.pivot is None:
            return None
        return next(child for child in self.children if child.name == self.pivot.child)

    @property
    def fingerprint(self) -> str:
        """What tells this read from another: the same text means the same staged records."""
        span = f"{self.since and self.since.isoformat()}..{self.until and self.until.isoformat()}"
        keeps = [
            (None if t.keep is None else sorted(t.keep), sorted(t.left_out))
            for t in self.stream_tables
        ]
        includes = self.filters.get("include")
        return f"{self.name} {self.stream.endpoint.path} {span} {includes} {self.pivot} {keeps}"

    @property
    def mode(self) -> Mode:
        """What it reads of its stream, which is all of it where the run's mode does not apply."""
        if self.until:
            return Mode.WINDOW
        return Mode.INCREMENTAL if self.since else Mode.FULL

    @property
    def is_full(self) -> bool:
        """Whether it returns every record of the account, so that absence means deletion."""
        return self.mode is Mode.FULL

    @property
    def filters(self) -> Params:
        """The query parameters that every page is asked with."""
        params: dict[str, str | int] = dict(self.stream.endpoint.params)
        changes = self.stream.changes
        if self.since and changes and changes.after:
            params[changes.after] = write_stamp(self.since - self.margin)
        if self.until and changes and changes.before:
            params[changes.before] = write_stamp(self.until + self.margin)
        if self.children:
            includes = dict.fromkeys(child.beside.include for child in self.children)
            params["include"] = ",".join(includes)
        return params

    def changed_since(self, moment: datetime) -> Read | None:
        """The same read, of what changed since `moment` only; None if the API cannot tell."""
        since = max(moment, self.since) if self.since else moment
        if self.stream.can_filter:
            return replace(self, since=since)
        if self.parent is None or self.main is None:
            return None
        return Read(stream=self.parent, children=(Child(self.main),), since=since)


def plan(
    source: Source,
    request: SyncRequest,
    watermarks: Mapping[str, datetime],
    *,
    resting: Set[str] = frozenset(),
    due: Set[str] = frozenset(),
    apart: Set[str] = frozenset(),
    landed: Set[str] = frozenset(),
) -> tuple[Read, ...]:
    """The reads that bring the requested streams up to date, with as few requests as possible.

    resting: the streams that are left for later. due: those that are read whole in any mode. apart:
    the children that cannot be asked for beside their parents' pages.
    landed: those that have been read before, so that their tables tell what there is.
    """
    names = (request.streams & source.enabled) - resting
    wanted = [t for t in source.stream_tables if t.name in names]
    marks = {name: mark for name, mark in watermarks.items() if name not in due}
    own = [_read(stream_table, source, request, marks) for stream_table in wanted]
    reads = [read for read in own if read.stream.parent is None]
    for read in own:
        if read.stream.name in apart and not read.stream.beside_only:
            reads.append(replace(read, since=None, until=None, margin=timedelta(0)))
        elif read.stream.parent is not None:
            reads = _beside_parent(read, reads, source)
    reads = [_with_pivot(read, source, apart) for read in reads]
    read_by_name = {read.stream.name for read in reads}
    for labels in dict.fromkeys(read.pivot.labels for read in reads if read.pivot):
        if labels not in read_by_name | resting:
            reads.append(Read(stream=source.table_of(labels).stream))
            read_by_name.add(labels)
    for parent in dict.fromkeys(r.stream.each.stream for r in reads if r.stream.each):
        if parent not in read_by_name | landed:
            reads.append(Read(stream=source.stream(parent)))
    return tuple(reads)


def _read(
    stream_table: StreamTable,
    source: Source,
    request: SyncRequest,
    watermarks: Mapping[str, datetime],
) -> Read:
    """A read of the stream's own collection, of the span that is asked for."""
    parent = stream_table.stream.parent
    whole = Read(
        stream=stream_table.stream,
        main=stream_table,
        parent=source.stream(parent) if parent else None,
        listed=_listed(stream_table.stream, source),
    )
    if stream_table.sync_type is SyncType.FULL_TABLE or request.mode is Mode.FULL:
        return whole
    if request.mode is Mode.WINDOW:
        window = request.window
        assert isinstance(window, Window)  # noqa: S101
        return replace(whole, since=window.start, until=window.end, margin=source.overlap)
    watermark = watermarks.get(stream_table.name)
    return whole if watermark is None else replace(whole, since=watermark - source.overlap)


def _listed(stream: Stream, source: Source) -> frozenset[str]:
    tables = [t.stream.beside for t in source.stream_tables if t.name in source.enabled]
    return frozenset(
        beside.listed
        for beside in tables
        if beside and beside.parent == stream.name and beside.listed
    )


def _beside_parent(own: Read, reads: list[Read], source: Source) -> list[Read]:
    """Feed a child from its parent's pages where that costs less than `own`, its own read."""
    if own.stream.has_own_pages and own.is_full and not source.pivots and _is_pivoted(own, source):
        return [*reads, own]
    assert own.main is not None  # noqa: S101
    assert own.parent is not None  # noqa: S101
    child = Child(own.main)
    beside = next((r for r in reads if r.stream.name == own.parent.name), None)
    if beside is None:
        return [*reads, replace(own, stream=own.parent, main=None, parent=None, children=(child,))]
    joined = replace(beside, children=(*beside.children, child))
    if not beside.is_full:  # the wider of the two spans serves both
        since = min(own.since, beside.since) if own.since and beside.since else None
        until = beside.until if since else None
        joined = replace(joined, since=since, until=until, margin=own.margin)
    return [joined if read is beside else read for read in reads]


def _is_pivoted(own: Read, source: Source) -> bool:
    """Whether a field of the parent is made of a child's records."""
    pivots = (t.stream.pivot for t in source.stream_tables)
    return any(pivot and pivot.child == own.stream.name for pivot in pivots)


def _with_pivot(read: Read, source: Source, apart: Set[str]) -> Read:
    """Let what a field of the main table is made of come beside its pages."""
    pivot = source.pivot_of(read.main) if read.main else None
    if pivot is None or pivot.child in apart:
        return read
    children = read.children
    if all(child.name != pivot.child for child in children):
        children = (*children, Child(source.table_of(pivot.child), is_kept=False))
    return replace(read, pivot=pivot, children=children)
