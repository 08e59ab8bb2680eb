"""An account's records as its API sends them; `operations` adds the ways they change."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any, TypeVar, cast
from zoneinfo import ZoneInfo

import orjson

from activecampaign_dagster.sandbox import custom_fields, settings, values
from activecampaign_dagster.sandbox.catalogue import CATALOGUE, FEATURES
from activecampaign_dagster.sandbox.children import Children
from activecampaign_dagster.sandbox.contacts import Contacts
from activecampaign_dagster.sandbox.custom_fields import FieldTables, FieldValues
from activecampaign_dagster.sandbox.deals import Deals
from activecampaign_dagster.sandbox.family import Family, Origin, owner_fact
from activecampaign_dagster.sandbox.logbook import SOURCES, Logbook
from activecampaign_dagster.sandbox.pipelines import PIPELINES, Table
from activecampaign_dagster.sandbox.stamps import CHICAGO, DateFilter, in_zone
from activecampaign_dagster.sandbox.templates import Record, dumps, merged

T = TypeVar("T")
Clock = Callable[[], datetime]
Store = Contacts | Deals | Children | Logbook

_CACHED_SELECTIONS = 64
# table → its counters of other records: field, collection, fact, the status that counts
_TALLIES = {
    "tags": (("subscriber_count", "contactTags", "tag", None),),
    "lists": (
        ("active_subscribers", "contactLists", "list", 1),
        ("non_deleted_subscribers", "contactLists", "list", None),
    ),
    "accounts": (
        ("contactCount", "accountContacts", "account", None),
        ("dealCount", "deals", "account", None),
    ),
}


class Tables(dict[str, Table]):
    """Small collections by name; those without a story of their own are made when asked for."""

    def __init__(self, told: dict[str, Table], origin: Origin) -> None:
        super().__init__(told)
        self._origin = origin

    def __missing__(self, name: str) -> Table:
        origin = self._origin
        self[name] = settings.table(name, origin.sizes, origin.seed, origin.start)
        return self[name]


class Turn:
    """A re-entrant lock; whoever holds it writes stamps in the account's zone."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._lock = threading.RLock()
        self._held: list[AbstractContextManager[None]] = []

    def __enter__(self) -> None:
        self._lock.acquire()
        self._held.append(in_zone(self._zone))
        self._held[-1].__enter__()

    def __exit__(self, *_: object) -> None:
        self._held.pop().__exit__(None, None, None)
        self._lock.release()


@dataclass(frozen=True, slots=True)
class Beginning:
    """Everything that was made up for an account."""

    origin: Origin
    contacts: Contacts
    deals: Deals
    values: FieldValues
    fields: FieldTables
    tables: dict[str, Table]
    clock: Clock


class AccountRecords:
    """One account's records, readable from several threads.

    These attributes answer questions that the API's documentation leaves open; set them any time:

    - `date_filter`: how the offset of a date filter is read, see `DateFilter`;
    - `include_honoured`: whether `include=` does anything;
    - `ignored_includes`: the includes that do nothing, such as `deals.dealActivities`;
    - `cut_includes`: include → how many records of each parent it brings at most;
    - `flat_custom_values`: whether values beside deals and companies have their list's shape;
    - `ignored_orders`, `ignored_filters`: those without effect, such as `contactTags.tag`;
    - `missing_when_empty`: what is answered with 404 below a record that has none of it;
    - `unstable`: the collections whose pages by offset overlap and skip;
    - `touching`: the collections whose changes move a contact's `udate` or a deal's `mdate`;
    - `removals_touch`: whether what is taken away moves it as well;
    - `field_values_touch_contact`: whether a changed field value moves its contact's `udate`;
    - `users_have_stamps`: whether users have `cdate`, `udate` (2021) or `lang`, `roles` (2026);
    - `meta`: collection → `"absent"` or `"null"`, for responses without a usable `meta`;
    - `ties`: what puts deals that were created in one second into another order with every request;
    - `newest_first`: the collections without `orders` that are listed by descending id.

    `clock` gives the instant of a change and is read at every change.
    """

    def __init__(self, made: Beginning, zone: ZoneInfo = CHICAGO) -> None:
        self.contacts = made.contacts
        self.deals = made.deals
        self.values = made.values
        self.fields = made.fields
        self.origin = made.origin
        self.tables: dict[str, Table] = Tables(made.tables, made.origin)
        self.children = Family(made.origin, made.contacts, made.deals, self.tables)
        self.clock = made.clock
        self.me = 1
        self.date_filter = DateFilter.OFFSET_HONOURED
        self.include_honoured = True
        self.ignored_includes: set[str] = set()
        self.cut_includes: dict[str, int] = {}
        self.flat_custom_values = False
        self.ignored_orders: set[str] = set()
        self.ignored_filters: set[str] = set()
        self.missing_when_empty: set[str] = set()
        self.unstable: set[str] = {"contactLists"}
        self.touching: set[str] = {"contactTags", "notes"}
        self.removals_touch = False
        self.field_values_touch_contact = True
        self.users_have_stamps = True
        self.meta: dict[str, str] = {}
        self.ties: Random | None = None
        self.newest_first: set[str] = {"campaigns"}
        self.off: dict[str, tuple[int, str]] = {}
        self.dice_of_pages = Random(made.origin.seed)
        self.dice_beside = Random(made.origin.seed)
        self.lock = Turn(zone)
        self.hidden = {pipeline.id for pipeline in PIPELINES if not pipeline.accessible}
        self._cache: dict[Hashable, Any] = {}
        self._logbook_changes: dict[int, Record] = {}

    @property
    def now(self) -> datetime:
        """The moment that the account's clock shows."""
        return self.clock()

    def switch_off(self, feature: str, status: int | None = None, message: str = "") -> None:
        """Take a feature (or one collection) off the plan; by default as the API says that."""
        default = FEATURES.get(feature, (403, "Forbidden"))
        self.off[feature] = (status or default[0], message or default[1])

    def switch_on(self, feature: str) -> None:
        """Put a feature back on the plan."""
        self.off.pop(feature, None)

    def truth(self, collection: str) -> dict[Any, Record]:
        """All records of a collection by key, as the API sends them: stubs as stubs.

        Also for what the API only side-loads or lists below others. The key is the id (a number
        where it is one), the name, or the place where records have neither.
        """
        with self.lock:
            key = CATALOGUE[collection].key
            found: dict[Any, Record] = {}
            for number in self.visible_ids(collection):
                record = orjson.loads(self.render(collection, number))
                name = record[key] if key else number
                found[int(name) if str(name).isdecimal() else name] = record
            return found

    def counts(self) -> dict[str, int]:
        """Count the records of each collection."""
        with self.lock:
            return {
                name: len(self.visible_ids(name) if name in _TABLES else self.store(name))
                for name in CATALOGUE
            }

    def visible_ids(self, collection: str) -> list[int]:
        """The ids that a collection lists, ascending."""
        if self.is_table(collection):
            hidden = self.hidden if collection == "dealGroups" else ()
            return sorted(number for number in self.tables[collection] if number not in hidden)
        return self.store(collection).live.tolist()

    def has(self, collection: str, number: int) -> bool:
        """Whether a record can be read by its id."""
        if self.is_table(collection):
            hidden = collection == "dealGroups" and number in self.hidden
            return number in self.tables[collection] and not hidden
        return number in self.store(collection)

    def is_table(self, collection: str) -> bool:
        """Whether a collection is small and kept as plain records."""
        return collection in _TABLES

    def store(self, collection: str) -> Store:
        """A collection that is no table."""
        if collection == "contacts":
            return self.contacts
        if collection == "deals":
            return self.deals
        return self.told(collection)

    def told(self, collection: str) -> Children | Logbook:
        """A collection whose records are told by stories."""
        if collection == "activities":
            return self.cached(("activities",), self._logbook)
        return self.family(collection)

    def family(self, collection: str) -> Children:
        """A collection whose records belong to others."""
        return self.values if collection == "fieldValues" else self.children[collection]

    def _logbook(self) -> Logbook:
        sources = {name: self.children[name] for name in SOURCES}
        return Logbook(dict(sources), self._logbook_changes)

    def number(self, collection: str, key: str) -> int | None:
        """The number that a record is kept under, by the key that the API knows it by."""
        number = int(key) if key.isdecimal() and len(key) < 18 else None
        if number is not None and self.has(collection, number):
            return number
        name = CATALOGUE[collection].key
        if self.is_table(collection):
            pairs = self.tables[collection].items()
            return next((n for n, record in pairs if name and record[name] == key), None)
        return None

    def render(self, collection: str, number: int) -> bytes:
        """One record as JSON."""
        if collection == "contacts":
            return self.contacts.render(number)
        if collection == "deals":
            return self.render_deal(number)
        if collection == "fieldValues":
            return self.values.render(number)
        if not self.is_table(collection):
            told = self.told(collection)
            raw = _written(collection, number, told.facts(number))
            return merged(raw, told.changes.get(number))
        record = self.tables[collection][number]
        if collection in _TALLIES:
            record = record | self._tallies(collection, number)
        elif collection == "users":
            hidden = _OF_2026 if self.users_have_stamps else _OF_2021
            record = {k: v for k, v in record.items() if k not in hidden}
        return dumps(record)

    def render_all(self, collection: str, numbers: Iterable[int]) -> Iterator[bytes]:
        """Several records of a collection as JSON."""
        if collection == "contacts":
            return map(self.contacts.render, numbers)
        if collection == "deals":
            return map(self.render_deal, numbers)
        if collection == "fieldValues":
            return map(self.values.render, numbers)
        if collection in _TABLES:
            return (self.render(collection, number) for number in numbers)
        told = self.told(collection)
        facts, changes = told.facts, told.changes
        raw = ((n, _written(collection, n, facts(n))) for n in numbers)
        return (merged(r, changes.get(n)) for n, r in raw) if changes else (r for _, r in raw)

    def _tallies(self, table: str, number: int) -> Record:
        def count(collection: str, fact: str, status: int | None) -> int:
            if collection == "deals":
                by_company = self.cached(
                    ("companies",), lambda: Counter(map(self.deals.account, self.deals.live))
                )
                return by_company[number]
            return self.family(collection).count_by(fact, status)[number]

        row = self.tables[table][number]
        return {name: str(count(*rest)) for name, *rest in _TALLIES[table] if name in row}

    def render_deal(self, deal: int) -> bytes:
        """One deal as JSON, a stub where its pipeline is not accessible."""
        pipeline = self.pipeline_of(deal)
        shown = pipeline not in self.hidden and pipeline in self.tables["dealGroups"]
        return self.deals.render(deal, pipeline, accessible=shown)

    def render_beside(self, collection: str, numbers: Iterable[int]) -> Iterator[bytes]:
        """Records as JSON in the shape that they have beside their parents."""
        if collection not in _SIDE_SHAPES or self.flat_custom_values:
            yield from self.render_all(collection, numbers)
            return
        shape, definitions = _SIDE_SHAPES[collection]
        for number in numbers:
            facts = self.family(collection).facts(number)
            kind = self.tables[definitions].get(facts["field"], {}).get("fieldType", "text")
            yield _written(shape, number, custom_fields.side_loaded(facts, kind))

    def owned(self, collection: str, parent: int) -> list[int]:
        """The ids of a parent's children; a contact's notes and tasks are those about it."""
        return self.family(collection).of_parent(parent)

    def related(self, collection: str, fact: str, record: int) -> list[int]:
        """The ids of the records that name another one, ascending."""

        def by_fact() -> dict[int, list[int]]:
            found: dict[int, list[int]] = {}
            if self.is_table(collection):
                for number, row in self.tables[collection].items():
                    found.setdefault(int(row.get(fact) or 0), []).append(number)
                return found
            for number in self.family(collection).live:
                value = self.family(collection).facts(number).get(fact)
                if isinstance(value, int):
                    found.setdefault(value, []).append(number)
            return found

        if CATALOGUE[collection].parent and owner_fact(collection) == fact:
            return self.owned(collection, record)
        return self.cached(("by", collection, fact), by_fact).get(record, [])

    def pipeline_of(self, deal: int) -> int:
        """The pipeline of a deal's stage; 0 when the stage is gone."""
        stage = self.tables["dealStages"].get(self.deals.stage[self.deals.slot(deal)])
        return int(stage["group"]) if stage else 0

    def deal_title(self, deal: int) -> str:
        """A deal's title, changes included."""
        changes = self.deals.changes.get(deal, {})
        if "title" in changes:
            return str(changes["title"])
        return str(orjson.loads(b'"' + self.deals.title(deal) + b'"'))

    def deals_of(self, contact: int) -> list[int]:
        """The ids of a contact's deals."""

        def by_contact() -> dict[int, list[int]]:
            found: dict[int, list[int]] = {}
            for deal in self.deals.live:
                found.setdefault(self.deals.contact[self.deals.slot(deal)], []).append(deal)
            return found

        return self.cached(("deals by contact",), by_contact).get(contact, [])

    def cached(self, key: Hashable, make: Callable[[], T]) -> T:
        """A value that holds until the account changes."""
        if key not in self._cache:
            made = make()
            if len(self._cache) >= _CACHED_SELECTIONS:
                self._cache.clear()
            self._cache[key] = made
        return cast("T", self._cache[key])

    def forget(self) -> None:
        """Drop what was cached, since the account changes."""
        self._cache.clear()


_TABLES = {
    name
    for name, collection in CATALOGUE.items()
    if not collection.parent and name not in {"contacts", "deals", "activities"}
}
# what users have of one time and not of the other
_OF_2021 = {"cdate", "udate", "password_updated_utc_timestamp"}
_OF_2026 = {"lang", "roles"}
# collection → the recorded fields that it has beside its parents, where its definitions are
_SIDE_SHAPES = {
    "dealCustomFieldData": ("dealCustomFieldData (side-loaded)", "dealCustomFieldMeta"),
    "accountCustomFieldData": (
        "customerAccountCustomFieldData (side-loaded)",
        "accountCustomFieldMeta",
    ),
}


def _written(shape: str, number: int, facts: Record) -> bytes:
    return values.shape(shape, number % values.VARIANTS, tuple(facts)).render(number, facts)
