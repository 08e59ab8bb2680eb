"""What syncs take in requests goes by the numbers of records and by how streams are read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from activecampaign_dagster.components.source import ActiveCampaignSource
from activecampaign_dagster.streams.columns import bigint, instant
from activecampaign_dagster.streams.declaration import (
    ByOffset,
    Changes,
    Endpoint,
    Family,
    NewestFirst,
    Stream,
)
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.survey.effort import Cost, costs, total

TOTALS = {"contacts": 20_000, "deals": 950, "campaigns": 199, "users": 3}
LOG = Stream(
    name="log",
    family=Family.EVENTS,
    description="One row per event. It is a log.",
    endpoint=Endpoint(path="log", collection="log"),
    walk=NewestFirst(stamp="cdate", order="orders[cdate]"),
    changes=Changes(stamp="cdate"),
    fields=(bigint("id", "Id of it"), instant("cdate", "Creation of it")),
)


def cost(*streams: Any) -> dict[str, Cost]:
    """Stream → its cost, where these are read."""
    source = ActiveCampaignSource(streams=list(streams)).source()
    return {found.stream: found for found in costs(source, TOTALS)}


def cost_of(stream: Stream, number: int | None) -> Cost:
    """The cost of one stream that has a number of records."""
    table = StreamTable(stream, stream.name, stream.sync_type)
    source = Source(stream_tables=(table,), enabled=frozenset({stream.name}))
    [found] = costs(source, {stream.name: number})
    return found


def test_what_changed_takes_a_request_and_everything_one_for_each_page() -> None:
    deals = cost("deals")["deals"]
    assert (deals.full.requests, deals.incremental.requests) == (10, 2)  # one for the total
    assert deals.reread is None


def test_a_child_takes_a_request_for_its_number_and_a_pass_over_its_parents() -> None:
    found = cost("contacts", "custom_field_values")
    child, contacts = found["custom_field_values"], found["contacts"]
    assert child.comes_with == "contacts"
    assert child.full.requests == child.incremental.requests == 1
    assert contacts.reread
    assert contacts.reread.of == ("custom_field_values",)
    assert contacts.reread.per_day.requests == contacts.full.requests == 201


def test_a_child_whose_parent_is_not_read_takes_its_parents_pages() -> None:
    child = cost("custom_field_values")["custom_field_values"]
    assert (child.full.requests, child.incremental.requests) == (202, 2)
    assert child.comes_with == "contacts"


def test_a_child_that_no_path_lists_takes_nothing() -> None:
    scores = cost("contacts", "score_values")["score_values"]
    assert scores.full.requests == scores.incremental.requests == 0


def test_the_most_frequent_pass_serves_all_children() -> None:
    weekly: Any = {"name": "custom_field_values", "reread": {"every": "1 week"}}
    contacts = cost("contacts", weekly)["contacts"]
    assert contacts.reread
    assert contacts.reread.every == timedelta(weeks=1)
    assert contacts.reread.per_day.requests == 29


def test_a_full_table_rests_between_its_reads_unless_it_is_read_always() -> None:
    campaigns = cost("campaigns")["campaigns"]
    assert (campaigns.full.requests, campaigns.incremental.requests) == (3, 0)
    assert campaigns.reread
    assert campaigns.reread.per_day.requests == 72
    always = cost({"name": "campaigns", "reread": "always"})["campaigns"]
    assert (always.incremental.requests, always.reread) == (3, None)


def test_children_of_what_is_read_in_every_sync_need_no_pass() -> None:
    every_time: Any = {"name": "contacts", "sync_type": "FULL_TABLE"}
    contacts = cost(every_time, "custom_field_values")["contacts"]
    assert (contacts.incremental.requests, contacts.reread) == (201, None)


@pytest.mark.parametrize(("order", "requests"), [("orders[cdate]", 1), ("", 2)])
def test_a_log_is_read_from_its_newest_record(order: str, requests: int) -> None:
    log = replace(LOG, walk=NewestFirst(stamp="cdate", order=order))
    found = cost_of(log, 4_050)
    assert (found.full.requests, found.incremental.requests) == (41, requests)


def test_pages_are_as_long_as_the_walk_says() -> None:
    campaigns = replace(STREAMS["campaigns"], walk=ByOffset(rows=20))
    assert cost_of(campaigns, 77).full.requests == 5


def test_a_number_that_is_not_known_makes_a_lower_bound() -> None:
    found = cost_of(STREAMS["campaigns"], None)
    assert found.full.at_least
    assert total([found.full, cost_of(STREAMS["campaigns"], 1).full]).at_least
