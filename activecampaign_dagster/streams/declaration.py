"""What a stream is: one collection of an ActiveCampaign account that lands in one table.

A declaration says in data whatever differs between streams: where the records are, how they are
walked, what tells them apart, what tells when they changed, whose children they are. Nothing else
in the project knows a stream by its name. `consistency` finds mistakes when the registry is
imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from types import MappingProxyType
from typing import Any

_ID_DIGITS = 18  # any such number is a BIGINT
SEPARATOR = "\x1f"  # between the parts of a key of several fields, as text
_WALL_CLOCK = "%Y-%m-%d %H:%M:%S"
PAGE_ROWS = 100  # the most that a page of nearly all collections has


class Type(StrEnum):
    """The warehouse's column types; the value is the DuckDB type name."""

    BIGINT = "BIGINT"  # ids, counts, cents, 0/1 flags sent as numbers or numeric strings
    BOOLEAN = "BOOLEAN"  # sent as a JSON boolean in at least one recording
    TIMESTAMPTZ = "TIMESTAMPTZ"  # 2018-09-12T16:51:30-05:00
    TIMESTAMP = "TIMESTAMP"  # 2018-09-12 16:51:30, wall clock of the account
    JSON = "JSON"  # arrays and objects
    VARCHAR = "VARCHAR"


class SyncType(StrEnum):
    """How a stream is kept current."""

    INCREMENTAL = "INCREMENTAL"
    FULL_TABLE = "FULL_TABLE"


class Family(StrEnum):
    """Streams that belong together for a user."""

    CRM = "crm"
    MARKETING = "marketing"
    AUTOMATION = "automation"
    ECOMMERCE = "ecommerce"
    EVENTS = "events"
    SETTINGS = "settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a record as the API sends it, and the column it becomes.

    references: the stream whose ids it holds. personal: it tells of a person. secret: it is left
    out unless a user asks for it by name. nested_from: the array of the same page whose records
    take the place of the ids that the field lists.
    """

    name: str
    type: Type
    description: str
    references: str | None = None
    personal: bool = False
    secret: bool = False
    nested_from: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Another form of the same rows, brought into the declared one before it is spooled.

    lifted: the object inside a record whose fields are the record's own, as in JSON:API. renames:
    its field → ours. first_filled: our field → its fields, the first of which that is filled
    counts. local: our fields whose stamps come without an offset there, as wall clocks of the
    account.
    """

    lifted: str | None = None
    renames: Mapping[str, str] = field(default_factory=dict)
    first_filled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    local: tuple[str, ...] = ()

    def declared(self, record: dict[str, Any], zone: tzinfo) -> dict[str, Any]:
        """The record in the declared form; fields that nobody named stay as they are.

        zone: the account's, in which stamps without an offset are read.
        """
        if self.lifted and isinstance(inner := record.get(self.lifted), dict):
            record = {**inner, **{key: record[key] for key in record if key != self.lifted}}
        used = {name for names in self.first_filled.values() for name in names}
        made: dict[str, Any] = {}
        for key in record.keys() - used:
            name = self.renames.get(key, key)
            if made.get(name) is None:  # where both forms are there, one of them may be empty
                made[name] = record[key]
        for name, candidates in self.first_filled.items():
            filled = (record[c] for c in candidates if record.get(c) not in (None, ""))
            made[name] = next(filled, made.get(name))
        return made | {name: _with_offset(made[name], zone) for name in self.local if name in made}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where the records are: `path` relative to `/api/3/`, and the key of the body that holds them.

    The path may hold one {parameter}, which `Each` fills in. params: sent with every request.
    shape: the form in which they come there, if that is not the declared one. is_single: the key
    holds one record, or nothing where there is none, instead of a list.
    """

    path: str
    collection: str
    params: Mapping[str, str] = field(default_factory=dict)
    shape: Shape | None = None
    is_single: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ById:
    """A walk by numeric id: the query parameters that order by it and that bound it."""

    order: str
    after: str
    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ByCreation:
    """A walk by creation stamp: its field, and the parameters that order by it and begin at it.

    before: the parameter that ends before a stamp, where there is one; it serves the search for
    deletions.
    """

    stamp: str
    order: str
    after: str
    before: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ByOffset:
    """A walk by offset pages that overlap by one row. rows: the most that a page has."""

    rows: int = PAGE_ROWS


@dataclass(frozen=True, slots=True, kw_only=True)
class ByPage:
    """A walk by pages that are numbered from one: the parameters for the number and for the size.

    rows: the size that is asked for.
    """

    number: str
    size: str
    rows: int = PAGE_ROWS


@dataclass(frozen=True, slots=True, kw_only=True)
class NewestFirst:
    """A walk over a log from its newest record down to what was read before.

    stamp: the field that the records are ordered by. order: the parameter that asks for it; "": the
    path knows none, and the log is read from its end. lookback: how much further back it reads,
    where records go on changing for a while after they were added.
    """

    stamp: str
    order: str
    lookback: timedelta = timedelta(0)


Walk = ById | ByCreation | ByOffset | ByPage | NewestFirst


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What tells when a record was changed, and the parameters that select by it.

    stamp: the update stamp, the replication key. created: the creation stamp, which stands in where
    that is null. after, before: query parameters; None: the API cannot select by it.
    """

    stamp: str
    created: str | None = None
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """How a child's records come beside the pages of its parent.

    parent: the stream whose pages are asked with `include`. array: the key of the page's body that
    holds the children. owner: the child's field that names its parent. listed: the key under which
    a parent's record lists the ids of its children, a column only if the parent declares it.
    shape: the form in which they come there, if that is not the declared one. passes: how often all
    parents are read for their sake. has_own: whether the child's endpoint lists its records, too;
    if not, they come beside the pages or not at all.
    """

    parent: str
    include: str
    array: str
    owner: str
    listed: str | None = None
    shape: Shape | None = None
    passes: timedelta = timedelta(days=1)
    has_own: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Each:
    """One read per record of another stream: its `column` fills the path's {parameter}.

    The value is kept in the child's field of the parameter's name, so that a row tells its parent.
    """

    stream: str
    parameter: str
    column: str = "id"


class Kind(StrEnum):
    """What a value is that a child's row holds as text."""

    NUMBER = "number"
    MONEY = "money"  # cents, made an object of them and their currency
    LIST = "list"  # of choices: ||red||blue||, or a JSON array


@dataclass(frozen=True, slots=True, kw_only=True)
class Pivot:
    """A field of a parent that is made of a child's rows: label → value.

    column: the field. child: the stream that holds the values. label_of: the child's field that
    refers to a definition. value: the child's field that holds the value. currency: the one that
    holds the currency of money. labels: the stream of the definitions. label: the definition's
    field that names it. kind: the one that says what its values are; kinds: what it says → the
    values' kind, where they are not texts.
    """

    column: str
    child: str
    label_of: str
    value: str
    labels: str
    label: str
    kind: str | None = None
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenBy:
    """Where the API says what hides stubs: a path that is asked with the ids of some.

    name: the plural noun for what hides them. ids, user: the parameters for the stubs' ids and for
    the id of the key's user. collection: the key of the body that holds them. title: the field that
    names one.
    """

    name: str
    path: str
    ids: str
    user: str
    collection: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stub:
    """A record that the key may not see in full: its flag, and the fields that it has.

    hidden_by: how the API tells what hides it; None if it does not.
    """

    flag: str
    fields: tuple[str, ...]
    hidden_by: HiddenBy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """How the API answers where the account lacks a feature, and what that is called."""

    statuses: frozenset[int]
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One collection of the account.

    key: the fields that tell its records apart. default: whether it is read unless a user chooses;
    one that is not says in its description why.
    """

    name: str
    family: Family
    description: str
    endpoint: Endpoint
    fields: tuple[Field, ...]
    walk: Walk
    key: tuple[str, ...] = ("id",)
    changes: Changes | None = None
    beside: Beside | None = None
    each: Each | None = None
    pivot: Pivot | None = None
    stub: Stub | None = None
    missing: Missing | None = None
    default: bool = True
    # the fields that tell when a record was changed, the first that is filled counts
    stamps: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _by_name: Mapping[str, Field] = field(init=False, repr=False, compare=False)
    _key_parts: tuple[tuple[str, Callable[[Any], str | None]], ...] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        by_name = MappingProxyType({declared.name: declared for declared in self.fields})
        parts = tuple(
            (name, _number if name in by_name and by_name[name].type is Type.BIGINT else _text)
            for name in self.key
        )
        object.__setattr__(self, "_by_name", by_name)
        object.__setattr__(self, "_key_parts", parts)
        stamps = (self.changes.stamp, self.changes.created) if self.changes else ()
        is_incremental = self.sync_type is SyncType.INCREMENTAL
        object.__setattr__(self, "stamps", tuple(s for s in stamps if s and is_incremental))

    def field(self, name: str) -> Field:
        """The declared field called `name`; KeyError if there is none."""
        return self._by_name[name]

    @property
    def sync_type(self) -> SyncType:
        """INCREMENTAL where changes can be asked for: by the path, or through the parent."""
        can_tell = self.can_filter or isinstance(self.walk, NewestFirst) or self.beside is not None
        return SyncType.INCREMENTAL if self.changes and can_tell else SyncType.FULL_TABLE

    @property
    def parent(self) -> str | None:
        """The stream beside whose pages the records come; None if they come by themselves only."""
        return self.beside.parent if self.beside else None

    @property
    def can_filter(self) -> bool:
        """Whether the path selects records by when they were changed."""
        return self.changes is not None and self.changes.after is not None

    @property
    def replication_key(self) -> str | None:
        """The stamp that an incremental stream moves by; None for FULL_TABLE streams."""
        is_incremental = self.sync_type is SyncType.INCREMENTAL
        return self.changes.stamp if self.changes and is_incremental else None

    @property
    def beside_only(self) -> bool:
        """Whether the records come beside a parent's pages or not at all."""
        return self.beside is not None and not self.beside.has_own

    @property
    def has_own_pages(self) -> bool:
        """Whether one walk over a path of its own brings all its records."""
        return self.each is None and not self.beside_only

    @property
    def has_numeric_key(self) -> bool:
        """Whether one number tells the records apart."""
        return len(self.key) == 1 and self.field(self.key[0]).type is Type.BIGINT

    @property
    def required(self) -> frozenset[str]:
        """The fields that tell which row a record is and which of two versions is newer."""
        flag = (self.stub.flag,) if self.stub else ()
        return frozenset((*self.key, *self.stamps, *flag))

    @property
    def secrets(self) -> frozenset[str]:
        """The fields that are left out unless a user asks for them by name."""
        return frozenset(declared.name for declared in self.fields if declared.secret)

    @property
    def owners(self) -> frozenset[str]:
        """The fields that tell a child's parent."""
        owner = (self.beside.owner,) if self.beside else ()
        parent = (self.each.parameter,) if self.each else ()
        return frozenset((*owner, *parent))

    def key_of(self, record: Any) -> str | None:
        """The key that tells a record apart, as text; None if it has no proper one."""
        if not isinstance(record, dict):
            return None
        if len(self._key_parts) == 1:
            [(name, part)] = self._key_parts
            return part(record.get(name))
        parts = [part(record.get(name)) for name, part in self._key_parts]
        return None if None in parts else SEPARATOR.join(parts)  # type: ignore[arg-type]


def _with_offset(stamp: Any, zone: tzinfo) -> Any:
    """A wall clock as a point in time; whatever else it is stays as it is."""
    try:
        moment = datetime.strptime(stamp, _WALL_CLOCK).replace(tzinfo=zone)
    except (TypeError, ValueError):
        return stamp
    return moment.isoformat()


def _number(value: Any) -> str | None:
    """An id that was sent as a number or as its digits; None if it is no proper one."""
    text = str(value) if isinstance(value, str | int) else ""
    if not (text.isascii() and text.isdecimal() and len(text) <= _ID_DIGITS):
        return None
    return text.lstrip("0") or None


def _text(value: Any) -> str | None:
    is_text = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value) or None if is_text else None
