"""Declarations around mails, automations and tasks: what the general tests cannot know of them."""

from __future__ import annotations

from typing import Any

import pytest

from activecampaign_dagster.api.stamps import CHICAGO
from activecampaign_dagster.streams.activities import (
    ACTIVITIES,
    CONTACT_EMAILS,
    EMAIL_ACTIVITIES,
)
from activecampaign_dagster.streams.automations import AUTOMATION_TRIGGERS
from activecampaign_dagster.streams.declaration import Stream
from activecampaign_dagster.streams.deliveries import LINK_DATA, MPP_LINK_DATA, SEND_LOGS
from activecampaign_dagster.streams.messages import TEMPLATES
from activecampaign_dagster.streams.sms import SMS_FAILURES, SMS_RECIPIENTS


def declared_form(stream: Stream, record: dict[str, Any]) -> dict[str, Any]:
    assert stream.endpoint.shape is not None
    return stream.endpoint.shape.declared(record, CHICAGO)


@pytest.mark.parametrize(
    ("stream", "stamp"),
    [
        (TEMPLATES, "mdate"),
        (SEND_LOGS, "tstamp"),
        (LINK_DATA, "tstamp"),
        (MPP_LINK_DATA, "tstamp"),
    ],
    ids=lambda value: value.name if isinstance(value, Stream) else value,
)
def test_stamps_are_points_in_time_with_an_offset_or_without(stream: Stream, stamp: str):
    naive = {"id": "1", stamp: "2024-07-01 12:00:00"}
    assert declared_form(stream, naive) == {"id": "1", stamp: "2024-07-01T12:00:00-05:00"}
    as_declared = {"id": "1", stamp: "2024-07-01T12:00:00+02:00"}
    assert declared_form(stream, as_declared) == as_declared


def test_a_trigger_tells_its_automation_whichever_way_it_came():
    assert AUTOMATION_TRIGGERS.owners == {"seriesid"}


def test_a_contact_received_several_broadcasts():
    keys = {
        SMS_RECIPIENTS.key_of({"broadcast": 1, "id": 7}),
        SMS_RECIPIENTS.key_of({"broadcast": 2, "id": 7}),
    }
    assert None not in keys
    assert len(keys) == 2


def test_a_broadcast_failed_in_several_ways():
    failure = {"broadcast": 1, "errorCode": "30003", "errorSource": "twilio"}
    assert SMS_FAILURES.key_of(failure) != SMS_FAILURES.key_of(failure | {"errorSource": "ac"})


@pytest.mark.parametrize(
    "stream",
    [
        SEND_LOGS,
        LINK_DATA,
        MPP_LINK_DATA,
        ACTIVITIES,
        EMAIL_ACTIVITIES,
        CONTACT_EMAILS,
        SMS_RECIPIENTS,
    ],
    ids=lambda stream: stream.name,
)
def test_what_single_persons_got_or_did_is_read_only_if_chosen(stream: Stream):
    assert not stream.default
    assert "Off by default" in stream.description
