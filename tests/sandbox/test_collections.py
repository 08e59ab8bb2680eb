"""Every collection of the catalogue: what is recorded is sent, what is sent is the truth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random
from typing import Any

import orjson
import pytest

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.catalogue import BY_PATH, CATALOGUE, FEATURES, Collection
from activecampaign_dagster.sandbox.values import recorded
from tests.sandbox.conftest import NOW

KINDS = {
    "ts+offset": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d-0[56]:00",
    "ts-naive": r"(?!0000)\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    "ts-Z": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "zero-date": r"0000-00-00( 00:00:00)?",
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "string(int)": r"-?\d+",
    "string(float)": r"-?\d+\.\d+",
    "string(empty)": "",
}
NULL_OR_EMPTY = {"null", "string(empty)", "zero-date"}
# values of any type; what is empty in an array is an object in others
ANYTHING = {"fieldValue", "params"}
# empty in the few bodies there are; other sources say what they hold
FILLED = {
    "contactLists.unsubreason",
    "dealActivities.dataOldval",
    "dealTasks.title",
    "ecomOrders.externalcheckoutid",
}
# JSON:API has its own way of asking for pages
PAGED_BY_OFFSET = sorted(BY_PATH.keys() - {"audiences"})

Record = dict[str, Any]


@pytest.fixture(scope="module")
def account() -> Account:
    return Account.generate(seed=3, contacts=120, deals=90, field_values=300, now=NOW)


def flat(record: Record) -> Iterator[tuple[str, object]]:
    for name, value in record.items():
        if name == "attributes":
            yield from ((f"attributes.{inner}", found) for inner, found in value.items())
        else:
            yield name, value


def kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        fitting = (name for name, pattern in KINDS.items() if re.fullmatch(pattern, value))
        return next(fitting, "string")
    return {bool: "bool", int: "int", list: "array", dict: "object"}[type(value)]


def get(account: Account, path: str, *params: tuple[str, str]) -> Any:
    status, body = account.respond(path, [("limit", "100"), *params])
    assert status == 200, (path, body)
    return orjson.loads(body)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_record_has_recorded_fields_of_recorded_kinds(account: Account, name: str) -> None:
    fields = recorded()[name]
    for record in account.truth(name).values():
        if record.get("isDisabled") is True:
            continue
        sent = dict(flat(record))
        assert set(sent) <= set(fields)
        lacking = set(fields) - set(sent)
        assert all("missing" in fields[field] for field in lacking), lacking
        for field, value in sent.items():
            allowed = set(fields[field]) - {"missing"}
            if "string" in allowed:
                allowed |= {"string(int)", "string(float)", *KINDS}
            if allowed & NULL_OR_EMPTY:
                allowed |= NULL_OR_EMPTY
            if "string(int)" in allowed and field != "id":
                allowed |= {"null"}
            if field not in ANYTHING and f"{name}.{field}" not in FILLED:
                assert kind(value) in allowed, (field, value)


def test_every_collection_has_its_recorded_fields() -> None:
    beside = {name for name in recorded() if "side-loaded" in name}
    assert set(CATALOGUE) == set(recorded()) - beside


@pytest.mark.parametrize("path", PAGED_BY_OFFSET)
def test_a_walk_by_offset_finds_the_truth(account: Account, path: str) -> None:
    collection = BY_PATH[path]
    if collection.name in account.unstable:
        pytest.skip("its pages overlap")
    asked = [("filters[channel]", "all")] if path == "lists" else []
    found: list[Record] = []
    while rows := get(account, path, ("offset", str(len(found))), *asked)[collection.array]:
        found += rows
    if collection.name == "accounts":
        for record in found:  # counts only on demand
            record.update({k: v for k, v in account.truth("accounts")[int(record["id"])].items()
                           if k.endswith("Count")})  # fmt: skip
    expected = list(account.truth(collection.name).values())

    def order(record: Record) -> bytes:
        return orjson.dumps(record, option=orjson.OPT_SORT_KEYS)

    assert sorted(found, key=order) == sorted(expected, key=order)


@pytest.mark.parametrize("path", PAGED_BY_OFFSET)
def test_totals_are_of_their_documented_kind(account: Account, path: str) -> None:
    collection = BY_PATH[path]
    asked = [("filters[channel]", "all")] if path == "lists" else []
    body = get(account, path, *asked)
    count = len(account.visible_ids(collection.name))
    expected = {"none": None, "int": count, "text": str(count)}[collection.total]
    assert body.get("meta", {}).get("total") == expected


@pytest.mark.parametrize("path", PAGED_BY_OFFSET)
def test_a_record_is_found_by_its_key(account: Account, path: str) -> None:
    collection = BY_PATH[path]
    truth = account.truth(collection.name)
    if not collection.key or not truth or path in {"groupMembers", "contacts", "lists/exclusions"}:
        pytest.skip("has no key of its own")
    key, record = next(iter(truth.items()))
    assert get(account, f"{path}/{key}")[collection.singular] == record
    assert account.respond(f"{path}/99999999", [])[0] in {403, 404}


def owned(collection: Collection) -> bool:
    return bool(collection.parent)


@pytest.mark.parametrize("name", [c.name for c in CATALOGUE.values() if owned(c)])
def test_children_are_where_their_parent_is(account: Account, name: str) -> None:
    parents = set(account.visible_ids(CATALOGUE[name].parent))
    family = account.family(name)
    by_parent = {parent: family.of_parent(parent) for parent in parents}
    assert sorted(n for numbers in by_parent.values() for n in numbers) == list(family.live)
    assert all(family.parent_of(n) == p for p, numbers in by_parent.items() for n in numbers)


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_can_be_off(feature: str) -> None:
    account = Account.generate(contacts=20, deals=10, field_values=0, now=NOW)
    account.switch_off(feature)
    gated = [c for c in CATALOGUE.values() if c.needs == feature]
    assert gated
    for collection in gated:
        if collection.path:
            status, body = account.respond(collection.path, [])
            assert (status, orjson.loads(body)["message"]) == FEATURES[feature]
    account.switch_on(feature)
    assert all(account.respond(c.path, [])[0] == 200 for c in gated if c.path)


def test_a_collection_can_be_off_by_itself(account: Account) -> None:
    account.switch_off("bounceLogs", 404, "nothing here")
    assert account.respond("bounceLogs", []) == (404, b'{"message":"nothing here"}')
    account.switch_on("bounceLogs")


def test_sizes_are_as_asked_for() -> None:
    sizes = {"tags": 40, "contactTags": 5, "contactLists": 0, "ecomCustomers": 1, "links": 2}
    account = Account.generate(contacts=30, deals=5, field_values=0, now=NOW, sizes=sizes)
    assert len(account.truth("tags")) == 40
    assert len(account.truth("contactTags")) == 150
    assert account.truth("contactLists") == {}
    pairs = [(row["contact"], row["tag"]) for row in account.truth("contactTags").values()]
    assert len(set(pairs)) == len(pairs)
    with pytest.raises(ValueError, match="not of contactTag"):
        Account.generate(sizes={"contactTag": 3})


def test_the_core_is_the_same_whatever_is_asked_of_the_rest() -> None:
    plain = Account.generate(seed=5, now=NOW)
    more = Account.generate(seed=5, now=NOW, sizes={"contactTags": 9, "dealCustomFieldData": 1})
    for name in ("contacts", "deals", "campaigns", "fieldValues"):
        assert plain.truth(name) == more.truth(name)


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("contacts", [0, 3])
def test_no_collection_needs_another_to_have_records(size: int, contacts: int) -> None:
    core = {"contacts", "deals", "fieldValues", "campaigns", "users"}
    account = Account.generate(
        contacts=contacts,
        deals=contacts,
        field_values=0,
        campaign_count=size,
        now=NOW,
        sizes=dict.fromkeys(CATALOGUE.keys() - core, size),
    )
    for name, collection in CATALOGUE.items():
        assert len(account.truth(name)) <= 60
        if collection.path:
            assert account.respond(collection.path, [])[0] == 200
    assert len(account.churn(Random(1), 100)) == 100
    for name in CATALOGUE:
        account.truth(name)
