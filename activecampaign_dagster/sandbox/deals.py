"""Deals: how they are made up and how the API writes them."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from itertools import accumulate
from random import Random
from typing import NamedTuple

from activecampaign_dagster.sandbox import calendar, stamps, templates, values, words
from activecampaign_dagster.sandbox.contacts import Contacts
from activecampaign_dagster.sandbox.pipelines import PIPELINES, Pipeline, stage_ids
from activecampaign_dagster.sandbox.stamps import DAY
from activecampaign_dagster.sandbox.store import Rows

OPEN, WON, LOST = 0, 1, 2
CURRENCIES = ("usd", "eur", "gbp", "jpy")
# "value" is in cents; that yen come in yen is a guess, as the API does not say
_MINOR_UNITS = (100, 100, 100, 1)
_RATE = (1.0, 0.92, 0.79, 150.0)
_SHARE = (0.72, 0.16, 0.09, 0.03)

_LINKS = (
    "activities contact contactDeals group nextTask notes account customerAccount "
    "organization owner scoreValues stage tasks dealCustomFieldData"
)
_SHAPES = values.shapes(
    "deals",
    {
        "hash": "<<hash:text>>",
        "owner": "<<owner:int>>",
        "contact": "<<contact:raw>>",
        "group": "<<group:int>>",
        "title": "<<title:text>>",
        "currency": "<<currency:text>>",
        "status": "<<status:int>>",
        "stage": "<<stage:int>>",
        "activitycount": "<<activity:int>>",
        "value": "<<value:int>>",
        "cdate": "<<cdate:text>>",
        "mdate": "<<mdate:text>>",
        "edate": "<<edate:raw>>",
        "description": "<<description:text>>",
        "links": templates.links("deals/<id>", _LINKS),
        "nextdealid": "<<next:int>>",
        **dict.fromkeys(("account", "customerAccount", "organization"), "<<account:raw>>"),
    },
)
_STUB = b'{"title":"%b","status":"%d","id":"%d","isDisabled":true}'
_STUB_WITHOUT_STATUS = b'{"title":"%b","id":"%d","isDisabled":true}'
_COMPANIES = tuple(templates.inner(word) for word in words.COMPANY)
_OFFERS = tuple(word.encode() for word in words.OFFER)
_MISSING = (b"null", b'"0"', b'""')
_NOT_CLOSED = (b"null", b"null", b'"0000-00-00 00:00:00"', b"null", b'""')
_DESCRIPTIONS = (b"", b"", b"", b"Asked for a quote", b"Second attempt,\\nsee notes")


class Course(NamedTuple):
    """The point that a deal's life has led it to."""

    status: int
    stage: int
    moved: int
    closed: int


class Deals(Rows):
    """The account's deals: per slot the columns that change often, the rest from seed and id.

    `closed` is the second of the decision or 0, `value` is in cents, `currency` a position in
    `CURRENCIES`.
    """

    def __init__(self, seed: int, ids: array[int], created: array[int]) -> None:
        super().__init__(ids, created, array("I", created))
        self._seed = words.salted(seed, "deal")
        zeros = [0] * len(ids)
        self.contact = array("I", zeros)
        self.owner = array("H", zeros)
        self.stage = array("H", zeros)
        self.status = array("B", zeros)
        self.currency = array("B", zeros)
        self.value = array("q", zeros)
        self.closed = array("I", zeros)

    def add(self, created: int, updated: int) -> int:
        """A new deal with all columns 0."""
        deal = super().add(created, updated)
        for column in self._columns():
            column.append(0)
        return deal

    def _columns(self) -> tuple[array[int], ...]:
        few = self.contact, self.owner, self.stage, self.status, self.currency
        return *few, self.value, self.closed

    def title(self, deal: int) -> bytes:
        """The generated title, JSON-escaped."""
        bits = words.mix(self._seed, deal)
        company = _COMPANIES[bits % len(_COMPANIES)]
        return b"%b \xe2\x80\x93 %b" % (company, _OFFERS[(bits >> 12) % len(_OFFERS)])

    def account(self, deal: int) -> int:
        """The company that a deal is about, or 0."""
        return _company(words.mix(self._seed, deal) >> 24 & 0xFF)

    def render(self, deal: int, pipeline: int, *, accessible: bool) -> bytes:
        """One deal as the API lists it.

        ActiveCampaign API: a deal of a pipeline that is deleted or that the key may not manage is
        reduced to title, mostly status, id and `isDisabled`.
        """
        slot = self.slot(deal)
        changes = self.changes.get(deal)
        bits = words.mix(self._seed, deal)
        style = bits >> 24 & 0xFF
        if not accessible:
            title = self.title(deal)
            if changes and "title" in changes:
                title = templates.inner(str(changes["title"]))
            if style < 40:
                return _STUB_WITHOUT_STATUS % (title, deal)
            return _STUB % (title, self.status[slot], deal)
        closed = self.closed[slot]
        contact = self.contact[slot]
        holes: dict[bytes, bytes | int] = {
            b"hash": b"%08x" % (bits >> 32),
            b"owner": self.owner[slot],
            b"contact": b'"%d"' % contact if contact else _MISSING[style % 3],
            b"group": pipeline,
            b"title": self.title(deal),
            b"currency": CURRENCIES[self.currency[slot]].encode(),
            b"status": self.status[slot],
            b"stage": self.stage[slot],
            b"activity": style % 23,
            b"value": self.value[slot],
            b"cdate": stamps.iso(self.created[slot]),
            b"mdate": stamps.iso(self.updated[slot]),
            b"edate": b'"%b"' % stamps.naive(closed) if closed else _NOT_CLOSED[style % 5],
            b"description": _DESCRIPTIONS[style % 5],
            b"next": 0 if style & 1 else deal + 1,
            b"account": b'"%d"' % company if (company := _company(style)) else b"null",
        }
        raw = _SHAPES[bits & values.VARIANTS - 1].fill(deal, holes)
        return templates.merged(raw, changes)


def _company(style: int) -> int:
    return style % 60 + 1 if style < 40 else 0


def generate(
    seed: int,
    count: int,
    contacts: Contacts,
    start: int,
    end: int,
    *,
    users: int,
    bulk_import: int,
    stub_share: float,
) -> Deals:
    """`count` deals created in [start, end), each after its contact.

    An import gave `bulk_import` deals with ids in a row one `cdate`, and the deals after them a
    `cdate` that is older than their ids suggest. `stub_share` of the deals are in pipelines that
    are not accessible.
    """
    random = Random(words.salted(seed, "deals"))
    created, imported = _creations(random, count, start, end, bulk_import)
    deals = Deals(seed, calendar.ids(count, 41), created)
    stages = stage_ids()
    shown = [pipeline for pipeline in PIPELINES if pipeline.accessible]
    weights = list(accumulate(pipeline.share for pipeline in shown))
    hidden = next(pipeline for pipeline in PIPELINES if not pipeline.accessible)
    chosen = random.choices(shown, cum_weights=weights, k=count)
    for slot in random.sample(range(count), min(count, math.ceil(count * stub_share))):
        chosen[slot] = hidden
    owners = random.choices(range(1, users + 1), weights=range(users + 2, 2, -1), k=count)
    currencies = random.choices(range(len(CURRENCIES)), weights=_SHARE, k=count)
    draw = random.random
    for slot, pipeline in enumerate(chosen):
        born = created[slot]
        course = _course(random, pipeline, stages[pipeline.id], born, end)
        deals.status[slot] = course.status
        deals.stage[slot] = course.stage
        deals.updated[slot] = max(course.moved, imported.get(slot, 0))
        deals.closed[slot] = course.closed
        deals.owner[slot] = owners[slot]
        currency = currencies[slot]
        deals.currency[slot] = currency
        amount = pipeline.median * math.exp(random.gauss(0, 0.9)) * _RATE[currency]
        deals.value[slot] = 0 if draw() < 0.01 else _MINOR_UNITS[currency] * round(amount)
        known = bisect_right(contacts.created, born)
        if known and draw() > 0.006:
            deals.contact[slot] = contacts.ids[int(draw() * known)]
    return deals


def _creations(
    random: Random, count: int, start: int, end: int, bulk: int
) -> tuple[array[int], dict[int, int]]:
    """Creation stamps by slot, and slot → instant of the import for what was imported."""
    tied, backdated = min(bulk, count // 3), count // 20
    created = calendar.spread(random, count - tied - backdated, start, end)
    if not created:
        return created, {}
    middle = len(created) * 2 // 5
    moment = created[middle]
    past = created[: middle + 1]
    created[middle:middle] = array(
        "I", [moment] * tied + [random.choice(past) for _ in range(backdated)]
    )
    return created, dict.fromkeys(range(middle, middle + tied + backdated), moment)


def _course(
    random: Random, pipeline: Pipeline, stages: tuple[int, ...], born: int, end: int
) -> Course:
    """One deal's life up to `end`."""
    chance = random.random()
    cycle = int(pipeline.days * DAY * math.exp(random.gauss(0, 0.65)))
    reached = len(stages) - 1
    if chance < 0.05:
        # forgotten: moved a little and never decided
        stage = random.randrange(len(stages))
        return Course(OPEN, stages[stage], min(end - 1, born + cycle * stage // len(stages)), 0)
    if born + cycle >= end:
        stage = min(reached, (end - born) * len(stages) // max(cycle, 1))
        return Course(OPEN, stages[stage], min(end - 1, born + cycle * stage // len(stages)), 0)
    closed = born + cycle
    edited = min(end - 1, closed + (random.randrange(20 * DAY) if chance > 0.9 else 0))
    if random.random() < pipeline.win_rate:
        return Course(WON, stages[reached], edited, closed)
    # squared: more deals are lost early
    return Course(LOST, stages[int(len(stages) * random.random() ** 2)], edited, closed)
