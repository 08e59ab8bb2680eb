from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activecampaign_dagster.sandbox.account import Account
from tests.sandbox.conftest import NOW, Client

CHICAGO_OFFSETS = {timedelta(hours=-5), timedelta(hours=-6)}


def ids(account: Account, *params: tuple[str, str]) -> list[int]:
    _, body = account.respond("contacts", [("limit", "100"), *params])
    return [int(record["id"]) for record in orjson.loads(body)["contacts"]]


def instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    assert moment.utcoffset() in CHICAGO_OFFSETS
    return moment


def test_id_greater_walks_all_contacts_in_order(account: Account) -> None:
    found: list[int] = []
    while page := ids(
        account, ("orders[id]", "ASC"), ("id_greater", str(found[-1] if found else 0))
    ):
        found += page
    assert found == sorted(account.truth("contacts"))


def test_id_less_bounds_a_range_and_desc_turns_it(account: Account) -> None:
    inside = [number for number in sorted(account.truth("contacts")) if 20 < number < 60]
    bounds = (("id_greater", "20"), ("id_less", "60"))
    assert ids(account, ("orders[id]", "ASC"), *bounds) == inside
    assert ids(account, ("orders[id]", "DESC"), *bounds) == inside[::-1]
    assert ids(account, ("orders[id]", "ASC"), ("id_greater", "60"), ("id_less", "20")) == []


def test_contacts_without_an_order_do_not_come_by_id(account: Account) -> None:
    page = ids(account)
    assert page != sorted(page)


def test_known_filters_select(account: Account) -> None:
    truth = account.truth("contacts")
    one = next(iter(truth.values()))
    assert ids(account, ("email", one["email"].upper())) == [int(one["id"])]
    assert ids(account, ("ids[]", "3"), ("ids[]", "4"), ("orders[id]", "ASC")) == [3, 4]
    assert ids(account, ("ids", "3,4"), ("orders[id]", "ASC")) == [3, 4]
    like = [n for n, record in truth.items() if "example.net" in record["email"]]
    assert sorted(ids(account, ("email_like", "example.net"))) == like[:100]
    assert sum(len(ids(account, ("status", str(status)))) > 0 for status in range(4)) >= 2
    assert len(ids(account, ("status", "-1"))) == 100


def test_unknown_parameters_are_ignored(account: Account) -> None:
    plain = ids(account, ("orders[id]", "ASC"))
    for name, value in (
        ("filters[updated_since]", "2100-01-01"),
        ("filters[email]", "nobody@example.com"),
        ("updated_after", "2100-01-01"),
        ("filters[updated_timestamp][gte]", "2100-01-01"),
        ("filters[updated_after]", "next week"),
        ("filters[updated_after]", "2100-01-01T00:00:00 00:00"),
        ("orders[udate]", "DESC"),
    ):
        assert ids(account, ("orders[id]", "ASC"), (name, value)) == plain


def test_after_is_inclusive_and_before_is_exclusive(account: Account) -> None:
    record = account.truth("contacts")[5]
    for name, stamp in (("created", record["cdate"]), ("updated", record["udate"])):
        # 5 may share its second with others
        assert 5 in ids(account, (f"filters[{name}_after]", stamp), ("ids[]", "5"))
        assert 5 not in ids(account, (f"filters[{name}_before]", stamp), ("ids[]", "5"))


@pytest.mark.parametrize(
    ("reading", "text", "expected"),
    [
        ("offset_honoured", "2024-07-01T12:00:00-05:00", "2024-07-01T12:00:00-05:00"),
        ("offset_honoured", "2024-07-01T12:00:00Z", "2024-07-01T07:00:00-05:00"),
        ("offset_honoured", "2024-07-01T12:00:00+0200", "2024-07-01T05:00:00-05:00"),
        ("offset_honoured", "2024-07-01 12:00:00", "2024-07-01T12:00:00-05:00"),
        ("offset_honoured", "2024-01-01", "2024-01-01T00:00:00-06:00"),
        ("offset_honoured", "2024-07-01T12:00:00.000Z", "2024-07-01T07:00:00-05:00"),
        ("offset_dropped", "2024-07-01T12:00:00Z", "2024-07-01T12:00:00-05:00"),
        ("offset_dropped", "2024-07-01T12:00:00+02:00", "2024-07-01T12:00:00-05:00"),
        ("digits_as_utc", "2024-07-01T12:00:00-05:00", "2024-07-01T12:00:00+00:00"),
        ("digits_as_utc", "2024-07-01", "2024-07-01T00:00:00+00:00"),
    ],
)
def test_date_filters_are_read_as_the_account_reads_them(
    account: Account, reading: str, text: str, expected: str
) -> None:
    account = Account.generate(now=NOW, date_filter=reading)
    moment = datetime.fromisoformat(expected)
    early = account.add_contact(udate=moment - timedelta(seconds=1))
    exact = account.add_contact(udate=moment)
    both = (("ids[]", str(early)), ("ids[]", str(exact)))
    assert ids(account, ("filters[updated_after]", text), *both) == [exact]
    assert ids(account, ("filters[updated_before]", text), *both) == [early]


def test_include_side_loads_the_field_values(client: Client) -> None:
    body = client.get("contacts", ("include", "fieldValues"), ("limit", "100"))
    truth = client.sandbox.account.truth("fieldValues")
    loaded = {record["id"]: record for record in body["fieldValues"]}
    for contact in body["contacts"]:
        own = [n for n, value in truth.items() if value["contact"] == contact["id"]]
        assert contact["fieldValues"] == [str(number) for number in own]
        assert [loaded[str(number)] for number in own] == [truth[number] for number in own]
    client.sandbox.account.include_honoured = False
    body = client.get("contacts", ("include", "fieldValues"))
    assert "fieldValues" not in body
    assert "fieldValues" not in body["contacts"][0]


def test_contacts_have_an_odd_meta(client: Client) -> None:
    body = client.get("contacts")
    assert body["scoreValues"] == []
    assert set(body["meta"]) == {"page_input", "total", "sortable"}


def test_one_contact_brings_what_belongs_to_it(client: Client) -> None:
    account = client.sandbox.account
    deal = account.add_deal(contact=3)
    body = client.get("contacts/3")
    assert set(body) == {
        "contact",
        "contactAutomations",
        "contactLists",
        "deals",
        "fieldValues",
        "geoIps",
        "accountContacts",
    }
    assert str(deal) in body["contact"]["deals"]
    assert [value["id"] for value in body["fieldValues"]] == body["contact"]["fieldValues"]
    values = client.get("contacts/3/fieldValues")
    assert values == {"fieldValues": body["fieldValues"]}


def test_many_contacts_share_a_stamp() -> None:
    account = Account.generate(contacts=1000, bulk_import=250, now=NOW)
    truth = account.truth("contacts").values()
    assert Counter(record["cdate"] for record in truth).most_common(1)[0][1] >= 250
    assert Counter(record["udate"] for record in truth).most_common(1)[0][1] >= 100


def test_stamps_are_chicago_wall_clock_in_both_spellings(account: Account) -> None:
    for record in account.truth("contacts").values():
        instant(record["cdate"])
        if "created_timestamp" in record:
            plain = record["cdate"][:19].replace("T", " ")
            assert record["created_timestamp"] == record["created_utc_timestamp"] == plain
        assert instant(record["udate"]) <= NOW
    offsets = {r["cdate"][-6:] + r["udate"][-6:] for r in account.truth("contacts").values()}
    assert len(offsets) == 4


def test_stamps_of_an_account_in_adelaide_are_its_wall_clock() -> None:
    account = Account.generate(contacts=300, now=NOW, zone="Australia/Adelaide")
    records = account.truth("contacts").values()
    assert {r["udate"][-6:] for r in records} == {"+09:30", "+10:30"}
    for record in records:
        moment = datetime.fromisoformat(record["udate"])
        there = moment.astimezone(ZoneInfo("Australia/Adelaide"))
        assert moment.utcoffset() == there.utcoffset()
        assert moment <= NOW
        if "updated_timestamp" in record:
            assert record["updated_timestamp"] == f"{moment:%Y-%m-%d %H:%M:%S}"
    same = Account.generate(contacts=300, now=NOW).truth("contacts").values()
    stamps = [[datetime.fromisoformat(r["cdate"]) for r in each] for each in (records, same)]
    assert stamps[0] == stamps[1]


def test_no_address_belongs_to_anybody(account: Account) -> None:
    domains = {record["email"].split("@")[1] for record in account.truth("contacts").values()}
    domains |= {record["email"].split("@")[1] for record in account.truth("users").values()}
    assert domains <= {"example.com", "example.net", "example.org"}
    phones = {record["phone"] for record in account.truth("contacts").values()} - {""}
    assert all(phone.startswith("+1-202-555-01") and len(phone) == 15 for phone in phones)
    emails = [record["email"] for record in account.truth("contacts").values()]
    assert len(set(emails)) == len(emails)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 50),
    changes=st.integers(0, 60),
    after=st.integers(-60, 30),
    width=st.integers(1, 400),
    name=st.sampled_from(["created", "updated"]),
    greater=st.integers(0, 60),
)
def test_a_filtered_list_is_what_the_truth_says(
    seed: int, changes: int, after: int, width: int, name: str, greater: int
) -> None:
    account = Account.generate(seed=seed, contacts=60, field_values=90, deals=20, now=NOW, years=1)
    account.clock = lambda: NOW
    account.respond("contacts", [("filters[created_after]", "2020-01-01")])  # indexes exist already
    account.churn(Random(seed), changes)
    low = NOW + timedelta(days=after * 6)
    high = low + timedelta(days=width)
    stamp = "cdate" if name == "created" else "udate"
    expected = [
        number
        for number, record in sorted(account.truth("contacts").items())
        if number > greater and low <= instant(record[stamp]) < high
    ]
    window = (
        (f"filters[{name}_after]", low.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")),
        (f"filters[{name}_before]", high.isoformat()),
        ("id_greater", str(greater)),
    )
    assert ids(account, ("orders[id]", "ASC"), *window) == expected[:100]
    assert sorted(ids(account, *window)) == expected[:100]
