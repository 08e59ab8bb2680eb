"""What a search for deletions costs in an account whose full sync would take an hour at 5/s.

The search is driven over the sandbox's answers without HTTP, one request after another, over rows
as a full sync lands them. It is the search alone: nothing is read incrementally, nothing marked.
"""

from __future__ import annotations

import json
import math
import random
from array import array
from collections.abc import Iterator

from activecampaign_dagster.api.client import PAGE_SIZE, Page
from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.sync.axis import axis_of
from activecampaign_dagster.sync.ranges import Rows
from activecampaign_dagster.sync.search import Search

_CASES = ((0, False), (1, False), (10, False), (100, False), (1000, True))
_ROOM = 2  # requests under way at 5/s and a short latency
_SYNC = 2  # further requests of a stream in a quiet sync: what changed, and the total


def searches(contacts: int, deals: int, stub_share: float) -> Iterator[tuple[str, str]]:
    """For each collection and number of deletions: found, requests, seconds at 5/s."""
    account = Account.generate(
        contacts=contacts, deals=deals, field_values=0, stub_share=stub_share
    )
    rng = random.Random(1)
    for name in ("contacts", "deals"):
        records = len(account.contacts if name == "contacts" else account.deals)
        pages = math.ceil(records / PAGE_SIZE)
        yield f"{name}, full sync at the least", f"{pages:,} requests, {pages / 5:,.0f} s at 5/s"
        for number, is_block in _CASES:
            rows = _contacts(account) if name == "contacts" else _deals(account)
            first = rng.randrange(len(rows) - number)
            chosen = (
                range(first, first + number) if is_block else rng.sample(range(len(rows)), number)
            )
            gone = {rows.keys[row] for row in chosen}
            delete = account.delete_contact if name == "contacts" else account.delete_deal
            for key in gone:
                delete(key)
            asked, missing, is_short = _search(account, name, rows)
            if not missing <= gone:
                raise RuntimeError(f"{name}: rows were found missing that are there")
            requests = asked + _SYNC - 1
            yield (
                f"{name}, {number:,} deletions" + (" in a block" if is_block else ""),
                f"{len(missing):,} found by {asked:,} requests, {requests / 5:,.0f} s at 5/s with "
                "the incremental read"
                + ("; given up, as it would cost as much as a full read" if is_short else ""),
            )


def _search(account: Account, name: str, rows: Rows) -> tuple[int, set[int], bool]:
    stream = STREAMS[name]
    axis = axis_of(stream)
    if axis is None:
        raise RuntimeError(f"{name} cannot be searched")
    endpoint = stream.endpoint
    first = _page(account, endpoint.path, endpoint.collection, {**endpoint.params, "limit": 1})
    total = first.total or 0
    if len(rows) <= total:
        return 1, set(), False
    budget = math.ceil(total / PAGE_SIZE)
    search = Search(axis, rows, total, budget=budget, filters=endpoint.params)
    while requests := search.requests(_ROOM):
        for request in requests:
            params = dict(request.params)
            search.take(request, _page(account, endpoint.path, endpoint.collection, params))
    return search.asked, search.missing, search.is_cut_short


def _page(account: Account, path: str, collection: str, params: dict[str, str | int]) -> Page:
    _, content = account.respond(path, [(name, str(value)) for name, value in params.items()])
    body = json.loads(content)
    return Page(body[collection], body)


def _contacts(account: Account) -> Rows:
    ids = array("q", account.contacts.live)
    return Rows(ids, ids, bytearray(b"\1" * len(ids)))


def _deals(account: Account) -> Rows:
    """As the table has them: a stub stands beside its neighbour by id (see `live_keys`)."""
    found, last = [], 0
    for deal in account.deals.live:
        is_known = account.pipeline_of(deal) not in account.hidden
        last = account.deals.created[account.deals.slot(deal)] if is_known else last
        found.append((last, deal, is_known))
    found.sort()
    positions, keys, known = zip(*found, strict=True)
    return Rows(array("q", positions), array("q", keys), bytearray(known))
