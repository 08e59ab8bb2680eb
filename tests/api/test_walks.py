"""The promise of the walks: what is live from start to end is returned, whatever happens."""

from __future__ import annotations

import itertools
import json
import random
from bisect import insort
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activecampaign_dagster.api.client import Page, Params
from activecampaign_dagster.api.created_walk import CreatedWalk
from activecampaign_dagster.api.errors import LoopError, OrderError
from activecampaign_dagster.api.id_walk import IdWalk
from activecampaign_dagster.api.walks import OffsetWalk, Walk, read

CHICAGO = ZoneInfo("America/Chicago")
START = datetime(2024, 10, 1, tzinfo=CHICAGO)  # the clocks go back within the range of the tests
SPAN = 90 * 86_400


class Inline(Executor):
    """Answers at once, in the order of submission."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@dataclass
class Collection:
    """A collection as the API serves it, changed by `churn` before every answer."""

    rows: list[tuple[int, int]]  # (sort key, id), in order
    churn: random.Random | None = None
    changes: int = 1
    stubs: frozenset[int] = frozenset()
    shift: timedelta = timedelta(0)  # how far off the server reads a date filter
    filters_stubs: bool = True  # whether a date filter holds for stubs
    totals: bool = True
    by_id: bool = False
    descends: bool = True  # whether orders[id]=DESC is honoured
    ends_ranges: bool = True  # whether id_less is honoured
    shuffles: random.Random | None = None  # rows with one key change places with every request
    gone: set[int] = field(default_factory=set)
    next_id: int = 10_000_000
    served: int = 0

    def page(self, params: Params) -> Page:
        self.served += 1
        assert self.served < 5_000, "the walk does not end"
        rows = list(self.rows)
        if rng := self.shuffles:
            rows.sort(key=lambda row: (row[0], rng.random()))
        if "id_greater" in params:
            rows = [row for row in rows if row[1] > int(params["id_greater"])]
        if "id_less" in params and self.ends_ranges:
            rows = [row for row in rows if row[1] < int(params["id_less"])]
        if after := params.get("filters[created_after]"):
            least = datetime.fromisoformat(str(after)) + self.shift
            loose = frozenset[int]() if self.filters_stubs else self.stubs
            rows = [row for row in rows if moment(row[0]) >= least or row[1] in loose]
        if params.get("orders[id]") == "DESC" and self.descends:
            rows.reverse()
        offset = int(params.get("offset", 0))
        found = rows[offset : offset + int(params["limit"])]
        total = {"meta": {"total": str(len(rows))}} if self.totals else {}
        page = Page([self.record(*row) for row in found], total)
        if self.churn:
            for _ in range(self.changes):
                self.change(self.churn)
        return page

    def record(self, key: int, record_id: int) -> dict[str, Any]:
        if record_id in self.stubs:
            return {"id": str(record_id), "title": "hidden", "isDisabled": True}
        return {"id": str(record_id), "cdate": moment(key).isoformat()}

    def change(self, rng: random.Random) -> None:
        if self.rows and rng.random() < 0.6:
            _, record_id = self.rows.pop(rng.randrange(len(self.rows)))
            self.gone.add(record_id)
        elif self.next_id < 10_000_300:
            self.next_id += 1
            key = (
                self.next_id
                if self.by_id
                else rng.choice([SPAN + self.next_id, rng.randrange(SPAN)])
            )
            insort(self.rows, (key, self.next_id))


def moment(key: int) -> datetime:
    return datetime.fromtimestamp(START.timestamp() + key, CHICAGO)


def walked(collection: Collection, walk: Walk, *, in_flight: int = 3) -> set[int]:
    """The ids that a walk delivers."""
    pages = read(walk, collection.page, Inline(), lambda: in_flight)
    return {int(record["id"]) for page in pages for record in page.records}


def lost(collection: Collection, walk: Walk, limit: int, **kwargs: Any) -> set[int]:
    """The ids that were live from the walk's start to its end and were not returned, if it ends."""
    before = {record_id for _, record_id in collection.rows}
    try:
        found = walked(collection, walk, **kwargs)
    except LoopError:  # rows may be deleted faster than pages of two or three rows can be joined
        if limit > 3:
            raise
        return set()
    return before - collection.gone - found


seeds = st.integers(0, 2**32)
limits = st.integers(2, 12)
lanes = st.integers(1, 5)
id_sets = st.one_of(
    st.sets(st.integers(1, 400), max_size=120),
    st.sets(st.integers(1, 2_000_000), max_size=60),
    st.integers(0, 130).map(lambda n: set(range(1, n + 1))),
)


@given(
    id_sets, seeds, limits, lanes, st.booleans(), st.integers(0, 4), st.booleans(), st.booleans()
)
@settings(max_examples=400, deadline=None)
def test_an_id_walk_loses_no_live_row(
    ids: set[int],
    seed: int,
    limit: int,
    in_flight: int,
    totals: bool,
    changes: int,
    descends: bool,
    ends_ranges: bool,
) -> None:
    rows = sorted((i, i) for i in ids)
    collection = Collection(
        rows,
        random.Random(seed),
        changes,
        totals=totals,
        by_id=True,
        descends=descends,
        ends_ranges=ends_ranges,
    )
    assert lost(collection, IdWalk(limit=limit), limit, in_flight=in_flight) == set()


@given(st.integers(0, 150), seeds, limits, lanes, st.booleans(), st.integers(0, 2))
@settings(max_examples=400, deadline=None)
def test_an_offset_walk_loses_no_live_row(
    count: int, seed: int, limit: int, in_flight: int, totals: bool, changes: int
) -> None:
    rng = random.Random(seed)
    rows = [(i, i) for i in range(1, count + 1)]
    collection = Collection(rows, rng, changes, totals=totals)
    assert lost(collection, OffsetWalk(limit=limit), limit, in_flight=in_flight) == set()


@st.composite
def deals(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Deals in order of creation, many of them created in the same second."""
    stamps = draw(st.lists(st.one_of(st.integers(0, SPAN), st.integers(0, 3)), max_size=120))
    return sorted((stamp, i) for i, stamp in enumerate(stamps, start=1))


shifts = st.sampled_from([timedelta(hours=h) for h in (0, -6, -5, 5, 6)])


@given(
    deals(),
    seeds,
    limits,
    lanes,
    st.booleans(),
    shifts,
    st.data(),
    st.integers(0, 2),
    st.booleans(),
)
@settings(max_examples=600, deadline=None)
def test_a_walk_by_creation_loses_no_live_row_however_the_filter_is_read(
    rows: list[tuple[int, int]],
    seed: int,
    limit: int,
    in_flight: int,
    totals: bool,
    shift: timedelta,
    data: st.DataObject,
    changes: int,
    filters_stubs: bool,
) -> None:
    stubs = data.draw(
        st.frozensets(st.sampled_from([r[1] for r in rows]) if rows else st.nothing())
    )
    rng = random.Random(seed)
    collection = Collection(
        rows, rng, changes, stubs=stubs, shift=shift, filters_stubs=filters_stubs, totals=totals
    )
    walk = CreatedWalk(limit=limit, now=START.timestamp() + SPAN)
    assert lost(collection, walk, limit, in_flight=in_flight) == set()


@given(deals(), seeds, limits, lanes, st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_walk_by_creation_loses_no_row_though_those_of_one_second_change_places(
    rows: list[tuple[int, int]], seed: int, limit: int, in_flight: int, totals: bool
) -> None:
    collection = Collection(rows, shuffles=random.Random(seed), totals=totals)
    walk = CreatedWalk(limit=limit, now=START.timestamp() + SPAN)
    assert lost(collection, walk, limit, in_flight=in_flight) == set()


def test_a_page_of_stubs_does_not_end_a_range_that_the_filter_misread() -> None:
    stamps = [0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 6]
    collection = Collection(
        [(stamp, i) for i, stamp in enumerate(stamps, start=1)],
        stubs=frozenset({6, 7}),
        shift=timedelta(hours=-5),
        totals=False,
    )
    walk = CreatedWalk(limit=2, now=START.timestamp() + SPAN)
    assert lost(collection, walk, 2, in_flight=2) == set()


def make(kind: str, **kwargs: Any) -> Walk:
    if kind == "created":
        return CreatedWalk(limit=5, now=START.timestamp() + SPAN, **kwargs)
    return {"id": IdWalk, "offset": OffsetWalk}[kind](limit=5, **kwargs)


@pytest.mark.parametrize("kind", ["id", "created", "offset"])
@given(st.integers(0, 200), seeds, st.integers(1, 30), lanes)
@settings(max_examples=150, deadline=None)
def test_a_walk_goes_on_from_its_state_after_a_kill(
    kind: str, count: int, seed: int, after: int, in_flight: int
) -> None:
    rng = random.Random(seed)
    rows = sorted((i if kind == "id" else rng.randrange(SPAN), i) for i in range(1, count + 1))
    collection = Collection(rows)
    walk = make(kind)
    found: set[int] = set()
    for number, page in enumerate(read(walk, collection.page, Inline(), lambda: in_flight)):
        found |= {int(record["id"]) for record in page.records}
        if number == after:
            break
    state = json.loads(json.dumps(walk.state()))
    found |= walked(collection, make(kind, state=state), in_flight=in_flight)
    assert found == set(range(1, count + 1))


@pytest.mark.parametrize("kind", ["id", "created", "offset"])
def test_an_empty_collection_takes_one_request(kind: str) -> None:
    collection = Collection([])
    assert walked(collection, make(kind)) == set()
    assert collection.served == 1


@pytest.mark.parametrize("kind", ["id", "created", "offset"])
def test_one_page_exactly_full_is_read_whole(kind: str) -> None:
    collection = Collection([(i, i) for i in range(1, 6)])
    assert walked(collection, make(kind)) == {1, 2, 3, 4, 5}
    assert collection.served == 2


def test_ids_without_gaps_cost_no_request_where_ranges_meet() -> None:
    collection = Collection([(i, i) for i in range(1, 20_001)])
    assert len(walked(collection, IdWalk(), in_flight=8)) == 20_000
    assert collection.served == 201  # the last page is full, so one more finds the end


def test_the_page_that_tells_where_ids_end_is_one_of_those_to_read() -> None:
    collection = Collection([(i, i) for i in range(7, 44_000, 2)])
    assert len(walked(collection, IdWalk(), in_flight=2)) == 21_997
    assert collection.served <= 222  # 220 pages, and half of one where ranges meet


@pytest.mark.parametrize(("before", "at_most"), [("id_less", 100), (None, 1_000)])
def test_ranges_that_are_asked_for_by_their_ends_hold_no_record_of_their_neighbours(
    before: str | None, at_most: int
) -> None:
    collection = Collection([(i, i) for i in range(7, 44_000, 2)])
    sent = 0

    def fetch(params: Params) -> Page:
        nonlocal sent
        page = collection.page(params)
        sent += len(page.records)
        return page

    walk = IdWalk(before=before)
    records = [r for page in read(walk, fetch, Inline(), lambda: 8) for r in page.records]
    assert len({record["id"] for record in records}) == 21_997
    assert sent - 21_997 <= at_most


def test_a_walk_takes_parameters_and_keys_as_they_are_declared() -> None:
    asked: list[Params] = []
    names = [{"uuid": f"u-{i:03}", "added": moment(i).isoformat()} for i in range(250)]

    def fetch(params: Params) -> Page:
        asked.append(params)
        assert params["sort[added]"] == "ASC"
        since = datetime.fromisoformat(str(params.get("since", moment(0).isoformat())))
        found = [r for r in names if datetime.fromisoformat(r["added"]) >= since]
        offset = int(params.get("offset", 0))
        return Page(found[offset : offset + 100], {})

    walk = CreatedWalk(
        stamp="added", order="sort[added]", after="since", key=lambda record: record["uuid"]
    )
    pages = read(walk, fetch, Inline(), lambda: 1)
    assert {r["uuid"] for page in pages for r in page.records} == {r["uuid"] for r in names}
    assert "since" in asked[1]


def test_a_dense_id_range_is_shared_by_all_lanes() -> None:
    rows = [(i, i) for i in range(1, 5_001)] + [(i, i) for i in range(10**6, 10**9, 10**7)]
    collection = Collection(rows)
    walk, waiting, unused = IdWalk(), [], 0
    while waiting := [*waiting, *walk.requests(6 - len(waiting))]:
        unused += 6 - len(waiting)
        request = waiting.pop(0)
        walk.take(request, collection.page(request.params))
    assert unused / (6 * collection.served) < 0.25  # six ranges are read together but at both ends


def test_an_import_within_minutes_costs_few_requests_more_than_its_pages() -> None:
    rng = random.Random(1)
    stamps = [rng.randrange(SPAN) for _ in range(500)]
    stamps += [SPAN // 2 + rng.randrange(600) for _ in range(4_000)]
    collection = Collection([(stamp, i) for i, stamp in enumerate(sorted(stamps))])
    walk = CreatedWalk(now=START.timestamp() + SPAN)
    assert len(walked(collection, walk, in_flight=8)) == 4_500
    served = collection.served
    assert served <= 70  # 46 pages; where ranges meet there is half a page more


@pytest.mark.parametrize("walk", [OffsetWalk(), CreatedWalk()], ids=["offset", "created"])
def test_a_server_that_ignores_offsets_is_called_a_loop(walk: Walk) -> None:
    records = [{"id": str(i), "cdate": START.isoformat()} for i in range(1, 101)]
    pages = itertools.chain([Page(records, {})] * 5_000, itertools.repeat(Page([], {})))
    with pytest.raises(LoopError, match="Loop detected"):
        list(read(walk, lambda _: next(pages), Inline(), lambda: 3))
    assert next(pages).records, "it gave up long before the pages ended"


@pytest.mark.parametrize("records", [[{"id": "abc"}] * 100, [{}] * 100], ids=["no number", "none"])
def test_contacts_without_a_usable_id_on_a_full_page_are_called_a_loop(records: list[Any]) -> None:
    with pytest.raises(LoopError, match="no record with a usable id"):
        list(read(IdWalk(), lambda _: Page(records, {}), Inline(), lambda: 3))


def test_a_server_that_ignores_id_greater_is_an_order_error() -> None:
    page = Page([{"id": str(i)} for i in range(1, 101)], {})
    with pytest.raises(OrderError):
        list(read(IdWalk(), lambda _: page, Inline(), lambda: 3))


def test_a_server_that_ignores_the_order_of_deals_is_read_by_offsets() -> None:
    rows = [(i * 86_400, i) for i in range(1, 90)]
    random.Random(1).shuffle(rows)
    collection = Collection(rows)
    warnings: list[str] = []
    walk = CreatedWalk(limit=5, now=START.timestamp() + SPAN, warn=warnings.append)
    assert len(walked(collection, walk)) == 89
    assert len(warnings) == 1


def test_records_without_a_usable_id_do_not_stop_a_walk() -> None:
    records: list[Any] = [{"id": str(i)} for i in range(1, 30)]
    records[4] = {"name": "no id"}
    records[9] = {"id": "abc"}

    def fetch(params: Params) -> Page:
        offset = int(params.get("offset", 0))
        return Page(records[offset : offset + 5], {})

    pages = list(read(OffsetWalk(limit=5), fetch, Inline(), lambda: 2))
    assert {str(r) for page in pages for r in page.records} == {str(r) for r in records}
