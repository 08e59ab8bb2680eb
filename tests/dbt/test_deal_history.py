"""The history of deals against a log that the test keeps while it changes the account.

The account changes for some days; after each day's changes it is synced and built.
"""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from statistics import median

import pytest

from tests.dbt.conftest import AS_OF, NOW, Observed

pytestmark = pytest.mark.slow

FIRST_SYNC = NOW + timedelta(minutes=5)
HIDDEN_ON, SHOWN_ON, DAYS = 2, 4, 5
DEALS_ONLY = ("deals", "deal_groups", "deal_stages")
HIDDEN_PIPELINE = 4
STUBS_PIPELINE = 3  # hidden from the beginning
STATUS = ("open", "won", "lost")
VISITS = "from marts.deal_stage_history order by deal_id, step_number"


@dataclass
class Visit:
    pipeline: int
    stage: int
    entered: datetime
    is_known: bool
    left: datetime | None = None
    ended_by: str | None = None


class Log:
    """What the test knows to have happened, deal by deal.

    seen: day → the deals that its sync saw in full. synced_at: day → when that was. lost_sight:
    deals that are hidden now, or were when they were deleted → when a sync found that.
    visits_before: the visits before anything was hidden.
    """

    def __init__(self, observed: Observed, seed: int) -> None:
        self.observed = observed
        self.account = observed.account
        self.random = Random(seed)
        self.visits: dict[int, list[Visit]] = {}
        self.closed: dict[int, tuple[str, datetime, bool]] = {}
        self.deleted: set[int] = set()
        self.seen: dict[int, set[int]] = {}
        self.synced_at: dict[int, datetime] = {}
        self.lost_sight: dict[int, datetime] = {}
        self.visits_before: dict[int, list[Visit]] = {}
        self.while_hidden: dict[str, list[dict]] = {}
        self.meet()

    def meet(self) -> None:
        """Note what stamps tell of the deals that are seen in full for the first time."""
        for number, deal in self.account.truth("deals").items():
            if deal["isDisabled"] or number in self.visits:
                continue
            created = datetime.fromisoformat(deal["cdate"])
            updated = datetime.fromisoformat(deal["mdate"])
            fresh = updated <= created + timedelta(minutes=1)
            visit = Visit(int(deal["group"]), int(deal["stage"]), created, fresh)
            self.visits[number] = [visit]
            status = STATUS[int(deal["status"])]
            if status != "open":
                visit.left, visit.ended_by = updated, status
                self.closed[number] = (status, updated, fresh)

    def synced(self, day: int, at: datetime) -> None:
        """Note what a sync could see."""
        truth = self.account.truth("deals")
        hidden = {number for number, deal in truth.items() if deal["isDisabled"]}
        self.seen[day] = truth.keys() - hidden
        self.synced_at[day] = at
        unseen = hidden & self.visits.keys() | self.deleted & self.lost_sight.keys()
        self.lost_sight = {deal: self.lost_sight.get(deal, at) for deal in unseen}

    def _begin(self, deal: int, stage: int, at: datetime) -> None:
        self.visits[deal].append(Visit(self.account.pipeline_of(deal), stage, at, True))

    def _end(self, deal: int, at: datetime, why: str) -> None:
        self.visits[deal][-1].left = at
        self.visits[deal][-1].ended_by = why

    def change(self, deal: int, at: datetime, synced: datetime) -> None:
        """One random change of a deal at a time, which the sync of that day then sees."""
        clock = self.observed.clock
        clock.now = at
        here = self.visits[deal][-1]
        if self.random.random() < 0.1:
            self.delete(deal, synced)
        elif deal in self.closed:
            self.account.reopen_deal(deal)
            del self.closed[deal]
            self._begin(deal, here.stage, at)
        elif self.random.random() < 0.4:
            status = self.random.choice(["won", "lost"])
            (self.account.win_deal if status == "won" else self.account.lose_deal)(deal)
            self.closed[deal] = (status, at, True)
            self._end(deal, at, status)
        else:
            pipelines = [here.pipeline] * 3 + sorted(self.account.tables["dealGroups"])
            pipeline = self.random.choice([p for p in pipelines if p not in self.account.hidden])
            if here.pipeline in self.account.hidden:
                pipeline = here.pipeline
            stages = [s for s in self.account.stages_of(pipeline) if s != here.stage]
            stage = self.random.choice(stages)
            self.account.move_deal(deal, stage)
            moved = "stage" if pipeline == here.pipeline else "pipeline"
            self._end(deal, at, f"moved to another {moved}")
            self._begin(deal, stage, at)

    def delete(self, deal: int, synced: datetime) -> None:
        self.account.delete_deal(deal)
        self.deleted.add(deal)
        if self.visits[deal][-1].left is None:
            hidden = self.lost_sight.get(deal)
            self._end(deal, hidden or synced, "hidden" if hidden else "deleted")

    def add(self, at: datetime) -> None:
        self.observed.clock.now = at
        stage = self.random.choice(self.account.stages_of(1))
        deal = self.account.add_deal(stage=stage)
        self.visits[deal] = []
        self._begin(deal, stage, at)


@pytest.fixture(scope="session")
def logs() -> dict[int, Log]:
    return {}


@pytest.fixture(params=[5, 6])
def log(request, logs, make_observed) -> Log:
    """A log for each seed, made once in whatever order the tests come."""
    if request.param not in logs:
        logs[request.param] = lived_through(request.param, make_observed)
    return logs[request.param]


def lived_through(seed: int, make_observed) -> Log:
    observed: Observed = make_observed(seed, contacts=40, deals=60, field_values=20)
    log = Log(observed, seed)
    observed.sync(at=FIRST_SYNC)
    log.synced(0, FIRST_SYNC)
    observed.dbt.build("+deal_stage_history")
    changed_while_hidden: set[int] = set()
    for day in range(1, DAYS + 1):
        morning = NOW + timedelta(days=day)
        synced = morning + timedelta(hours=6)
        if day == HIDDEN_ON:
            log.visits_before = deepcopy(log.visits)
            log.account.hide_pipeline(HIDDEN_PIPELINE)
        if day == SHOWN_ON:
            log.account.show_pipeline(HIDDEN_PIPELINE)
            log.account.show_pipeline(STUBS_PIPELINE)
        if day == HIDDEN_ON + 1:
            open_deals = log.lost_sight.keys() - log.closed.keys() - changed_while_hidden
            log.delete(min(open_deals - log.deleted), synced)
        deals = [d for d in log.visits if d not in log.deleted | changed_while_hidden]
        for minute, deal in enumerate(log.random.sample(deals, 20)):
            is_hidden = log.account.pipeline_of(deal) in log.account.hidden
            log.change(deal, morning + timedelta(minutes=minute), synced)
            if is_hidden and deal not in log.deleted:
                # several changes that no sync sees one by one would show as one
                changed_while_hidden.add(deal)
        log.meet()
        log.add(morning + timedelta(hours=1))
        if day >= SHOWN_ON:
            changed_while_hidden.clear()
        observed.clock.now = synced
        observed.sync(at=synced, streams=DEALS_ONLY)
        log.synced(day, synced)
        if day != HIDDEN_ON:
            observed.dbt.build_rows("+deal_stage_history")
        else:
            observed.dbt.build("+deal_stage_history", "+deals")
            log.while_hidden = {
                "visits": observed.dbt.rows(VISITS),
                "deals": observed.dbt.rows("from marts.deals"),
            }
    observed.dbt.build("+deals", "+pipeline_daily", "+sales_funnel")
    return log


def visits(log: Log) -> dict[int, list[dict]]:
    return by_deal(log.observed.dbt.rows(VISITS))


def by_deal(rows: list[dict]) -> dict[int, list[dict]]:
    found: dict[int, list[dict]] = {}
    for row in rows:
        found.setdefault(row["deal_id"], []).append(row)
    return found


def as_logged(rows: list[dict]) -> list[Visit]:
    return [
        Visit(
            row["pipeline_id"],
            row["stage_id"],
            row["entered_at"],
            row["is_entered_at_known"],
            row["left_at"],
            row["ended_by"],
        )
        for row in rows
    ]


def test_every_visit_is_there_with_its_times_and_its_end(log):
    found = visits(log)
    assert found.keys() == log.visits.keys()
    for deal, expected in log.visits.items():
        assert as_logged(found[deal]) == expected, deal


def first_seen(log: Log, deal: int, visit: Visit) -> datetime | None:
    """The first sync that saw the deal on this visit."""
    end = visit.left or AS_OF
    seen = (at for day, at in log.synced_at.items() if deal in log.seen[day])
    return next((at for at in seen if visit.entered <= at < end), None)


def is_left_at_known(log: Log, deal: int, visit: Visit) -> bool:
    """Not where the deal was hidden, or decided before any sync saw it open."""
    if visit.ended_by == "hidden":
        return False
    return visit.left is None or visit.is_known or first_seen(log, deal, visit) is not None


def length(visit: Visit, since: datetime) -> float:
    return ((visit.left or AS_OF) - since) / timedelta(days=1)


def test_each_visit_says_how_long_it_was_and_since_when_a_sync_saw_it(log):
    stages, pipelines = (log.account.tables[name] for name in ("dealStages", "dealGroups"))
    for deal, rows in visits(log).items():
        for row, visit in zip(rows, log.visits[deal], strict=True):
            seen, left_known = first_seen(log, deal, visit), is_left_at_known(log, deal, visit)
            days, observed = None, 0.0
            if visit.is_known and left_known:
                days = pytest.approx(length(visit, visit.entered), abs=0.006)
            if seen:
                observed = pytest.approx(length(visit, max(visit.entered, seen)), abs=0.006)
            expected = {
                "pipeline": pipelines[visit.pipeline]["title"],
                "stage": stages[visit.stage]["title"],
                "stage_position": log.account.stages_of(visit.pipeline).index(visit.stage) + 1,
                "days": days,
                "days_observed": observed,
                "is_current": visit.left is None,
                "is_left_at_known": left_known,
                "is_hidden": deal in log.lost_sight,
                "is_deal_missing": False,
                "is_stage_missing": False,
                "observed_from": seen,
                "entered_date": visit.entered.astimezone(UTC).date(),
                "left_date": visit.left and visit.left.astimezone(UTC).date(),
            }
            assert {name: row[name] for name in expected} == expected, deal


def test_the_funnel_measures_the_visits_of_the_deals_that_count(log):
    deals = {
        row["deal_id"]: row for row in log.observed.dbt.rows("from marts.deals where is_counted")
    }
    seen, lengths = {}, {}
    for deal in log.visits.keys() & deals.keys():
        for visit in log.visits[deal]:
            key = visit.pipeline, deals[deal]["created_month"], visit.stage
            if first_seen(log, deal, visit):
                seen.setdefault(key, set()).add(deal)
            if visit.left and visit.is_known and is_left_at_known(log, deal, visit):
                lengths.setdefault(key, []).append(length(visit, visit.entered))
    rows = log.observed.dbt.rows("from marts.sales_funnel")
    for row in rows:
        key = row["pipeline_id"], row["created_month"], row["stage_id"]
        measured = lengths.pop(key, [])
        assert row["deals_seen"] == len(seen.pop(key, ()))
        assert row["measured_visits"] == len(measured)
        days = pytest.approx(median(measured), abs=0.006) if measured else None
        assert row["median_days"] == days
    assert not seen
    assert not lengths


def test_the_log_holds_what_history_can_get_wrong(log):
    """Else the comparison above would prove little."""
    ends = {visit.ended_by for visits in log.visits.values() for visit in visits}
    assert {"moved to another stage", "moved to another pipeline", "won", "lost"} <= ends
    assert {"deleted", "hidden", None} <= ends
    reopened = [
        deal
        for deal, visits in log.visits.items()
        if any(visit.ended_by in {"won", "lost"} for visit in visits[:-1])
    ]
    reentered = [
        deal
        for deal, visits in log.visits.items()
        if len({(visit.pipeline, visit.stage) for visit in visits}) < len(visits)
    ]
    assert reopened
    assert reentered


def test_while_a_pipeline_is_hidden_its_open_deals_visits_have_ended_and_the_decided_stay(log):
    hidden_at = NOW + timedelta(days=HIDDEN_ON, hours=6)
    found = by_deal(log.while_hidden["visits"])
    deals = {row["deal_id"]: row for row in log.while_hidden["deals"]}
    hidden = {d for d, row in deals.items() if row["is_hidden"] and d in log.visits_before}
    statuses = Counter()
    for deal in hidden:
        expected = deepcopy(log.visits_before[deal])
        statuses[deals[deal]["status"]] += 1
        is_open = expected[-1].left is None
        if is_open:
            expected[-1].left, expected[-1].ended_by = hidden_at, "hidden"
            assert found[deal][-1]["days"] is None
        assert as_logged(found[deal]) == expected, deal
        assert all(row["is_hidden"] and not row["is_current"] for row in found[deal])
        assert deals[deal]["is_counted"] == (not is_open)
        assert deals[deal]["hidden_at"] == hidden_at
        assert deals[deal]["pipeline_id"] == HIDDEN_PIPELINE
        assert (deals[deal]["closed_at"] is None) == is_open
    assert statuses["open"]
    assert statuses["won"] + statuses["lost"]
    assert not any(row["is_hidden"] for deal in found.keys() - hidden for row in found[deal])


def test_the_open_pipeline_of_each_day_is_what_was_open_and_seen(log):
    rows = log.observed.dbt.rows(
        "select day, pipeline_id, stage_id, sum(open_deals)::int as deals "
        "from marts.pipeline_daily where open_deals > 0 group by all"
    )
    found = {(row["day"], row["pipeline_id"], row["stage_id"]): row["deals"] for row in rows}
    days = [(NOW + timedelta(days=day)).date() for day in range(-500, DAYS + 3)]
    expected = Counter()
    for number, day in enumerate(days, -500):
        seen = log.seen[min(max(number, 0), DAYS)]
        for deal, life in log.visits.items():
            for visit in life:
                entered = visit.entered.astimezone(NOW.tzinfo).date()
                is_left = visit.left and visit.left.astimezone(NOW.tzinfo).date() <= day
                if entered <= day and not is_left and deal in seen:
                    expected[day, visit.pipeline, visit.stage] += 1
    assert {key: deals for key, deals in found.items() if days[0] <= key[0] <= days[-1]} == expected


def test_visits_are_numbered_per_stage_and_never_overlap(log):
    for rows in visits(log).values():
        seen: dict[tuple, int] = {}
        for row in rows:
            key = row["pipeline_id"], row["stage_id"]
            seen[key] = seen.get(key, 0) + 1
            assert row["visit_number"] == seen[key]
        assert [row["step_number"] for row in rows] == list(range(1, len(rows) + 1))
        for here, there in pairwise(rows):
            assert here["left_at"] <= there["entered_at"]
            if here["ended_by"].startswith("moved"):
                assert here["left_at"] == there["entered_at"]
        assert [row["is_current"] for row in rows[:-1]] == [False] * (len(rows) - 1)


def test_decisions_that_a_sync_saw_are_dated_by_the_deal_and_marked_as_known(log):
    rows = {row["deal_id"]: row for row in log.observed.dbt.rows("from marts.deals")}
    for deal in log.visits:
        if deal in log.deleted:
            assert rows[deal]["is_deleted"]
            continue
        status, closed, is_known = log.closed.get(deal, ("open", None, False))
        assert rows[deal]["status"] == status
        assert rows[deal]["closed_at"] == closed
        assert rows[deal]["is_closed_at_known"] == is_known


def test_a_deal_says_how_often_and_when_last_it_was_reopened(log):
    rows = log.observed.dbt.rows(
        "select deal_id, times_reopened, last_reopened_at from marts.deals"
    )
    found = {r.pop("deal_id"): r for r in rows}
    for deal, visits in log.visits.items():
        again = [
            visit.entered
            for visit, before in zip(visits[1:], visits, strict=False)
            if before.ended_by in {"won", "lost"}
        ]
        last = max(again, default=None)
        assert found[deal] == {"times_reopened": len(again), "last_reopened_at": last}, deal


def test_the_intervals_of_a_deal_leave_no_gap(log):
    rows = log.observed.dbt.rows(
        "from intermediate.int_deals__stage_intervals order by deal_id, interval_number"
    )
    for here, there in pairwise(rows):
        if here["deal_id"] == there["deal_id"]:
            assert here["ends_at"] == there["starts_at"]
            assert not here["is_current"]
        else:
            assert here["ends_at"] is None
            assert here["is_current"]


def test_building_again_changes_nothing(log):
    before = log.observed.dbt.rows("from marts.deal_stage_history order by all")
    log.observed.dbt.build("+deal_stage_history")
    assert log.observed.dbt.rows("from marts.deal_stage_history order by all") == before


def test_a_deleted_pipeline_keeps_its_name_and_its_deals_say_that_it_is_gone(log):
    observed = log.observed
    observed.account.delete_pipeline(2)
    observed.sync(at=NOW + timedelta(days=DAYS + 1), streams=DEALS_ONLY)
    observed.dbt.build(tests=True)
    deals = observed.dbt.rows("from marts.deals where pipeline_id = 2 and not is_deleted")
    assert deals
    assert all(deal["is_pipeline_missing"] for deal in deals)
    assert {deal["pipeline"] for deal in deals} == {"Renewals"}
    assert all(deal["is_hidden"] for deal in deals)
    pipelines = observed.dbt.rows("from marts.pipelines where pipeline_id = 2")
    decided = [deal for deal in deals if deal["status"] in {"won", "lost"}]
    assert sum(row["deals"] for row in pipelines) == len(decided) < len(deals)
    assert sum(row["won_deals"] + row["lost_deals"] for row in pipelines) == len(decided)
    assert all(row["is_pipeline_missing"] for row in pipelines)
