"""Every collection whose records belong to others, made when first asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import gcd

from activecampaign_dagster.sandbox import stamps, stories, values, words
from activecampaign_dagster.sandbox.catalogue import CATALOGUE, FACTS, TARGETS
from activecampaign_dagster.sandbox.children import Children, Log, Parents
from activecampaign_dagster.sandbox.contacts import Contacts
from activecampaign_dagster.sandbox.custom_fields import (
    COMPANY_SPECS,
    DEAL_SPECS,
    FieldValues,
    Spec,
)
from activecampaign_dagster.sandbox.deal_history import DealActivities
from activecampaign_dagster.sandbox.deals import Deals
from activecampaign_dagster.sandbox.pipelines import Table
from activecampaign_dagster.sandbox.stories import Child
from activecampaign_dagster.sandbox.templates import Record

# children whose creation moves their contact's `udate`, so it is never later
TOUCHING = frozenset({"contactTags", "notes"})
# ActiveCampaign API: listed oldest first, and their stamps never fall
_LOGS = frozenset({"logs", "emailActivities", "linkData", "mppLinkData", "trackingLogs"})
# one mail, told twice
_KIN = {"logs": "mail", "emailActivities": "mail"}
_OWN_FACTS = {"customObjectSchemas": "schema"}

Tell = Callable[[int, int, int], Record]


@dataclass(frozen=True, slots=True)
class Origin:
    """The sizes and moments that an account was made of; nothing in it changes."""

    seed: int
    start: int
    end: int
    sizes: Mapping[str, int]
    parents: Mapping[str, Parents]


def owner_fact(name: str) -> str:
    """The fact that names the parent of a collection's records."""
    parent = CATALOGUE[name].parent
    return FACTS.get(parent) or _OWN_FACTS.get(parent) or CATALOGUE[parent].singular


class Family(Mapping[str, Children]):
    """Collection → its children; what the stories know of the account."""

    def __init__(
        self, origin: Origin, contacts: Contacts, deals: Deals, tables: Mapping[str, Table]
    ) -> None:
        self.end = origin.end
        self.tables = tables
        self._origin = origin
        self._contacts = contacts
        self._deals = deals
        self._made: dict[str, Children] = {}
        self._basics: dict[str, Tell] = {}
        self._sent = sorted(
            (moment, number)
            for number, campaign in tables["campaigns"].items()
            if (moment := stamps.parse(campaign["sdate"])) is not None
        )

    def __getitem__(self, name: str) -> Children:
        if name not in self._made:
            if not CATALOGUE[name].parent:
                raise KeyError(name)
            self._made[name] = self._make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name, collection in CATALOGUE.items() if collection.parent)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    # what the stories ask

    def facts(self, collection: str, number: int) -> Record:
        """The facts of a child record."""
        return self[collection].facts(number)

    def owned(self, collection: str, parent: int) -> list[int]:
        """The ids of a parent's records."""
        return self[collection].of_parent(parent)

    def owner_of(self, collection: str, number: int) -> int:
        """The parent of a record."""
        return self[collection].parent_of(number)

    def email(self, contact: int) -> str:
        """A contact's address; empty when the contact is gone."""
        return self._contacts.sort_name(contact)[2] if contact in self._contacts else ""

    def campaign_after(self, moment: int, bits: int) -> tuple[int, int]:
        """A campaign that was sent after a moment, and when; (0, moment) when there is none."""
        first = bisect_right(self._sent, (moment, 0))
        if first == len(self._sent):
            return 0, moment
        sent_at, campaign = self._sent[first + bits % (len(self._sent) - first)]
        return campaign, min(self.end - 1, sent_at + bits % 1800)

    def some_contact(self, bits: int) -> int:
        """One of the contacts that there were at first, or 0."""
        ids = self._ids("contacts")
        return ids[bits % len(ids)] if ids else 0

    def contact_of(self, deal: int) -> int:
        """A deal's primary contact, or 0."""
        return self._deals.contact[self._deals.slot(deal)] if deal in self._deals else 0

    # how the collections are made

    def _make(self, name: str) -> Children:
        origin, collection = self._origin, CATALOGUE[name]
        parents = self._parents(collection.parent)
        if name == "dealActivities":
            return DealActivities(origin.seed, self._deals, parents)
        if name in _SPECS:
            seed = words.salted(origin.seed, name)
            kinds = [(kind, list(options)) for _, kind, options in _SPECS[name]]
            fact, size = owner_fact(name), origin.sizes[name]
            return FieldValues(fact, parents, size, seed, kinds, origin.end)
        seed = words.salted(origin.seed, _KIN.get(name, name))
        most = origin.sizes[TARGETS[collection.distinct]] if collection.distinct else None
        size, tell = origin.sizes[name], self._tell(name)
        # messages of campaigns, steps of automations: each has as many
        even = not CATALOGUE[collection.parent].parent and collection.parent not in origin.parents
        kind = Log if name in _LOGS else Children
        return kind(
            owner_fact(name), parents, size, seed, tell, most, self._complete(name), even=even
        )

    def _parents(self, name: str) -> Parents:
        if name in self._origin.parents:
            return self._origin.parents[name]
        ids: Sequence[int] = range(1, self._origin.sizes[name] + 1)
        if CATALOGUE[name].parent:
            children = self[name]
            basic = self._basics.get(name) or (lambda number, *_: children.facts(number))

            def born(slot: int) -> int:
                moment = basic(slot + 1, *children.place(slot + 1))["created"]
                return int(moment)

            return Parents(ids[: children.starts[-1]], born, born)
        start = self._origin.start
        if name == "campaigns":
            moments = [stamps.parse(self.tables[name][n]["cdate"]) or start for n in ids]
            return Parents(ids, moments.__getitem__, moments.__getitem__)
        return Parents(ids, lambda _: start, lambda _: start)

    def _tell(self, name: str) -> Tell:
        basic, story = self._basic(name), stories.STORIES.get(name)
        self._basics[name] = basic
        if story is None:
            return basic
        seed = words.salted(self._origin.seed, _KIN.get(name, name))

        def tell(number: int, slot: int, place: int) -> Record:
            facts = basic(number, slot, place)
            return facts | story(Child(self, facts, number, words.mix(seed, number)))

        return tell

    def _complete(self, name: str) -> Callable[[int, Record], Record] | None:
        """Add what the story tells of a later record, unless that was said with it."""
        story = stories.STORIES.get(name)
        if story is None:
            return None
        seed = words.salted(self._origin.seed, name)

        def complete(number: int, said: Record) -> Record:
            return said | story(Child(self, said, number, words.mix(seed, number))) | said

        return complete

    def _basic(self, name: str) -> Tell:
        """Parent, stamps and ids of others: what all stories begin with."""
        collection, end = CATALOGUE[name], self.end
        parents, fact = self._parents(collection.parent), owner_fact(name)
        seed = words.salted(self._origin.seed, _KIN.get(name, name))
        others = [
            (other, self._ids(TARGETS[other]))
            for other in values.references(name)
            if other not in {fact, collection.distinct}
        ]
        choice = self._ids(TARGETS[collection.distinct]) if collection.distinct else ()
        step = next(s for s in (5, 7, 11, 3, 1) if gcd(s, len(choice) or 1) == 1)
        touching = name in TOUCHING

        def basic(number: int, slot: int, place: int) -> Record:
            bits = words.mix(seed, number)
            born = parents.created(slot)
            last = max(born, parents.updated(slot)) if touching else max(born, end - 1)
            created = born + (last - born) * (bits >> 48) * (bits >> 32 & 0xFFFF) // 0xFFFF_FFFF
            facts: Record = {
                fact: parents.ids[slot],
                "created": created,
                "updated": created + (last - created) * (bits >> 24 & 0xFF) // 0xFF
                if bits & 3
                else created,
            }
            for shift, (other, ids) in enumerate(others):
                facts[other] = ids[(bits >> shift) % len(ids)] if ids else 0
            if choice:
                first = words.mix(seed, parents.ids[slot])
                facts[collection.distinct] = choice[(first + place * step) % len(choice)]
            return facts

        return basic

    def _ids(self, name: str) -> Sequence[int]:
        """The generated ids of a collection."""
        if name in self._origin.parents:
            return self._origin.parents[name].ids
        return range(1, self._origin.sizes[name] + 1)


_SPECS: dict[str, tuple[Spec, ...]] = {
    "dealCustomFieldData": DEAL_SPECS,
    "accountCustomFieldData": COMPANY_SPECS,
}
