"""What really happened to deals, also before the first sync: the marts against the account's log.

The log is the account's own. It is noted in full as things happen, and read here by hand; what the
account lists may lack the activities of some deals.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from statistics import fmean, median

import pytest

from tests.dbt.conftest import Observed

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)
STREAMS_READ = ("deals", "deal_groups", "deal_stages", "users", "deal_activities")
MARTS = ("+deal_stage_history", "+deals", "+pipeline_daily", "+win_rates", "+sales_funnel")
OPEN, WON, LOST = 0, 1, 2
DELETED_PIPELINE = 2
ROUNDS = 3


@dataclass(frozen=True)
class Story:
    """How an account lives: days before the first sync, the share of deals whose activities are
    missing, and whether a pipeline is deleted on the way."""

    seed: int
    days_before: int
    missing: float
    deletes_pipeline: bool


STORIES = (Story(60, 0, 0, False), Story(61, 40, 0, True), Story(62, 12, 0.2, True))


@dataclass
class Life:
    """An account, all activities that there ever were, and the deals whose own are missing."""

    observed: Observed
    story: Story
    log: dict[int, dict] = field(default_factory=dict)
    records: dict[int, dict] = field(default_factory=dict)
    missing: set[int] = field(default_factory=set)
    syncs: list[datetime] = field(default_factory=list)
    hidden: set[int] = field(default_factory=set)
    deleted_stages: set[int] = field(default_factory=set)

    def note(self) -> None:
        """Remember what the account tells now."""
        self.log |= self.observed.account.truth("dealActivities")
        deals = self.observed.account.truth("deals").items()
        self.records |= {n: deal for n, deal in deals if not deal["isDisabled"]}

    def of(self, deal: int, kind: str) -> list[tuple[datetime, int, int]]:
        """When an attribute of a deal changed, from what, to what."""
        return [
            (
                datetime.fromisoformat(each["cdate"]),
                int(each["dataOldval"]),
                int(each["dataAction"]),
            )
            for _, each in sorted(self.log.items(), key=lambda item: (item[1]["cdate"], item[0]))
            if int(each["deal"]) == deal and each["dataType"] == kind
        ]


def live(life: Life, random: Random, days: int) -> None:
    """Some days in which deals are moved, decided, re-opened and edited."""
    account, clock = life.observed.account, life.observed.clock
    for _ in range(days):
        clock.now += DAY
        seen = [d for d, deal in account.truth("deals").items() if not deal["isDisabled"]]
        for minute, deal in enumerate(random.sample(seen, 8)):
            clock.now += timedelta(minutes=minute + 1)
            status = account.truth("deals")[deal]["status"]
            if status != "0":
                account.reopen_deal(deal) if random.random() < 0.3 else account.update_deal(
                    deal, title=f"Edited {clock.now}"
                )
            elif random.random() < 0.4:
                random.choice((account.win_deal, account.lose_deal))(deal)
            elif random.random() < 0.2:
                account.update_deal(deal, value=100 * random.randrange(100, 9000))
            else:
                others = [s for g in (1, 4) for s in account.stages_of(g)]
                account.move_deal(deal, random.choice(others))
        account.add_deal(stage=random.choice(account.stages_of(1)))
    life.note()


def reorganise(life: Life, random: Random) -> None:
    """Rename, re-order and delete stages, and edit most deals in bulk."""
    account, clock = life.observed.account, life.observed.clock
    first, second, third, *_ = account.stages_of(1)
    clock.now += timedelta(hours=1)
    account.update_record("dealStages", second, title="Called otherwise now")
    orders = [account.tables["dealStages"][stage]["order"] for stage in (first, third)]
    account.update_record("dealStages", first, order=orders[1])
    account.update_record("dealStages", third, order=orders[0])
    for deal, record in account.truth("deals").items():
        if not record["isDisabled"] and record["stage"] == str(second):
            account.move_deal(deal, third)
    life.note()
    account.delete_stage(second)
    clock.now += timedelta(hours=1)
    for deal, record in account.truth("deals").items():
        if not record["isDisabled"] and random.random() < 0.9:
            account.update_deal(deal, title=f"In bulk {deal}")


def lose_activities(life: Life, random: Random) -> None:
    account = life.observed.account
    for deal in account.truth("deals"):
        if random.random() < life.story.missing:
            life.missing.add(deal)
            for number in [n for n, a in life.log.items() if int(a["deal"]) == deal]:
                account.remove_record("dealActivities", number)


def hide(life: Life) -> None:
    account = life.observed.account
    life.hidden |= {
        deal
        for deal, record in account.truth("deals").items()
        if record.get("group") == str(DELETED_PIPELINE)
    }
    life.deleted_stages |= set(account.stages_of(DELETED_PIPELINE))
    account.delete_pipeline(DELETED_PIPELINE)


def sync(life: Life) -> None:
    life.observed.clock.now += timedelta(hours=6)
    life.syncs.append(life.observed.clock.now)
    life.observed.sync(at=life.syncs[-1], streams=STREAMS_READ)


def lived(story: Story, make_observed) -> Life:
    observed = make_observed(story.seed, deals=150, stub_share=0)
    life, random = Life(observed, story), Random(story.seed)
    life.note()
    live(life, random, story.days_before)
    reorganise(life, random)
    lose_activities(life, random)
    sync(life)
    observed.dbt.build(*MARTS)
    for number in range(ROUNDS):
        live(life, random, 3)
        if story.deletes_pipeline and number == 1:
            hide(life)
        sync(life)
        observed.dbt.build_rows(*MARTS)
    observed.dbt.build(tests=True)
    return life


@pytest.fixture(scope="session")
def lives() -> dict[Story, Life]:
    return {}


@pytest.fixture(params=STORIES, ids=lambda story: str(story.seed))
def life(request, lives, make_observed) -> Life:
    if request.param not in lives:
        lives[request.param] = lived(request.param, make_observed)
    return lives[request.param]


def rows(life: Life, sql: str) -> list[dict]:
    return life.observed.dbt.rows(sql)


def deals(life: Life) -> dict[int, dict]:
    return {row["deal_id"]: row for row in rows(life, "from marts.deals")}


def decision(life: Life, deal: int) -> tuple[int, datetime] | None:
    """How and when a deal was decided, if it is."""
    changes = life.of(deal, "status")
    if not changes or changes[-1][2] == OPEN:
        return None
    return changes[-1][2], changes[-1][0]


def test_every_decision_has_its_true_date_and_those_without_activities_say_so(life):
    decided = Counter()
    for deal, row in deals(life).items():
        if deal in life.hidden:
            continue
        truth = decision(life, deal)
        if truth is None:
            assert row["closed_at"] is None, deal
            continue
        status, closed = truth
        assert row["status"] == {WON: "won", LOST: "lost"}[status]
        if deal in life.missing and closed < life.syncs[0]:
            assert not row["is_closed_at_known"]
            decided["unknown"] += 1
        else:
            assert row["closed_at"] == closed, deal
            assert row["is_closed_at_known"], deal
            decided["before" if closed < life.syncs[0] else "after"] += 1
    assert decided["before"] > 20
    assert decided["after"] > 2
    assert (decided["unknown"] > 0) == bool(life.missing)


def test_wins_land_in_their_months_and_take_as_long_as_they_took(life):
    created = {
        deal: datetime.fromisoformat(record["cdate"])
        for deal, record in life.observed.account.truth("deals").items()
        if deal not in life.hidden
    }
    wins, months = [], Counter()
    for deal in created.keys() - life.missing:
        truth = decision(life, deal)
        if truth and truth[0] == WON:
            wins.append((truth[1] - created[deal]) / DAY)
            months[truth[1].astimezone(UTC).date().replace(day=1)] += 1
    known = "from marts.deals where status = 'won' and not is_deleted and deal_id in "
    ids = tuple(created.keys() - life.missing)
    [found] = rows(
        life,
        f"select avg(days_to_close) as mean, median(days_to_close) as median {known} {ids}",
    )
    assert found["mean"] == pytest.approx(fmean(wins), abs=0.01)
    assert found["median"] == pytest.approx(median(wins), abs=0.01)
    counted = rows(
        life, f"select closed_month, count(*) as deals {known} {ids} group by closed_month"
    )
    assert {row["closed_month"]: row["deals"] for row in counted} == months


def stages(life: Life, deal: int) -> list[tuple[datetime, int, int]]:
    """When a deal was in which stage, and open: (from, stage) by hand; 0 while it was decided."""
    record = life.records[deal]
    moved, decided = life.of(deal, "d_stageid"), life.of(deal, "status")
    stage = moved[0][1] if moved else int(record["stage"])
    moments = [(datetime.fromisoformat(record["cdate"]), 0, stage)]
    status = OPEN
    changes = [(at, 1, new) for at, _, new in moved] + [(at, 2, new) for at, _, new in decided]
    for at, kind, new in sorted(changes):
        if kind == 1:
            stage = new
        else:
            status = new
        moments.append((at, status, stage))
    return moments


def visits(life: Life, deal: int) -> list[tuple[datetime, int, datetime | None]]:
    found: list[tuple[datetime, int, datetime | None]] = []
    moments = stages(life, deal)
    for index, (at, status, stage) in enumerate(moments):
        end = moments[index + 1][0] if index + 1 < len(moments) else None
        if status != OPEN or at == end:
            continue
        if found and found[-1][1] == stage and found[-1][2] == at:
            found[-1] = (found[-1][0], stage, end)
        else:
            found.append((at, stage, end))
    return found


def test_every_visit_to_a_stage_since_the_deal_was_created_is_there(life):
    found = defaultdict(list)
    history = "from marts.deal_stage_history order by deal_id, step_number"
    for row in rows(life, history):
        found[row["deal_id"]].append((row["entered_at"], row["stage_id"], row["left_at"]))
    visible = life.observed.account.truth("deals").keys() - life.missing - life.hidden
    assert len(visible) > 80
    for deal in visible:
        assert found[deal] == visits(life, deal), deal


def test_who_moved_a_deal_is_told(life):
    users = {
        (int(a["deal"]), datetime.fromisoformat(a["cdate"])): int(a["user"])
        for a in life.log.values()
        if a["dataType"] == "d_stageid"
    }
    moved = [
        row
        for row in rows(life, "from marts.deal_stage_history where step_number > 1")
        if (row["deal_id"], row["entered_at"]) in users and row["deal_id"] not in life.missing
    ]
    assert len(moved) > 50
    for row in moved:
        assert row["moved_by_id"] == users[row["deal_id"], row["entered_at"]]


def test_the_open_pipeline_of_every_day_is_what_was_open_then(life):
    if life.missing:
        pytest.skip("nobody can tell when deals without activities were decided")
    last = life.syncs[-1].date()
    expected: Counter[date] = Counter()
    for deal in life.observed.account.truth("deals"):
        if deal in life.hidden:
            continue
        for entered, stage, left in visits(life, deal):
            if stage in life.deleted_stages:
                continue
            day, end = entered.astimezone(UTC).date(), left and left.astimezone(UTC).date()
            while day <= last and (end is None or day < end):
                expected[day] += 1
                day += DAY
    without = f"and pipeline_id <> {DELETED_PIPELINE}" if life.hidden else ""
    found = {
        row["day"]: row["deals"]
        for row in rows(
            life,
            "select day, sum(open_deals)::int as deals from marts.pipeline_daily "
            f"where open_deals > 0 and day <= '{last}' {without} group by day",
        )
    }
    assert found == +expected


def test_building_again_changes_nothing(life):
    before = rows(life, "from marts.deal_stage_history order by all")
    life.observed.dbt.build("+deal_stage_history")
    assert rows(life, "from marts.deal_stage_history order by all") == before
