"""Users, pipelines and their stages: small collections kept as plain records."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from activecampaign_dagster.sandbox import templates, values, words
from activecampaign_dagster.sandbox.stamps import DAY, iso, mislabelled
from activecampaign_dagster.sandbox.templates import Record

Table = dict[int, Record]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline to make up: its share of the deals and how its deals fare.

    `median` is the middle deal value in whole USD, `days` the middle number of days to a decision,
    `win_rate` the share of decided deals that are won.
    """

    id: int
    title: str
    stages: tuple[str, ...]
    share: float
    median: int
    days: int
    win_rate: float
    accessible: bool = True


PIPELINES = (
    Pipeline(1, "New business", (
        "Lead in", "Qualified", "Demo", "Proposal", "Negotiation", "Contract sent"),
        0.60, 6_000, 48, 0.32),
    Pipeline(2, "Renewals", ("Renewal due", "Contacted", "Quote sent", "Verbal yes"),
        0.26, 4_200, 27, 0.78),
    Pipeline(3, "Board projects", ("Idea", "Talks", "Terms", "Signing"),
        0.0, 40_000, 90, 0.4, accessible=False),
    Pipeline(4, "Partner channel", ("Introduced", "Joint call", "Proposal", "Agreed", "Paperwork"),
        0.14, 9_500, 61, 0.47),
)  # fmt: skip

_COLORS = ("32B0FC", "9BD6F9", "18E0A8", "F9C46B", "E4718B", "8C7AE6")
_ZONES = ("America/Chicago", "Europe/Berlin", "Europe/London", "America/New_York")


def users(seed: int, start: int, count: int) -> Table:
    """The account's users; the first is the owner, whose `cdate` is null (ActiveCampaign API)."""
    random = Random(words.salted(seed, "users"))
    names = random.sample(words.FIRST, count)
    table: Table = {}
    for number, first in enumerate(names, start=1):
        joined = None if number == 1 else start + (number - 2) * 150 * DAY + 36_000
        table[number] = user(number, first, random.choice(words.LAST), joined)
    return table


def user(number: int, first: str, last: str, created: int | None) -> Record:
    """One user; `created` in seconds."""
    stamp = None if created is None else iso(created).decode()
    return values.prototype("users", number % values.VARIANTS) | {
        "username": f"{first}.{number}".lower(),
        "firstName": first,
        "lastName": last,
        "email": f"{first}.{last}.u{number}@example.com".lower(),
        "localZoneid": _ZONES[number % len(_ZONES)],
        "cdate": stamp,
        "udate": None if number == 2 else stamp or "2018-01-08T09:30:00-06:00",
        "mfaEnabled": "1" if number == 1 else "0",
        "lang": "english",
        "roles": None,
        "links": templates.links(
            f"users/{number}",
            "lists userGroup dealGroupTotals dealGroupUsers configs",
        ),
        "id": str(number),
    }


def stage_ids() -> dict[int, tuple[int, ...]]:
    """Pipeline id → its stages' ids in order."""
    found: dict[int, tuple[int, ...]] = {}
    following = 1
    for pipeline in PIPELINES:
        found[pipeline.id] = tuple(range(following, following + len(pipeline.stages)))
        following += len(pipeline.stages)
    return found


def groups(start: int) -> Table:
    """All pipelines, accessible or not."""
    stages = stage_ids()
    table: Table = {}
    for pipeline in PIPELINES:
        created = start - (40 - pipeline.id * 5) * DAY
        table[pipeline.id] = group(pipeline.id, pipeline.title, stages[pipeline.id], created)
    table[2]["udate"] = mislabelled(start + 400 * DAY)
    return table


def group(number: int, title: str, stages: tuple[int, ...], created: int) -> Record:
    """One pipeline; `created` in seconds."""
    stamp = iso(created).decode()
    return values.prototype("dealGroups", number * 5 % values.VARIANTS) | {
        "title": title,
        "currency": "usd",
        "autoassign": "1",
        "allusers": "1",
        "allgroups": "1",
        "cdate": stamp,
        "udate": stamp,
        "stages": [str(stage) for stage in stages],
        "links": templates.links(
            f"dealGroups/{number}",
            "dealGroupUsers dealGroupGroups stages winProbabilityFeatures",
        ),
        "id": str(number),
    }


def stages(start: int) -> Table:
    """The stages of all pipelines; ActiveCampaign API: nearly all have null stamps."""
    ids = stage_ids()
    table: Table = {}
    for pipeline in PIPELINES:
        for order, (number, title) in enumerate(
            zip(ids[pipeline.id], pipeline.stages, strict=True), start=1
        ):
            table[number] = stage(number, title, pipeline.id, order)
    table[5]["cdate"] = iso(start + 90 * DAY).decode()
    table[5]["udate"] = iso(start + 300 * DAY).decode()
    table[9]["udate"] = mislabelled(start + 400 * DAY)
    return table


def stage(number: int, title: str, pipeline: int, order: int) -> Record:
    """One stage without stamps."""
    return {
        "group": str(pipeline),
        "title": title,
        "color": _COLORS[number % len(_COLORS)],
        "order": str(order),
        "width": "280",
        "dealOrder": "next-action DESC",
        "cardRegion1": "title",
        "cardRegion2": "next-action",
        "cardRegion3": "show-avatar",
        "cardRegion4": "contact-fullname-orgname",
        "cardRegion5": "value",
        "cdate": None,
        "udate": None,
        "links": templates.links(f"dealStages/{number}", "group"),
        "id": str(number),
    }
