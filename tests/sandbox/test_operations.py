"""What changes, and what changes along with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any

import orjson
import pytest

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.catalogue import CATALOGUE
from tests.sandbox.conftest import NOW

LATER = NOW + timedelta(hours=3)


@pytest.fixture
def later(account: Account) -> Account:
    account.clock = lambda: LATER
    return account


def udate(account: Account, contact: int) -> datetime:
    return datetime.fromisoformat(account.truth("contacts")[contact]["udate"])


def of(account: Account, name: str, key: str, number: int) -> list[dict[str, Any]]:
    return [row for row in account.truth(name).values() if row[key] == str(number)]


def moved(account: Account, act: Callable[[], object]) -> bool:
    before = udate(account, 5)
    act()
    return udate(account, 5) != before


def test_a_tag_moves_its_contact_and_leaves_nothing_when_removed(later: Account) -> None:
    tag = later.add_record("tags", tag="New tag")
    assert moved(later, lambda: later.add_tag(5, tag))
    row = of(later, "contactTags", "tag", tag)[0]
    assert datetime.fromisoformat(row["cdate"]) == udate(later, 5) == LATER
    assert later.truth("tags")[tag]["subscriber_count"] == "1"
    assert later.add_tag(5, tag) == int(row["id"])
    later.clock = lambda: LATER + timedelta(hours=1)
    assert not moved(later, lambda: later.remove_tag(5, tag))
    assert of(later, "contactTags", "tag", tag) == []
    later.removals_touch = True
    later.add_tag(5, tag)
    later.clock = lambda: LATER + timedelta(hours=2)
    assert moved(later, lambda: later.remove_tag(5, tag))
    with pytest.raises(KeyError):
        later.remove_tag(5, tag)
    with pytest.raises(KeyError):
        later.add_tag(5, 999)


def test_a_subscription_does_not_move_its_contact(later: Account) -> None:
    mailing_list = later.add_record("lists", name="New list")
    assert not moved(later, lambda: later.subscribe(5, mailing_list))
    row = of(later, "contactLists", "list", mailing_list)[0]
    assert (row["status"], row["udate"]) == ("1", None)
    assert later.truth("lists")[mailing_list].get("active_subscribers", "1") == "1"
    later.unsubscribe(5, mailing_list, "Too many mails")
    row = of(later, "contactLists", "list", mailing_list)[0]
    assert (row["status"], row["unsubreason"]) == ("2", "Too many mails")
    assert row["udate"] is not None
    assert later.truth("lists")[mailing_list].get("active_subscribers", "0") == "0"
    assert later.subscribe(5, mailing_list) == int(row["id"])


def test_what_moves_a_contact_is_an_option(later: Account) -> None:
    later.touching = {"contactLists"}
    assert not moved(later, lambda: later.add_tag(5, later.add_record("tags", tag="x")))
    assert moved(later, lambda: later.subscribe(5, later.add_record("lists", name="x")))


def test_a_contact_can_enter_an_automation_twice(later: Account) -> None:
    before = len(of(later, "contactAutomations", "contact", 5))
    first, second = later.enter_automation(5, 2), later.enter_automation(5, 2)
    later.leave_automation(first)
    truth = later.truth("contactAutomations")
    assert len(of(later, "contactAutomations", "contact", 5)) == before + 2
    assert (truth[first]["status"], truth[second]["status"]) == ("2", "1")
    assert truth[first]["remdate"] is not None
    assert truth[second]["remdate"] is None


def test_notes_scores_and_companies_of_a_contact(later: Account) -> None:
    assert moved(later, lambda: later.add_note(5, "Wants a demo"))
    note = of(later, "notes", "relid", 5)[-1]
    assert (note["note"], note["owner"]) == ("Wants a demo", {"type": "contact", "id": "5"})
    value = later.set_score(5, 1, 77)
    assert later.set_score(5, 1, 78) == value
    assert later.truth("scoreValues")[value]["scoreValue"] == "78"
    company = later.add_company("Zäntra")
    relation = later.employ(5, company, "Owner")
    assert later.truth("accountContacts")[relation]["jobTitle"] == "Owner"
    number = later.set_company_value(company, 2, "41")
    assert later.truth("accountCustomFieldData")[number]["fieldValue"] == "41"
    later.dismiss(5, company)
    assert relation not in later.truth("accountContacts")


def test_mails_and_clicks_of_a_contact(later: Account) -> None:
    send = later.send_mail(5, 3)
    assert later.truth("logs")[send]["campaignid"] == "3"
    link = later.owned("links", 3)[1]
    hit = later.click(5, link)
    assert later.click(5, link) == hit
    row = later.truth("linkData")[hit]
    assert (row["isread"], row["campaignid"]) == ("0", "3")
    assert int(row["times"]) >= 2
    newest = orjson.loads(later.respond("activities", [("orders[tstamp]", "DESC")])[1])
    assert {"Log", "LinkData"} <= {a["reference_type"] for a in newest["activities"][:3]}


def test_an_order_counts_for_its_customer(later: Account) -> None:
    contact = later.add_contact(email="buyer@example.com")
    order = later.add_order(contact, (1000, 250))
    truth = later.truth("ecomOrders")[order]
    assert (int(truth["totalPrice"]), int(truth["totalProducts"])) == (1250, 2)
    customer = later.truth("ecomCustomers")[int(truth["customerid"])]
    assert (customer["email"], customer["totalRevenue"]) == ("buyer@example.com", "1250")
    later.delete_contact(contact)
    assert order not in later.truth("ecomOrders")
    assert of(later, "ecomOrderProducts", "orderid", order) == []


def test_a_deal_keeps_a_log_of_what_happens_to_it(later: Account) -> None:
    deal = later.add_deal(value=5000, group=1)
    first, second = later.stages_of(1)[:2]
    later.move_deal(deal, second)
    later.update_deal(deal, value=7000)
    later.win_deal(deal)
    later.update_deal(deal, group=4)
    rows = of(later, "dealActivities", "deal", deal)
    assert [(r["dataType"], r["dataAction"], r["dataOldval"]) for r in rows] == [
        ("d_stageid", str(second), str(first)),
        ("value", "7000", "5000"),
        ("status", "1", "0"),
        ("d_groupid", "4", "1"),
        ("d_stageid", str(later.stages_of(4)[0]), str(second)),
    ]
    assert {datetime.fromisoformat(row["cdate"]) for row in rows} == {LATER}
    assert {row["user"] for row in rows} == {"1"}
    later.delete_deal(deal)
    assert of(later, "dealActivities", "deal", deal) == []


def test_tasks_values_and_further_contacts_of_a_deal(later: Account) -> None:
    deal = later.add_deal()
    task = later.add_task(deal, "Call back")
    assert later.truth("dealTasks")[task]["status"] in {0, "0"}
    later.complete_task(task, outcome=2)
    assert later.truth("dealTasks")[task]["status"] in {1, "1"}
    number = later.set_deal_value(deal, 3, "129900")
    assert later.set_deal_value(deal, 3, "99900") == number
    assert later.truth("dealCustomFieldData")[number]["fieldValue"] == "99900"
    relation = later.add_secondary_contact(deal, 5)
    assert later.truth("contactDeals")[relation]["contact"] == "5"
    later.touching.add("dealCustomFieldData")
    later.clock = lambda: LATER + timedelta(hours=1)
    later.set_deal_value(deal, 3, "1")
    assert datetime.fromisoformat(later.truth("deals")[deal]["mdate"]) == later.now


def test_deleting_a_contact_takes_along_what_belonged_to_it(account: Account) -> None:
    names = [name for name, c in CATALOGUE.items() if c.parent == "contacts"]
    family = {name: set(account.owned(name, 5)) for name in names}
    assert sum(map(bool, family.values())) > 5
    account.delete_contact(5)
    for name, numbers in family.items():
        assert not numbers & account.truth(name).keys(), name


def test_what_was_never_read_is_gone_as_well(account: Account) -> None:
    other = Account.generate(seed=7, now=NOW)
    account.truth("contactTags")
    for one in (account, other):
        one.delete_contact(5)
    assert account.truth("contactTags") == other.truth("contactTags")


def test_deleting_a_tag_takes_it_off_all_contacts(account: Account) -> None:
    assert of(account, "contactTags", "tag", 3)
    account.remove_record("tags", 3)
    assert of(account, "contactTags", "tag", 3) == []
    assert 3 not in account.truth("tags")


def test_any_record_can_be_added_changed_overwritten_and_removed(account: Account) -> None:
    for name, collection in CATALOGUE.items():
        if collection.parent and name not in {
            "fieldValues", "dealActivities", "dealCustomFieldData", "accountCustomFieldData",
        }:  # fmt: skip
            parent = account.visible_ids(collection.parent)[0]
            fact = account.family(name).parent_fact
            number = account.add_record(name, **{fact: parent})
            account.update_record(name, number, newField=["x"])
            record = orjson.loads(account.render(name, number))
            assert record["newField"] == ["x"]
            count = len(account.visible_ids(name))
            account.remove_record(name, number)
            assert len(account.visible_ids(name)) == count - 1
            with pytest.raises(KeyError):
                account.add_record(name, **{fact: 987_654})
        elif account.is_table(name) and name not in {
            "dealGroups", "dealStages", "campaigns", "fields", "fieldOptions", "fieldRels", "users",
        }:  # fmt: skip
            number = account.add_record(name)
            account.update_record(name, number, newField=1)
            assert account.tables[name][number]["newField"] == 1
            account.remove_record(name, number)


@pytest.mark.parametrize("seed", range(6))
def test_the_whole_account_stays_sound_while_it_lives(seed: int) -> None:
    account = Account.generate(seed=seed, contacts=30, deals=20, field_values=40, now=NOW)
    assert len(account.churn(Random(seed), 400)) == 400
    for name, collection in CATALOGUE.items():
        truth = account.truth(name)
        assert len(truth) == len(account.visible_ids(name)), name
        if collection.parent:
            parents = set(account.visible_ids(collection.parent))
            family = account.family(name)
            assert {family.parent_of(n) for n in family.live} <= parents, name
    tags = account.truth("contactTags").values()
    assert len({(row["contact"], row["tag"]) for row in tags}) == len(tags)
    counts = account.truth("tags")
    assert sum(int(tag["subscriber_count"]) for tag in counts.values()) == len(tags)


def test_everyday_life_reaches_every_kind_of_collection() -> None:
    account = Account.generate(contacts=60, deals=40, field_values=60, now=NOW)
    names = ("contactTags", "contactLists", "contactAutomations", "accountContacts", "notes",
             "logs", "linkData", "ecomOrders", "dealTasks", "dealCustomFieldData", "accounts",
             "accountCustomFieldData", "dealActivities", "tags")  # fmt: skip
    before = {name: account.truth(name) for name in names}
    account.churn(Random(1), 1500)
    assert [name for name in names if account.truth(name) == before[name]] == []
