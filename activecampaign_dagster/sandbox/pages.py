"""One page of a list: its records, what comes beside them, and `meta`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

import orjson

from activecampaign_dagster.sandbox import includes, listing, selection
from activecampaign_dagster.sandbox.catalogue import Collection
from activecampaign_dagster.sandbox.deals import CURRENCIES
from activecampaign_dagster.sandbox.query import Query
from activecampaign_dagster.sandbox.selection import Selection
from activecampaign_dagster.sandbox.state import AccountRecords
from activecampaign_dagster.sandbox.store import StampIndex
from activecampaign_dagster.sandbox.templates import Record, dumps

Answer = tuple[int, bytes]


def body(**collections: Iterable[bytes] | bytes) -> bytes:
    """A JSON object of arrays of records, and of values that are JSON already."""
    parts = [
        b'"%b":%b' % (name.encode(), value if isinstance(value, bytes) else array_of(value))
        for name, value in collections.items()
    ]
    return b"{" + b",".join(parts) + b"}"


def array_of(records: Iterable[bytes]) -> bytes:
    """A JSON array of records."""
    return b"[" + b",".join(records) + b"]"


def with_keys(record: bytes, values: Record) -> bytes:
    """A rendered record with further keys at its end."""
    return record[:-1] + b"," + dumps(values)[1:] if values else record


def list_page(account: AccountRecords, collection: Collection, query: Query) -> Answer:
    """One page with what comes beside it."""
    selected, ids = _page(account, collection.name, query)
    beside = includes.beside(account, collection.name, ids, query.include)
    records: Iterable[bytes] = account.render_all(collection.name, ids)
    if beside.keys:
        records = (with_keys(r, beside.keys_of(n)) for n, r in zip(ids, records, strict=True))
    if collection.name == "accounts" and query.get("count_deals") != "true":
        records = (_uncounted(record) for record in records)
    side = always_beside(account, collection.name, ids) | beside.arrays
    made = body(**side, **{collection.array: records})
    return 200, made[:-1] + meta(account, collection, query, selected, len(ids))


def _page(account: AccountRecords, name: str, query: Query) -> tuple[Selection, list[int]]:
    if name == "contacts":
        selected = selection.contacts(account, query)
    elif name == "deals":
        selected = selection.deals(account, query)
        return selected, selection.page_of_deals(account, query, selected)
    else:
        selected = listing.listed(account, name, query)
    shift = 0
    if name in account.unstable and query.offset:
        shift = account.dice_of_pages.randint(-query.limit // 2, query.limit // 4)
    return selected, selected.page(query, shift)


def _uncounted(record: bytes) -> bytes:
    """ActiveCampaign API: counts of companies are "0" unless `count_deals=true`."""
    counted: Record = orjson.loads(record)
    return dumps(counted | {k: "0" for k in ("contactCount", "dealCount") if k in counted})


def always_beside(
    account: AccountRecords, name: str, ids: list[int]
) -> dict[str, bytes | list[bytes]]:
    """Collect what comes beside a collection's records without being asked for."""
    if name == "contacts":
        return {"scoreValues": b"[]"}
    if name == "dealGroups":
        return {"dealStages": _listed_in(account, "dealGroups", ids, "stages", "dealStages")}
    if name == "fields":
        return {
            "fieldOptions": _listed_in(account, "fields", ids, "options", "fieldOptions"),
            "fieldRels": _listed_in(account, "fields", ids, "relations", "fieldRels"),
        }
    if name == "groupDefinitions":
        of = (m for number in ids for m in account.owned("groupMembers", number))
        return {"groupMembers": array_of(account.render("groupMembers", m) for m in of)}
    if name == "activities":
        named = (account.told("activities").facts(number)["contact"] for number in ids)
        there = [n for n in dict.fromkeys(named) if account.has("contacts", n)]
        return {
            "contacts": array_of(account.render_all("contacts", there)),
            "activityRecipients": b"[]",
        }
    return {}


def _listed_in(account: AccountRecords, parent: str, ids: list[int], key: str, child: str) -> bytes:
    rows, records = account.tables[child], account.tables[parent]
    return array_of(dumps(rows[int(n)]) for number in ids for n in records[number][key])


def meta(
    account: AccountRecords, collection: Collection, query: Query, selected: Selection, got: int
) -> bytes:
    """`,"meta":{…}}`, or what the account was told to send instead."""
    style = account.meta.get(collection.name, "present")
    if style == "absent" or (collection.total == "none" and style == "present"):
        return b"}"
    if style == "null":
        return b',"meta":null}'
    total = len(selected)
    said: Record = {"total": total if collection.total == "int" else str(total)}
    if collection.needs == "custom objects":
        said |= {"count": got, "limit": query.limit, "offset": query.offset}
    elif collection.name == "contacts":
        said = {"page_input": _page_input(query)} | said | {"sortable": True}
    elif collection.name == "deals":
        said = {"currencies": _currencies(account, selected) or []} | said
    elif collection.name == "fields":
        said = {"selected": None} | said
    elif collection.name == "automations":
        said |= {"starts": [], "filtered": False, "smsLogs": []}
    elif collection.name == "contactAutomations":
        said |= {"showcase_stats": []}
    return b',"meta":' + dumps(said) + b"}"


def _page_input(query: Query) -> Record:
    zero = ("segmentid", "formid", "listid", "tagid", "seriesid", "waitid", "forceQuery")
    return dict.fromkeys(zero, 0) | {
        "limit": query.limit,
        "offset": query.offset,
        "search": query.get("search"),
        "sort": None,
        "status": -1,
        "cacheid": f"{hash(query) & 0xFFFFFFFFFFFF:032x}",
    }


def _currencies(account: AccountRecords, selected: Selection) -> Record:
    """ActiveCampaign API: stubs count in `meta.total` and in `meta.currencies`."""
    return {
        CURRENCIES[currency].upper(): {
            "currency": CURRENCIES[currency].upper(),
            "total": str(count),
            "value": str(value),
            "isDisabled": False,
        }
        for currency, (count, value) in _currency_totals(account, selected).items()
    }


def _currency_totals(account: AccountRecords, selected: Selection) -> dict[int, tuple[int, int]]:
    """Currency → number and cents, from running totals where the selection is part of an index."""
    rows = account.deals
    source = selected.source

    def running() -> tuple[object, list[tuple[list[int], list[int]]]]:
        ids = source.ids(0, len(source)) if isinstance(source, StampIndex) else source
        slots = [rows.slot(deal) for deal in ids]
        pairs = [(rows.currency[slot], rows.value[slot]) for slot in slots]
        # the source goes along so that its identity stays its own while this is kept
        return source, [
            (
                list(accumulate((c == currency for c, _ in pairs), initial=0)),
                list(accumulate((v if c == currency else 0 for c, v in pairs), initial=0)),
            )
            for currency in range(len(CURRENCIES))
        ]

    _, totals = account.cached(("currencies", id(source)), running)
    low, high = selected.low, selected.high
    found = {
        currency: (counts[high] - counts[low], cents[high] - cents[low])
        for currency, (counts, cents) in enumerate(totals)
    }
    return {currency: pair for currency, pair in found.items() if pair[0]}
