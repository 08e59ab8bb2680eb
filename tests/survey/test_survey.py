"""A survey goes by declarations: of any stream, whatever its name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.sandbox import faults
from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.streams.columns import bigint
from activecampaign_dagster.streams.declaration import ByOffset, Each, Endpoint, Family, Stream
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.survey.survey import Survey, survey
from tests.helpers import serving

PER_CAMPAIGN = Stream(
    name="per_campaign",
    family=Family.MARKETING,
    description="Read once per campaign.",
    endpoint=Endpoint(path="campaigns/{campaign}/things", collection="things"),
    walk=ByOffset(),
    each=Each(stream="campaigns", parameter="campaign"),
    fields=(bigint("id", "Id"), bigint("campaign", "Id of the campaign")),
)
pytestmark = pytest.mark.usefixtures("no_waits")


def surveyed(*streams: Stream, refused: str = "", totals: bool = True) -> Survey:
    tables = tuple(StreamTable(s, s.name, s.sync_type) for s in streams)
    source = Source(stream_tables=tables, enabled=frozenset(s.name for s in streams))
    with serving() as sandbox, Client(sandbox.url, sandbox.api_key, per_second=None) as client:
        if not totals:
            sandbox.faults = [faults.always(faults.without("meta"), "campaigns")]
        if refused:
            sandbox.faults = [faults.always(faults.error(403), refused)]
        return survey(client, source)


def test_a_stream_that_is_read_per_record_of_another_costs_a_request_for_each() -> None:
    campaigns = STREAMS["campaigns"]
    alone, both = surveyed(campaigns), surveyed(campaigns, PER_CAMPAIGN)
    assert both.is_readable
    more = both.first_full_sync.requests - alone.first_full_sync.requests
    assert more == alone.streams[0].rows


def test_a_stream_that_cannot_be_read_does_not_spoil_the_estimate() -> None:
    found = surveyed(STREAMS["users"], STREAMS["campaigns"], refused="campaigns")
    assert not found.is_readable
    assert found.first_full_sync.requests == 2


def test_an_estimate_without_all_totals_is_a_lower_bound() -> None:
    campaigns = STREAMS["campaigns"]
    assert not surveyed(campaigns).first_full_sync.at_least
    assert surveyed(campaigns, totals=False).first_full_sync.at_least


def test_stubs_of_a_stream_are_counted_whatever_it_is_called() -> None:
    [hidden] = surveyed(replace(STREAMS["deals"], name="offers", pivot=None)).hidden
    assert hidden.stream == "offers"
    assert 0 < hidden.stubs < hidden.seen
    assert hidden.hiders == "pipelines"


@pytest.mark.parametrize("zone", ["America/Chicago", "Australia/Adelaide"])
@pytest.mark.parametrize(
    ("reading", "answer"), [("offset_honoured", "yes"), ("offset_dropped", "no")]
)
def test_it_tells_in_any_zone_whether_offsets_count(zone: str, reading: str, answer: str) -> None:
    account = Account.generate(contacts=40, deals=0, field_values=0, zone=zone, date_filter=reading)
    contacts = STREAMS["contacts"]
    source = Source(stream_tables=(StreamTable(contacts, "contacts", contacts.sync_type),))
    with serving(account) as served, Client(served.url, served.api_key, per_second=None) as client:
        assert survey(client, source).facts["offsets_honoured:contacts"] == answer
