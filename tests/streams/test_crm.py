"""Custom field values come in two forms, and JSON:API wraps records: both become as declared."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from activecampaign_dagster.api.stamps import CHICAGO
from activecampaign_dagster.streams.custom_fields import (
    ACCOUNT_CUSTOM_FIELD_VALUES,
    DEAL_CUSTOM_FIELD_VALUES,
    DEAL_CUSTOM_FIELDS,
)
from activecampaign_dagster.streams.declaration import Shape, Stream
from activecampaign_dagster.streams.forms import PERSONALIZATIONS
from activecampaign_dagster.streams.segments import AUDIENCES, SEGMENT_DEFINITIONS

KINDS = (
    "custom_field_text_value",
    "custom_field_text_blob",
    "custom_field_date_value",
    "custom_field_datetime_value",
    "custom_field_number_value",
    "custom_field_currency_value",
)
VALUES = pytest.mark.parametrize(
    ("stream", "owner"),
    [(DEAL_CUSTOM_FIELD_VALUES, "deal_id"), (ACCOUNT_CUSTOM_FIELD_VALUES, "customer_account_id")],
    ids=["deals", "accounts"],
)


def beside(stream: Stream) -> Shape:
    assert stream.beside is not None
    assert stream.beside.shape is not None
    return stream.beside.shape


def at_path(stream: Stream) -> Shape:
    assert stream.endpoint.shape is not None
    return stream.endpoint.shape


def side_loaded(owner: str, **filled: Any) -> dict[str, Any]:
    """A value as it comes beside the page of its parent."""
    return {
        "id": "7",
        owner: "5",
        "custom_field_id": "3",
        **dict.fromkeys(KINDS),
        "custom_field_currency_type": None,
        "created_timestamp": "2021-01-04 10:00:00",
        "updated_timestamp": "2021-07-04 10:00:00",
    } | filled


@VALUES
@pytest.mark.parametrize("kind", KINDS)
def test_a_side_loaded_value_becomes_the_declared_form(stream: Stream, owner: str, kind: str):
    made = beside(stream).declared(side_loaded(owner, **{kind: "120"}), CHICAGO)
    assert made["fieldValue"] == "120"
    assert (made["id"], made["customFieldId"]) == ("7", "3")
    assert stream.beside is not None
    assert made[stream.beside.owner] == "5"
    assert made.keys() <= {field.name for field in stream.fields}


@VALUES
def test_a_side_loaded_value_that_is_empty_is_still_a_row(stream: Stream, owner: str):
    made = beside(stream).declared(side_loaded(owner), CHICAGO)
    assert made["fieldValue"] is None
    assert stream.key_of(made) == "7"


@VALUES
def test_the_currency_of_a_side_loaded_value_stays(stream: Stream, owner: str):
    record = side_loaded(
        owner, custom_field_currency_value="1500", custom_field_currency_type="usd"
    )
    made = beside(stream).declared(record, CHICAGO)
    assert (made["fieldValue"], made["custom_field_currency_type"]) == ("1500", "usd")


@VALUES
@pytest.mark.parametrize("value", ["red", "", None, 12, ["a", "b"], {"a": 1}])
def test_a_value_in_the_declared_form_passes_unchanged(stream: Stream, owner: str, value: Any):
    assert stream.beside is not None
    record = {
        "id": "7",
        "customFieldId": 3,
        stream.beside.owner: 5,
        "createdTimestamp": "2020-04-01T07:21:13+00:00",
        "fieldValue": value,
        "links": {},
        "updatedTimestamp": "2020-04-01T07:21:13+00:00",
    }
    assert beside(stream).declared(dict(record), CHICAGO) == record
    assert at_path(stream).declared(dict(record), CHICAGO) == record


@pytest.mark.parametrize(
    ("zone", "winter", "summer"),
    [("America/Chicago", "-06:00", "-05:00"), ("Australia/Adelaide", "+10:30", "+09:30")],
)
def test_stamps_of_deals_values_without_an_offset_are_given_that_of_the_account(
    zone: str, winter: str, summer: str
):
    made = beside(DEAL_CUSTOM_FIELD_VALUES).declared(side_loaded("deal_id"), ZoneInfo(zone))
    assert made["createdTimestamp"] == f"2021-01-04T10:00:00{winter}"
    assert made["updatedTimestamp"] == f"2021-07-04T10:00:00{summer}"
    assert set(DEAL_CUSTOM_FIELD_VALUES.stamps) == {"createdTimestamp", "updatedTimestamp"}


@pytest.mark.parametrize("stream", [DEAL_CUSTOM_FIELDS, DEAL_CUSTOM_FIELD_VALUES])
def test_naive_stamps_at_the_paths_of_deals_fields_are_given_an_offset(stream: Stream):
    record = {"id": "1", "createdTimestamp": "2021-07-04 10:00:00", "updatedTimestamp": None}
    made = at_path(stream).declared(record, CHICAGO)
    assert made["createdTimestamp"] == "2021-07-04T10:00:00-05:00"
    assert made["updatedTimestamp"] is None


@pytest.mark.parametrize("name", ["listIds", "listids"])
def test_both_spellings_of_a_snippets_lists_fill_one_column(name: str):
    made = at_path(PERSONALIZATIONS).declared({"id": "1", name: "2,3"}, CHICAGO)
    assert made == {"id": "1", "listIds": "2,3"}


@pytest.mark.parametrize("stream", [AUDIENCES, SEGMENT_DEFINITIONS], ids=lambda s: s.name)
def test_attributes_of_newer_segments_are_fields_of_their_own(stream: Stream):
    record = {"id": "a-uuid", "type": "audience", "attributes": {"name": "VIP", "category": "x"}}
    lifted = {"id": "a-uuid", "type": "audience", "name": "VIP", "category": "x"}
    assert at_path(stream).declared(record, CHICAGO) == lifted
    assert at_path(stream).declared(lifted, CHICAGO) == lifted
