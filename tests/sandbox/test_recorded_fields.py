"""The sandbox's records against what was recorded from real accounts.

`recorded.txt` lists every field that was seen in a response, with the kinds of its values.
"""

from __future__ import annotations

import re
from collections import defaultdict

import pytest

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.values import recorded
from tests.sandbox.conftest import NOW

KINDS = {
    "ts+offset": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d-0[56]:00",
    "ts-naive": r"(?!0000)\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    "zero-date": r"0000-00-00( 00:00:00)?",
    "string(int)": r"-?\d+",
    "string(empty)": "",
}
# a value of a field may be anything; a deal without a contact was documented, not recorded
NOT_COMPARED = {"fieldValues.value", "deals.contact"}
# the ways of saying "nothing" differ between years and accounts
NULL_OR_EMPTY = {"null", "string(empty)", "zero-date"}


CORE = (
    "contacts",
    "deals",
    "dealGroups",
    "dealStages",
    "campaigns",
    "fields",
    "fieldOptions",
    "fieldRels",
    "fieldValues",
    "users",
)


def kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        fitting = (name for name, pattern in KINDS.items() if re.fullmatch(pattern, value))
        return next(fitting, "string")
    return {bool: "bool", int: "int", list: "array", dict: "object"}[type(value)]


@pytest.fixture(scope="module")
def records() -> dict[str, list[dict[str, object]]]:
    account = Account.generate(contacts=600, deals=400, field_values=1500, now=NOW)
    truth = {name: list(account.truth(name).values()) for name in CORE}
    account.users_have_stamps = False
    truth["users"] += account.truth("users").values()
    return {
        # a stub shows nothing that a full deal does not
        name: [record for record in records if record.get("isDisabled") is not True]
        for name, records in truth.items()
    }


@pytest.mark.parametrize("collection", CORE)
def test_every_recorded_field_is_sent_and_no_other(
    collection: str, records: dict[str, list[dict[str, object]]]
) -> None:
    expected = recorded()[collection]
    sent: dict[str, list[object]] = defaultdict(list)
    for record in records[collection]:
        for name, value in record.items():
            sent[name].append(value)
    assert set(sent) == set(expected)
    for name, kinds in expected.items():
        if len(sent[name]) < len(records[collection]):
            assert "missing" in kinds, f"{name} is missing in some records"


@pytest.mark.parametrize("collection", CORE)
def test_every_value_is_of_a_recorded_kind(
    collection: str, records: dict[str, list[dict[str, object]]]
) -> None:
    for name, kinds in recorded()[collection].items():
        if f"{collection}.{name}" in NOT_COMPARED:
            continue
        allowed = set(kinds)
        if "string" in allowed:
            allowed |= {"string(int)", "string(empty)"}
        if allowed & NULL_OR_EMPTY:
            allowed |= NULL_OR_EMPTY
        seen = {kind(record[name]) for record in records[collection] if name in record}
        assert seen <= allowed, f"{collection}.{name}"
