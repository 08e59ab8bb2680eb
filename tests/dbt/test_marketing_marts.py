"""The marts about lists, tags, automations, orders, scores and mails, against figures computed in
Python from the account's own records: before and after contacts, lists and tags were deleted.
"""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from statistics import fmean, median

import pytest

from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.forget import find, forget
from tests.dbt.conftest import AS_OF, NOW, Observed
from tests.dbt.test_marts_against_the_truth import (
    by_key,
    close,
    counts,
    days,
    local,
    moment,
    money,
    month_of,
    share,
    words,
)

pytestmark = pytest.mark.slow

LATER = NOW + timedelta(days=1)
EVERYTHING = Source(
    stream_tables=tuple(StreamTable(s, s.name, s.sync_type) for s in STREAMS.values()),
    enabled=frozenset(STREAMS),
)
MEMBERSHIP = {"0": "unconfirmed", "1": "subscribed", "2": "unsubscribed", "3": "bounced"}
PROGRESS = {"1": "in progress", "2": "ended"}
ORDER = {"0": "pending", "1": "completed", "2": "abandoned", "3": "recovered", "4": "waiting"}


class Remembered:
    """An account that was synced and built twice, with its records of both times."""

    def __init__(self, observed: Observed) -> None:
        self.observed = observed
        self.account = observed.account
        observed.warehouse.source = EVERYTHING
        self.add_what_is_rare()
        observed.sync(at=NOW, streams=tuple(STREAMS))
        observed.dbt.build()
        names = [stream.endpoint.collection for stream in STREAMS.values()]
        self.before = {name: self.account.truth(name) for name in READ if name in names}
        observed.clock.now = LATER
        self.live_on()
        self.now = {name: self.account.truth(name) for name in self.before}
        observed.sync(at=LATER, streams=tuple(STREAMS))
        observed.dbt.build(tests=True)

    def add_what_is_rare(self) -> None:
        """What the made-up account lacks: forms, campaigns, bounces and codes that nobody knows."""
        update = self.account.update_record
        for number, changes in enumerate(
            (
                {"status": "0", "form": "1", "sourceid": "4"},
                {"status": "3", "form": "2", "channel": None},
                {"status": "7", "sdate": None},
                {"status": "2", "udate": None},
                {"status": "2", "udate": "2026-02-01T00:00:00-06:00", "campaign": "2",
                 "unsubscribeAutomation": "3", "unsubreason": " Moved "},
                {"status": "1", "form": "99", "udate": "2020-01-01T00:00:00-06:00"},
            ),
            start=1,
        ):  # fmt: skip
            update("contactLists", number, **changes)
        texts = [n for n, r in self.account.truth("lists").items() if r["channel"] == "sms"]
        for membership, record in self.account.truth("contactLists").items():
            if int(record["list"]) in texts:
                update("contactLists", membership, channel=None)
        update("tags", 3, deleted="1")
        for contact in {int(r["contact"]) for r in self.account.truth("contactTags").values()}:
            if contact % 20 == 0:
                update("contacts", contact, deleted="1")
        update("contactAutomations", 1, status="4")
        update("contactAutomations", 2, automation=None)
        update("scoreValues", 1, score="77")
        orders = (
            {"currency": "jpy"},
            {"email": ""},
            {"email": "STRANGER@example.com", "currency": ""},
            {"state": 9, "externalCreatedDate": None},
            {"state": 3, "source": "1", "connectionid": "0", "connection": "0"},
        )
        for number, changes in enumerate(orders, start=1):
            update("ecomOrders", number, **changes)
        update("logs", 1, successful="0")
        update("logs", 2, campaignid="0", campaign="0")
        for number in range(1, 12):
            update("links", number, linkclicks=str(2 * number), uniquelinkclicks=str(number))

    def live_on(self) -> None:
        """Everything that marts must follow: what comes, what changes and what goes."""
        account = self.account
        first, second, third, gone = account.contacts.live[5:9]
        account.subscribe(first, 1)
        account.unsubscribe(first, 1, "Too many mails")
        account.subscribe(second, 3)
        account.add_tag(second, 1)
        account.remove_record("contactTags", account.owned("contactTags", third)[0])
        account.win_deal(next(n for n, d in self.before["deals"].items() if d["status"] == "0"))
        account.leave_automation(account.enter_automation(second, 1))
        account.enter_automation(third, 1)
        account.set_score(second, 1, 55)
        account.add_order(first, (1000, 250))
        account.send_mail(first, 4)
        account.click(first, 10)
        account.click(first, 10)
        account.delete_contact(gone)
        account.remove_record("lists", 2)
        account.remove_record("tags", 4)
        account.remove_record("automations", 2)
        account.remove_record("ecomOrders", 7)
        account.update_record("lists", 1, name="News")

    def records(self, collection: str) -> dict[int, dict]:
        """All records that there ever were, as they were last."""
        return self.before[collection] | self.now[collection]

    def gone(self, collection: str, number: int) -> dict:
        """What a mart says of whether and when a record left the account."""
        is_deleted = number not in self.now[collection]
        return {"is_deleted": is_deleted, "deleted_at": LATER if is_deleted else None}

    def name(self, collection: str, number: int | None, field: str) -> str | None:
        record = self.now[collection].get(number)
        return record and words(record[field])

    def assert_rows(self, mart: str, keys: tuple[str, ...], expected: dict) -> None:
        """That a mart has these rows and no others, with these columns and no others."""
        rows = by_key(self.observed.dbt.rows(f"from marts.{mart}"), *keys)
        assert rows.keys() == expected.keys()
        for key, row in rows.items():
            ids = {"account": "activecampaign"} | dict(zip(keys, key, strict=True))
            assert row == ids | expected[key], key


READ = (
    "contacts", "deals", "campaigns", "contactLists", "lists", "forms", "contactTags", "tags",
    "contactAutomations", "automations", "contactGoals", "scoreValues", "scores", "ecomOrders",
    "ecomCustomers", "connections", "logs", "linkData", "mppLinkData", "links",
)  # fmt: skip


@pytest.fixture(scope="module")
def account(make_observed) -> Remembered:
    return Remembered(make_observed(61))


def number(text) -> int | None:
    return int(text or 0) or None


def test_memberships_of_lists_agree(account):
    expected = {}
    for record_id, record in account.records("contactLists").items():
        gone = account.gone("contactLists", record_id)
        status = MEMBERSHIP.get(record["status"], "other")
        joined, left = moment(record["sdate"]), moment(record["udate"])
        mailing_list, form, campaign = (number(record[n]) for n in ("list", "form", "campaign"))
        listed = account.now["lists"].get(mailing_list, {})
        expected[int(record["contact"]), mailing_list] = {
            "form_id": form,
            "campaign_id": campaign,
            "unsubscribe_automation_id": number(record["unsubscribeAutomation"]),
            "list": account.name("lists", mailing_list, "name"),
            "channel": record["channel"] or listed.get("channel"),
            "status": status,
            "unsubscribe_reason": words(record["unsubreason"]),
            "form": account.name("forms", form, "name"),
            "campaign": account.name("campaigns", campaign, "name"),
            "status_code": int(record["status"]),
            "source_code": int(record["sourceid"]),
            "days_to_unsubscribe": close(days(left - joined), abs=0.006)
            if status == "unsubscribed" and left
            else None,
            "is_subscribed": status == "subscribed" and not gone["is_deleted"],
            "is_list_missing": not listed,
            **gone,
            "subscribed_at": joined,
            "unsubscribed_at": left,
            "subscribed_date": local(joined),
            "subscribed_month": month_of(joined),
            "unsubscribed_date": local(left),
            "unsubscribed_month": month_of(left),
        }
    assert {row["status"] for row in expected.values()} == {*MEMBERSHIP.values(), "other"}
    account.assert_rows("list_memberships", ("contact_id", "list_id"), expected)


def test_contacts_on_lists_for_text_messages_alone_are_not_called_subscribed(account):
    channels = {n: r["channel"] for n, r in account.now["lists"].items()}
    subscribed, unsaid = set(), set()
    for record in account.now["contactLists"].values():
        channel = record["channel"] or channels.get(int(record["list"]))
        if record["status"] == "1":
            (unsaid if channel == "sms" else subscribed).add(int(record["contact"]))
    rows = account.observed.dbt.rows(
        "select contact_id from marts.contacts where subscribed_lists > 0 and not is_deleted"
    )
    there = account.now["contacts"].keys() - {
        n for n in subscribed if is_marked_deleted(account, n)
    }
    assert {row["contact_id"] for row in rows} == subscribed & there
    assert unsaid - subscribed


def test_subscribing_with_a_form_is_engagement(account):
    last = {}
    for record in account.now["contactLists"].values():
        joined = moment(record["sdate"])
        if number(record["form"]) and joined:
            contact = int(record["contact"])
            last[contact] = max(joined, last.get(contact, joined))
    rows = account.observed.dbt.rows(
        "select contact_id, last_form_at, last_engaged_at from marts.contacts "
        "where last_form_at is not null"
    )
    found = {row["contact_id"]: row["last_form_at"] for row in rows}
    assert found == {n: at for n, at in last.items() if n in account.records("contacts")}
    assert all(row["last_engaged_at"] >= row["last_form_at"] for row in rows)


def test_the_growth_of_lists_agrees(account):
    moves = defaultdict(Counter)
    first = {n: [month_of(moment(r["cdate"]))] for n, r in account.now["lists"].items()}
    for record_id, record in account.records("contactLists").items():
        joined, left = moment(record["sdate"]), moment(record["udate"])
        has_left = record["status"] == "2"
        if record["status"] not in {"1", "2"} or not joined or (has_left and not left):
            continue
        end, move = (left, "unsubscribed") if has_left else (None, "removed")
        if not has_left and account.gone("contactLists", record_id)["is_deleted"]:
            end = LATER
        mailing_list = int(record["list"])
        moves[mailing_list, month_of(joined)]["subscribed"] += 1
        first.setdefault(mailing_list, []).append(month_of(joined))
        if end:
            moves[mailing_list, month_of(max(joined, end))][move] += 1
    expected = {}
    for mailing_list, months in first.items():
        members = 0
        for month in months_from(min(months)):
            count = moves[mailing_list, month]
            growth = count["subscribed"] - count["unsubscribed"] - count["removed"]
            members += growth
            expected[mailing_list, month] = {
                "list": account.name("lists", mailing_list, "name"),
                "channel": account.name("lists", mailing_list, "channel"),
                "subscribed": count["subscribed"],
                "unsubscribed": count["unsubscribed"],
                "removed": count["removed"],
                "net_growth": growth,
                "members": members,
                "is_list_missing": mailing_list not in account.now["lists"],
            }
    account.assert_rows("lists", ("list_id", "month"), expected)


def months_from(first: date) -> list[date]:
    found = [first]
    while found[-1] < month_of(AS_OF):
        found.append((found[-1] + timedelta(days=32)).replace(day=1))
    return found


def test_now_a_list_has_the_members_that_are_subscribed(account):
    now = Counter(
        int(record["list"])
        for record in account.now["contactLists"].values()
        if record["status"] == "1"
    )
    rows = account.observed.dbt.rows(
        "select list_id, members from marts.lists where month = ?", [month_of(AS_OF)]
    )
    assert {row["list_id"]: row["members"] for row in rows if row["members"]} == now


def test_the_tags_of_contacts_agree(account):
    expected = {}
    for record_id, record in account.records("contactTags").items():
        tag, tagged = int(record["tag"]), moment(record["cdate"])
        listed = account.now["tags"].get(tag)
        expected[(record_id,)] = {
            "contact_id": int(record["contact"]),
            "tag_id": tag,
            "tag": listed and listed["tag"],
            "is_tag_missing": not listed or listed.get("deleted") == "1",
            **account.gone("contactTags", record_id),
            "tagged_at": tagged,
            "tagged_date": local(tagged),
            "tagged_month": month_of(tagged),
        }
    account.assert_rows("contact_tags", ("contact_tag_id",), expected)


def is_marked_deleted(account: Remembered, contact: int) -> bool:
    """Whether the account still lists the contact, but as deleted."""
    return account.now["contacts"].get(contact, {}).get("deleted") == "1"


def test_tags_agree(account):
    deals = defaultdict(Counter)
    for deal in account.now["deals"].values():
        if counts(deal) and deal["contact"]:
            deals[int(deal["contact"])][deal["status"]] += 1
    expected = {}
    for tag, record in account.now["tags"].items():
        tagged = [
            r
            for r in account.now["contactTags"].values()
            if int(r["tag"]) == tag and not is_marked_deleted(account, int(r["contact"]))
        ]
        of_them = [deals[int(each["contact"])] for each in tagged]
        stamps = [moment(each["cdate"]) for each in tagged]
        open_, won, lost = (sum(count[code] for count in of_them) for code in "012")
        expected[(tag,)] = {
            "tag": record["tag"],
            "tag_type": record["tagType"],
            "contacts": len(tagged),
            "contacts_with_open_deals": sum(count["0"] > 0 for count in of_them),
            "contacts_with_won_deals": sum(count["1"] > 0 for count in of_them),
            "contacts_with_lost_deals": sum(count["2"] > 0 for count in of_them),
            "open_deals": open_,
            "won_deals": won,
            "lost_deals": lost,
            "win_rate": close(share(won, won + lost)),
            "is_tag_missing": record.get("deleted") == "1",
            "created_at": moment(record["cdate"]),
            "first_tagged_at": min(stamps, default=None),
            "last_tagged_at": max(stamps, default=None),
        }
    assert any(row["won_deals"] for row in expected.values())
    has_tag = [int(r["contact"]) for r in account.now["contactTags"].values()]
    assert any(is_marked_deleted(account, contact) for contact in has_tag)
    account.assert_rows("tags", ("tag_id",), expected)


def test_automations_agree(account):
    goals = Counter(int(r["contactAutomation"]) for r in account.records("contactGoals").values())
    entries = defaultdict(list)
    for record_id, record in account.records("contactAutomations").items():
        automation = number(record["automation"]) or number(record["seriesid"])
        entries[automation, month_of(moment(record["adddate"]))].append((record_id, record))
    expected = {}
    for (automation, month), entered in entries.items():
        listed = account.now["automations"].get(automation)
        ended = [record for _, record in entered if record["status"] == "2"]
        completed = [record for record in ended if str(record["completed"]) == "1"]
        spans = [days(moment(r["remdate"]) - moment(r["adddate"])) for r in completed]
        expected[automation, month] = {
            "automation": listed and listed["name"],
            "automation_status_code": listed and int(listed["status"]),
            "entered": len(entered),
            "contacts": len({record["contact"] for _, record in entered}),
            "in_progress": sum(
                record["status"] == "1" and record_id in account.now["contactAutomations"]
                for record_id, record in entered
            ),
            "completed": len(completed),
            "left_early": len(ended) - len(completed),
            "completion_rate": close(share(len(completed), len(entered))),
            "median_days_to_complete": close(median(spans) if spans else None, abs=0.006),
            "average_days_to_complete": close(fmean(spans) if spans else None, abs=0.006),
            "goals_reached": sum(goals[record_id] for record_id, _ in entered),
            "is_automation_missing": listed is None,
        }
    account.assert_rows("automation_performance", ("automation_id", "entered_month"), expected)


def orders_of(account: Remembered) -> dict[int, dict]:
    """Every order as the mart should have it."""
    contacts: dict[str, int] = {}
    for contacts_then in (account.before["contacts"], account.now["contacts"]):
        for contact, record in sorted(contacts_then.items()):
            contacts[record["email"].lower()] = contact
    customers = account.records("ecomCustomers")
    found = {}
    for order, record in account.records("ecomOrders").items():
        gone = account.gone("ecomOrders", order)
        customer = int(record["customerid"])
        connection = number(record["connectionid"])
        currency = record["currency"].upper()
        email = words(record["email"]) or words(customers[customer]["email"])
        state = ORDER.get(str(record["state"]), "other")
        ordered = moment(record["externalCreatedDate"] or record["orderDate"])
        amounts = {
            "total_price": "totalPrice",
            "tax": "taxAmount",
            "shipping": "shippingAmount",
            "discount": "discountAmount",
        }
        found[order] = {
            "customer_id": customer,
            "contact_id": email and contacts.get(email.lower()),
            "connection_id": connection,
            "order_number": record["orderNumber"],
            "external_id": record["externalid"],
            "email": email and email.lower(),
            "connection": account.name("connections", connection, "name"),
            "state": state,
            "currency": currency or "unknown",
            "shipping_method": words(record["shippingMethod"]),
            "state_code": int(record["state"]),
            "products": int(record["totalProducts"]),
            **{
                name: money({"value": record[field], "currency": currency})
                for name, field in amounts.items()
            },
            "is_purchase": state in {"completed", "recovered"} and not gone["is_deleted"],
            "is_abandoned_cart": state == "abandoned" and not gone["is_deleted"],
            "is_imported": record["source"] == "0",
            **gone,
            "ordered_at": ordered,
            "abandoned_at": moment(record["abandonedDate"]),
            "updated_at": moment(record["updatedDate"]),
            "ordered_date": local(ordered),
            "ordered_month": month_of(ordered),
        }
    return found


def test_orders_agree(account):
    expected = {(order,): row for order, row in orders_of(account).items()}
    assert {row["state"] for row in expected.values()} == {*ORDER.values(), "other"}
    account.assert_rows("orders", ("order_id",), expected)


def test_customers_agree(account):
    by_customer = defaultdict(list)
    for order in orders_of(account).values():
        if order["email"] and not order["is_deleted"]:
            by_customer[order["email"], order["currency"]].append(order)
    expected = {}
    for key, orders in by_customer.items():
        count = Counter(order["state"] for order in orders)
        bought = [order for order in orders if order["is_purchase"]]
        stamps = [order["ordered_at"] for order in bought]
        revenue = sum((order["total_price"] for order in bought), Decimal(0))
        expected[key] = {
            "contact_id": orders[0]["contact_id"],
            "orders": len(bought),
            "open_orders": count["pending"] + count["waiting"],
            "abandoned_carts": count["abandoned"],
            "recovered_carts": count["recovered"],
            "revenue": revenue,
            "average_order_value": close(share(revenue, len(bought))),
            "is_repeat": len(bought) > 1,
            "first_order_at": min(stamps, default=None),
            "last_order_at": max(stamps, default=None),
            "first_order_month": month_of(min(stamps, default=None)),
        }
    assert {row["is_repeat"] for row in expected.values()} == {True, False}
    account.assert_rows("customers", ("email", "currency"), expected)


def test_lead_scores_agree(account):
    expected = {
        (record_id,): {
            "contact_id": int(record["contact"]),
            "score_id": int(record["score"]),
            "score": account.name("scores", int(record["score"]), "name"),
            "points": int(record["scoreValue"]),
            "is_score_missing": int(record["score"]) not in account.now["scores"],
            **account.gone("scoreValues", record_id),
            "created_at": moment(record["cdate"]),
            "updated_at": moment(record["mdate"]),
        }
        for record_id, record in account.records("scoreValues").items()
    }
    account.assert_rows("lead_scores", ("score_value_id",), expected)


def test_campaigns_have_the_subject_and_the_sender_of_their_first_message(account):
    messages, expected = account.account.truth("messages"), {}
    variants = account.account.truth("campaignMessages").values()
    for record in sorted(variants, key=lambda record: int(record["messageid"])):
        message = messages[int(record["messageid"])]
        about = [record["subject"] or message["subject"], message["fromname"], message["fromemail"]]
        expected.setdefault(int(record["campaignid"]), [words(text) for text in about])
    rows = account.observed.dbt.rows(
        "select campaign_id, [subject, sender, sender_email] as about "
        "from marts.campaign_performance where subject is not null"
    )
    assert {row["campaign_id"]: row["about"] for row in rows} == expected
    assert expected


def test_bounces_of_campaigns_are_known_by_address(account):
    rows = account.observed.dbt.rows(
        "select campaign_id, email from staging.stg_activecampaign__bounce_logs"
    )
    records = account.account.truth("bounceLogs").values()
    assert Counter((row["campaign_id"], row["email"]) for row in rows) == Counter(
        (number(record["campaignid"]), record["email"].lower()) for record in records
    )
    assert rows


def test_links_of_campaigns_agree(account):
    links = {n: r for n, r in account.now["links"].items() if r["link"] != "open"}
    clicks = Counter()
    for record in links.values():
        clicks[record["campaignid"]] += int(record["linkclicks"])
    expected = {}
    for link, record in links.items():
        campaign = account.now["campaigns"][int(record["campaignid"])]
        unique = int(record["uniquelinkclicks"])
        expected[(link,)] = {
            "campaign_id": int(record["campaignid"]),
            "message_id": number(record["messageid"]),
            "campaign": campaign["name"],
            "link": words(record["name"]),
            "url": record["link"],
            "clicks": int(record["linkclicks"]),
            "unique_clicks": unique,
            "share_of_clicks": close(share(record["linkclicks"], clicks[record["campaignid"]])),
            "click_rate": close(share(unique, int(campaign["send_amt"]))),
            "is_tracked": record["tracked"] == "1",
            "is_deleted": False,
            "deleted_at": None,
        }
    assert sum(clicks.values()) > 0
    account.assert_rows("campaign_links", ("link_id",), expected)


def test_what_contacts_opened_and_clicked_agrees(account):
    events: dict[tuple[int, int], dict[str, list[tuple[int, datetime]]]] = {}

    def note(record, kind: str, hits: int) -> None:
        key = int(record["subscriberid"]), int(record["campaignid"])
        if all(key):
            kinds = events.setdefault(key, defaultdict(list))
            kinds[kind].append((hits, moment(record["tstamp"])))

    for record in account.records("logs").values():
        if record["successful"] == "1":
            note(record, "send", 1)
    for record in account.records("linkData").values():
        pixel = account.now["links"].get(int(record["link"]), {}).get("link") == "open"
        kind = "open" if record["isread"] == "1" or pixel else "click"
        note(record, kind, int(record["times"]))
    for record in account.records("mppLinkData").values():
        note(record, "machine open", int(record["times"]))
    expected = {}
    for key, kinds in events.items():
        total = {kind: sum(hits for hits, _ in found) for kind, found in kinds.items()}
        stamps = {kind: [stamp for _, stamp in found] for kind, found in kinds.items()}
        campaign = account.now["campaigns"].get(key[1])
        expected[key] = {
            "campaign": campaign and campaign["name"],
            "sends": total.get("send", 0),
            "opens": total.get("open", 0),
            "machine_opens": total.get("machine open", 0),
            "clicks": total.get("click", 0),
            "first_opened_hour": min(stamps["open"]).astimezone(UTC).hour
            if "open" in stamps
            else None,
            "is_opened": "open" in total,
            "is_machine_opened": "machine open" in total,
            "is_clicked": "click" in total,
            "is_campaign_missing": campaign is None,
            "last_sent_at": max(stamps.get("send", []), default=None),
            "first_opened_at": min(stamps.get("open", []), default=None),
            "last_opened_at": max(stamps.get("open", []), default=None),
            "first_clicked_at": min(stamps.get("click", []), default=None),
            "last_clicked_at": max(stamps.get("click", []), default=None),
        }
    account.assert_rows("email_engagement", ("contact_id", "campaign_id"), expected)


OF_CONTACTS = (
    "list_memberships", "contact_tags", "orders", "customers", "lead_scores", "email_engagement",
)  # fmt: skip


def test_who_is_forgotten_is_in_none_of_the_marts(account, tmp_path):
    customer = next(iter(account.now["ecomCustomers"].values()))
    email = customer["email"].lower()
    [contact] = [n for n, c in account.now["contacts"].items() if c["email"].lower() == email]
    copy = tmp_path / "warehouse.duckdb"
    shutil.copy(account.observed.dbt.database, copy)
    with connect(copy) as db:
        forget(db, find(db, email, None))
        for mart in OF_CONTACTS:
            columns = db.execute(f"from marts.{mart} limit 0").description
            is_theirs = f"contact_id = {contact}"
            if "email" in {name for name, *_ in columns}:
                is_theirs += f" or email = '{email}'"
            [found] = db.execute(f"select count(*) from marts.{mart} where {is_theirs}").fetchone()
            assert found == 0, mart


def test_without_their_streams_the_marts_are_there_and_empty(built):
    for mart in (*OF_CONTACTS, "lists", "tags", "automation_performance", "campaign_links"):
        assert built.dbt.rows(f"from marts.{mart}") == [], mart
