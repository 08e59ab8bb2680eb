"""Fields whose spelling the API does not document arrive under one name, whichever it uses."""

from __future__ import annotations

from typing import Any

import pytest

from activecampaign_dagster.api.stamps import CHICAGO
from activecampaign_dagster.streams.declaration import Stream
from activecampaign_dagster.streams.ecommerce import ECOMMERCE_ORDER_ACTIVITIES
from activecampaign_dagster.streams.tracking import (
    CONTACT_CONVERSIONS,
    CONVERSION_TRIGGERS,
    CONVERSIONS,
)

SHAPED = (ECOMMERCE_ORDER_ACTIVITIES, CONVERSIONS, CONVERSION_TRIGGERS, CONTACT_CONVERSIONS)
STAMP = "2026-05-28T10:00:00-05:00"


def declared(stream: Stream, record: dict[str, Any]) -> dict[str, Any]:
    assert stream.endpoint.shape is not None
    return stream.endpoint.shape.declared(record, CHICAGO)


@pytest.mark.parametrize("stream", SHAPED, ids=lambda stream: stream.name)
def test_a_record_in_the_declared_form_stays_as_it_is(stream: Stream) -> None:
    record = {
        field.name: STAMP if field.type == "TIMESTAMPTZ" else str(place)
        for place, field in enumerate(stream.fields)
    }
    assert declared(stream, record) == record


@pytest.mark.parametrize("stream", SHAPED, ids=lambda stream: stream.name)
def test_other_spellings_become_declared_fields(stream: Stream) -> None:
    names = {field.name for field in stream.fields}
    shape = stream.endpoint.shape
    assert shape is not None
    assert {*shape.renames.values(), *shape.first_filled, *shape.local} <= names
    assert not names & shape.renames.keys()


def test_an_activity_of_an_order_may_be_spelt_like_the_order() -> None:
    sent = {"id": "1", "totalPrice": "900", "updatedDate": "2026-01-02 03:04:05", "state": "1"}
    assert declared(ECOMMERCE_ORDER_ACTIVITIES, sent) == {
        "id": "1",
        "total_price": "900",
        "updated_date": "2026-01-02T03:04:05-06:00",
        "state": "1",
    }


@pytest.mark.parametrize(
    "sent",
    [
        {"conversion_trigger": "7"},
        {"conversionTrigger": "7"},
        {"conversiontrigger": "7", "conversion_trigger": None},
        {"conversion_trigger": "", "conversionTrigger": "7"},
    ],
)
def test_two_spellings_of_a_trigger_are_one_column(sent: dict[str, Any]) -> None:
    assert declared(CONTACT_CONVERSIONS, sent) == {"conversion_trigger": "7"}
