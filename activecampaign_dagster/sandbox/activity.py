"""Random changes of an account: what its users might do next."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from activecampaign_dagster.sandbox import campaigns, custom_fields, words
from activecampaign_dagster.sandbox.deals import OPEN
from activecampaign_dagster.sandbox.operations import Operations

Act = Callable[[Operations, Random], str | None]


def change(account: Operations, random: Random) -> str:
    """Apply one random change of the core, at times one beside it, and say what was done."""
    with account.lock:
        acts, weights = zip(*_ACTS, strict=True)
        act: Act = random.choices(acts, weights)[0]
        done = act(account, random) or _new_contact(account, random)
        # a source of its own: what happens to the core is the same with or without the rest
        dice = account.dice_beside
        if dice.random() < _SHARE_BESIDE:
            acts, weights = zip(*_ACTS_BESIDE, strict=True)
            also: str | None = dice.choices(acts, weights)[0](account, dice)
            done = f"{done}; {also}" if also else done
        return done


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


def _some(account: Operations, random: Random, collection: str) -> int | None:
    """One of a collection's records."""
    ids = account.family(collection).live
    return random.choice(ids) if len(ids) else None


def _of_contact(account: Operations, random: Random) -> str | None:
    """Let something happen to a contact beside its own fields."""
    if not len(account.contacts):
        return None
    contact = random.choice(account.contacts.live)

    def any_of(collection: str) -> int:
        return random.choice(sorted(account.tables[collection]) or [0])

    acts: list[tuple[str, Callable[[int, int], int], int]] = [
        ("tagged", account.add_tag, any_of("tags")),
        ("subscribed to", account.subscribe, any_of("lists")),
        ("put into automation", account.enter_automation, any_of("automations")),
        ("employed by", account.employ, any_of("accounts")),
        ("sent campaign", account.send_mail, any_of("campaigns")),
        ("drawn to link", account.click, _some(account, random, "links") or 0),
    ]
    name, act, other = random.choice(acts)
    if not other:
        return None
    act(contact, other)
    return f"contact {contact} was {name} {other}"


def _note_or_order(account: Operations, random: Random) -> str | None:
    if not len(account.contacts):
        return None
    contact = random.choice(account.contacts.live)
    if random.random() < 0.5:
        account.add_note(contact, f"Asked about the {random.choice(words.OFFER)}.")
        return f"a note about contact {contact} was written"
    order = account.add_order(contact, tuple(random.sample(range(500, 9000), random.randint(1, 3))))
    return f"contact {contact} placed order {order}"


def _less(account: Operations, random: Random) -> str | None:
    """A tag, a subscription or a note goes."""
    name = random.choice(("contactTags", "contactLists", "notes", "accountContacts"))
    number = _some(account, random, name)
    if number is None:
        return None
    if name == "contactLists":
        facts = account.family(name).facts(number)
        account.unsubscribe(facts["contact"], facts["list"], "Too many mails")
        return f"contact {facts['contact']} left list {facts['list']}"
    account.remove_record(name, number)
    return f"record {number} of {name} was deleted"


def _of_deal(account: Operations, random: Random) -> str | None:
    deal = _some_deal(account, random, opened=True)
    if deal is None:
        return None
    if random.random() < 0.5 and account.tables["dealCustomFieldMeta"]:
        field = random.choice(sorted(account.tables["dealCustomFieldMeta"]))
        account.set_deal_value(deal, field, str(random.randrange(5000)))
        return f"field {field} of deal {deal} was set"
    task = account.add_task(deal, f"Talk about the {random.choice(words.OFFER)}")
    if random.random() < 0.5:
        account.complete_task(task)
    return f"task {task} of deal {deal} was planned"


def _of_company(account: Operations, random: Random) -> str | None:
    companies, fields = account.tables["accounts"], account.tables["accountCustomFieldMeta"]
    if not companies or not fields or random.random() < 0.3:
        return f"company {account.add_company(random.choice(words.COMPANY))} was added"
    company, field = random.choice(sorted(companies)), random.choice(sorted(fields))
    account.set_company_value(company, field, str(random.randrange(5000)))
    return f"field {field} of company {company} was set"


def _rename(account: Operations, random: Random) -> str | None:
    name, key = random.choice((("tags", "tag"), ("lists", "name"), ("automations", "name")))
    if not account.tables[name]:
        return None
    number = random.choice(sorted(account.tables[name]))
    account.update_record(name, number, **{key: f"{random.choice(words.TOPICS)} {number}"})
    return f"record {number} of {name} was renamed"


# the relative frequency of each kind of change
_ACTS: tuple[tuple[Act, float], ...] = (
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
_SHARE_BESIDE = 0.5
_ACTS_BESIDE: tuple[tuple[Act, float], ...] = (
    (_of_contact, 4),
    (_note_or_order, 1),
    (_less, 1.5),
    (_of_deal, 1.5),
    (_of_company, 0.5),
    (_rename, 0.2),
)
