"""`include=` brings records beside a page, and adds their ids to the page's records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson

from activecampaign_dagster.sandbox.catalogue import CATALOGUE, FACTS, TARGETS
from activecampaign_dagster.sandbox.state import AccountRecords
from activecampaign_dagster.sandbox.templates import Record

# arrays that are not called as their collections
ARRAYS = {"accountCustomFieldData": "customerAccountCustomFieldData"}
# includes that are not called as their collections
_CHILDREN = {
    "campaignMessage": "campaignMessages",
    "tasks": "dealTasks",
    "blocks": "automationBlocks",
    "triggers": "automationTriggers",
    "orderProducts": "ecomOrderProducts",
    "orderDiscounts": "ecomOrderDiscounts",
    "userGroup": "userGroups",
    "groupLimit": "groupLimits",
    "sitemessages": "siteMessages",
}
# what a record names with one of its fields
_NAMED = TARGETS | {"owner": "users", "stage": "dealStages", "group": "dealGroups"}
# ActiveCampaign API: refused, or the page's own array
_NEVER = {"automationEntryCounts"}


@dataclass(frozen=True, slots=True)
class Beside:
    """Top-level arrays, and per record the keys that list what is in them."""

    arrays: dict[str, list[bytes]] = field(default_factory=dict)
    keys: dict[int, Record] = field(default_factory=dict)

    def keys_of(self, number: int) -> Record:
        """List the keys that a record of the page has more."""
        return self.keys.get(number, {})

    def bring(self, account: AccountRecords, collection: str, numbers: Iterable[int]) -> None:
        """Put records of a collection into its array, each one once."""
        array = ARRAYS.get(collection, CATALOGUE[collection].array)
        made = self.arrays.setdefault(array, [])
        made += account.render_beside(collection, dict.fromkeys(numbers))


def beside(
    account: AccountRecords,
    collection: str,
    ids: list[int],
    names: Iterable[str],
    *,
    always: bool = False,
) -> Beside:
    """Collect what a page brings; `always`: whatever the account's options say."""
    found = Beside()
    for name in names:
        first, _, second = name.partition(".")
        ignored = {f"{collection}.{name}", f"{collection}.{first}"} & account.ignored_includes
        if not always and (ignored or not account.include_honoured):
            continue
        child = _CHILDREN.get(first, first)
        if first in _NEVER:
            continue
        if first not in _NAMED and child in CATALOGUE:
            _bring_children(account, found, collection, ids, (first, child, second))
        elif first in _NAMED and second in CATALOGUE | {"": None}:
            _bring_named(account, found, collection, ids, (first, second))
    return found


def _bring_children(
    account: AccountRecords,
    found: Beside,
    collection: str,
    ids: list[int],
    what: tuple[str, str, str],
) -> None:
    first, child, second = what
    most = account.cut_includes.get(f"{collection}.{first}")
    off = account.off.keys() & {child, CATALOGUE[child].needs}
    numbers: list[int] = []
    for number in ids:
        of_one = [] if off else _children(account, collection, child, number)[:most]
        numbers += of_one
        if not (collection == "deals" and is_stub(account, number)):
            found.keys.setdefault(number, {})[first] = [str(n) for n in of_one]
    found.bring(account, child, numbers)
    target = TARGETS.get(second)
    if target is not None:
        family = account.family(child)
        named = (family.facts(n).get(second, 0) for n in numbers)
        found.bring(account, target, (n for n in named if account.has(target, n)))


def _children(account: AccountRecords, collection: str, child: str, number: int) -> list[int]:
    if child == "deals":
        return account.deals_of(number)
    if collection == "deals" and is_stub(account, number):
        return []
    if not account.is_table(child) or child in {"fieldOptions", "fieldRels"}:
        return account.related(child, FACTS.get(collection, CATALOGUE[collection].singular), number)
    return []


def is_stub(account: AccountRecords, deal: int) -> bool:
    """Whether a deal is shown without what belongs to it."""
    pipeline = account.pipeline_of(deal)
    return pipeline in account.hidden or pipeline not in account.tables["dealGroups"]


def _bring_named(
    account: AccountRecords, found: Beside, collection: str, ids: list[int], what: tuple[str, str]
) -> None:
    first, second = what
    target = _NAMED[first]
    records = (orjson.loads(account.render(collection, number)) for number in ids)
    named = [int(record.get(first) or 0) for record in records]
    numbers = [number for number in dict.fromkeys(named) if account.has(target, number)]
    found.bring(account, target, numbers)
    if second:
        children = (n for number in numbers for n in _children(account, target, second, number))
        found.bring(account, second, children)
