"""The streams' declarations against the recorded fields: two readings of the same evidence.

The sandbox reads nothing of the streams, so what both say was read twice.
"""

from __future__ import annotations

import pytest

from activecampaign_dagster.sandbox.values import recorded
from activecampaign_dagster.streams.registry import STREAMS

# what a column of a type may be given, beside nothing at all
FITTING = {
    "BIGINT": {"string(int)", "int"},
    "BOOLEAN": {"bool", "string(int)"},
    "DOUBLE": {"string(float)", "string(int)", "int"},
    "JSON": {"array", "object"},
    "TIMESTAMP": {"ts-naive"},
    "TIMESTAMPTZ": {"ts+offset", "ts-Z"},
    "VARCHAR": {"string", "string(int)", "string(float)", "uuid"},
}
NOTHING = {"null", "missing", "string(empty)", "zero-date"}
# arrays that come beside the page, columns that landing makes, and what the docs alone, a single
# body or clients of the API show
ONLY_DECLARED = {
    "account_custom_field_values": {"custom_field_currency_type"},
    "accounts": {"customFields"},
    "automation_blocks": {"parentid", "seriesid"},
    "contacts": {"account", "contactAutomations", "contactLists", "customFields",
                 "customerAccount", "deals", "fieldValues", "geoIps"},
    "custom_fields": {"fieldOptions", "fieldRels"},
    "deal_custom_field_values": {"custom_field_currency_type"},
    "deals": {"customFields"},
    "email_activities": {"automation_name"},
}  # fmt: skip

# of a stream of which only the id is declared, as no record has been seen
ONLY_RECORDED = {"task_notifications": {"links"}}
# fields whose values are of several kinds, all of which their column takes
OTHER_KINDS = {
    ("account_custom_fields", "fieldDefault"): {"int"},  # a text or a number, by the field's type
    ("brandings", "links"): {"string(int)"},  # a number in the docs, an object elsewhere
    ("segment_counts", "timestamp"): {"ts-Z"},  # or seconds since 1970, so a text; part of the key
}
# what the sandbox calls a collection whose body's key is another one's too, or a common word
RECORDED_AS = {
    "audiences": "audiences",
    "custom_object_records": "customObjectRecords",
    "custom_object_schemas": "customObjectSchemas",
    "segment_counts": "segmentCounts",
    "segment_definitions": "segmentDefinitions",
    "sms_failures": "smsFailures",
    "sms_lists": "smsLists",
    "sms_recipients": "smsRecipients",
}


def recorded_of(name: str) -> dict[str, tuple[str, ...]]:
    """A stream's recorded fields by their declared names, with the kinds of their values."""
    stream = STREAMS[name]
    fields = recorded()[RECORDED_AS.get(name, stream.endpoint.collection)]
    if not (shape := stream.endpoint.shape):
        return fields
    lifted = f"{shape.lifted}."  # the recorded fields of an object inside a record
    fields = {name.removeprefix(lifted): kinds for name, kinds in fields.items()}
    renamed = {shape.renames.get(field, field): kinds for field, kinds in fields.items()}
    for field, spellings in shape.first_filled.items():
        found = [renamed.pop(each) for each in spellings if each in renamed]
        renamed |= {field: found[0]} if found else {}
    return renamed


@pytest.mark.parametrize("name", STREAMS)
def test_both_readings_know_the_same_fields(name: str) -> None:
    fields = recorded_of(name)
    declared = {field.name for field in STREAMS[name].fields}
    assert set(fields) - declared <= ONLY_RECORDED.get(name, set())
    each = STREAMS[name].each
    filled_in = {each.parameter} if each else set()
    assert declared - set(fields) - filled_in <= ONLY_DECLARED.get(name, set())


@pytest.mark.parametrize("name", STREAMS)
def test_every_recorded_kind_fits_its_declared_type(name: str) -> None:
    fields = recorded_of(name)
    misfits = {
        field.name: (field.type.value, kinds)
        for field in STREAMS[name].fields
        if (kinds := set(fields.get(field.name, ())) - NOTHING)
        and not kinds <= FITTING[field.type.value] | OTHER_KINDS.get((name, field.name), set())
    }
    assert misfits == {}
