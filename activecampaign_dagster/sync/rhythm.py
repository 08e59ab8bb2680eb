"""Decides what an incremental sync leaves for later, and what it reads whole all the same.

Streams that cannot tell what changed are read at most so often, and all parents are read again for
the sake of children whose changes no stamp of a parent tells: at least so often, and earlier where
the account counts other than the table has.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from activecampaign_dagster.streams.declaration import SyncType
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.sync.request import Mode, SyncRequest
from activecampaign_dagster.warehouse.ledger import StreamState

_EARLY = timedelta(hours=1)  # after a pass, before the next one comes early

States = Mapping[str, StreamState]


def resting(source: Source, request: SyncRequest, states: States, now: datetime) -> frozenset[str]:
    """The streams that are not read in this run, as they were read lately or cannot be read.

    What comes beside the pages of a parent that is read costs nothing, and does not rest.
    """
    if not request.may_leave:
        return frozenset()
    wanted = _wanted(source, request)
    due = {t.name for t in wanted if not _rests(t, states.get(t.name), now)}
    children = [t for t in wanted if _is_whole_child(t)]
    due |= {t.stream.parent for t in children if t.stream.parent and t.name in due}
    due |= {t.name for t in children if t.stream.parent in due and not _is_unavailable(t, states)}
    return frozenset(t.name for t in wanted if t.name not in due)


def _rests(stream_table: StreamTable, state: StreamState | None, now: datetime) -> bool:
    if state is None:
        return False
    if state.unavailable is not None:
        return True
    last, every = state.last_synced_at, stream_table.reread
    is_whole = stream_table.sync_type is SyncType.FULL_TABLE
    return bool(is_whole and every and last and now - last < every)


def _is_whole_child(stream_table: StreamTable) -> bool:
    return stream_table.stream.beside is not None and stream_table.sync_type is SyncType.FULL_TABLE


def _is_unavailable(stream_table: StreamTable, states: States) -> bool:
    state = states.get(stream_table.name)
    return state is not None and state.unavailable is not None


def _wanted(source: Source, request: SyncRequest) -> list[StreamTable]:
    names = request.streams & source.enabled
    return [t for t in source.stream_tables if t.name in names]


def _incremental(
    source: Source, request: SyncRequest, states: States
) -> list[tuple[StreamTable, StreamState]]:
    """The streams of which only changes would be read, with their states."""
    if request.mode is not Mode.INCREMENTAL:
        return []
    known = [(t, states[t.name]) for t in _wanted(source, request) if t.name in states]
    return [
        (t, state)
        for t, state in known
        if t.reread and t.sync_type is SyncType.INCREMENTAL and state.watermark
    ]


def by_total(
    source: Source, request: SyncRequest, states: States, now: datetime
) -> list[StreamTable]:
    """The children whose pass may come early, if the account counts other than their tables."""
    return [
        stream_table
        for stream_table, state in _incremental(source, request, states)
        if stream_table.stream.beside
        and stream_table.stream.has_own_pages
        and not _is_due(stream_table, state, now)
        and state.last_pass_at
        and now - state.last_pass_at >= _EARLY
    ]


def pauses(stream_table: StreamTable, request: SyncRequest, states: States, now: datetime) -> bool:
    """Whether a child that must be read by its own path, all of it, was read so lately."""
    if not request.may_leave:
        return False
    state = states.get(stream_table.name)
    last = state.last_pass_at if state else None
    return last is not None and now - last < _EARLY


def due(
    source: Source,
    request: SyncRequest,
    states: States,
    beyond: Mapping[str, int | None],
    now: datetime,
) -> frozenset[str]:
    """The streams that are read whole in this incremental sync.

    beyond: stream → how many more records the account counts than the table has, beside those that
    it counts without listing them; None: it does not say.
    """
    return frozenset(
        stream_table.name
        for stream_table, state in _incremental(source, request, states)
        if _is_due(stream_table, state, now) or beyond.get(stream_table.name)
    )


def _is_due(stream_table: StreamTable, state: StreamState, now: datetime) -> bool:
    every, last = stream_table.reread, state.last_pass_at
    return every is not None and (last is None or now - last >= every)
