"""What the account answers to a GET, without HTTP, key, rate limit and faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import accumulate

import orjson

from activecampaign_dagster.sandbox import includes, selection
from activecampaign_dagster.sandbox import query as queries
from activecampaign_dagster.sandbox.catalogue import BY_PATH, CATALOGUE, FACTS, Collection
from activecampaign_dagster.sandbox.deals import CURRENCIES
from activecampaign_dagster.sandbox.query import Params, Query
from activecampaign_dagster.sandbox.selection import Selection
from activecampaign_dagster.sandbox.state import AccountRecords
from activecampaign_dagster.sandbox.store import StampIndex
from activecampaign_dagster.sandbox.templates import Record, dumps

Answer = tuple[int, bytes]

NOT_FOUND = 404, dumps({"message": "No Result found for the requested path"})

# what a record's own path may end in, where that is not the collection's name
_BELOW = {
    "blocks": "automationBlocks",
    "triggers": "automationTriggers",
    "tasks": "dealTasks",
    "userGroup": "userGroups",
    "groupLimit": "groupLimits",
    "orderProducts": "ecomOrderProducts",
    "orderDiscounts": "ecomOrderDiscounts",
    "orderActivities": "ecomOrderActivities",
}


def answer(account: AccountRecords, path: str, params: Params) -> Answer:
    """Status and body for a path below `/api/3/`."""
    path = path.strip("/")
    before, _, last = path.rpartition("/")
    query = queries.read(params)
    for start, reply in _SPECIAL.items():
        if path == start or path.startswith(f"{start}/"):
            return reply(account, path[len(start) + 1 :], params)
    if path in BY_PATH:
        return _unless_off(account, BY_PATH[path], lambda found: _list(account, found, query))
    if before in BY_PATH:
        return _unless_off(account, BY_PATH[before], lambda found: _one(account, found, last))
    parent, _, key = before.rpartition("/")
    if parent in BY_PATH:
        return _unless_off(
            account, BY_PATH[parent], lambda found: _below(account, found, key, last, query)
        )
    return NOT_FOUND


def _unless_off(
    account: AccountRecords, collection: Collection, reply: Callable[[Collection], Answer]
) -> Answer:
    off = account.off.get(collection.name) or account.off.get(collection.needs)
    return (off[0], dumps({"message": off[1]})) if off else reply(collection)


def _body(**collections: Iterable[bytes] | bytes) -> bytes:
    parts = [
        b'"%b":%b' % (name.encode(), value if isinstance(value, bytes) else _array(value))
        for name, value in collections.items()
    ]
    return b"{" + b",".join(parts) + b"}"


def _array(records: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(records) + b"]"


def _with(record: bytes, values: Record) -> bytes:
    """A rendered record with further keys at its end."""
    return record[:-1] + b"," + dumps(values)[1:] if values else record


# lists


def _list(account: AccountRecords, collection: Collection, query: Query) -> Answer:
    """One page with what comes beside it."""
    selected, ids = _page(account, collection.name, query)
    beside = includes.beside(account, collection.name, ids, query.include)
    records: Iterable[bytes] = account.render_all(collection.name, ids)
    if beside.keys:
        records = (_with(r, beside.keys_of(n)) for n, r in zip(ids, records, strict=True))
    if collection.name == "accounts" and query.get("count_deals") != "true":
        records = (_uncounted(record) for record in records)
    side = _always(account, collection.name, ids) | beside.arrays
    body = _body(**side, **{collection.array: records})
    return 200, body[:-1] + _meta(account, collection, query, selected, len(ids))


def _page(account: AccountRecords, name: str, query: Query) -> tuple[Selection, list[int]]:
    if name == "contacts":
        selected = selection.contacts(account, query)
    elif name == "deals":
        selected = selection.deals(account, query)
        return selected, selection.page_of_deals(account, query, selected)
    else:
        selected = selection.listed(account, name, query)
    shift = 0
    if name in account.unstable and query.offset:
        shift = account.random.randint(-query.limit // 2, query.limit // 4)
    return selected, selected.page(query, shift)


def _uncounted(record: bytes) -> bytes:
    """ActiveCampaign API: counts of companies are "0" unless `count_deals=true`."""
    counted: Record = orjson.loads(record)
    return dumps(counted | {k: "0" for k in ("contactCount", "dealCount") if k in counted})


def _always(account: AccountRecords, name: str, ids: list[int]) -> dict[str, bytes | list[bytes]]:
    """What comes beside a collection's records without being asked for."""
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
        return {"groupMembers": _array(account.render("groupMembers", m) for m in of)}
    if name == "activities":
        return {"activityRecipients": b"[]"}
    return {}


def _listed_in(account: AccountRecords, parent: str, ids: list[int], key: str, child: str) -> bytes:
    rows, records = account.tables[child], account.tables[parent]
    return _array(dumps(rows[int(n)]) for number in ids for n in records[number][key])


def _meta(
    account: AccountRecords, collection: Collection, query: Query, selected: Selection, got: int
) -> bytes:
    """`,"meta":{…}}`, or what the account was told to send instead."""
    style = account.meta.get(collection.name, "present")
    if style == "absent" or (collection.total == "none" and style == "present"):
        return b"}"
    if style == "null":
        return b',"meta":null}'
    total = len(selected)
    meta: Record = {"total": total if collection.total == "int" else str(total)}
    if collection.needs == "custom objects":
        meta |= {"count": got, "limit": query.limit, "offset": query.offset}
    elif collection.name == "contacts":
        meta = {"page_input": _page_input(query)} | meta | {"sortable": True}
    elif collection.name == "deals":
        meta = {"currencies": _currencies(account, selected) or []} | meta
    elif collection.name == "fields":
        meta = {"selected": None} | meta
    elif collection.name == "automations":
        meta |= {"starts": [], "filtered": False, "smsLogs": []}
    elif collection.name == "contactAutomations":
        meta |= {"showcase_stats": []}
    return b',"meta":' + dumps(meta) + b"}"


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


# single records


def _one(account: AccountRecords, collection: Collection, key: str) -> Answer:
    """One record by its key; a contact brings what belongs to it."""
    name = collection.name
    me = name == "users" and key == "me"
    number = account.me if me else account.number(name, key)
    if number is None or not account.has(name, number):
        text = f"No Result found for {collection.model} with id {key}"
        return collection.missing, dumps({"message": text})
    if name == "contacts":
        beside = includes.beside(account, name, [number], _WITH_A_CONTACT, always=True)
        contact = _with(account.render(name, number), beside.keys_of(number))
        return 200, _body(**beside.arrays, contact=contact)
    side = _always(account, name, [number]) if name in {"fields", "dealGroups"} else {}
    return 200, _body(**side, **{collection.singular: account.render(name, number)})


_WITH_A_CONTACT = (
    "contactAutomations", "contactLists", "deals", "fieldValues", "geoIps", "accountContacts",
)  # fmt: skip


def _below(
    account: AccountRecords, parent: Collection, key: str, last: str, query: Query
) -> Answer:
    """ActiveCampaign API: what is listed below a record has no `meta`."""
    number = account.number(parent.name, key)
    if number is None or not account.has(parent.name, number):
        return _one(account, parent, key)
    child = CATALOGUE.get(_BELOW.get(last, last))
    fact = FACTS.get(parent.name, parent.singular)
    if child is None or child.name in {"contacts", "deals", "activities"}:
        return NOT_FOUND
    if parent.name in {"deals", "accounts"} and child.name == "notes":
        return NOT_FOUND

    def reply(_: Collection) -> Answer:
        numbers = account.related(child.name, fact, number)
        if child.name == "contactData":
            made = [account.render(child.name, n) for n in numbers[:1]]
            return 200, _body(**{child.singular: made[0]}) if made else b"{}"
        if not numbers and child.name in account.missing_when_empty:
            return NOT_FOUND
        page = numbers if child.name == "fieldValues" else numbers[query.offset :][: query.limit]
        records = account.render_beside(child.name, page)
        return 200, _body(**{includes.ARRAYS.get(child.name, child.array): records})

    return _unless_off(account, child, reply)


# paths that are like no others


def _inaccessible(account: AccountRecords, _: str, params: Params) -> Answer:
    """ActiveCampaign API: the pipelines of `dealIds[]` that the user `userId` may not manage.

    A missing parameter is answered with 422. Deleted pipelines are not listed anywhere.
    """
    deals = [int(v) for k, v in params if k.startswith("dealIds[") and v.isdecimal()]
    if not deals or not any(key == "userId" and value for key, value in params):
        return 422, dumps({"errors": [{"title": "dealIds and userId are required"}]})
    known = [deal for deal in deals if account.has("deals", deal)]
    groups = {account.pipeline_of(deal) for deal in known} & account.hidden
    listed = sorted(groups & account.tables["dealGroups"].keys())
    return 200, _body(dealGroups=(account.render("dealGroups", group) for group in listed))


def _children_of(
    account: AccountRecords, parent: str, child: str, key: str, query: Query
) -> Answer:
    """A page of records that are listed below their parent only, with a total where one is."""

    def reply(collection: Collection) -> Answer:
        number = account.number(parent, key)
        if number is None:
            return NOT_FOUND
        selected = selection.whole(account.owned(child, number))
        ids = selected.page(query)
        body = _body(**{collection.array: (account.render(child, n) for n in ids)})
        return 200, body[:-1] + _meta(account, collection, query, selected, len(ids))

    return _unless_off(account, CATALOGUE[child], reply)


def _custom_objects(account: AccountRecords, rest: str, params: Params) -> Answer:
    query = queries.read(params)
    return _children_of(account, "customObjectSchemas", "customObjectRecords", rest, query)


def _metrics(account: AccountRecords, rest: str, params: Params) -> Answer:
    key, _, last = rest.partition("/")
    if last != "failures":
        return NOT_FOUND
    return _children_of(account, "broadcasts", "smsFailures", key, queries.read(params))


def _broadcasts(account: AccountRecords, rest: str, params: Params) -> Answer:
    key, _, last = rest.partition("/")
    if last == "recipients":
        return _children_of(account, "broadcasts", "smsRecipients", key, queries.read(params))
    collection, query = CATALOGUE["broadcasts"], queries.read(params)
    return _unless_off(
        account,
        collection,
        lambda found: _one(account, found, key) if key else _list(account, found, query),
    )


def _segments(account: AccountRecords, rest: str, params: Params) -> Answer:
    """One segment's definition, or its counts of 90 days, 50 a page."""
    key, _, last = rest.partition("/")
    if last == "count-history":
        query = queries.read([*params, ("limit", "50")])
        return _children_of(account, "audiences", "segmentCounts", key, query)

    def reply(collection: Collection) -> Answer:
        number = account.number(collection.name, key)
        if number is None or last:
            return NOT_FOUND
        return 200, _body(data=account.render(collection.name, number))

    return _unless_off(account, CATALOGUE["segmentDefinitions"], reply)


def _audiences(account: AccountRecords, rest: str, params: Params) -> Answer:
    """JSON:API: `page` and `page_size` (at most 10,000) instead of limit and offset."""
    plain = dict(params)
    size = min(queries.integer(plain.get("page_size")) or 20, 10_000)
    page = max(1, queries.integer(plain.get("page")) or 1)

    def reply(collection: Collection) -> Answer:
        ids = account.visible_ids(collection.name)
        records = [account.render(collection.name, n) for n in ids[(page - 1) * size :][:size]]
        meta = {"page": page, "page_size": size, "total": len(ids)}
        return 200, _body(data=records, meta=dumps(meta))

    return NOT_FOUND if rest else _unless_off(account, CATALOGUE["audiences"], reply)


_SPECIAL: dict[str, Callable[[AccountRecords, str, Params], Answer]] = {
    "dealGroup/get_inaccessible_deal_groups": _inaccessible,
    "customObjects/records": _custom_objects,
    "sms/broadcasts/metrics": _metrics,
    "sms/broadcasts": _broadcasts,
    "segmentsV2": _segments,
    "audiences": _audiences,
}
