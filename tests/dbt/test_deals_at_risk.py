"""Why open deals are at risk, against the account's own records."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

import pytest

from activecampaign_dagster.streams.registry import CORE
from tests.dbt.conftest import NOW, Observed
from tests.dbt.test_marts_against_the_truth import close, counts, days, moment, money, words

pytestmark = pytest.mark.slow

LATER = NOW + timedelta(hours=1)
AS_OF = NOW + timedelta(days=3)
STREAMS = (*CORE, "tasks", "notes", "deal_activities")
INACTIVE = 90  # days
FEWEST_VISITS = 5


@pytest.fixture(scope="module")
def observed(make_observed) -> Observed:
    """Synced and built, changed, synced and built again."""
    observed = make_observed(63, deals=200)
    account = observed.account
    open_deals = [n for n, d in account.truth("deals").items() if d.get("status") == "0"]
    for deal, shift in zip(open_deals, (-400, -1, 0, 2, 3, 4, 60), strict=False):
        account.update_deal(deal, nextdate=NOW + timedelta(days=shift))
    task = account.add_task(open_deals[8], "Call back")
    account.add_task(open_deals[9], "Send the offer")
    observed.sync(at=NOW, streams=STREAMS)
    build(observed)
    observed.clock.now = LATER
    account.complete_task(task)
    account.delete_deal(open_deals[0])
    account.win_deal(open_deals[1])
    account.move_deal(open_deals[2], account.stages_of(1)[-1])
    account.remove_record("dealTasks", 3)
    account.remove_record("notes", 2)
    observed.sync(at=LATER, streams=STREAMS)
    build(observed)
    return observed


def build(observed: Observed) -> None:
    variables = {"as_of": AS_OF.isoformat(), "deals_at_risk_days": INACTIVE}
    observed.dbt.build("+deals_at_risk", variables=variables)


def rows_of(observed: Observed) -> dict[int, dict]:
    rows = observed.dbt.rows("from marts.deals_at_risk")
    return {row["deal_id"]: row for row in rows}


def open_deals(observed: Observed) -> dict[int, dict]:
    deals = observed.account.truth("deals")
    return {n: d for n, d in deals.items() if counts(d) and d["status"] == "0"}


def on_deals(observed: Observed, collection: str) -> dict[int, list[dict]]:
    found = defaultdict(list)
    for record in observed.account.truth(collection).values():
        if record["reltype"] == "Deal":
            found[int(record["relid"])].append(record)
    return found


def longest_of_most(lengths: list[float]) -> float:
    """The length that 80 % of them do not exceed, between two of them if need be."""
    lengths = sorted(lengths)
    place = 0.8 * (len(lengths) - 1)
    below, beside = lengths[int(place)], lengths[min(int(place) + 1, len(lengths) - 1)]
    return below + (beside - below) * (place - int(place))


def test_every_open_deal_that_counts_has_a_row(observed):
    rows = rows_of(observed)
    deals = open_deals(observed)
    assert rows.keys() == deals.keys()
    for number, row in rows.items():
        assert row["title"] == words(deals[number]["title"])
        assert row["value"] == money(deals[number])
        assert row["currency"] == deals[number]["currency"].upper()
        assert row["owner_id"] == int(deals[number]["owner"])
        assert row["stage_id"] == int(deals[number]["stage"])


def test_deals_are_compared_with_the_visits_of_won_deals(observed):
    won = [n for n, d in observed.account.truth("deals").items() if counts(d) if d["status"] == "1"]
    lengths = defaultdict(list)
    current = {}
    for visit in observed.dbt.rows("from marts.deal_stage_history"):
        if visit["is_current"]:
            current[visit["deal_id"]] = visit
        elif visit["deal_id"] in won and visit["days"] is not None:
            lengths[visit["stage_id"]].append(visit["days"])
    judgements = set()
    for number, row in rows_of(observed).items():
        visit, judges = current[number], lengths[row["stage_id"]]
        usual = longest_of_most(judges) if judges else None
        known = visit["days"] is not None
        spent = visit["days"] if known else visit["days_observed"]
        is_long = spent > usual if len(judges) >= FEWEST_VISITS else None
        assert row["days_in_stage"] == spent
        assert row["is_days_in_stage_known"] == known
        assert row["visits_judged_by"] == len(judges)
        assert row["usual_days_in_stage"] == close(usual)
        assert row["is_long_in_stage"] == (is_long if known or is_long else None)
        judgements.add(row["is_long_in_stage"])
    assert judgements >= {True, False}


def test_a_deal_without_a_date_or_a_task_ahead_has_no_next_step(observed):
    tasks = on_deals(observed, "dealTasks")
    found = set()
    for number, row in rows_of(observed).items():
        due = moment(open_deals(observed)[number]["nextdate"])
        to_do = sum(str(task["status"]) == "0" for task in tasks[number])
        assert row["next_action_at"] == due
        assert row["is_next_action_past"] == bool(due and due < AS_OF)
        assert row["tasks_to_do"] == to_do
        assert row["is_without_next_step"] == (due is None and to_do == 0)
        found.add((due is None, to_do > 0))
    assert len(found) > 2


def test_whatever_happens_to_a_deal_is_activity(observed):
    happened: dict[int, list[datetime]] = defaultdict(list)
    for record in observed.account.truth("dealActivities").values():
        happened[int(record["d_id"])].append(moment(record["cdate"]))
    for collection, stamps in (
        ("dealTasks", ("cdate", "udate", "doneAt")),
        ("notes", ("cdate", "mdate")),
    ):
        for number, records in on_deals(observed, collection).items():
            happened[number] += [
                moment(record[name]) for record in records for name in stamps if record.get(name)
            ]
    rows = rows_of(observed)
    for number, deal in open_deals(observed).items():
        last = max(moment(deal["cdate"]), moment(deal["mdate"]), *happened[number])
        idle = days(AS_OF - last)
        assert rows[number]["last_activity_at"] == last, number
        assert rows[number]["days_without_activity"] == close(idle, abs=0.006)
        assert rows[number]["is_inactive"] == (idle > INACTIVE)
    assert {row["is_inactive"] for row in rows.values()} == {True, False}


def test_reasons_are_counted(observed):
    reasons = ("is_long_in_stage", "is_next_action_past", "is_inactive", "is_without_next_step")
    rows = rows_of(observed).values()
    for row in rows:
        assert row["reasons"] == sum(bool(row[reason]) for reason in reasons)
    assert len({row["reasons"] for row in rows}) > 2


def test_without_tasks_notes_and_activities_the_deal_itself_decides(make_observed):
    observed = make_observed(64)
    observed.sync(at=NOW, streams=("deals",))
    observed.dbt.build("+deals_at_risk")
    deals = open_deals(observed)
    rows = rows_of(observed)
    assert rows.keys() == deals.keys()
    for number, row in rows.items():
        assert row["last_activity_at"] == moment(deals[number]["mdate"])
        assert row["is_without_next_step"] == (deals[number]["nextdate"] is None)
