from __future__ import annotations

import time
from collections import Counter
from datetime import datetime, timedelta
from random import Random

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.live import Live
from activecampaign_dagster.sandbox.templates import ABSENT
from tests.sandbox.conftest import NOW, Client

EVERYTHING = (
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


def everything(account: Account) -> dict[str, dict[int, dict[str, object]]]:
    return {name: account.truth(name) for name in EVERYTHING}


@settings(max_examples=60, deadline=None)
@given(contacts=st.integers(0, 40), deals=st.integers(0, 40), values=st.integers(0, 300))
def test_an_account_has_exactly_as_much_as_asked_for(
    contacts: int, deals: int, values: int
) -> None:
    values = values if contacts else 0
    account = Account.generate(contacts=contacts, deals=deals, field_values=values, now=NOW)
    assert len(account.truth("contacts")) == contacts
    assert len(account.truth("deals")) == deals
    truth = account.truth("fieldValues").values()
    assert len({(value["contact"], value["field"]) for value in truth}) == len(truth) == values
    assert {value["contact"] for value in truth} <= {str(n) for n in account.truth("contacts")}
    assert {value["field"] for value in truth} <= {str(n) for n in account.truth("fields")}


def test_a_seed_makes_one_account() -> None:
    assert everything(Account.generate(now=NOW)) == everything(Account.generate(now=NOW))
    other = Account.generate(seed=2, now=NOW)
    assert other.truth("contacts") != Account.generate(now=NOW).truth("contacts")


@pytest.mark.parametrize("bad", [{"contacts": -1}, {"contacts": 0}, {"years": 0}, {"users": 0}])
def test_sizes_that_make_no_sense_are_refused(bad: dict[str, int]) -> None:
    bad = {"user_count" if name == "users" else name: value for name, value in bad.items()}
    with pytest.raises(ValueError, match=r"must be|need"):
        Account.generate(**bad)


def test_a_large_account_is_made_and_served_quickly() -> None:
    began = time.perf_counter()
    account = Account.generate(contacts=200_000, deals=60_000, field_values=1_000_000, now=NOW)
    assert time.perf_counter() - began < 6
    params = [("limit", "100"), ("orders[id]", "ASC"), ("include", "fieldValues")]
    began = time.perf_counter()
    for place in range(20):
        account.respond("contacts", [*params, ("id_greater", str(place * 10_000))])
    assert (time.perf_counter() - began) / 20 < 0.05


def test_updating_a_contact_moves_its_udate_and_nothing_else(account: Account) -> None:
    account.clock = lambda: NOW + timedelta(days=3)
    before = account.truth("contacts")
    account.update_contact(4, firstName='Brin\n"ka"', newColumn={"a": 1}, phone=ABSENT)
    after = account.truth("contacts")
    assert datetime.fromisoformat(after[4]["udate"]) == NOW + timedelta(days=3)
    assert after[4]["firstName"] == 'Brin\n"ka"'
    assert after[4]["newColumn"] == {"a": 1}
    assert "phone" not in after[4]
    assert after[4]["cdate"] == before[4]["cdate"]
    del before[4], after[4]
    assert after == before


def test_stamps_can_be_set_to_anything(account: Account) -> None:
    account.update_contact(4, udate="2020-02-03T04:05:06-06:00")
    assert account.truth("contacts")[4]["udate"] == "2020-02-03T04:05:06-06:00"
    account.update_contact(4, udate=None)
    assert account.truth("contacts")[4]["udate"] is None
    for bound in ("after", "before"):
        params = [(f"filters[updated_{bound}]", "1990-01-01"), ("ids[]", "4")]
        assert orjson.loads(account.respond("contacts", params)[1])["contacts"] == []
    account.update_contact(4)
    assert account.truth("contacts")[4]["udate"]


def test_deleting_a_contact_takes_its_values_along(account: Account) -> None:
    values = [n for n, v in account.truth("fieldValues").items() if v["contact"] == "4"]
    assert values
    account.delete_contact(4)
    assert 4 not in account.truth("contacts")
    assert not set(values) & set(account.truth("fieldValues"))
    with pytest.raises(KeyError):
        account.update_contact(4, firstName="x")
    assert account.add_contact() > max(account.truth("contacts")) - 1


@pytest.mark.parametrize("touch", [True, False])
def test_a_field_value_may_or_may_not_touch_its_contact(account: Account, touch: bool) -> None:
    account.field_values_touch_contact = touch
    account.clock = lambda: NOW + timedelta(hours=1)
    contact = account.add_contact(udate=NOW)
    number = account.set_field_value(contact, 1, "a||b")
    assert account.truth("fieldValues")[number]["value"] == "a||b"
    assert account.set_field_value(contact, 1, None) == number
    value = account.truth("fieldValues")[number]
    assert (value["value"], value["contact"], value["owner"]) == (None, str(contact), str(contact))
    moved = datetime.fromisoformat(account.truth("contacts")[contact]["udate"]) > NOW
    assert moved is touch
    account.delete_field_value(number)
    assert number not in account.truth("fieldValues")


def test_counters_of_a_campaign_move_without_its_mdate(account: Account) -> None:
    before = account.truth("campaigns")[1]
    account.clock = lambda: NOW + timedelta(days=2)
    account.bump_campaign(1, opens=3, linkclicks=1)
    after = account.truth("campaigns")[1]
    assert int(after["opens"]) == int(before["opens"]) + 3
    assert after["mdate"] == before["mdate"]
    assert after["updated_timestamp"] > before["updated_timestamp"]


def test_campaigns_add_up(account: Account) -> None:
    statuses = Counter()
    for campaign in account.truth("campaigns").values():
        n = {k: int(v) for k, v in campaign.items() if isinstance(v, str) and v.isdecimal()}
        statuses[campaign["status"]] += 1
        assert n["uniqueopens"] <= n["opens"]
        assert n["uniquelinkclicks"] <= n["linkclicks"]
        assert n["uniquelinkclicks"] <= n["uniqueopens"]
        assert n["uniqueopens"] + n["hardbounces"] + n["softbounces"] <= n["send_amt"]
        if campaign["status"] == "0":
            assert n["send_amt"] == n["opens"] == 0
            assert campaign["sdate"] is None
    assert statuses["0"] >= 3
    assert statuses["5"] >= 25


def test_fields_come_with_the_options_of_their_page(client: Client) -> None:
    body = client.get("fields", ("limit", "2"), ("offset", "1"))
    listed = [option for field in body["fields"] for option in field["options"]]
    assert [option["id"] for option in body["fieldOptions"]] == listed
    assert {option["field"] for option in body["fieldOptions"]} == {"2", "3"}
    assert [r["id"] for r in body["fieldRels"]] == [
        i for f in body["fields"] for i in f["relations"]
    ]
    assert body["meta"] == {"selected": None, "total": "12"}
    account = client.sandbox.account
    number = account.add_field("Size", "dropdown", ("S", "M"))
    assert len(client.get(f"fields/{number}")["fieldOptions"]) == 2
    [found] = client.get("fields", ("filters[perstag]", "SIZE"))["fields"]
    assert found["id"] == str(number)
    account.delete_field(1)
    assert "1" not in {v["field"] for v in account.truth("fieldValues").values()}


def test_field_values_can_be_asked_for_by_field_and_value(client: Client) -> None:
    truth = client.sandbox.account.truth("fieldValues")
    value = truth[1]["value"]
    body = client.get("fieldValues", ("filters[fieldid]", "2"), ("limit", "100"))
    assert [int(v["id"]) for v in body["fieldValues"]] == [
        n for n, v in truth.items() if v["field"] == "2"
    ][:100]
    body = client.get("fieldValues", ("filters[val]", str(value)))
    assert {v["value"] for v in body["fieldValues"]} == {value}
    ignored = client.get("fieldValues", ("filters[updated_after]", "2100-01-01"))
    assert ignored["meta"]["total"] == "600"


def test_several_choices_are_joined_by_bars(account: Account) -> None:
    kinds = {number: field["type"] for number, field in account.truth("fields").items()}
    values = account.truth("fieldValues").values()
    several = [v["value"] for v in values if kinds[int(v["field"])] in {"checkbox", "listbox"}]
    assert any(value.startswith("||") for value in several if value)
    assert any("||" in value.strip("|") for value in several if value)
    assert any(value["value"] is None for value in values)


def test_pipelines_come_with_their_stages(client: Client) -> None:
    body = client.get("dealGroups")
    listed = [stage for group in body["dealGroups"] for stage in group["stages"]]
    assert [stage["id"] for stage in body["dealStages"]] == listed
    [one] = client.get("dealGroups", ("filters[title]", "renew"))["dealGroups"]
    assert one["title"] == "Renewals"
    stages = client.get("dealStages", ("filters[d_groupid]", "2"))["dealStages"]
    assert [stage["id"] for stage in stages] == one["stages"]
    orders = [int(stage["order"]) for stage in stages]
    assert orders == sorted(orders)
    assert {stage["group"] for stage in client.get("dealStages")["dealStages"]} > {"3"}


def test_a_deleted_stage_puts_its_pipeline_hours_into_the_future(account: Account) -> None:
    account.clock = lambda: NOW
    account.delete_stage(account.stages_of(1)[2])
    udate = datetime.fromisoformat(account.truth("dealGroups")[1]["udate"])
    assert udate - NOW == timedelta(hours=5)


def test_stages_users_and_pipelines_can_come_and_go(account: Account) -> None:
    group = account.add_pipeline("New", ("One", "Two"))
    assert account.truth("dealGroups")[group]["stages"] == [
        str(stage) for stage in account.stages_of(group)
    ]
    user = account.add_user("Avel", "Onddrum")
    assert str(user) == account.truth("users")[user]["id"]
    account.delete_user(user)
    account.update_record("dealStages", 1, title="Renamed")
    assert account.truth("dealStages")[1]["title"] == "Renamed"
    assert user not in account.truth("users")


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(), contacts=st.integers(0, 5), deals=st.integers(0, 5))
def test_churn_never_breaks_an_account(seed: int, contacts: int, deals: int) -> None:
    account = Account.generate(contacts=contacts, deals=deals, field_values=0, now=NOW)
    assert len(account.churn(Random(seed), 120)) == 120
    truth = everything(account)
    for name, records in truth.items():
        assert all(record["id"] == str(number) for number, record in records.items()), name
    pairs = [(v["contact"], v["field"]) for v in truth["fieldValues"].values()]
    assert len(set(pairs)) == len(pairs)
    assert {v["contact"] for v in truth["fieldValues"].values()} <= {
        str(number) for number in truth["contacts"]
    }


def test_live_keeps_changing_the_account(account: Account) -> None:
    before = everything(account)
    with Live(account, per_minute=6000):
        time.sleep(0.3)
    after = everything(account)
    assert after != before
    assert everything(account) == after


def test_a_clock_that_is_not_given_runs_on_from_the_start() -> None:
    account = Account.generate(now=NOW)
    assert timedelta() <= account.now - NOW < timedelta(seconds=5)
    fixed = NOW + timedelta(days=400)
    assert Account.generate(now=NOW, clock=lambda: fixed).now == fixed
