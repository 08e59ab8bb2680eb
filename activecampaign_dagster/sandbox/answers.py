"""Routes: a path and its parameters are answered, without HTTP, key, rate limit and faults."""

from __future__ import annotations

from collections.abc import Callable

from activecampaign_dagster.sandbox import includes, selection
from activecampaign_dagster.sandbox import query as queries
from activecampaign_dagster.sandbox.catalogue import BY_PATH, CATALOGUE, FACTS, Collection
from activecampaign_dagster.sandbox.pages import (
    Answer,
    always_beside,
    body,
    list_page,
    meta,
    with_keys,
)
from activecampaign_dagster.sandbox.query import Params, Query
from activecampaign_dagster.sandbox.state import AccountRecords
from activecampaign_dagster.sandbox.templates import dumps

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
        return _unless_off(account, BY_PATH[path], lambda found: list_page(account, found, query))
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
        contact = with_keys(account.render(name, number), beside.keys_of(number))
        return 200, body(**beside.arrays, contact=contact)
    side = always_beside(account, name, [number]) if name in {"fields", "dealGroups"} else {}
    return 200, body(**side, **{collection.singular: account.render(name, number)})


_WITH_A_CONTACT = (
    "contactAutomations", "contactLists", "deals", "fieldValues", "geoIps", "accountContacts",
)  # fmt: skip


def _below(
    account: AccountRecords, parent: Collection, key: str, last: str, query: Query
) -> Answer:
    """ActiveCampaign API: what is listed below a record has no `meta`."""
    number = account.number(parent.name, key)
    if number is None or not account.has(parent.name, number):
        status, message = _one(account, parent, key)
        # ActiveCampaign API: two documents in one body, as documented
        glued = b'{"links": []}' if (parent.name, last) == ("campaigns", "links") else b""
        return status, message + glued
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
            return 200, body(**{child.singular: made[0]}) if made else b"{}"
        if not numbers and child.name in account.missing_when_empty:
            return NOT_FOUND
        page = numbers if child.name == "fieldValues" else numbers[query.offset :][: query.limit]
        records = account.render_beside(child.name, page)
        return 200, body(**{includes.ARRAYS.get(child.name, child.array): records})

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
    return 200, body(dealGroups=(account.render("dealGroups", group) for group in listed))


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
        made = body(**{collection.array: (account.render(child, n) for n in ids)})
        return 200, made[:-1] + meta(account, collection, query, selected, len(ids))

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
        lambda found: _one(account, found, key) if key else list_page(account, found, query),
    )


def _exclusions(account: AccountRecords, rest: str, params: Params) -> Answer:
    """ActiveCampaign API: here, a filter or an order that is not known is refused."""
    query = queries.read(params)
    if query.filters or query.orders:
        return 422, dumps({"errors": [{"title": "The filter or order is not supported"}]})
    if rest:
        return NOT_FOUND
    return _unless_off(
        account, CATALOGUE["exclusions"], lambda found: list_page(account, found, query)
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
        return 200, body(data=account.render(collection.name, number))

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
        return 200, body(data=records, meta=dumps(meta))

    return NOT_FOUND if rest else _unless_off(account, CATALOGUE["audiences"], reply)


_SPECIAL: dict[str, Callable[[AccountRecords, str, Params], Answer]] = {
    "dealGroup/get_inaccessible_deal_groups": _inaccessible,
    "customObjects/records": _custom_objects,
    "sms/broadcasts/metrics": _metrics,
    "sms/broadcasts": _broadcasts,
    "lists/exclusions": _exclusions,
    "segmentsV2": _segments,
    "audiences": _audiences,
}
