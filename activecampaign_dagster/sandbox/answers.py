"""What the account answers to a GET, without HTTP, key, rate limit and faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import accumulate

from activecampaign_dagster.sandbox import query as queries
from activecampaign_dagster.sandbox import selection
from activecampaign_dagster.sandbox.deals import CURRENCIES
from activecampaign_dagster.sandbox.query import Params, Query
from activecampaign_dagster.sandbox.selection import Selection
from activecampaign_dagster.sandbox.state import AccountRecords
from activecampaign_dagster.sandbox.store import StampIndex
from activecampaign_dagster.sandbox.templates import Record, dumps

Answer = tuple[int, bytes]

# collection → (key of one record, the model's name in error messages, status of "not found")
SINGULAR = {
    "contacts": ("contact", "Subscriber", 404),
    "deals": ("deal", "Deal", 404),
    "dealGroups": ("dealGroup", "DealGroup", 404),
    "dealStages": ("dealStage", "DealStage", 404),
    "campaigns": ("campaign", "Campaign", 404),
    "fields": ("field", "Field", 404),
    "fieldValues": ("fieldValue", "FieldValue", 403),
    "users": ("user", "User", 404),
}
_INT_TOTAL = {"deals", "dealGroups", "dealStages"}
_EMPTY_INCLUDES = {
    "contactTags": "contactTags",
    "contactTags.tag": "tags",
    "contactAutomations": "contactAutomations",
    "contactLists": "contactLists",
    "accountContacts": "accountContacts",
    "geoIps": "geoIps",
}


def answer(account: AccountRecords, path: str, params: Params) -> Answer:  # noqa: PLR0911 a return per route
    """Status and body for a path below `/api/3/`."""
    parts = path.strip("/").split("/")
    if parts == ["dealGroup", "get_inaccessible_deal_groups"]:
        return _inaccessible(account, params)
    if parts[0] not in SINGULAR or len(parts) > 3:
        return 404, _message("No Result found for the requested path")
    collection = parts[0]
    if len(parts) == 1:
        return 200, _LISTS.get(collection, _list_small)(account, collection, queries.read(params))
    if collection == "users" and parts[1] == "me":
        number: int | None = account.me
    else:
        number = int(parts[1]) if parts[1].isdecimal() and len(parts[1]) < 18 else None
    key, model, missing = SINGULAR[collection]
    if number is None or not account.has(collection, number):
        return missing, _message(f"No Result found for {model} with id {parts[1]}")
    if len(parts) == 3:
        if collection == "contacts" and parts[2] == "fieldValues":
            values = account.values.of_contact(number)
            return 200, _body(fieldValues=map(account.values.render, values))
        return 404, _message("No Result found for the requested path")
    return 200, _one(account, collection, key, number)


def _inaccessible(account: AccountRecords, params: Params) -> Answer:
    """ActiveCampaign API: the pipelines of `dealIds[]` that the user `userId` may not manage.

    A missing parameter is answered with 422. Deleted pipelines are not listed anywhere.
    """
    deals = [int(v) for k, v in params if k.startswith("dealIds[") and v.isdecimal()]
    if not deals or not any(key == "userId" and value for key, value in params):
        return 422, dumps({"errors": [{"title": "The parameters dealIds and userId are required"}]})
    known = [deal for deal in deals if account.has("deals", deal)]
    groups = {account.pipeline_of(deal) for deal in known} & account.hidden
    listed = sorted(groups & account.tables["dealGroups"].keys())
    return 200, _body(dealGroups=(account.render("dealGroups", group) for group in listed))


def _message(text: str) -> bytes:
    return dumps({"message": text})


def _array(records: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(records) + b"]"


def _body(**collections: Iterable[bytes] | bytes) -> bytes:
    parts = [
        b'"%b":%b' % (name.encode(), value if isinstance(value, bytes) else _array(value))
        for name, value in collections.items()
    ]
    return b"{" + b",".join(parts) + b"}"


def _with(record: bytes, **values: object) -> bytes:
    """A rendered record with further keys at its end."""
    return record[:-1] + b"," + dumps(values)[1:]


def _strings(ids: Iterable[int]) -> list[str]:
    return [str(number) for number in ids]


def _meta(
    account: AccountRecords, collection: str, total: int, before: str = "", after: str = ""
) -> bytes:
    """`,"meta":{…}`, or what the account was told to send instead."""
    style = account.meta.get(collection, "present")
    if style == "absent":
        return b"}"
    if style == "null":
        return b',"meta":null}'
    count = f"{total}" if collection in _INT_TOTAL else f'"{total}"'
    return f',"meta":{{{before}"total":{count}{after}}}}}'.encode()


def _list_contacts(account: AccountRecords, collection: str, query: Query) -> bytes:
    """ActiveCampaign API: `scoreValues` beside the contacts, more than `total` in `meta`."""
    selected = selection.contacts(account, query)
    contacts = selected.page(query)
    side: dict[str, Iterable[bytes] | bytes] = {"scoreValues": b"[]"}
    include = query.include if account.include_honoured else frozenset[str]()
    extra: dict[int, Record] = {contact: {} for contact in contacts}
    for name in sorted(include):
        if name in _EMPTY_INCLUDES:
            side[_EMPTY_INCLUDES[name]] = b"[]"
            for record in extra.values():
                if "." not in name:
                    record[name] = []
    if "fieldValues" in include:
        owned = {contact: account.values.of_contact(contact) for contact in contacts}
        side["fieldValues"] = map(
            account.values.render, (number for numbers in owned.values() for number in numbers)
        )
        for contact, numbers in owned.items():
            extra[contact]["fieldValues"] = _strings(numbers)
    side["contacts"] = (
        _with(account.contacts.render(contact), **extra[contact])
        if extra[contact]
        else account.contacts.render(contact)
        for contact in contacts
    )
    page_input = dumps(
        {
            "segmentid": 0,
            "formid": 0,
            "listid": 0,
            "tagid": 0,
            "limit": query.limit,
            "offset": query.offset,
            "search": query.get("search"),
            "sort": None,
            "seriesid": 0,
            "waitid": 0,
            "status": -1,
            "forceQuery": 0,
            "cacheid": f"{hash(query) & 0xFFFFFFFFFFFF:032x}",
        }
    ).decode()
    before, after = f'"page_input":{page_input},', ',"sortable":true'
    return _body(**side)[:-1] + _meta(account, collection, len(selected), before, after)


def _list_deals(account: AccountRecords, collection: str, query: Query) -> bytes:
    """ActiveCampaign API: stubs count in `meta.total` and in `meta.currencies`."""
    selected = selection.deals(account, query)
    ids = selection.page_of_deals(account, query, selected)
    page = _body(deals=map(account.render_deal, ids))
    currencies: Record | list[object] = {
        CURRENCIES[currency].upper(): {
            "currency": CURRENCIES[currency].upper(),
            "total": str(count),
            "value": str(value),
            "isDisabled": False,
        }
        for currency, (count, value) in _currency_totals(account, selected).items()
    }
    before = f'"currencies":{dumps(currencies or []).decode()},'
    return page[:-1] + _meta(account, collection, len(selected), before)


def _currency_totals(account: AccountRecords, selected: Selection) -> dict[int, tuple[int, int]]:
    """Currency → number and cents, from running totals where the selection is part of an index."""
    rows = account.deals
    source = selected.source

    def running() -> tuple[object, list[tuple[list[int], list[int]]]]:
        ids = source.ids(0, len(source)) if isinstance(source, StampIndex) else source
        slots = [rows.slot(deal) for deal in ids]
        of = [rows.currency[slot] for slot in slots]
        cents = [rows.value[slot] for slot in slots]
        # the source goes along so that its identity stays its own while this is kept
        return source, [
            (
                list(accumulate((c == currency for c in of), initial=0)),
                list(
                    accumulate(
                        (v if c == currency else 0 for c, v in zip(of, cents, strict=True)),
                        initial=0,
                    )
                ),
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


def _list_field_values(account: AccountRecords, collection: str, query: Query) -> bytes:
    selected = selection.field_values(account, query)
    page = _body(fieldValues=map(account.values.render, selected.page(query)))
    return page[:-1] + _meta(account, collection, len(selected))


def _list_small(account: AccountRecords, collection: str, query: Query) -> bytes:
    """ActiveCampaign API: fields come with their options and relations, pipelines with stages."""
    selected = selection.small(account, collection, query)
    table = account.tables[collection]
    records = [table[number] for number in selected.page(query)]
    side = _side_loads(account, collection, records)
    before = '"selected":null,' if collection == "fields" else ""
    page = _body(**side, **{collection: map(dumps, records)})
    return page[:-1] + _meta(account, collection, len(selected), before)


def _side_loads(
    account: AccountRecords, collection: str, records: list[Record]
) -> dict[str, Iterable[bytes]]:
    if collection == "dealGroups":
        return {"dealStages": _children(account, "dealStages", records, "stages")}
    if collection == "fields":
        return {
            "fieldOptions": _children(account, "fieldOptions", records, "options"),
            "fieldRels": _children(account, "fieldRels", records, "relations"),
        }
    return {}


def _children(
    account: AccountRecords, collection: str, parents: list[Record], key: str
) -> Iterable[bytes]:
    table = account.tables[collection]
    return [dumps(table[int(number)]) for parent in parents for number in parent[key]]


def _one(account: AccountRecords, collection: str, key: str, number: int) -> bytes:
    """One record by id; a contact brings what belongs to it."""
    if collection == "contacts":
        deals = account.deals_of(number)
        values = account.values.of_contact(number)
        contact = _with(
            account.contacts.render(number),
            contactAutomations=[],
            contactLists=[],
            deals=_strings(deals),
            fieldValues=_strings(values),
            geoIps=[],
        )
        return _body(
            contactAutomations=b"[]",
            contactLists=b"[]",
            deals=map(account.render_deal, deals),
            fieldValues=map(account.values.render, values),
            geoIps=b"[]",
            accountContacts=b"[]",
            contact=contact,
        )
    if collection in account.tables:
        side = _side_loads(account, collection, [account.tables[collection][number]])
        return _body(**side, **{key: account.render(collection, number)})
    return _body(**{key: account.render(collection, number)})


_LISTS: dict[str, Callable[[AccountRecords, str, Query], bytes]] = {
    "contacts": _list_contacts,
    "deals": _list_deals,
    "fieldValues": _list_field_values,
}
