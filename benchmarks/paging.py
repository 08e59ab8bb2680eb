"""Ways to page through an account while records are deleted in it: rows lost, and requests.

The two ways of others are those that their public sources declare. Only their paging is done here
again, against the same simulated account as ours; neither program is run. docs/comparison.md names
the sources.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator

import requests

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.faults import Request
from activecampaign_dagster.sandbox.server import Sandbox

REPEATS = 5
CONTACTS, DEALS, VALUES = 10_000, 5_000, 30_000
_ROWS_PER_DELETION = 100
_COUNTED = ("contacts", "deals", "fieldValues")
Found = dict[str, set[int]]


def paging(
    landed: Callable[[Account, Callable[..., None]], dict[str, list[int]]],
) -> Iterator[tuple[str, str]]:
    """For each way the rows lost and the requests; `landed` is a full sync of ours."""
    ways = {
        "this project: cursors": lambda account, rule: {
            name: set(ids) for name, ids in landed(account, rule).items()
        },
        "pages of 20 by offset": lambda account, rule: _by_offset(
            account, rule, 20, ("contacts", "deals"), _until_short
        ),
        "pages of 100 by offset": lambda account, rule: _by_offset(
            account, rule, 100, _COUNTED, _until_total
        ),
    }
    yield "account", f"{CONTACTS:,} contacts, {DEALS:,} deals; {REPEATS} reads each"
    for name, read in ways.items():
        lost, deleted, asked = 0, 0, Counter[str]()
        for seed in range(REPEATS):
            account = Account.generate(
                seed=seed, contacts=CONTACTS, deals=DEALS, field_values=VALUES
            )
            before = {"contacts": set(account.contacts.live), "deals": set(account.deals.live)}
            found = read(account, _changing(account, seed, asked))
            deleted += sum(
                len(ids - set(getattr(account, stream).live)) for stream, ids in before.items()
            )
            lost += sum(
                len((ids & set(getattr(account, stream).live)) - found[stream])
                for stream, ids in before.items()
            )
        counts = ", ".join(f"{path} {asked[path] // REPEATS:,}" for path in _COUNTED if asked[path])
        yield name, f"{lost:,} rows lost at {deleted:,} deletions; requests per read: {counts}"


def _changing(account: Account, seed: int, asked: Counter[str]) -> Callable[..., None]:
    """A rule that counts requests, and deletes a record at random for each 100 rows read."""
    rng, rows = random.Random(seed), Counter[str]()

    def change(request: Request, _: int) -> None:
        asked[request.path] += 1
        limit = int(dict(request.params).get("limit", 20))
        rows[request.path] += limit
        if rows[request.path] % _ROWS_PER_DELETION >= limit:
            return
        if request.path == "contacts":
            account.delete_contact(rng.choice(account.contacts.live))
        elif request.path == "deals":
            account.delete_deal(rng.choice(account.deals.live))

    return change


def _by_offset(
    account: Account,
    rule: Callable[..., None],
    size: int,
    paths: tuple[str, ...],
    goes_on: Callable[[dict[str, object], int, int, int], bool],
) -> Found:
    """The ids that pages by offset bring, without an order and without overlap."""
    found: Found = {}
    with (
        Sandbox(account, requests_per_second=None, faults=[rule]) as served,
        requests.Session() as session,
    ):
        session.headers["Api-Token"] = served.api_key
        for path in paths:
            offset, found[path] = 0, set()
            while True:
                parameters = {"offset": offset, "limit": size}
                answer = session.get(f"{served.url}/api/3/{path}", params=parameters, timeout=60)
                body = answer.json()
                found[path] |= {int(record["id"]) for record in body[path]}
                offset += size
                if not goes_on(body, len(body[path]), size, offset):
                    break
    return found


def _until_short(_: dict[str, object], rows: int, size: int, __: int) -> bool:
    return rows == size


def _until_total(body: dict[str, object], _: int, __: int, offset: int) -> bool:
    meta = body["meta"]
    assert isinstance(meta, dict)
    return offset <= int(meta["total"])
