"""Logs are read newest first, as far back as needed, and no live record on the way is missed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activecampaign_dagster.api.client import Page, Params
from activecampaign_dagster.api.errors import LoopError
from activecampaign_dagster.api.newest_first_walk import NewestFirstWalk
from activecampaign_dagster.api.stamps import CHICAGO
from activecampaign_dagster.api.walks import Walk, read
from tests.api.test_walks import Inline

FALL = datetime(2024, 11, 3, tzinfo=CHICAGO)  # the clocks go back in this night
ORDER = "orders[tstamp]"


@dataclass
class Log:
    """Records in the order in which they were added, with the seconds of their stamps.

    They are listed newest first if that is asked for and honoured, oldest first otherwise.
    """

    rows: list[tuple[int, str]]
    churn: random.Random | None = None
    additions: int = 0  # at most so many before each answer
    deletions: int = 0
    totals: bool = True
    honours: bool = True
    by_digits: bool = False  # whether the order goes by the digits of stamps
    undated: frozenset[str] = frozenset()
    gone: set[str] = field(default_factory=set)
    added: int = 0
    asked: list[Params] = field(default_factory=list)

    def page(self, params: Params) -> Page:
        self.asked.append(params)
        assert len(self.asked) < 3_000, "the walk does not end"
        rows = list(self.rows)
        if params.get(ORDER) == "DESC" and self.honours:
            rows.reverse()
            if self.by_digits:
                rows.sort(key=lambda row: stamp(row[0])[:19], reverse=True)
        offset, limit = int(params["offset"]), int(params["limit"])
        found = [self.record(*row) for row in rows[offset : offset + limit]]
        page = Page(found, {"meta": {"total": str(len(rows))}} if self.totals else {})
        if self.churn:
            self.change(self.churn)
        return page

    def record(self, seconds: int, key: str) -> dict[str, Any]:
        return {"uuid": key, "tstamp": None if key in self.undated else stamp(seconds)}

    def change(self, rng: random.Random) -> None:
        for _ in range(rng.randint(0, self.deletions)):
            if self.rows:
                self.gone.add(self.rows.pop(rng.randrange(len(self.rows)))[1])
        for _ in range(rng.randint(0, self.additions)):
            if self.added < 200:
                self.added += 1
                self.rows.append((20_000 + self.added // 3, f"added-{self.added}"))


def stamp(seconds: int) -> str:
    return datetime.fromtimestamp(FALL.timestamp() + seconds, CHICAGO).isoformat()


def moment(seconds: float) -> datetime:
    return FALL.astimezone(UTC) + timedelta(seconds=seconds)


def walk_of(log: Log, until: float | None, order: str = ORDER, **options: Any) -> NewestFirstWalk:
    return NewestFirstWalk(
        stamp="tstamp",
        order=order,
        until=None if until is None else moment(until),
        key=lambda record: record["uuid"],
        **options,
    )


def walked(log: Log, walk: Walk, in_flight: int = 3) -> set[str]:
    pages = read(walk, log.page, Inline(), lambda: in_flight)
    return {record["uuid"] for page in pages for record in page.records}


logs = st.lists(st.one_of(st.integers(0, 20_000), st.integers(5_000, 5_002)), max_size=100).map(
    lambda stamps: [(s, f"id-{i}") for i, s in enumerate(sorted(stamps))]
)
seeds = st.integers(0, 2**32)
limits = st.integers(2, 12)
lanes = st.integers(1, 5)
untils = st.one_of(st.none(), st.integers(0, 21_000))


@pytest.mark.parametrize("order", [ORDER, ""])
@given(
    logs, seeds, limits, lanes, untils, st.booleans(), st.booleans(), st.integers(0, 6),
    st.integers(0, 2), st.data(),
)  # fmt: skip
@settings(max_examples=500, deadline=None)
def test_no_live_record_since_the_watermark_is_lost_whatever_is_added_or_deleted(
    order: str,
    rows: list[tuple[int, str]],
    seed: int,
    limit: int,
    in_flight: int,
    until: int | None,
    totals: bool,
    by_digits: bool,
    additions: int,
    deletions: int,
    data: st.DataObject,
) -> None:
    names = [key for _, key in rows]
    undated = data.draw(
        st.frozensets(st.sampled_from(names), max_size=5) if rows else st.just(frozenset())
    )
    log = Log(
        rows, random.Random(seed), additions, deletions, totals=totals, by_digits=by_digits,
        undated=undated,
    )  # fmt: skip
    since = {key for s, key in rows if key not in undated and (until is None or s >= until)}
    try:
        found = walked(log, walk_of(log, until, order, limit=limit), in_flight)
    except LoopError:  # records may come and go faster than pages of a few can be joined
        assert limit <= 3
        return
    assert since - log.gone - found == set()


@pytest.mark.parametrize("order", [ORDER, ""])
@given(logs, seeds, st.integers(3, 12), lanes, untils, st.integers(0, 12), st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_walk_goes_on_from_its_state_though_records_came_and_went_meanwhile(
    order: str,
    rows: list[tuple[int, str]],
    seed: int,
    limit: int,
    in_flight: int,
    until: int | None,
    after: int,
    honours: bool,
) -> None:
    log = Log(rows, honours=honours)
    since = {key for s, key in rows if until is None or s >= until}
    walk = walk_of(log, until, order, limit=limit)
    found: set[str] = set()
    state = walk.state()
    for number, page in enumerate(read(walk, log.page, Inline(), lambda: in_flight)):
        found |= {record["uuid"] for record in page.records}
        state = walk.state()
        if number == after:
            break
    log.churn, log.additions, log.deletions = random.Random(seed), 30, 3
    log.change(log.churn)
    log.churn = None
    state = json.loads(json.dumps(state))
    found |= walked(log, walk_of(log, until, order, limit=limit, state=state), in_flight)
    assert since - log.gone - found == set()


def evenly(count: int) -> list[tuple[int, str]]:
    return [(i * 60, f"id-{i}") for i in range(count)]


@pytest.mark.parametrize(("order", "requests"), [(ORDER, 1), ("", 2)])
def test_what_is_new_since_the_last_sync_costs_few_requests(order: str, requests: int) -> None:
    log = Log(evenly(5_000))
    found = walked(log, walk_of(log, 299_400, order))
    assert {f"id-{i}" for i in range(4_990, 5_000)} <= found
    assert requests <= len(log.asked) <= requests + 2


def test_pages_are_read_together_only_as_far_as_the_watermark_seems_to_be() -> None:
    log = Log(evenly(5_000))
    walked(log, walk_of(log, 240_000), in_flight=8)
    assert 11 <= len(log.asked) <= 16  # 1,000 records since then, and those of an hour before


@pytest.mark.parametrize("order", [ORDER, ""])
def test_without_a_watermark_all_is_read(order: str) -> None:
    log = Log(evenly(250))
    assert len(walked(log, walk_of(log, None, order))) == 250
    assert len(log.asked) <= 4


def test_records_added_at_the_front_leave_no_gap_and_cost_no_second_reading() -> None:
    log = Log(evenly(3_000), random.Random(1), additions=20)
    found = walked(log, walk_of(log, 0), in_flight=1)
    assert {key for _, key in evenly(3_000)} <= found
    assert len(log.asked) <= 34


def test_a_walk_that_goes_on_after_many_were_added_does_not_begin_again() -> None:
    log = Log(evenly(3_000))
    walk = walk_of(log, 0)
    pages = read(walk, log.page, Inline(), lambda: 1)
    found = {record["uuid"] for _ in range(20) for record in next(pages).records}
    log.rows += [(400_000 + i, f"new-{i}") for i in range(500)]
    log.asked.clear()
    found |= walked(log, walk_of(log, 0, state=walk.state()), in_flight=1)
    assert {key for _, key in evenly(3_000)} <= found
    assert len(log.asked) <= 18, "1,000 records were left, and 500 had been put before them"


@pytest.mark.parametrize("in_flight", [1, 4])
def test_an_order_that_is_not_honoured_is_said_and_all_is_read(in_flight: int) -> None:
    log, warnings = Log(evenly(1_000), honours=False), list[str]()
    found = walked(log, walk_of(log, 59_400, warn=warnings.append), in_flight)
    assert len(found) == 1_000
    (warning,) = warnings
    assert ORDER in warning
    assert "reading all records" in warning


def test_equal_stamps_prove_no_order_so_the_walk_goes_on() -> None:
    log = Log([(0, f"id-{i}") for i in range(300)] + [(90_000, "last")], honours=False)
    assert "last" in walked(log, walk_of(log, 80_000))


def test_the_night_in_which_the_clocks_go_back_does_not_break_the_order() -> None:
    log, warnings = Log([(i * 60, f"id-{i}") for i in range(400)], by_digits=True), list[str]()
    found = walked(log, walk_of(log, 10_000, limit=20, warn=warnings.append))
    assert {key for s, key in log.rows if s >= 10_000} <= found
    assert warnings == []


def nothing(log: Log) -> None:
    log.totals = False


def newest_first_of_itself(log: Log) -> None:
    log.rows.reverse()


@pytest.mark.parametrize(
    ("change", "said"),
    [(nothing, "how many records"), (newest_first_of_itself, "order of their tstamp")],
)
def test_a_path_without_an_order_that_cannot_be_read_from_its_end_is_read_whole(
    change: Callable[[Log], None], said: str
) -> None:
    log, warnings = Log(evenly(1_000)), list[str]()
    change(log)
    assert len(walked(log, walk_of(log, 59_400, "", warn=warnings.append))) == 1_000
    (warning,) = warnings
    assert said in warning


@pytest.mark.parametrize("told", [3, 99_999_999])
def test_a_wrong_total_is_not_relied_on(told: int) -> None:
    log, warnings = Log(evenly(1_000)), list[str]()

    def fetch(params: Params) -> Page:
        return Page(log.page(params).records, {"meta": {"total": told}})

    walk = walk_of(log, 59_400, "", warn=warnings.append)
    pages = read(walk, fetch, Inline(), lambda: 3)
    assert len({record["uuid"] for page in pages for record in page.records}) == 1_000
    assert len(warnings) == 1


@pytest.mark.parametrize("order", [ORDER, ""])
@pytest.mark.parametrize("until", [None, 0])
def test_an_empty_log_takes_one_request(order: str, until: int | None) -> None:
    log = Log([])
    assert walked(log, walk_of(log, until, order)) == set()
    assert len(log.asked) == 1
