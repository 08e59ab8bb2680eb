"""The API's peculiarities, as documented, recorded or reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson
import pytest

from activecampaign_dagster.sandbox.account import Account
from tests.sandbox.conftest import NOW

Params = tuple[str, str]


def get(account: Account, path: str, *params: Params) -> Any:
    status, body = account.respond(path, [("limit", "100"), *params])
    assert status == 200, (path, body)
    return orjson.loads(body)


def walk(account: Account, path: str, array: str, *params: Params) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while rows := get(account, path, ("offset", str(len(found))), *params)[array]:
        found += rows
    return found


@pytest.mark.parametrize(
    "name", ["contactTags", "contactLists", "contactAutomations", "accountContacts", "scoreValues",
             "geoIps", "contactData", "bounceLogs", "contactGoals", "trackingLogs", "notes"],
)  # fmt: skip
def test_a_contacts_page_brings_what_belongs_to_its_contacts(account: Account, name: str) -> None:
    page = get(account, "contacts", ("include", name), ("orders[id]", "ASC"))
    of = {row["id"] for row in page["contacts"]}
    truth = account.truth(name)
    expected = [row for row in truth.values() if row.get("contact", row.get("relid")) in of]
    assert sorted(page[name], key=lambda row: int(row["id"])) == expected
    listed = [number for row in page["contacts"] for number in row[name]]
    assert listed == [row["id"] for row in page[name]]


def test_several_includes_come_in_one_page(account: Account) -> None:
    page = get(account, "contacts", ("include", "contactTags.tag,contactLists.list,fieldValues"))
    assert {row["tag"] for row in page["contactTags"]} == {row["id"] for row in page["tags"]}
    assert {row["list"] for row in page["contactLists"]} == {row["id"] for row in page["lists"]}
    assert page["fieldValues"]
    assert "geoAddresses" in get(account, "contacts", ("include", "geoIps.geoAddress"))
    assert set(get(account, "contacts", ("include", "automationEntryCounts,none"))) == {
        "contacts", "scoreValues", "meta",
    }  # fmt: skip


def test_an_include_can_be_ignored_or_cut(account: Account) -> None:
    account.ignored_includes = {"contacts.contactTags"}
    page = get(account, "contacts", ("include", "contactTags,contactLists"))
    assert "contactTags" not in page
    assert "contactTags" not in page["contacts"][0]
    assert page["contactLists"]
    account.ignored_includes = set()
    account.cut_includes = {"contacts.contactTags": 1}
    page = get(account, "contacts", ("include", "contactTags"))
    assert max(len(row["contactTags"]) for row in page["contacts"]) == 1


def test_deals_bring_their_values_in_another_shape(account: Account) -> None:
    page = get(account, "deals", ("include", "dealCustomFieldData,contact,stage"))
    flat = account.truth("dealCustomFieldData")
    filled = Counter[str]()
    for row in page["dealCustomFieldData"]:
        same = flat[int(row["id"])]
        assert row["deal_id"] == str(same["dealId"])
        assert row["custom_field_id"] == str(same["customFieldId"])
        values = {k: v for k, v in row.items() if k.endswith(("_value", "_blob")) and v is not None}
        assert list(values.values()) == ([] if same["fieldValue"] is None else [same["fieldValue"]])
        filled.update(list(values))
    assert len(filled) >= 4
    shown = [deal for deal in page["deals"] if not deal["isDisabled"]]
    assert {d["contact"] for d in shown} - {None, "", "0"} == {c["id"] for c in page["contacts"]}
    assert {d["stage"] for d in shown} == {s["id"] for s in page["dealStages"]}
    assert not any("dealCustomFieldData" in deal for deal in page["deals"] if deal["isDisabled"])
    account.flat_custom_values = True
    page = get(account, "deals", ("include", "dealCustomFieldData"))
    assert page["dealCustomFieldData"][0] == flat[int(page["dealCustomFieldData"][0]["id"])]


def test_a_hidden_deal_brings_nothing_beside_it(account: Account) -> None:
    shown = next(deal for deal in account.truth("deals").values() if not deal["isDisabled"])
    account.hide_pipeline(int(shown["group"]))
    arrays = ("dealCustomFieldData", "dealActivities", "contactDeals", "dealTasks")
    page = get(account, "deals", ("include", ",".join(arrays)))
    hidden = {deal["id"] for deal in page["deals"] if deal["isDisabled"]}
    assert shown["id"] in hidden
    for name in arrays:
        owners = [row.get("deal_id") or row.get("deal") for row in page[name]]
        assert owners
        assert not hidden & set(owners)
        assert not any(name in deal for deal in page["deals"] if deal["isDisabled"])
    account.flat_custom_values = True
    rows = get(account, "deals", ("include", "dealCustomFieldData"))["dealCustomFieldData"]
    assert not {int(deal) for deal in hidden} & {row["dealId"] for row in rows}


@pytest.mark.parametrize("path", ["geoAddresses", "scoreValues"])
def test_what_only_comes_with_others_has_no_list(account: Account, path: str) -> None:
    assert account.truth(path)
    assert account.respond(path, [])[0] == 404
    assert account.respond(f"{path}/1", [])[0] == 404


def test_companies_bring_their_values_under_another_name(account: Account) -> None:
    page = get(account, "accounts", ("include", "accountCustomFieldData"))
    rows = page["customerAccountCustomFieldData"]
    assert len(rows) == len(account.truth("accountCustomFieldData"))
    assert isinstance(rows[0]["custom_field_id"], str)
    assert [n for a in page["accounts"] for n in a["accountCustomFieldData"]] == [
        row["id"] for row in rows
    ]
    assert "meta" not in get(account, "accountCustomFieldData")


def test_companies_are_counted_on_demand_only(account: Account) -> None:
    company = account.add_company("Bluefenn")
    account.employ(5, company, "Buyer")
    plain = {a["id"]: a for a in get(account, "accounts")["accounts"]}
    counted = {a["id"]: a for a in get(account, "accounts", ("count_deals", "true"))["accounts"]}
    assert all(a.get("contactCount", "0") == "0" for a in plain.values())
    assert counted[str(company)].get("contactCount", "1") == "1"
    total = sum(int(a.get("contactCount", "0")) for a in counted.values())
    assert total > len(counted) / 4


def test_campaigns_bring_messages_and_links(account: Account) -> None:
    asked = "campaignMessages.message,links,campaignLists"
    page = get(account, "campaigns", ("include", asked))
    for name in ("campaignMessages", "links", "campaignLists", "messages"):
        assert len(page[name]) == len(account.truth(name))
    campaigns = {row["id"]: row for row in page["campaigns"]}
    for row in page["campaignMessages"]:
        assert row["opens"] == campaigns[row["campaign"]]["opens"]
        assert row["message"] == campaigns[row["campaign"]]["message_id"]


def test_lists_of_contacts_are_unstable_when_paged_by_offset(account: Account) -> None:
    rows = walk(account, "contactLists", "contactLists")
    ids = [row["id"] for row in rows]
    assert len(set(ids)) < len(ids)
    assert get(account, "contactLists")["meta"]["total"] == str(len(account.truth("contactLists")))
    account.unstable = set()
    assert len(walk(account, "contactLists", "contactLists")) == len(account.truth("contactLists"))


@pytest.mark.parametrize(
    ("path", "name"),
    [("contactLists", "filters[list]"), ("contactLists", "filters[updated_since]"),
     ("contactTags", "filters[tag]"), ("activities", "filters[tstamp]"),
     ("emailActivities", "filters[tstamp][gt]"), ("logs", "filters[contact]"),
     ("trackingLogs", "filters[contact]"), ("segments", "orders[id]")],
)  # fmt: skip
def test_what_does_not_filter_answers_200_with_everything(
    account: Account, path: str, name: str
) -> None:
    assert get(account, path, (name, "3"))["meta"] == get(account, path)["meta"]


def test_lists_of_text_messages_are_hidden_unless_asked_for(account: Account) -> None:
    def names(*params: Params) -> list[str]:
        return [row["name"] for row in get(account, "lists", *params)["lists"]]

    assert "Text messages" not in names()
    assert names(("filters[channel]", "sms")) == ["Text messages"]
    assert len(names(("filters[channel]", "all"))) == len(names()) + 1
    assert names(("filters[name][starts_with]", "news")) == ["Newsletter"]


def test_activities_come_oldest_first_unless_asked_otherwise(account: Account) -> None:
    plain = walk(account, "activities", "activities")
    stamps = [datetime.fromisoformat(row["tstamp"]) for row in plain]
    assert stamps == sorted(stamps)
    newest = walk(account, "activities", "activities", ("orders[tstamp]", "DESC"))
    assert [row["id"] for row in newest] == [row["id"] for row in plain][::-1]
    account.ignored_orders = {"activities.tstamp"}
    assert walk(account, "activities", "activities", ("orders[tstamp]", "DESC")) == plain
    after = NOW.replace(year=2025).isoformat()
    late = walk(account, "activities", "activities", ("after", after))
    assert 0 < len(late) < len(plain)
    assert all(row["tstamp"] >= after[:4] for row in late)
    of_one = walk(account, "activities", "activities", ("contact", "5"))
    assert of_one
    assert {row["subscriberid"] for row in of_one} == {"5"}


def test_activities_are_about_records_that_exist(account: Account) -> None:
    kinds = {"Log": "logs", "LinkData": "linkData", "DealActivity": "dealActivities",
             "Note": "notes", "SubscriberList": "contactLists", "DealTask": "dealTasks",
             "SubscriberSeries": "contactAutomations",
             "EcomOrderActivity": "ecomOrders"}  # fmt: skip
    seen = Counter[str]()
    for row in account.truth("activities").values():
        assert int(row["reference_id"]) in account.family(kinds[row["reference_type"]])
        seen[row["reference_type"]] += 1
    assert set(seen) == set(kinds)


LOGS = ("logs", "emailActivities", "linkData", "mppLinkData", "trackingLogs")


@pytest.mark.parametrize("path", LOGS)
def test_logs_are_listed_oldest_first_with_rising_ids(account: Account, path: str) -> None:
    for _ in range(3):
        account.send_mail(5, 1)
        account.click(5, account.owned("links", 1)[1])
        account.add_record("mppLinkData", contact=6)
        account.add_record("trackingLogs", contact=7)
    account.remove_record(path, account.visible_ids(path)[10])
    rows = walk(account, path, path)
    ids = [int(row["id"]) for row in rows]
    assert ids == sorted(account.truth(path))
    moments = [datetime.fromisoformat(row["tstamp"]) for row in rows]
    assert moments == sorted(moments)
    assert len(set(moments)) > len(moments) / 2


@pytest.mark.parametrize("path", LOGS)
def test_logs_go_with_their_contacts(path: str) -> None:
    def generated() -> Account:
        return Account.generate(seed=7, now=NOW, sizes=dict.fromkeys(LOGS, 2))

    def of(rows: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for row in rows:
            found.setdefault(row["subscriberid"], []).append(row["id"])
        return found

    account = generated()
    seen = of(account.truth(path).values())
    contact = next(c for c, ids in seen.items() if len(ids) > 1)
    assert of(get(account, f"contacts/{contact}/{path}")[path]) == {contact: seen[contact]}
    for was_read in (True, False):
        other = generated()
        if was_read:
            other.truth(path)
        other.delete_contact(int(contact))
        assert of(other.truth(path).values()) == {c: n for c, n in seen.items() if c != contact}


@pytest.mark.parametrize(
    ("path", "order", "stamp"),
    [("dealActivities", "cdate", "cdate"), ("emailActivities", "tstamp", "tstamp"),
     ("contactAutomations", "lastdate", "lastdate"), ("trackingLogs", "tstamp", "tstamp"),
     ("ecomOrders", "external_created_date", "externalCreatedDate"),
     ("dealTasks", "cdate", "cdate")],
)  # fmt: skip
def test_logs_come_newest_first_when_asked_to(
    account: Account, path: str, order: str, stamp: str
) -> None:
    rows = walk(account, path, path, (f"orders[{order}]", "DESC"))
    stamps = [datetime.fromisoformat(row[stamp]) for row in rows]
    assert len(rows) == len(account.truth(path))
    assert stamps == sorted(stamps, reverse=True)


def test_the_log_of_deals_leads_to_what_deals_are(account: Account) -> None:
    truth = account.truth("deals")
    by_deal: dict[int, list[dict[str, Any]]] = {}
    for row in walk(account, "dealActivities", "dealActivities", ("orders[cdate]", "ASC")):
        by_deal.setdefault(int(row["deal"]), []).append(row)
    decided = 0
    for deal, rows in by_deal.items():
        record = truth[deal]
        if record["isDisabled"]:
            continue
        last = {row["dataType"]: row for row in rows}
        if "d_stageid" in last:
            assert last["d_stageid"]["dataAction"] == record["stage"]
        if "value" in last:
            assert last["value"]["dataAction"] == record["value"]
        assert last.get("status", {"dataAction": "0"})["dataAction"] == record["status"]
        assert all(record["cdate"][:10] <= row["cdate"][:10] for row in rows)
        if "status" in last:
            decided += 1
            assert last["status"]["cdate"][:19].replace("T", " ") == record["edate"]
    assert decided > 20
    one = get(account, "dealActivities", ("filters[deal]", "1"))["dealActivities"]
    assert one == get(account, "deals/1/dealActivities")["dealActivities"]


def test_users_may_be_without_stamps(account: Account) -> None:
    assert all("udate" in user and "lang" not in user for user in get(account, "users")["users"])
    account.users_have_stamps = False
    assert all("lang" in user and "udate" not in user for user in get(account, "users")["users"])


def test_field_groups_come_as_two_arrays(account: Account) -> None:
    body = get(account, "groupMembers")
    assert set(body) == {"groupDefinitions", "groupMembers"}
    assert {row["group_id"] for row in body["groupMembers"]} == {
        row["id"] for row in body["groupDefinitions"]
    }
    assert all(type(row["id"]) is int for row in body["groupMembers"])


def test_nested_paths_have_no_meta(account: Account) -> None:
    for path, array in (
        ("contacts/5/contactTags", "contactTags"),
        ("automations/1/triggers", "automationTriggers"),
        ("automations/1/blocks", "automationBlocks"),
        ("deals/1/dealCustomFieldData", "dealCustomFieldData"),
        ("accounts/1/accountCustomFieldData", "customerAccountCustomFieldData"),
        ("tags/1/contactTags", "contactTags"),
        (f"links/{account.truth('linkData')[1]['linkid']}/linkData", "linkData"),
        ("ecomOrders/1/orderProducts", "ecomOrderProducts"),
        ("users/1/userGroup", "userGroups"),
    ):
        body = get(account, path)
        assert list(body) == [array], path
        assert body[array], path
    assert account.respond("automations/999/triggers", [])[0] == 404
    assert account.respond("automationTriggers", [])[0] == 404
    account.missing_when_empty = {"bounceLogs"}
    without = next(n for n in account.contacts.live if not account.owned("bounceLogs", n))
    assert account.respond(f"contacts/{without}/bounceLogs", [])[0] == 404
    some = next(n for n in account.contacts.live if not account.owned("contactData", n))
    assert account.respond(f"contacts/{some}/contactData", []) == (200, b"{}")


def test_own_objects_are_below_their_schemas(account: Account) -> None:
    schemas = get(account, "customObjects/schemas")
    assert schemas["meta"] == {"total": 2, "count": 2, "limit": 100, "offset": 0}
    found = []
    for schema in schemas["schemas"]:
        body = get(account, f"customObjects/records/{schema['id']}", ("limit", "5"))
        assert body["meta"]["count"] == len(body["records"]) == 5
        found += get(account, f"customObjects/records/{schema['id']}")["records"]
    assert {row["id"]: row for row in found} == account.truth("customObjectRecords")
    assert account.respond("customObjects/records/none", [])[0] == 404


def test_segments_of_the_second_kind_are_paged_by_page(account: Account) -> None:
    def page(number: int) -> Any:
        return orjson.loads(
            account.respond("audiences", [("page", str(number)), ("page_size", "2")])[1]
        )

    found = [row for number in (1, 2, 3) for row in page(number)["data"]]
    assert {row["id"]: row for row in found} == account.truth("audiences")
    assert page(4)["data"] == []
    definition = get(account, f"segmentsV2/{found[0]['id']}")["data"]
    assert definition["id"] == found[0]["id"]
    counts = get(account, f"segmentsV2/{found[0]['id']}/count-history")["data"]
    assert len(counts) == 50
    assert {row["segment_id"] for row in counts} == {found[0]["id"]}


def test_recipients_of_text_messages_are_below_their_broadcast(account: Account) -> None:
    body = get(account, "sms/broadcasts/1/recipients")
    assert body["meta"]["total"] == len(body["recipients"]) == 8
    assert get(account, "sms/broadcasts/metrics/1/failures")["failures"]
    assert get(account, "sms/broadcasts/1")["broadcast"]["id"] == 1


def test_orders_add_up(account: Account) -> None:
    products = account.truth("ecomOrderProducts")
    orders = account.truth("ecomOrders")
    for number, order in orders.items():
        own = [p for p in products.values() if p["orderid"] == str(number)]
        assert [p["id"] for p in own] == order.get("orderProducts", [p["id"] for p in own])
        total = sum(int(p["price"]) * int(p["quantity"]) for p in own)
        assert int(order["totalPrice"]) == total
        is_abandoned = order["state"] in {2, "2"}
        assert is_abandoned == bool(order.get("externalcheckoutid"))
        assert is_abandoned == bool(order.get("abandonedDate"))
        if is_abandoned:
            assert order["abandonedDate"] == order["updatedDate"]
    for number, customer in account.truth("ecomCustomers").items():
        own = [o for o in orders.values() if o["customerid"] == str(number)]
        assert int(customer["totalOrders"]) == len(own)
        assert int(customer["totalRevenue"]) == sum(int(o["totalPrice"]) for o in own)
        contact = account.truth("contacts")[int(account.family("ecomCustomers").parent_of(number))]
        assert customer["email"] == contact["email"].lower()


def test_sends_mails_and_hits_agree(account: Account) -> None:
    sends, mails = account.truth("logs"), account.truth("emailActivities")
    links = account.truth("links")
    assert len(sends) == len(mails)
    for number, send in sends.items():
        assert mails[number]["subscriberid"] == send["subscriberid"]
        assert mails[number]["reference"]["id"] == send["campaignid"]
    for hit in account.truth("linkData").values():
        if hit["linkid"] != "0":
            link = links[int(hit["linkid"])]
            assert link["campaign"] == hit["campaignid"]
            assert (hit["isread"] == "1") == (link["link"] == "open")


def test_everything_names_what_exists(account: Account) -> None:
    contacts = {str(n) for n in account.truth("contacts")}
    for name, key, others in (
        ("contactTags", "tag", "tags"), ("contactLists", "list", "lists"),
        ("contactAutomations", "automation", "automations"), ("scoreValues", "score", "scores"),
        ("accountContacts", "account", "accounts"), ("contactGoals", "goal", "goals"),
    ):  # fmt: skip
        there = {str(n) for n in account.truth(others)}
        for row in account.truth(name).values():
            assert row["contact"] in contacts
            assert row[key] in there
    created = {str(n): row["cdate"] for n, row in account.truth("contacts").items()}
    moved = {str(n): row["udate"] for n, row in account.truth("contacts").items()}
    for row in account.truth("contactTags").values():
        when = datetime.fromisoformat(row["cdate"])
        assert datetime.fromisoformat(created[row["contact"]]) <= when
        assert when <= datetime.fromisoformat(moved[row["contact"]])


def test_contacts_can_be_asked_for_by_tag_list_and_automation(account: Account) -> None:
    for parameter, name, key in (
        ("tagid", "contactTags", "tag"),
        ("listid", "contactLists", "list"),
        ("seriesid", "contactAutomations", "automation"),
    ):
        expected = {r["contact"] for r in account.truth(name).values() if r[key] == "2"}
        found = walk(account, "contacts", "contacts", (parameter, "2"))
        assert {row["id"] for row in found} == expected
    account.ignored_filters = {"contacts.tagid"}
    assert len(walk(account, "contacts", "contacts", ("tagid", "2"))) == 200


def test_exclusions_refuse_what_they_do_not_know(account: Account) -> None:
    assert len(get(account, "lists/exclusions")["exclusions"]) == 2
    assert account.respond("lists/exclusions", [("orders[x]", "ASC")])[0] == 422


def test_links_of_a_campaign_that_is_not_there_are_two_documents(account: Account) -> None:
    status, body = account.respond("campaigns/9999/links", [])
    assert status == 404
    assert body.endswith(b'}{"links": []}')


def test_activities_bring_their_contacts(account: Account) -> None:
    page = get(account, "activities")
    named = {row["subscriberid"] for row in page["activities"]} - {"0"}
    assert {row["id"] for row in page["contacts"]} == named
    assert page["activityRecipients"] == []


def test_a_list_that_may_not_be_seen(account: Account) -> None:
    account.switch_off("lists", 403, "You do not have permission to view lists.")
    assert account.respond("lists", [])[0] == 403
    assert get(account, "contacts", ("include", "contactLists"))["contactLists"]
