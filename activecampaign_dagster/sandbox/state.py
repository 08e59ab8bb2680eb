"""An account's records as its API sends them; `operations` adds the ways they change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any, TypeVar, cast

import orjson

from activecampaign_dagster.sandbox.contacts import Contacts
from activecampaign_dagster.sandbox.custom_fields import FieldTables, FieldValues
from activecampaign_dagster.sandbox.deals import Deals
from activecampaign_dagster.sandbox.pipelines import PIPELINES, Table
from activecampaign_dagster.sandbox.stamps import DateFilter
from activecampaign_dagster.sandbox.templates import Record, dumps

T = TypeVar("T")
Clock = Callable[[], datetime]

_CACHED_SELECTIONS = 64

# the collections that have a path of their own
COLLECTIONS = (
    "contacts",
    "deals",
    "dealGroups",
    "dealStages",
    "campaigns",
    "fields",
    "fieldValues",
    "users",
)


@dataclass(frozen=True, slots=True)
class Stock:
    """Everything that was made up for an account."""

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
    - `include_honoured`: whether `include=` on contacts does anything;
    - `field_values_touch_contact`: whether a changed field value moves its contact's `udate`;
    - `meta`: collection → `"absent"` or `"null"`, for responses without a usable `meta`;
    - `ties`: what puts deals that were created in one second into another order with every request;
    - `newest_first`: the collections without `orders` that are listed by descending id.

    `clock` gives the instant of a change and is read at every change.
    """

    def __init__(self, stock: Stock) -> None:
        self.contacts = stock.contacts
        self.deals = stock.deals
        self.values = stock.values
        self.fields = stock.fields
        self.tables = stock.tables
        self.clock = stock.clock
        self.me = 1
        self.date_filter = DateFilter.OFFSET_HONOURED
        self.include_honoured = True
        self.field_values_touch_contact = True
        self.meta: dict[str, str] = {}
        self.ties: Random | None = None
        self.newest_first: set[str] = {"campaigns"}
        self.lock = threading.RLock()
        self.hidden = {pipeline.id for pipeline in PIPELINES if not pipeline.accessible}
        self._cache: dict[Hashable, Any] = {}

    @property
    def now(self) -> datetime:
        """What the account's clock shows."""
        return self.clock()

    def truth(self, collection: str) -> dict[int, Record]:
        """All records of a collection by id, as the API sends them: stubs as stubs.

        Also for `fieldOptions` and `fieldRels`, which the API only side-loads.
        """
        with self.lock:
            return {
                number: orjson.loads(self.render(collection, number))
                for number in self.visible_ids(collection)
            }

    def counts(self) -> dict[str, int]:
        """How many records each collection lists."""
        with self.lock:
            return {name: len(self.visible_ids(name)) for name in COLLECTIONS}

    def visible_ids(self, collection: str) -> list[int]:
        """The ids that a collection lists, ascending."""
        if collection in self.tables:
            hidden = self.hidden if collection == "dealGroups" else ()
            return sorted(number for number in self.tables[collection] if number not in hidden)
        return self._rows(collection).live.tolist()

    def has(self, collection: str, number: int) -> bool:
        """Whether a record can be read by its id."""
        if collection in self.tables:
            hidden = collection == "dealGroups" and number in self.hidden
            return number in self.tables[collection] and not hidden
        return number in self._rows(collection)

    def _rows(self, collection: str) -> Contacts | Deals | FieldValues:
        if collection == "contacts":
            return self.contacts
        return self.deals if collection == "deals" else self.values

    def render(self, collection: str, number: int) -> bytes:
        """One record as JSON."""
        if collection == "contacts":
            return self.contacts.render(number)
        if collection == "deals":
            return self.render_deal(number)
        if collection == "fieldValues":
            return self.values.render(number)
        return dumps(self.tables[collection][number])

    def render_deal(self, deal: int) -> bytes:
        """One deal as JSON, a stub where its pipeline is not accessible."""
        pipeline = self.pipeline_of(deal)
        shown = pipeline not in self.hidden and pipeline in self.tables["dealGroups"]
        return self.deals.render(deal, pipeline, accessible=shown)

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
