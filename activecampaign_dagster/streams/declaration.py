"""What a stream is: one collection of an ActiveCampaign account that lands in one table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Type(StrEnum):
    """The warehouse's column types; the value is the DuckDB type name."""

    BIGINT = "BIGINT"  # ids, counts, cents, 0/1 flags sent as numbers or numeric strings
    BOOLEAN = "BOOLEAN"  # sent as a JSON boolean in at least one recording
    TIMESTAMPTZ = "TIMESTAMPTZ"  # 2018-09-12T16:51:30-05:00
    TIMESTAMP = "TIMESTAMP"  # 2018-09-12 16:51:30, Chicago wall clock
    JSON = "JSON"  # arrays and objects
    VARCHAR = "VARCHAR"


class SyncType(StrEnum):
    """How a stream is kept current."""

    INCREMENTAL = "INCREMENTAL"
    FULL_TABLE = "FULL_TABLE"


class Walk(StrEnum):
    """How a collection is read so that no live row is missed (see api/walks.py)."""

    ID = "id"  # orders[id]=ASC with id_greater as the cursor
    CREATED = "created"  # orders[cdate]=ASC with filters[created_after] as the cursor
    OFFSET = "offset"  # offset pages that overlap by one row


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record as the API sends it, and the column it becomes."""

    name: str
    type: Type
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One collection of the account.

    `path` is relative to `/api/3/`; `collection` is the key of the response body that holds the
    records. `replication_key` names the update stamp that an incremental read moves by and
    `created_key` the creation stamp that stands in where the update stamp is null.
    `date_filters` says that `filters[created_*]` and `filters[updated_*]` work on the path.
    `side_loads` names further top-level arrays of a response whose records belong to their
    parents: array name → (the parent's field that lists their ids).
    `parent` names the stream through whose `include=<collection>` changed records are found
    where the collection itself has no date filter.
    `stub_flag` names the boolean field that marks a record which the key may not see in full;
    tables of such streams have a column `_hidden_at`.
    """

    name: str
    path: str
    collection: str
    description: str
    fields: tuple[Field, ...]
    walk: Walk
    sync_type: SyncType = SyncType.FULL_TABLE
    replication_key: str | None = None
    created_key: str | None = None
    date_filters: bool = False
    side_loads: tuple[tuple[str, str], ...] = ()
    parent: str | None = None
    stub_flag: str | None = None

    def __post_init__(self) -> None:
        names = [field.name for field in self.fields]
        folded = {name.casefold() for name in names}
        if len(folded) != len(names):
            raise ValueError(f"stream {self.name}: two fields share a name (DuckDB ignores case)")
        for key in ("id", self.replication_key, self.created_key):
            if key is not None and key not in names:
                raise ValueError(f"stream {self.name}: field {key!r} is not declared")

    def field(self, name: str) -> Field:
        """The declared field called `name`; KeyError if there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)
