"""Small collections without parents (tags, lists, forms, webhooks …), kept as plain records."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from activecampaign_dagster.sandbox import custom_fields, stories, values, words
from activecampaign_dagster.sandbox.catalogue import CATALOGUE, TARGETS
from activecampaign_dagster.sandbox.stamps import DAY
from activecampaign_dagster.sandbox.templates import Record

Table = dict[int, Record]

# where a record's title is, by preference
_TITLES = ("name", "title", "label", "tag", "matchPhrase", "slug", "attributes.name")


def table(name: str, sizes: Mapping[str, int], seed: int, start: int) -> Table:
    """The records of a collection, from 1 to its size."""
    return {
        number: record(name, number, sizes, seed, start + number % 40 * DAY)
        for number in range(1, sizes[name] + 1)
    }


def record(
    name: str,
    number: int,
    sizes: Mapping[str, int],
    seed: int,
    created: int,
    own: Record | None = None,
) -> Record:
    """One record; `own` facts go first."""
    named = CATALOGUE[name].named
    fields = values.recorded()[name]
    title = next((field for field in _TITLES if field in fields), "")
    facts: Record = {"created": created, "updated": created}
    if title:
        facts[title] = named[number - 1] if number <= len(named) else f"{name} {number}"
    for fact in values.references(name):
        target = TARGETS[fact]
        facts[fact] = (number - 1) % sizes[target] + 1 if sizes.get(target) else 0
    # the two lists of segments are about the same ones
    kin = "audiences" if name == "segmentDefinitions" else name
    bits = words.mix(words.salted(seed, kin), number)
    facts |= _OWN.get(name, {}) | _told(name, number, bits) | (own or {})
    shape = values.shape(name, number % values.VARIANTS, tuple(facts))
    made: Record = orjson.loads(shape.render(number, facts))
    return made


_SPECS = {
    "dealCustomFieldMeta": custom_fields.DEAL_SPECS,
    "accountCustomFieldMeta": custom_fields.COMPANY_SPECS,
}
_OWN: dict[str, Record] = {
    "exclusions": {"lists": ["1"]},
    "webhooks": {
        "events": ["subscribe", "deal_update"],
        "sources": ["public", "api"],
        "listid": 0,
        "state": 1,
    },
    "taskOutcomes": {"dealTasktype_ids": ["1", "2"], "disabled": 0},
    "dealTasktypes": {"status": 1},
    "automations": {"status": 1, "entered": 40, "exited": 30},
    "scores": {"status": 1, "reltype": "contact"},
    "broadcasts": {"status": "sent", "deleted_at": None, "list_ids": [1], "sent_to_count": 8},
}


def _told(name: str, number: int, bits: int) -> Record:
    """Tell the records of one collection apart, beside their titles."""
    told: Record = {}
    if name in {"audiences", "segmentDefinitions"}:
        told = {"attributes.segment_id": stories.uuid(bits), "type": "segments"}
    elif name == "segments":
        told = {"segmentid_v2": stories.uuid(bits), "hidden": int(number > 3)}
    elif name == "customObjectSchemas":
        slots = [{"id": "name", "type": "text"}, {"id": "seats", "type": "number"}]
        told = {"fields": slots, "labels": {"singular": "Item"}}
    elif name == "broadcasts":
        told = {"segment_id": stories.uuid(bits)}
    elif name == "lists":
        told = {"channel": "sms" if number == 6 else "email", "stringid": f"list-{number}"}
    elif name in _SPECS:
        label, kind, options = _SPECS[name][(number - 1) % len(_SPECS[name])]
        told = {
            "fieldLabel": label,
            "fieldType": kind,
            "fieldOptions": list(options) or None,
            "displayOrder": number,
        }
    if values.recorded()[name].get("id") == ("uuid",):
        told["id"] = stories.uuid(bits)
    return told
