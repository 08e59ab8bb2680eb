"""What the records of the account's many collections tell of one another.

A story gets what is common to all records (the parent, ids of others, `created`, `updated`) and
adds or corrects facts. Facts are called like the fields that show them.
"""

# ruff: noqa: ARG001 all stories are told alike

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from activecampaign_dagster.sandbox import words
from activecampaign_dagster.sandbox.stamps import DAY, iso
from activecampaign_dagster.sandbox.templates import Record

_BLOCKS = ("start", "send", "wait", "if", "addtag", "end")
_JOBS = ("Buyer", "Head of Sales", "Owner", "Operations", "")
_COUNTERS = (
    "opens", "uniqueopens", "linkclicks", "uniquelinkclicks", "subscriberclicks", "forwards",
    "uniqueforwards", "hardbounces", "softbounces", "unsubscribes", "replies", "uniquereplies",
    "send_amt", "total_amt",
)  # fmt: skip


class Known(Protocol):
    """The account as far as stories look at it."""

    end: int

    @property
    def tables(self) -> Mapping[str, Mapping[int, Record]]:
        """The small collections."""

    def facts(self, collection: str, number: int) -> Record:
        """The facts of a child record."""

    def owned(self, collection: str, parent: int) -> list[int]:
        """The ids of a parent's records."""

    def owner_of(self, collection: str, number: int) -> int:
        """The parent of a record."""

    def email(self, contact: int) -> str:
        """A contact's address; empty when the contact is gone."""

    def campaign_after(self, moment: int, bits: int) -> tuple[int, int]:
        """A campaign that was sent after a moment, and when; (0, moment) when there is none."""

    def some_contact(self, bits: int) -> int:
        """One of the contacts that there were at first, or 0."""

    def contact_of(self, deal: int) -> int:
        """A deal's primary contact, or 0."""


Story = Callable[[Known, Record, int, int], Record]


def uuid(bits: int) -> str:
    """A UUID made of 64 bits."""
    text = f"{bits:016x}{bits * 31 & 0xFFFFFFFFFFFFFFFF:016x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"


def _tagged(known: Known, facts: Record, number: int, bits: int) -> Record:
    return {"updated": facts["created"]}


def _subscription(known: Known, facts: Record, number: int, bits: int) -> Record:
    left = bits % 8 == 0
    return {
        "status": 2 if left else 1,
        "sdate": facts["created"],
        "udate": facts["updated"] if left else None,
        "unsubreason": "Too many mails" if left and bits & 16 else "",
        "channel": "sms" if known.tables["lists"].get(facts["list"], {}).get("channel") == "sms"
        else "email",
    }  # fmt: skip


def _series(known: Known, facts: Record, number: int, bits: int) -> Record:
    left = bits % 3 != 0
    steps = 5 if left else 1 + bits % 4
    return {
        "status": 2 if left else 1,
        "completed": int(left),
        "completedElements": steps,
        "totalElements": 5,
        "completeValue": steps * 20,
        "remdate": facts["updated"] if left else None,
        "timespan": facts["updated"] - facts["created"] if left else None,
        "lastblock": (facts["automation"] - 1) * 5 + steps,
    }


def _job(known: Known, facts: Record, number: int, bits: int) -> Record:
    return {"jobTitle": _JOBS[bits % len(_JOBS)]}


def _points(known: Known, facts: Record, number: int, bits: int) -> Record:
    return {"scoreValue": bits % 100}


def _reached_goal(known: Known, facts: Record, number: int, bits: int) -> Record:
    entries = known.owned("contactAutomations", facts["contact"])
    automation = known.owner_of("goals", facts["goal"]) if facts.get("goal") else 0
    return {"automation": automation, "contactAutomation": entries[0] if entries else 0}


def _mailing(known: Known, facts: Record, number: int, bits: int) -> Record:
    """A mail that a contact got: of a campaign sent when the contact was there."""
    campaign, moment = known.campaign_after(facts["created"], bits)
    return {"campaign": campaign, "message": campaign, "created": moment}


def _sent(known: Known, facts: Record, number: int, bits: int) -> Record:
    return _mailing(known, facts, number, bits) | {"sendid": number, "successful": 1}


def _mail(known: Known, facts: Record, number: int, bits: int) -> Record:
    mailing = _mailing(known, facts, number, bits)
    return mailing | {
        "relid": facts["contact"],
        "reltype": "Subscriber",
        "toAddress": known.email(facts["contact"]),
        "reference": {"type": "campaign", "id": str(mailing["campaign"])},
    }


def _hit(known: Known, facts: Record, number: int, bits: int) -> Record:
    """An open (the link `open`, isread 1) or a click."""
    mailing = _mailing(known, facts, number, bits)
    links = known.owned("links", mailing["campaign"])
    place = bits >> 8 & 3
    link = links[place] if place < len(links) else links[0] if links else 0
    return mailing | {
        "link": link,
        "isread": int(bool(links) and link == links[0]),
        "times": 1 + bits % 3,
    }


def _prefetch(known: Known, facts: Record, number: int, bits: int) -> Record:
    return _hit(known, facts, number, bits) | {"isread": 2}


def _bounced(known: Known, facts: Record, number: int, bits: int) -> Record:
    mailing = _mailing(known, facts, number, bits)
    return mailing | {"email": known.email(facts["contact"]), "code": 511 + bits % 3}


def _visit(known: Known, facts: Record, number: int, bits: int) -> Record:
    return {"type": "page", "value": f"https://www.example.com/{bits % 40}"}


def _no_deal(known: Known, facts: Record, number: int, bits: int) -> Record:
    return {"deal": 0, "account": 0, "message": 0, "automation": 0}


def _note(known: Known, facts: Record, number: int, bits: int) -> Record:
    return {
        "note": f"Talked about the {words.OFFER[bits % len(words.OFFER)]}.",
        "reltype": "Subscriber",
        "relid": facts["contact"],
        "owner": {"type": "contact", "id": str(facts["contact"])},
    }


def _task(known: Known, facts: Record, number: int, bits: int) -> Record:
    contact = known.contact_of(facts["deal"]) if bits % 5 == 0 else 0
    reltype, relid, kind = (
        ("Subscriber", contact, "contact") if contact else ("Deal", facts["deal"], "deal")
    )
    done = bits % 3 != 0
    return {
        "reltype": reltype,
        "relid": relid,
        "owner": {"type": kind, "id": str(relid)},
        "status": int(done),
        "duedate": facts["created"] + (1 + bits % 9) * DAY,
        "outcomeId": 1 + bits % 4 if done else None,
        "outcomeInfo": "Done" if done else None,
        "title": f"Talk about the {words.OFFER[bits % len(words.OFFER)]}",
    }


def _customer(known: Known, facts: Record, number: int, bits: int) -> Record:
    orders = [known.facts("ecomOrders", order) for order in known.owned("ecomOrders", number)]
    revenue = sum(order["totalPrice"] for order in orders)
    return {
        "email": known.email(facts["contact"]),
        "externalid": 5000 + number,
        "totalOrders": len(orders),
        "totalProducts": sum(order["totalProducts"] for order in orders),
        "totalRevenue": revenue,
        "avgRevenuePerOrder": revenue // len(orders) if orders else 0,
    }


def _order(known: Known, facts: Record, number: int, bits: int) -> Record:
    """The total is that of the order's products; abandoned carts (2) have a date."""
    numbers = known.owned("ecomOrderProducts", number)
    products = [known.facts("ecomOrderProducts", product) for product in numbers]
    state = (1, 1, 1, 1, 2, 0, 3, 4)[bits % 8]
    customer = facts["customer"]
    return {
        "email": known.email(known.owner_of("ecomCustomers", customer)),
        "connection": 1 + customer % 2,
        "externalid": 9000 + number,
        "orderNumber": 1000 + number,
        "orderProducts": [str(product) for product in numbers],
        "state": state,
        "externalcheckoutid": f"cart-{number}" if state == 2 else None,
        "abandonedDate": facts["updated"] if state == 2 else None,
        "totalPrice": sum(product["price"] * product["quantity"] for product in products),
        "totalProducts": sum(product["quantity"] for product in products),
    }


def _product(known: Known, facts: Record, number: int, bits: int) -> Record:
    name = words.OFFER[bits % len(words.OFFER)]
    return {
        "connection": 1 + known.owner_of("ecomOrders", facts["order"]) % 2,
        "externalid": 100 + bits % 50,
        "name": name,
        "sku": name.replace(" ", "-"),
        "price": 500 + bits % 20_000,
        "quantity": 1 + (bits >> 20) % 3,
    }


def _discount(known: Known, facts: Record, number: int, bits: int) -> Record:
    return {"discountAmount": 100 + bits % 900, "name": "WELCOME", "type": "order"}


def _order_step(known: Known, facts: Record, number: int, bits: int) -> Record:
    order = known.facts("ecomOrders", facts["order"])
    same = {
        "total_price": order["totalPrice"],
        "total_products": order["totalProducts"],
        "order_number": str(order["orderNumber"]),
    }
    return same | {key: order[key] for key in ("customer", "connection", "email", "state")}


def _message(known: Known, facts: Record, number: int, bits: int) -> Record:
    name = known.tables["campaigns"].get(facts["campaign"], {}).get("name", "")
    return {"subject": name, "name": name}


def _variant(known: Known, facts: Record, number: int, bits: int) -> Record:
    campaign = known.tables["campaigns"].get(facts["campaign"], {})
    counters = {name: int(campaign.get(name, "0")) for name in _COUNTERS}
    return counters | {"message": facts["campaign"], "percentage": 100}


def _link(known: Known, facts: Record, number: int, bits: int) -> Record:
    """Every campaign's first link is its open pixel."""
    first = known.owned("links", facts["campaign"])[:1] == [number]
    return {
        "link": "open" if first else f"https://www.example.com/offer/{number}",
        "name": "" if first else f"Offer {number}",
        "message": facts["campaign"],
    }


def _list_name(known: Known, facts: Record, number: int, bits: int) -> Record:
    return {"name": known.tables["lists"].get(facts["list"], {}).get("name", "")}


def _block(known: Known, facts: Record, number: int, bits: int) -> Record:
    place = (number - 1) % 5
    return {
        "ordernum": place + 1,
        "type": _BLOCKS[place],
        "parent": number - 1 if place else 0,
        "params": {"waittype": "day"} if place == 2 else [],
    }


def _trigger(known: Known, facts: Record, number: int, bits: int) -> Record:
    return {"type": "subscribe", "relid": 1 + bits % 5, "params": {"listid": str(1 + bits % 5)}}


def _field_in_group(known: Known, facts: Record, number: int, bits: int) -> Record:
    return {"group_id": facts["groupDefinition"], "rel_id": number}


def _count(known: Known, facts: Record, number: int, bits: int) -> Record:
    segment = known.tables["audiences"][facts["audience"]]["id"]
    return {
        "segment_id": segment,
        "run_id": uuid(bits),
        "result_count": bits % 500,
        "active_result_count": bits % 400,
        "created": known.end - (number - 1) % 60 * DAY,
    }


def _recipient(known: Known, facts: Record, number: int, bits: int) -> Record:
    return {
        "id": known.some_contact(bits),
        "phoneNumber": words.phone(bits),
        "sentDate": iso(facts["created"])[:19].decode().replace("T", " "),
        "optOut": "no",
        "deliverability": "delivered",
    }


def _failure(known: Known, facts: Record, number: int, bits: int) -> Record:
    return {"errorCode": "30003", "errorSource": "carrier", "count": 1 + bits % 5}


def _object(known: Known, facts: Record, number: int, bits: int) -> Record:
    schema = known.tables["customObjectSchemas"][facts["schema"]]["id"]
    return {
        "id": uuid(bits),
        "schemaId": schema,
        "externalId": f"ext-{number}",
        "fields": [
            {"id": "name", "value": f"Item {number}"},
            {"id": "seats", "value": str(bits % 90)},
        ],
        "relationships": {"primary-contact": [str(known.some_contact(bits))]},
    }


STORIES: dict[str, Story] = {
    "contactTags": _tagged,
    "contactLists": _subscription,
    "contactAutomations": _series,
    "accountContacts": _job,
    "scoreValues": _points,
    "contactGoals": _reached_goal,
    "bounceLogs": _bounced,
    "notes": _note,
    "logs": _sent,
    "emailActivities": _mail,
    "linkData": _hit,
    "mppLinkData": _prefetch,
    "geoIps": _mailing,
    "trackingLogs": _visit,
    "contactEmails": _no_deal,
    "ecomCustomers": _customer,
    "ecomOrders": _order,
    "ecomOrderProducts": _product,
    "ecomOrderDiscounts": _discount,
    "ecomOrderActivities": _order_step,
    "dealTasks": _task,
    "messages": _message,
    "campaignMessages": _variant,
    "campaignLists": _list_name,
    "links": _link,
    "automationBlocks": _block,
    "automationTriggers": _trigger,
    "groupMembers": _field_in_group,
    "segmentCounts": _count,
    "smsRecipients": _recipient,
    "smsFailures": _failure,
    "customObjectRecords": _object,
}
