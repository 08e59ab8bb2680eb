"""Random changes of an account: what its users might do next."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from activecampaign_dagster.sandbox import campaigns, custom_fields, words
from activecampaign_dagster.sandbox.deals import OPEN
from activecampaign_dagster.sandbox.operations import Operations


def change(account: Operations, random: Random) -> str:
    """Apply one random change and say what it was."""
    with account.lock:
        acts, weights = zip(*_ACTS, strict=True)
        act: Callable[[Operations, Random], str | None] = random.choices(acts, weights)[0]
        return act(account, random) or _new_contact(account, random)


def _new_contact(account: Operations, random: Random) -> str:
    contact = account.add_contact()
    if random.random() < 0.7 and account.fields.fields:
        _set_value_of(account, random, contact)
    return f"contact {contact} was added"


def _edit_contact(account: Operations, random: Random) -> str | None:
    if not len(account.contacts):
        return None
    contact = random.choice(account.contacts.live)
    account.update_contact(
        contact, phone=words.phone(random.randrange(100)), orgname=random.choice(words.COMPANY)
    )
    return f"contact {contact} was changed"


def _delete_contact(account: Operations, random: Random) -> str | None:
    if not len(account.contacts):
        return None
    contact = random.choice(account.contacts.live)
    account.delete_contact(contact)
    return f"contact {contact} was deleted"


def _new_deal(account: Operations, random: Random) -> str | None:
    groups = account.visible_ids("dealGroups")
    if not groups:
        return None
    contact = random.choice(account.contacts.live) if len(account.contacts) else None
    deal = account.add_deal(
        group=random.choice(groups),
        contact=contact,
        owner=random.choice(account.visible_ids("users") or [1]),
        value=100 * random.randrange(500, 20_000),
    )
    return f"deal {deal} was added"


def _some_deal(account: Operations, random: Random, *, opened: bool) -> int | None:
    """A deal that is open (or is not), mostly a recent one."""
    rows = account.deals
    for _ in range(20):
        if not len(rows):
            return None
        deal = rows.live[min(len(rows) - 1, int(len(rows) * random.random() ** 0.3))]
        if (rows.status[rows.slot(deal)] == OPEN) == opened:
            return deal
    return None


def _move_deal(account: Operations, random: Random) -> str | None:
    deal = _some_deal(account, random, opened=True)
    stages = account.stages_of(account.pipeline_of(deal)) if deal is not None else []
    if deal is None or not stages:
        return None
    stage = random.choice(stages)
    account.move_deal(deal, stage)
    return f"deal {deal} moved to stage {stage}"


def _close_deal(account: Operations, random: Random) -> str | None:
    deal = _some_deal(account, random, opened=True)
    if deal is None:
        return None
    if random.random() < 0.5:
        account.win_deal(deal)
        return f"deal {deal} was won"
    account.lose_deal(deal)
    return f"deal {deal} was lost"


def _reopen_deal(account: Operations, random: Random) -> str | None:
    deal = _some_deal(account, random, opened=False)
    if deal is None:
        return None
    account.reopen_deal(deal)
    return f"deal {deal} was reopened"


def _delete_deal(account: Operations, random: Random) -> str | None:
    if not len(account.deals):
        return None
    deal = random.choice(account.deals.live)
    account.delete_deal(deal)
    return f"deal {deal} was deleted"


def _set_value(account: Operations, random: Random) -> str | None:
    if not len(account.contacts) or not account.fields.fields:
        return None
    return _set_value_of(account, random, random.choice(account.contacts.live))


def _set_value_of(account: Operations, random: Random, contact: int) -> str:
    field = random.choice(sorted(account.fields.fields))
    kind = account.fields.fields[field]["type"]
    options = custom_fields.labels(account.fields, field)
    value = random.choice(words.TOPICS)
    if kind in custom_fields.MULTIPLE_CHOICE and options:
        count = random.randint(1, len(options))
        value = custom_fields.write_choices(kind, random.sample(options, count))
    elif options:
        value = random.choice(options)
    elif kind == "date":
        value = f"{account.now.year}-{random.randint(1, 12):02d}-{random.randint(1, 28):02d}"
    elif kind == "datetime":
        value = account.now.isoformat(timespec="seconds")
    account.set_field_value(contact, field, value)
    return f"field {field} of contact {contact} was set"


def _delete_value(account: Operations, random: Random) -> str | None:
    if not len(account.values):
        return None
    number = random.choice(account.values.live)
    account.delete_field_value(number)
    return f"field value {number} was deleted"


def _campaign_read(account: Operations, random: Random) -> str | None:
    sent = [
        number
        for number, campaign in account.tables["campaigns"].items()
        if campaign["status"] != campaigns.DRAFT and _unread(campaign) > 0
    ]
    if not sent:
        return None
    number = random.choice(sent)
    readers = random.randint(1, min(5, _unread(account.tables["campaigns"][number])))
    account.bump_campaign(number, opens=readers + random.randint(0, 3), uniqueopens=readers)
    return f"campaign {number} was opened"


def _unread(campaign: dict[str, str]) -> int:
    reached = (
        int(campaign["send_amt"]) - int(campaign["hardbounces"]) - int(campaign["softbounces"])
    )
    return reached - int(campaign["uniqueopens"])


def _new_campaign(account: Operations, random: Random) -> str:
    number = account.add_campaign(random.choice(words.TOPICS))
    return f"campaign {number} was drafted"


# the relative frequency of each kind of change
_ACTS: tuple[tuple[Callable[[Operations, Random], str | None], float], ...] = (
    (_new_contact, 3),
    (_edit_contact, 4),
    (_delete_contact, 0.5),
    (_new_deal, 2.5),
    (_move_deal, 4),
    (_close_deal, 2),
    (_reopen_deal, 0.4),
    (_delete_deal, 0.4),
    (_set_value, 4),
    (_delete_value, 0.5),
    (_campaign_read, 1.5),
    (_new_campaign, 0.2),
)
