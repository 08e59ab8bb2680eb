"""E-mail campaigns: plain records whose counters agree with one another."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from random import Random

from activecampaign_dagster.sandbox import calendar, stamps, templates, values, words
from activecampaign_dagster.sandbox.pipelines import Table
from activecampaign_dagster.sandbox.stamps import DAY
from activecampaign_dagster.sandbox.templates import Record

DRAFT, COMPLETED = "0", "5"

# what no recording leaves empty or "0"
_FIXED: Record = {
    "type": "single",
    "activerss_interval": "day1",
    "activerss_items": "10",
    "activerss_url": "",
    "ed_version": "3",
    "format": "html",
    "laststep": "summary",
    "mail_cleanup": "1",
    "mail_send": "1",
    "mail_transfer": "1",
    "recurring": "day1",
    "reminder_field": "sdate",
    "reminder_format": "",
    "reminder_offset_sign": "+",
    "reminder_offset_type": "day",
    "reminder_type": "month_day",
    "responder_type": "subscribe",
    "source": "web",
    "split_offset_type": "day",
    "split_type": "even",
    "tracklinks": "all",
    "trackreads": "1",
    "statusString": "Draft",
    "statusToolTip": "",
    "typeText": "One-time",
    "numberOfMessages": "1",
    "created_by": "1",
    "updated_by": "1",
    "ldate": None,
    "sdate": None,
}
_LINKS = (
    "user automation campaignMessage campaignMessages links aggregateRevenues segment campaignLists"
)


def campaign(number: int, name: str, created: int, changes: Record | None = None) -> Record:
    """One draft campaign, with changes; `created` in seconds."""
    stamp, plain = (text.decode() for text in stamps.both(created))
    record = values.prototype("campaigns", number % values.VARIANTS)
    own = {
        **_FIXED,
        "name": name,
        "status": DRAFT,
        "message_id": str(number),
        "campaign_message_id": str(number),
        "cdate": stamp,
        "mdate": stamp,
        "created_timestamp": plain,
        "updated_timestamp": plain,
        "screenshot": f"//sandbox.img-us1.com/{number}.jpg",
        "links": templates.links(f"campaigns/{number}", _LINKS),
        "id": str(number),
    }
    record |= {key: own[key] for key in own if key in record}
    return record | (changes or {})


def generate(seed: int, count: int, contacts: array[int], start: int, end: int) -> Table:
    """`count` campaigns; every eighth is a draft. `contacts`: when contacts were created."""
    random = Random(words.salted(seed, "campaigns"))
    table: Table = {}
    moments = calendar.spread(random, count, start + 20 * DAY, end, growth=0.1)
    for number, created in enumerate(moments, start=1):
        label = stamps.iso(created)[:7].decode()
        name = f"{words.TOPICS[number % len(words.TOPICS)]} {label}"
        sent_at = min(end, created + random.randrange(3) * DAY + random.randrange(600, 9_000))
        if number % 8 == 3 or sent_at >= end:
            table[number] = campaign(number, name, created)
        else:
            audience = bisect_right(contacts, sent_at)
            table[number] = campaign(number, name, created, _sent(random, audience, sent_at, end))
        if number % 10 == 7:
            # a copy keeps the original's cdate
            table[number]["cdate"] = stamps.iso(created - 30 * DAY).decode()
    return table


def _sent(random: Random, audience: int, sent_at: int, end: int) -> Record:
    """Tell what sending to a part of the audience changed."""
    amount = int(audience * random.uniform(0.25, 0.95))
    hard = int(amount * random.uniform(0.001, 0.012))
    soft = int(amount * random.uniform(0.002, 0.02))
    unique_opens = int((amount - hard - soft) * random.uniform(0.18, 0.46))
    opens = int(unique_opens * random.uniform(1.1, 1.9))
    clickers = int(unique_opens * random.uniform(0.06, 0.28))
    clicks = int(clickers * random.uniform(1.0, 1.7))
    forwards = int(unique_opens * 0.004)
    stamp = stamps.iso(sent_at).decode()
    last = min(end - 1, sent_at + 1_800)
    return {
        "status": COMPLETED,
        "statusString": "Completed",
        "mdate": stamp,
        "sdate": stamp,
        "ldate": stamps.iso(last).decode(),
        "updated_timestamp": stamps.naive(min(end - 1, sent_at + 4 * DAY)).decode(),
        "send_amt": str(amount),
        "total_amt": str(amount),
        "opens": str(opens),
        "uniqueopens": str(unique_opens),
        "verified_opens": str(int(opens * 0.7)),
        "verified_unique_opens": str(int(unique_opens * 0.7)),
        "linkclicks": str(clicks),
        "uniquelinkclicks": str(clickers),
        "subscriberclicks": str(clickers),
        "hardbounces": str(hard),
        "softbounces": str(soft),
        "unsubscribes": str(int(amount * random.uniform(0, 0.006))),
        "forwards": str(forwards),
        "uniqueforwards": str(forwards),
        "replies": str(int(unique_opens * 0.01)),
        "uniquereplies": str(int(unique_opens * 0.01)),
    }
