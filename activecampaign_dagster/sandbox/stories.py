"""Records of the account's many collections tell of one another.

A story gets what is common to all records (the parent, ids of others, `created`, `updated`) and
adds or corrects facts. Facts are called like the fields that show them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from activecampaign_dagster.sandbox import words
from activecampaign_dagster.sandbox.stamps import DAY, iso
from activecampaign_dagster.sandbox.templates import Record

_BLOCKS = ("start", "send", "wait", "if", "addtag", "end")
_REASONS = ("Too many mails", "", "Not what I expected", "")
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


@dataclass(frozen=True, slots=True)
class Child:
    """A record while its story is told: what is common to all, its number, 64 bits of its own."""

    known: Known
    facts: Record
    number: int
    bits: int


Story = Callable[[Child], Record]


def uuid(bits: int) -> str:
    """A UUID made of 64 bits."""
    text = f"{bits:016x}{bits * 31 & 0xFFFFFFFFFFFFFFFF:016x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"


def _subscription(child: Child) -> Record:
    left = (child.bits >> 5) % 8 == 0
    return {
        "status": 2 if left else 1,
        "sdate": child.facts["created"],
        "udate": child.facts["updated"] if left else None,
        "unsubreason": _REASONS[child.bits >> 8 & 3] if left else "",
        "channel": child.known.tables["lists"].get(child.facts["list"], {}).get("channel", "email"),
    }


def _series(child: Child) -> Record:
    left = (child.bits >> 16) % 3 != 0
    completed = left and (child.bits >> 20) % 5 != 0
    steps = 5 if completed else 1 + child.bits % 4
    return {
        "status": 2 if left else 1,
        "completed": int(completed),
        "completedElements": steps,
        "totalElements": 5,
        "completeValue": steps * 20,
        "remdate": child.facts["updated"] if left else None,
        "timespan": child.facts["updated"] - child.facts["created"] if left else None,
        "lastblock": (child.facts["automation"] - 1) * 5 + steps,
    }


def _reached_goal(child: Child) -> Record:
    entries = child.known.owned("contactAutomations", child.facts["contact"])
    automation = (
        child.known.owner_of("goals", child.facts["goal"]) if child.facts.get("goal") else 0
    )
    return {"automation": automation, "contactAutomation": entries[0] if entries else 0}


def _mailing(child: Child) -> Record:
    """A mail that a contact got: of a campaign sent when the contact was there."""
    campaign, moment = child.known.campaign_after(child.facts["created"], child.bits)
    return {"campaign": campaign, "message": campaign, "created": moment}


def _sent(child: Child) -> Record:
    return _mailing(child) | {"sendid": child.number, "successful": 1}


def _mail(child: Child) -> Record:
    mailing = _mailing(child)
    return mailing | {
        "relid": child.facts["contact"],
        "reltype": "Subscriber",
        "toAddress": child.known.email(child.facts["contact"]),
        "reference": {"type": "campaign", "id": str(mailing["campaign"])},
    }


def _hit(child: Child) -> Record:
    """An open (the link `open`, isread 1) or a click."""
    mailing = _mailing(child)
    links = child.known.owned("links", mailing["campaign"])
    place = child.bits >> 8 & 3
    link = links[place] if place < len(links) else links[0] if links else 0
    return mailing | {
        "link": link,
        "isread": int(bool(links) and link == links[0]),
        "times": 1 + child.bits % 3,
    }


def _prefetch(child: Child) -> Record:
    return _hit(child) | {"isread": 2}


def _bounced(child: Child) -> Record:
    mailing = _mailing(child)
    return mailing | {
        "email": child.known.email(child.facts["contact"]),
        "code": 511 + child.bits % 3,
    }


def _note(child: Child) -> Record:
    return {
        "note": f"Talked about the {words.OFFER[child.bits % len(words.OFFER)]}.",
        "reltype": "Subscriber",
        "relid": child.facts["contact"],
        "owner": {"type": "contact", "id": str(child.facts["contact"])},
    }


def _task(child: Child) -> Record:
    contact = child.known.contact_of(child.facts["deal"]) if child.bits % 5 == 0 else 0
    reltype, relid, kind = (
        ("Subscriber", contact, "contact") if contact else ("Deal", child.facts["deal"], "deal")
    )
    done = child.bits % 3 != 0
    return {
        "reltype": reltype,
        "relid": relid,
        "owner": {"type": kind, "id": str(relid)},
        "status": int(done),
        "duedate": child.facts["created"] + (1 + child.bits % 9) * DAY,
        "outcomeId": 1 + child.bits % 4 if done else None,
        "outcomeInfo": "Done" if done else None,
        "title": f"Talk about the {words.OFFER[child.bits % len(words.OFFER)]}",
    }


def _customer(child: Child) -> Record:
    orders = [
        child.known.facts("ecomOrders", order)
        for order in child.known.owned("ecomOrders", child.number)
    ]
    revenue = sum(order["totalPrice"] for order in orders)
    return {
        "email": child.known.email(child.facts["contact"]),
        "externalid": 5000 + child.number,
        "totalOrders": len(orders),
        "totalProducts": sum(order["totalProducts"] for order in orders),
        "totalRevenue": revenue,
        "avgRevenuePerOrder": revenue // len(orders) if orders else 0,
    }


def _order(child: Child) -> Record:
    """The total is that of the order's products; abandoned carts (2) have a date."""
    numbers = child.known.owned("ecomOrderProducts", child.number)
    products = [child.known.facts("ecomOrderProducts", product) for product in numbers]
    state = (1, 1, 1, 1, 2, 0, 3, 4)[child.bits % 8]
    customer = child.facts["customer"]
    return {
        "email": child.known.email(child.known.owner_of("ecomCustomers", customer)),
        "connection": 1 + customer % 2,
        "externalid": 9000 + child.number,
        "orderNumber": 1000 + child.number,
        "orderProducts": [str(product) for product in numbers],
        "state": state,
        "externalcheckoutid": f"cart-{child.number}" if state == 2 else None,
        "abandonedDate": child.facts["updated"] if state == 2 else None,
        "totalPrice": sum(product["price"] * product["quantity"] for product in products),
        "totalProducts": sum(product["quantity"] for product in products),
    }


def _product(child: Child) -> Record:
    name = words.OFFER[child.bits % len(words.OFFER)]
    return {
        "connection": 1 + child.known.owner_of("ecomOrders", child.facts["order"]) % 2,
        "externalid": 100 + child.bits % 50,
        "name": name,
        "sku": name.replace(" ", "-"),
        "price": 500 + child.bits % 20_000,
        "quantity": 1 + (child.bits >> 20) % 3,
    }


def _order_step(child: Child) -> Record:
    order = child.known.facts("ecomOrders", child.facts["order"])
    same = {
        "total_price": order["totalPrice"],
        "total_products": order["totalProducts"],
        "order_number": str(order["orderNumber"]),
    }
    return same | {key: order[key] for key in ("customer", "connection", "email", "state")}


def _message(child: Child) -> Record:
    name = child.known.tables["campaigns"].get(child.facts["campaign"], {}).get("name", "")
    return {"subject": name, "name": name}


def _variant(child: Child) -> Record:
    campaign = child.known.tables["campaigns"].get(child.facts["campaign"], {})
    counters = {name: int(campaign.get(name, "0")) for name in _COUNTERS}
    return counters | {"message": child.facts["campaign"], "percentage": 100}


def _link(child: Child) -> Record:
    """Every campaign's first link is its open pixel; the clicks are on the others."""
    pixel, *others = child.known.owned("links", child.facts["campaign"])
    campaign = child.known.tables["campaigns"].get(child.facts["campaign"], {})
    is_first = others[:1] == [child.number]

    def share(counter: str) -> int:
        clicks = int(campaign.get(counter, "0"))
        each = clicks // (len(others) + 1)
        return clicks - each * (len(others) - 1) if is_first else each

    if child.number == pixel:
        return {"link": "open", "name": "", "message": child.facts["campaign"]}
    return {
        "link": f"https://www.example.com/offer/{child.number}",
        "name": f"Offer {child.number}",
        "message": child.facts["campaign"],
        "tracked": 1,
        **{counter: share(counter) for counter in ("linkclicks", "uniquelinkclicks")},
    }


def _block(child: Child) -> Record:
    place = (child.number - 1) % 5
    return {
        "ordernum": place + 1,
        "type": _BLOCKS[place],
        "parent": child.number - 1 if place else 0,
        "params": {"waittype": "day"} if place == 2 else [],
    }


def _count(child: Child) -> Record:
    segment = child.known.tables["audiences"][child.facts["audience"]]["id"]
    return {
        "segment_id": segment,
        "run_id": uuid(child.bits),
        "result_count": child.bits % 500,
        "active_result_count": child.bits % 400,
        "created": child.known.end - (child.number - 1) % 60 * DAY,
    }


def _recipient(child: Child) -> Record:
    return {
        "id": child.known.some_contact(child.bits),
        "phoneNumber": words.phone(child.bits),
        "sentDate": iso(child.facts["created"])[:19].decode().replace("T", " "),
        "optOut": "no",
        "deliverability": "delivered",
    }


def _object(child: Child) -> Record:
    schema = child.known.tables["customObjectSchemas"][child.facts["schema"]]["id"]
    return {
        "id": uuid(child.bits),
        "schemaId": schema,
        "externalId": f"ext-{child.number}",
        "fields": [
            {"id": "name", "value": f"Item {child.number}"},
            {"id": "seats", "value": str(child.bits % 90)},
        ],
        "relationships": {"primary-contact": [str(child.known.some_contact(child.bits))]},
    }


STORIES: dict[str, Story] = {
    "contactTags": lambda child: {"updated": child.facts["created"]},
    "contactLists": _subscription,
    "contactAutomations": _series,
    "accountContacts": lambda child: {"jobTitle": _JOBS[child.bits % len(_JOBS)]},
    "scoreValues": lambda child: {"scoreValue": child.bits % 100},
    "contactGoals": _reached_goal,
    "bounceLogs": _bounced,
    "notes": _note,
    "logs": _sent,
    "emailActivities": _mail,
    "linkData": _hit,
    "mppLinkData": _prefetch,
    "geoIps": _mailing,
    "trackingLogs": lambda child: {
        "type": "page",
        "value": f"https://www.example.com/{child.bits % 40}",
    },
    "contactEmails": lambda _: {
        "deal": 0,
        "account": 0,
        "message": 0,
        "automation": 0,
    },
    "ecomCustomers": _customer,
    "ecomOrders": _order,
    "ecomOrderProducts": _product,
    "ecomOrderDiscounts": lambda child: {
        "discountAmount": 100 + child.bits % 900,
        "name": "WELCOME",
        "type": "order",
    },
    "ecomOrderActivities": _order_step,
    "dealTasks": _task,
    "messages": _message,
    "campaignMessages": _variant,
    "campaignLists": lambda child: {
        "name": child.known.tables["lists"].get(child.facts["list"], {}).get("name", "")
    },
    "links": _link,
    "automationBlocks": _block,
    "automationTriggers": lambda child: {
        "type": "subscribe",
        "relid": 1 + child.bits % 5,
        "params": {"listid": str(1 + child.bits % 5)},
    },
    "groupMembers": lambda child: {
        "group_id": child.facts["groupDefinition"],
        "rel_id": child.number,
    },
    "segmentCounts": _count,
    "smsRecipients": _recipient,
    "smsFailures": lambda child: {
        "errorCode": "30003",
        "errorSource": "carrier",
        "count": 1 + child.bits % 5,
    },
    "customObjectRecords": _object,
}
