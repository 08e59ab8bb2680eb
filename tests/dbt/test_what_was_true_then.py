"""What was won is in the currency of then, and the funnel is in the order of stages of then."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

import pytest

from activecampaign_dagster.report.page import Synced, render
from activecampaign_dagster.sandbox import pipelines
from activecampaign_dagster.streams.registry import CORE
from activecampaign_dagster.warehouse.file import connect
from tests.dbt.conftest import NOW, Observed
from tests.dbt.test_report import section, table, tile

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)
LAST_SYNC = NOW + timedelta(days=2, hours=6)
STREAMS = (*CORE, "deal_activities", "accounts", "account_contacts")
WON = ("deals_monthly", "win_rates", "owner_performance", "sales_velocity")
WON += ("companies", "pipelines", "pipeline_stages")
MARTS = [f"+{mart}" for mart in (*WON, "contacts", "sales_funnel", "forecast")]
REORDERED, EXTENDED = 1, 2  # pipelines
FIGURES = "deals_reached, deals_visited, next_stage_deals, conversion_to_next, conversion_to_won"


@dataclass
class Told:
    """What the marts said after each of three builds, and what the test did to the account."""

    observed: Observed
    won: list[dict[str, dict[str, Decimal]]] = field(default_factory=list)
    won_of_contacts: list[list[dict]] = field(default_factory=list)
    funnel: list[dict[tuple, dict]] = field(default_factory=list)
    inserted: int = 0

    def build(self, *select: str, tests: bool = False) -> None:
        dbt = self.observed.dbt
        dbt.build(*select, tests=tests, variables={"as_of": LAST_SYNC.isoformat()})
        self.won.append({mart: self.won_in(mart) for mart in WON})
        self.won_of_contacts.append(
            dbt.rows(
                "select contact_id, won_value_by_currency from marts.contacts "
                "where won_deals > 0 order by contact_id"
            )
        )
        rows = dbt.rows(f"select pipeline_id, stage_id, created_month, {FIGURES}, lost_deals "
                        "from marts.sales_funnel")  # fmt: skip
        key = "pipeline_id", "stage_id", "created_month"
        self.funnel.append({tuple(row.pop(name) for name in key): row for row in rows})

    def won_in(self, mart: str) -> dict[str, Decimal]:
        """Won value by currency."""
        rows = self.observed.dbt.rows(
            f"select currency, sum(won_value) as won, sum(won_deals) as deals from marts.{mart} "
            "group by all having sum(won_deals) > 0"
        )
        return {row["currency"]: (row["won"], row["deals"]) for row in rows}


@pytest.fixture(scope="module")
def told(make_observed) -> Told:
    """An account whose won deals get another currency, and whose pipelines get other stages."""
    observed = make_observed(71, contacts=40, deals=150, field_values=20)
    account, told = observed.account, Told(observed)
    company = next(iter(account.truth("accounts")))
    sold = {}
    for currency, value in {"jpy": 1_000_000, "eur": 500_000}.items():
        sold[currency] = account.add_deal(
            currency=currency, value=value, customerAccount=str(company)
        )
        account.win_deal(sold[currency])
    first, second, *_ = account.stages_of(REORDERED)
    waiting = account.add_deal(stage=first)
    observed.sync(at=NOW, streams=STREAMS)
    told.build(*MARTS)

    observed.clock.now = NOW + DAY
    for deal in sold.values():
        account.update_deal(deal, currency="usd")
    swap(account, first, second)
    told.inserted = insert_second(account, EXTENDED)
    start, _, _, later = account.stages_of(EXTENDED)[:4]
    entered, skipped = (account.add_deal(stage=start) for _ in range(2))
    observed.clock.now += timedelta(hours=1)
    account.move_deal(entered, told.inserted)
    observed.sync(at=NOW + DAY + timedelta(hours=6), streams=STREAMS)
    told.build(*MARTS)

    observed.clock.now = NOW + 2 * DAY
    account.lose_deal(waiting)
    account.move_deal(skipped, later)
    observed.sync(at=LAST_SYNC, streams=STREAMS)
    told.build(tests=True)
    return told


def swap(account, one: int, other: int) -> None:
    orders = [account.tables["dealStages"][stage]["order"] for stage in (one, other)]
    account.update_record("dealStages", one, order=orders[1])
    account.update_record("dealStages", other, order=orders[0])


def insert_second(account, pipeline: int) -> int:
    """A new stage after the first one of a pipeline."""
    stages = account.tables["dealStages"]
    for stage in account.stages_of(pipeline)[1:]:
        account.update_record("dealStages", stage, order=str(int(stages[stage]["order"]) + 1))
    number = max(stages) + 1
    stages[number] = pipelines.stage(number, "Inserted", pipeline, 2)
    account.tables["dealGroups"][pipeline]["stages"].append(str(number))
    return number


@pytest.mark.parametrize("mart", WON)
def test_what_was_won_stays_in_the_currency_that_it_was_won_in(told, mart):
    before, edited, later = (won[mart] for won in told.won)
    assert before["JPY"][0] >= 1_000_000
    assert before["EUR"][0] >= 5_000
    assert edited == before
    assert later == before


def test_what_was_won_from_a_contact_stays_in_the_currency_of_then(told):
    before, *after = told.won_of_contacts
    assert {currency for row in before for currency in row["won_value_by_currency"]} >= {"JPY"}
    assert after == [before, before]


def test_a_deal_has_the_currency_of_then_beside_the_present_one(told):
    rows = told.observed.dbt.rows(
        "select closed_currency, closed_value::int as value, currency from marts.deals "
        "where closed_currency <> currency order by all"
    )
    assert rows == [
        {"closed_currency": "EUR", "value": 5_000, "currency": "USD"},
        {"closed_currency": "JPY", "value": 1_000_000, "currency": "USD"},
    ]
    none = told.observed.dbt.rows(
        "from marts.deals where (closed_currency is null) <> (closed_value is null)"
    )
    assert none == []


def test_the_report_shows_what_was_won_in_the_currency_of_then(told):
    with connect(told.observed.dbt.database, read_only=True) as db:
        page = render(db, Synced(LAST_SYNC, frozenset(STREAMS), {}))
    won = told.observed.dbt.rows(
        "select currency, sum(won_value) as value from marts.deals_monthly "
        "where month = '2026-03-01' and won_deals > 0 group by currency"
    )
    assert {row["currency"] for row in won} >= {"EUR", "JPY"}
    for row in won:
        value, _ = tile(section(page, f"Deals, {row['currency']}"), "won this month")
        assert value == f"{row['value']:,.0f}"
    assert "JPY 1M</b>" in section(page, "Won")
    assert ["1,000,000", "1"] in [line[1:3] for line in table(section(page, "JPY"))]


def old_cohorts(funnel: dict[tuple, dict], pipeline: int) -> dict[tuple, dict]:
    """Those of the months before the account was changed."""
    return {
        key: {name: row[name] for name in row if name != "lost_deals"}
        for key, row in funnel.items()
        if key[0] == pipeline and key[2] < date(2026, 3, 1)
    }


@pytest.mark.parametrize("build", [1, 2])
def test_reordering_stages_leaves_past_cohorts_as_they_were(told, build):
    before = old_cohorts(told.funnel[0], REORDERED)
    assert len(before) > 20
    assert sum(row["next_stage_deals"] or 0 for row in before.values()) > 20
    assert old_cohorts(told.funnel[build], REORDERED) == before


def test_a_deal_that_is_lost_where_it_was_before_the_reordering_reaches_nothing_more(told):
    stages, march = told.observed.account.stages_of(REORDERED), date(2026, 3, 1)
    before, after = (
        {stage: told.funnel[build][REORDERED, stage, march] for stage in stages} for build in (1, 2)
    )
    gained = {s: after[s]["lost_deals"] - before[s]["lost_deals"] for s in stages}
    assert [s for s in stages if gained[s]] == [stages[1]]
    for stage in stages:
        assert after[stage]["deals_reached"] == before[stage]["deals_reached"]


@pytest.mark.parametrize("build", [1, 2])
def test_inserting_a_stage_leaves_past_cohorts_as_they_were(told, build):
    before = old_cohorts(told.funnel[0], EXTENDED)
    after = old_cohorts(told.funnel[build], EXTENDED)
    new = {key: row for key, row in after.items() if key[1] == told.inserted}
    assert {key: after[key] for key in after.keys() - new.keys()} == before
    assert sum(row["next_stage_deals"] or 0 for row in before.values()) > 20
    assert {row["deals_reached"] for row in new.values()} == {0}


def test_a_stage_that_was_inserted_counts_from_then_on_visited_or_not(told):
    first, _, third, later = told.observed.account.stages_of(EXTENDED)[:4]
    counts = defaultdict(list)
    for build in range(3):
        for stage in (first, told.inserted, third, later):
            row = told.funnel[build].get((EXTENDED, stage, date(2026, 3, 1)), {})
            counts[stage].append(row.get("deals_reached", 0))
    base = {stage: number[0] for stage, number in counts.items()}
    assert {stage: [n - base[stage] for n in number] for stage, number in counts.items()} == {
        first: [0, 2, 2],
        told.inserted: [0, 1, 2],
        third: [0, 0, 1],
        later: [0, 0, 1],
    }
