"""List requests of collections without a walk of their own select and order records here."""

from __future__ import annotations

from array import array
from collections.abc import Callable

from activecampaign_dagster.sandbox import values
from activecampaign_dagster.sandbox.catalogue import CATALOGUE
from activecampaign_dagster.sandbox.family import owner_fact
from activecampaign_dagster.sandbox.query import Query, integer
from activecampaign_dagster.sandbox.selection import Selection, Test, whole
from activecampaign_dagster.sandbox.stamps import parse_filter
from activecampaign_dagster.sandbox.state import AccountRecords
from activecampaign_dagster.sandbox.store import tie_key


def listed(account: AccountRecords, collection: str, query: Query) -> Selection:
    """The records of any other collection's list request."""
    if account.is_table(collection):
        return _small(account, collection, query)
    tests, ids = _family_tests(account, collection, query)
    store = account.told(collection)
    first = next(iter(_known_orders(account, collection, query)), None)
    if first is None and collection == "activities":
        first = ("tstamp", False)  # oldest first
    if first is None and not tests:
        return whole(
            store.live if ids is None else ids, backwards=collection in account.newest_first
        )
    if first is not None and not tests and ids is None and values.fact_of(first[0]) == "created":
        return Selection(store.by_created, 0, len(store.by_created), first[1])

    def ordered() -> array[int]:
        found = [n for n in (store.live if ids is None else ids) if all(t(n) for t in tests)]
        if first is not None:
            fact = values.fact_of(first[0])
            keyed = [(_sortable(store.facts(n).get(fact)), tie_key(0, n), n) for n in found]
            found = [n for *_, n in sorted(keyed, reverse=first[1])]
        return array("I", found)

    return whole(account.cached((collection, query.plain_without(), query.filters, first), ordered))


def _sortable(value: object) -> tuple[float, str]:
    return (value, "") if isinstance(value, int) else (0, str(value or ""))


def _family_tests(
    account: AccountRecords, collection: str, query: Query
) -> tuple[list[Test], list[int] | None]:
    """Read the tests that a record must pass, and the ids to look among (None: all)."""
    store = account.told(collection)
    tests: list[Test] = []
    ids: list[int] | None = None
    wanted = [
        (fact, query.filter(name), name) for name, fact in CATALOGUE[collection].filters.items()
    ]
    if collection == "activities":
        wanted = [("contact", query.get("contact"), "contact")]
        after = parse_filter(query.get("after") or "", account.date_filter)
        if after is not None:
            tests.append(lambda n: store.facts(n)["created"] >= after)
    for fact, text, name in wanted:
        if text is None or f"{collection}.{name}" in account.ignored_filters:
            continue
        if CATALOGUE[collection].parent and fact == owner_fact(collection):
            ids = account.owned(collection, integer(text) or 0)
        else:
            tests.append(lambda n, f=fact, t=text: str(store.facts(n).get(f)) == t)  # type: ignore[misc]
    return tests, ids


def _known_orders(
    account: AccountRecords, collection: str, query: Query
) -> tuple[tuple[str, bool], ...]:
    return tuple(
        order
        for order in query.orders
        if order[0] in CATALOGUE[collection].orders
        and f"{collection}.{order[0]}" not in account.ignored_orders
    )


_COMPARE: dict[str, Callable[[str, str], bool]] = {
    "eq": lambda value, wanted: value == wanted,
    "neq": lambda value, wanted: value != wanted,
    "lt": lambda value, wanted: value < wanted,
    "lte": lambda value, wanted: value <= wanted,
    "gt": lambda value, wanted: value > wanted,
    "gte": lambda value, wanted: value >= wanted,
    "contains": lambda value, wanted: wanted in value,
    "starts_with": lambda value, wanted: value.startswith(wanted),
}
# filters that look for a part of a text, whatever their operator
_CONTAINS = {
    "dealGroups": {"title": "title"},
    "dealStages": {"title": "title"},
    "lists": {"name": "name"},
    "tags": {"search": "tag"},
}
# orders whose field is called otherwise
_ORDERED_BY = {"search": "tag"}


def _small(account: AccountRecords, collection: str, query: Query) -> Selection:
    """The records of a collection that is kept as plain records."""
    table = account.tables[collection]
    ids = account.visible_ids(collection)
    if collection == "lists":
        # ActiveCampaign API: text message lists are left out unless asked for
        channel = query.filter("channel") or "email"
        ids = [n for n in ids if channel in {"all", table[n].get("channel", "email")}]
    for name, text in query.filters:
        plain, _, operator = name.partition(".")
        if f"{collection}.{plain}" in account.ignored_filters:
            continue
        field = _CONTAINS.get(collection, {}).get(plain)
        if field is not None:
            fits = _COMPARE.get(operator or "contains", _COMPARE["contains"])
            ids = [n for n in ids if fits(str(table[n][field]).lower(), text.lower())]
        elif not operator and plain in CATALOGUE[collection].filters:
            field = CATALOGUE[collection].filters[plain]
            ids = [n for n in ids if str(table[n].get(field)) == text]
    known = _known_orders(account, collection, query)
    for name, backwards in reversed(known):
        field = _ORDERED_BY.get(name, name)
        ids.sort(key=lambda n, f=field: str(table[n].get(f) or ""), reverse=backwards)  # type: ignore[misc]
    return whole(ids, backwards=not known and collection in account.newest_first)
