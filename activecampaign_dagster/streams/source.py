"""What is to be kept current, and how: one account as the user configured it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from activecampaign_dagster.streams.declaration import Pivot, Stream, SyncType
from activecampaign_dagster.streams.registry import CORE, STREAMS


@dataclass(frozen=True, slots=True)
class StreamTable:
    """A stream, the table it lands in, and how it is kept current.

    keep: the fields that are stored, None for all the account sends. left_out: those that are not
    even then. hashed: those of which only a keyed hash is stored. reread: how often incremental
    syncs read all of it, beside what changed; None: never. A FULL_TABLE stream is read that often
    and no more, and in every sync where it is None. is_named: the user listed it by its name.
    """

    stream: Stream
    table: str
    sync_type: SyncType
    keep: frozenset[str] | None = None
    left_out: frozenset[str] = frozenset()
    hashed: frozenset[str] = frozenset()
    reread: timedelta | None = None
    is_named: bool = False

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.stream.name

    def stores(self, field: str) -> bool:
        """Whether a field that the account sends is stored."""
        return field not in self.left_out and (self.keep is None or field in self.keep)

    @property
    def stores_all(self) -> bool:
        """Whether every field that the account sends is stored."""
        return self.keep is None and not self.left_out


def default_stream_tables() -> tuple[StreamTable, ...]:
    """The core streams, each in a table of its own name, kept current in its own default way."""
    chosen = (STREAMS[name] for name in CORE)
    return tuple(StreamTable(s, s.name, s.sync_type, is_named=True) for s in chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One account as the user configured it.

    stream_tables: where streams land: what is read, and the core, which keeps its names when off.
    enabled: those that are read; the others have a table only if they were read before.
    pivots: whether parents are given the fields that are made of their children (see `Pivot`).
    overlap: how far before the watermark an incremental read begins. The API does not document
    how its date filters read time-zone offsets, which is worth up to a day.
    purge_deleted_after: how long rows of deleted records are kept; None: for ever.
    searches: whether incremental syncs search for deleted records.
    """

    name: str = "activecampaign"
    stream_tables: tuple[StreamTable, ...] = field(default_factory=default_stream_tables)
    enabled: frozenset[str] = frozenset(CORE)
    pivots: bool = True
    overlap: timedelta = timedelta(hours=24)
    purge_deleted_after: timedelta | None = None
    searches: bool = False

    def table_of(self, stream: str) -> StreamTable:
        """The table of a stream; KeyError if the source has none."""
        for stream_table in self.stream_tables:
            if stream_table.name == stream:
                return stream_table
        raise KeyError(stream)

    def stream(self, name: str) -> Stream:
        """A stream, whether or not the source has a table of it; KeyError if there is none."""
        try:
            return self.table_of(name).stream
        except KeyError:
            return STREAMS[name]

    @property
    def pivoted(self) -> list[tuple[StreamTable, Pivot]]:
        """The tables with a field that is made of their children's rows, and how it is made."""
        found = ((stream_table, self.pivot_of(stream_table)) for stream_table in self.stream_tables)
        return [(stream_table, pivot) for stream_table, pivot in found if pivot]

    def pivot_of(self, stream_table: StreamTable) -> Pivot | None:
        """How a field of a table is made of its children's rows; None if it is not to be filled."""
        pivot = stream_table.stream.pivot
        if not self.pivots or pivot is None or not stream_table.stores(pivot.column):
            return None
        tables = {each.name for each in self.stream_tables}
        return pivot if {pivot.child, pivot.labels} <= tables else None
