"""List requests of contacts and deals select and order records here."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from activecampaign_dagster.sandbox.query import Query, integer
from activecampaign_dagster.sandbox.stamps import parse_filter
from activecampaign_dagster.sandbox.state import AccountRecords
from activecampaign_dagster.sandbox.store import Rows, StampIndex, tie_key

Key = Callable[[int], object]
Test = Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class Selection:
    """A stretch [low, high) of ids in order, without a copy where an index has it already."""

    source: Sequence[int] | StampIndex
    low: int
    high: int
    backwards: bool = False

    def __len__(self) -> int:
        return self.high - self.low

    def page(self, query: Query, shift: int = 0) -> list[int]:
        """The ids of one page, or of one that begins `shift` records later."""
        query = replace(query, offset=max(0, query.offset + shift))
        if self.backwards:
            high = max(self.low, self.high - query.offset)
            return list(self._ids(max(self.low, high - query.limit), high))[::-1]
        low = min(self.high, self.low + query.offset)
        return list(self._ids(low, min(self.high, low + query.limit)))

    def ids(self) -> Iterable[int]:
        """All ids, forwards."""
        return self._ids(self.low, self.high)

    def _ids(self, low: int, high: int) -> Iterable[int]:
        if isinstance(self.source, StampIndex):
            return self.source.ids(low, high)
        return self.source[low:high]


@dataclass(frozen=True, slots=True)
class Dates:
    """The four date filters in seconds: after is inclusive, before exclusive."""

    created_after: int | None = None
    created_before: int | None = None
    updated_after: int | None = None
    updated_before: int | None = None

    @property
    def created(self) -> bool:
        """Whether creation is filtered."""
        return self.created_after is not None or self.created_before is not None

    @property
    def updated(self) -> bool:
        """Whether the update stamp is filtered."""
        return self.updated_after is not None or self.updated_before is not None


def read_dates(account: AccountRecords, query: Query) -> Dates:
    """The request's date filters; one that is no date is ignored."""

    def one(name: str) -> int | None:
        text = query.filter(name)
        return None if text is None else parse_filter(text, account.date_filter)

    return Dates(
        one("created_after"), one("created_before"), one("updated_after"), one("updated_before")
    )


def whole(ids: Sequence[int], *, backwards: bool = False) -> Selection:
    """All of a sequence."""
    return Selection(ids, 0, len(ids), backwards)


def contacts(account: AccountRecords, query: Query) -> Selection:
    """The contacts of a list request.

    ActiveCampaign API: `id_greater` and `id_less` work for contacts only. The order of a request
    without `orders` is not documented; here it is newest first.
    """
    rows = account.contacts
    dates = read_dates(account, query)
    tests = _contact_tests(account, query)
    greater, less = integer(query.get("id_greater")), integer(query.get("id_less"))
    keys: dict[str, Key] = {
        "id": lambda contact: contact,
        "cdate": lambda contact: tie_key(rows.created[rows.slot(contact)], contact),
        "first_name": lambda contact: rows.sort_name(contact)[0],
        "last_name": lambda contact: rows.sort_name(contact)[1],
        "email": lambda contact: rows.sort_name(contact)[2],
        "name": lambda contact: rows.sort_name(contact)[:2],
        "score": lambda contact: tie_key(0, contact),
    }
    orders = tuple(order for order in query.orders if order[0] in keys) or (("cdate", True),)
    by_id = orders[0][0] == "id"
    bounded = greater is not None or less is not None
    if by_id:
        plain = not (tests or dates.created or dates.updated or query.ids is not None)
        ids = (
            rows.live
            if plain
            else account.cached(
                ("contacts", query.plain_without("id_greater", "id_less"), dates, query.ids),
                lambda: array("I", sorted(_matching(rows, dates, tests, query.ids))),
            )
        )
        low = 0 if greater is None else bisect_right(ids, greater)
        high = len(ids) if less is None else bisect_left(ids, less)
        return Selection(ids, low, max(low, high), orders[0][1])
    if orders[0][0] == "cdate" and not (tests or dates.updated or bounded or query.ids is not None):
        low, high = rows.by_created.span(dates.created_after, dates.created_before)
        return Selection(rows.by_created, low, high, orders[0][1])
    if greater is not None:
        tests.append(lambda contact: contact > greater)
    if less is not None:
        tests.append(lambda contact: contact < less)
    return whole(
        account.cached(
            ("contacts", query.plain_without(), dates, query.ids, orders),
            lambda: _ordered(_matching(rows, dates, tests, query.ids), orders, keys),
        )
    )


_CONTACTS_BY = {
    "tagid": ("contactTags", "tag"),
    "listid": ("contactLists", "list"),
    "seriesid": ("contactAutomations", "automation"),
}


def _contact_tests(account: AccountRecords, query: Query) -> list[Test]:
    rows = account.contacts
    tests: list[Test] = []
    email, like, search = query.get("email"), query.get("email_like"), query.get("search")
    status = integer(query.get("status"))
    if email is not None:
        tests.append(lambda contact: rows.sort_name(contact)[2] == email.lower())
    if like is not None:
        tests.append(lambda contact: like.lower() in rows.sort_name(contact)[2])
    if search:
        tests.append(lambda contact: search.lower() in " ".join(rows.sort_name(contact)))
    for name, (collection, fact) in _CONTACTS_BY.items():
        wanted = integer(query.get(name))
        if wanted and f"contacts.{name}" not in account.ignored_filters:
            family = account.family(collection)
            of = {family.parent_of(n) for n in account.related(collection, fact, wanted)}
            tests.append(of.__contains__)
    if status is not None and 0 <= status <= 3:
        tests.append(lambda contact: rows.status(contact) == status)
    return tests


def deals(account: AccountRecords, query: Query) -> Selection:
    """The deals of a list request, stubs included.

    ActiveCampaign API: without a known `orders` deals do not come by id; here the last updated one
    comes first. `orders[id]` and `orders[mdate]` are not documented and are ignored.
    """
    rows = account.deals
    dates = read_dates(account, query)
    tests = _deal_tests(account, query)
    keys: dict[str, Key] = {
        "cdate": lambda deal: tie_key(rows.created[rows.slot(deal)], deal),
        "mdate": lambda deal: tie_key(rows.updated[rows.slot(deal)], deal),
        "value": lambda deal: tie_key(max(0, rows.value[rows.slot(deal)]), deal),
        "title": lambda deal: account.deal_title(deal).lower(),
        "contact_name": lambda deal: tie_key(rows.contact[rows.slot(deal)], deal),
        "contact_orgname": lambda deal: tie_key(0, deal),
        "next-action": lambda deal: tie_key(0, deal),
    }
    orders = tuple(order for order in query.orders if order[0] in keys and order[0] != "mdate")
    orders = orders or (("mdate", True),)
    first, backwards = orders[0]
    if not tests and first == "cdate" and not dates.updated:
        low, high = rows.by_created.span(dates.created_after, dates.created_before)
        return Selection(rows.by_created, low, high, backwards)
    if not tests and first == "mdate" and not dates.created:
        low, high = rows.by_updated.span(dates.updated_after, dates.updated_before)
        return Selection(rows.by_updated, low, high, backwards)
    return whole(
        account.cached(
            ("deals", query.filters, dates, orders),
            lambda: _ordered(_matching(rows, dates, tests, None), orders, keys),
        )
    )


def page_of_deals(account: AccountRecords, query: Query, selected: Selection) -> list[int]:
    """The ids of one page of deals; those created in one second may change places."""
    order, rows = dict(query.orders[:1]), account.deals
    if account.ties is None or "cdate" not in order:
        return selected.page(query)
    ids = list(selected.ids())
    account.ties.shuffle(ids)
    ids.sort(key=lambda deal: rows.created[rows.slot(deal)], reverse=order["cdate"])
    return ids[query.offset : query.offset + query.limit]


def _deal_tests(account: AccountRecords, query: Query) -> list[Test]:
    rows = account.deals
    tests: list[Test] = []
    for name, column in (("stage", rows.stage), ("owner", rows.owner), ("status", rows.status)):
        wanted = integer(query.filter(name))
        if wanted is not None:
            tests.append(lambda deal, c=column, w=wanted: c[rows.slot(deal)] == w)  # type: ignore[misc]
    group = integer(query.filter("group"))
    if group is not None:
        tests.append(lambda deal: account.pipeline_of(deal) == group)
    for name in ("title", "search"):
        part = (query.filter(name) or "").lower()
        if part:
            tests.append(lambda deal, p=part: p in account.deal_title(deal).lower())  # type: ignore[misc]
    least, most = integer(query.filter("minimum_value")), integer(query.filter("maximum_value"))
    if least is not None:
        tests.append(lambda deal: rows.value[rows.slot(deal)] >= least * 100)
    if most is not None:
        tests.append(lambda deal: rows.value[rows.slot(deal)] <= most * 100)
    return tests


def _matching(
    rows: Rows, dates: Dates, tests: Sequence[Test], ids: frozenset[int] | None
) -> Iterable[int]:
    found: Iterable[int]
    if dates.updated:
        found = rows.by_updated.ids(
            *rows.by_updated.span(dates.updated_after, dates.updated_before)
        )
    elif dates.created:
        found = rows.by_created.ids(
            *rows.by_created.span(dates.created_after, dates.created_before)
        )
    else:
        found = rows.live
    if dates.updated and dates.created:
        created_in = set(
            rows.by_created.ids(*rows.by_created.span(dates.created_after, dates.created_before))
        )
        found = [record for record in found if record in created_in]
    if ids is not None:
        found = [record for record in found if record in ids]
    for test in tests:
        found = [record for record in found if test(record)]
    return found


def _ordered(
    found: Iterable[int], orders: Sequence[tuple[str, bool]], keys: dict[str, Key]
) -> array[int]:
    ids = sorted(found, key=lambda record: tie_key(0, record))
    for name, backwards in reversed(orders):
        ids.sort(key=keys[name], reverse=backwards)  # type: ignore[arg-type]
    return array("I", ids)
