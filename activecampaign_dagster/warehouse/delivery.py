"""What one read brings to land, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from activecampaign_dagster.streams.source import StreamTable
from activecampaign_dagster.warehouse.completeness import Completeness
from activecampaign_dagster.warehouse.pivot import Labels
from activecampaign_dagster.warehouse.scratch import SCRATCH
from activecampaign_dagster.warehouse.sql import quoted
from activecampaign_dagster.warehouse.tables import relation


class Scope(StrEnum):
    """Of which records a batch holds all there are, so that what is missing was deleted."""

    ALL = "all"
    SEEN_PARENTS = "seen parents"  # the children of the parents that were read
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Spooled records on their way into a table.

    files: segments; size: bytes of JSON in them; longest: bytes of the longest line.
    extras: fields that nobody declared. is_pass: all of the collection was read. expected: how many
    records the account says it has, where that must agree; else None. is_kept: they land; else only
    what is made of them does.
    unlisted: segments with the keys of parents that do not list their children.
    labels: the labels of the field that is made of a child's rows (see `Pivot`); None: it stays.
    """

    stream_table: StreamTable
    files: Sequence[str]
    size: int
    longest: int
    extras: Sequence[str]
    scope: Scope
    watermark: datetime | None
    is_pass: bool = False
    expected: int | None = None
    is_kept: bool = True
    unlisted: Sequence[str] = ()
    labels: Labels | None = None

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.stream_table.name

    @property
    def table(self) -> str:
        """The table that they land in."""
        return relation(self.stream_table.table)

    @property
    def typed(self) -> str:
        """The table of the records as typed rows, on their way."""
        return f"{SCRATCH}.{quoted(self.name)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """All that one read brought, to land in one transaction.

    main: the records of the collection itself, if they are kept. children: what came beside them.
    owners: segments with the keys of the parents that were read, if there is no `main`, or else of
    those that were read once more.
    refills: parents whose fields are to be made of their children's landed rows, with the labels.
    relabels: parents whose fields are to follow the labels; None: those that land with it.
    """

    main: Batch | None
    children: Sequence[Batch]
    owners: Sequence[str]
    completeness: Completeness
    sync_id: str
    at: datetime
    folder: Path
    refills: Sequence[tuple[StreamTable, Labels]] = ()
    relabels: Sequence[tuple[StreamTable, Labels | None]] = ()

    @property
    def batches(self) -> list[Batch]:
        """The children first, since fields of their parents are made of them."""
        return [*self.children, *([self.main] if self.main else [])]

    @property
    def size(self) -> int:
        """The bytes of JSON of all of them."""
        return sum(batch.size for batch in self.batches)


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """What became of a batch: row counts, and the columns that it added.

    doubt: why a full read may not have brought all there is, so that rows that did not come are
    kept; None if it has.
    """

    inserted: int
    updated: int
    unchanged: int
    deleted: int
    rejected: int
    live_rows: int
    deleted_rows: int
    new_columns: tuple[str, ...]
    doubt: str | None = None
