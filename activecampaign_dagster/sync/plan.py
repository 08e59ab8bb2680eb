"""Which reads a run needs: pure decisions, from the source, the request and the watermarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from activecampaign_dagster.api.client import Params
from activecampaign_dagster.api.stamps import write_stamp
from activecampaign_dagster.streams.declaration import Stream, SyncType
from activecampaign_dagster.streams.registry import stream
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.sync.request import Mode, SyncRequest, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One walk over one collection, and the tables that it feeds.

    `since`, `until`: only records last changed in [since, until) count; None: no limit.
    `margin`: how much more the account is asked for at either end of that span.
    `include`: the side-load that feeds `side`, the table whose records come with their parents.
    `custom_fields`: whether contacts are given their `customFields`.
    """

    stream: Stream
    main: StreamTable | None = None
    side: StreamTable | None = None
    since: datetime | None = None
    until: datetime | None = None
    margin: timedelta = timedelta(0)
    include: str | None = None
    custom_fields: bool = False

    @property
    def stream_tables(self) -> tuple[StreamTable, ...]:
        """The tables this read feeds."""
        return tuple(stream_table for stream_table in (self.main, self.side) if stream_table)

    @property
    def name(self) -> str:
        """What it reads, in the log: the streams it feeds."""
        return "+".join(t.name for t in self.stream_tables) or self.stream.name

    @property
    def fingerprint(self) -> str:
        """What tells this read from another: the same text means the same staged records."""
        span = f"{self.since and self.since.isoformat()}..{self.until and self.until.isoformat()}"
        keeps = [None if t.keep is None else sorted(t.keep) for t in self.stream_tables]
        path = self.stream.endpoint.path
        return f"{self.name} {path} {span} {self.include} {self.custom_fields} {keeps}"

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
        params: dict[str, str | int] = {}
        if self.since:
            params["filters[updated_after]"] = write_stamp(self.since - self.margin)
        if self.until:
            params["filters[updated_before]"] = write_stamp(self.until + self.margin)
        if self.include:
            params["include"] = self.include
        return params

    def changed_since(self, moment: datetime) -> Read | None:
        """The same read, of what changed since `moment` only; None if the API cannot tell."""
        since = max(moment, self.since) if self.since else moment
        if self.stream.can_filter:
            return replace(self, since=since)
        if self.stream.parent is None:
            return None
        parent, include = stream(self.stream.parent), self.stream.endpoint.collection
        return Read(stream=parent, side=self.main, since=since, include=include)


def plan(
    source: Source, request: SyncRequest, watermarks: Mapping[str, datetime]
) -> tuple[Read, ...]:
    """The reads that bring the requested streams up to date, with as few requests as possible."""
    names = request.streams & source.enabled
    wanted = {t.name: t for t in source.stream_tables if t.name in names}
    contacts = wanted.get("contacts")
    custom_fields = (
        source.extract_contact_custom_fields
        and contacts is not None
        and (contacts.keep is None or "customFields" in contacts.keep)
    )
    own = [_read(stream_table, source, request, watermarks) for stream_table in wanted.values()]
    reads = [read for read in own if read.stream.parent is None]
    for read in own:
        if read.stream.parent is not None:
            reads = _with_side(read, reads, source)
    if custom_fields:
        reads = [
            replace(read, include="fieldValues", custom_fields=True)
            if read.main and read.main.name == "contacts"
            else read
            for read in reads
        ]
        if "custom_fields" not in wanted:
            reads.append(Read(stream=stream("custom_fields")))
    return tuple(reads)


def _read(
    stream_table: StreamTable,
    source: Source,
    request: SyncRequest,
    watermarks: Mapping[str, datetime],
) -> Read:
    """A read of the stream's own collection, of the span that is asked for."""
    whole = Read(stream=stream_table.stream, main=stream_table)
    if stream_table.sync_type is SyncType.FULL_TABLE or request.mode is Mode.FULL:
        return whole
    if request.mode is Mode.WINDOW:
        window = request.window
        assert isinstance(window, Window)  # noqa: S101
        return replace(whole, since=window.start, until=window.end, margin=source.overlap)
    watermark = watermarks.get(stream_table.name)
    return whole if watermark is None else replace(whole, since=watermark - source.overlap)


def _with_side(own: Read, reads: list[Read], source: Source) -> list[Read]:
    """Feed a table from its parent's pages where that costs less than `own`, its own read."""
    if own.is_full and not source.extract_contact_custom_fields:
        return [*reads, own]
    side, include = own.main, own.stream.endpoint.collection
    parent = next((r for r in reads if r.main and r.main.name == own.stream.parent), None)
    if parent is None:
        of_parent = stream(str(own.stream.parent))
        return [*reads, replace(own, stream=of_parent, main=None, side=side, include=include)]
    joined = replace(parent, side=side, include=include)
    if not parent.is_full:  # the wider of the two spans serves both
        since = min(own.since, parent.since) if own.since and parent.since else None
        until = parent.until if since else None
        joined = replace(joined, since=since, until=until, margin=own.margin)
    return [joined if read is parent else read for read in reads]
