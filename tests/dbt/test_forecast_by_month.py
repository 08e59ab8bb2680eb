"""The forecast by the month in which deals are expected to close, against the account's records."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest

from activecampaign_dagster.streams.registry import CORE
from tests.dbt.conftest import NOW, Observed
from tests.dbt.test_marts_against_the_truth import close, counts, moment, money, share

pytestmark = pytest.mark.slow

LATER = NOW + timedelta(hours=1)
STREAMS = (*CORE, "deal_custom_fields", "deal_custom_field_values")
FIELD = "Buyer's date"


@pytest.fixture(scope="module")
def observed(make_observed) -> Observed:
    """Synced and built, changed, synced and built again."""
    observed = make_observed(65, deals=400)
    account = observed.account
    meta = {"fieldLabel": FIELD, "fieldType": "date", "fieldOptions": None}
    field = account.add_record("dealCustomFieldMeta", **meta)
    deals = list(open_deals(observed))
    for number, deal in enumerate(deals[:-3]):
        account.set_deal_value(deal, field, f"2026-{4 + number % 3:02}-15")
    account.set_deal_value(deals[-1], field, "some day")
    observed.sync(at=NOW, streams=STREAMS)
    build(observed, expected_close_field=FIELD)
    observed.clock.now = LATER
    account.set_deal_value(deals[0], field, "2027-01-31")
    account.delete_deal(deals[1])
    account.win_deal(deals[2])
    observed.sync(at=LATER, streams=STREAMS)
    build(observed, expected_close_field=FIELD)
    return observed


def build(observed: Observed, **variables: Any) -> None:
    as_of = {"as_of": LATER.isoformat()}
    observed.dbt.build("+forecast", variables=as_of | variables)


def open_deals(observed: Observed) -> dict[int, dict[str, Any]]:
    deals = observed.account.truth("deals")
    return {n: d for n, d in deals.items() if counts(d) and d["status"] == "0"}


def by_month(observed: Observed) -> dict[tuple[date | None, str], tuple]:
    rows = observed.dbt.rows(
        "select expected_close_month, currency, sum(open_deals)::int as deals, "
        "sum(open_value) as value from marts.forecast group by all"
    )
    return {
        (row["expected_close_month"], row["currency"]): (row["deals"], row["value"]) for row in rows
    }


def expected(observed: Observed) -> dict[tuple[date | None, str], tuple]:
    [field] = [
        number
        for number, record in observed.account.truth("dealCustomFieldMeta").items()
        if record["fieldLabel"] == FIELD
    ]
    dates = {
        int(record["dealId"]): record["fieldValue"]
        for record in observed.account.truth("dealCustomFieldData").values()
        if int(record["customFieldId"]) == field
    }
    count, value = Counter(), Counter()
    for number, deal in open_deals(observed).items():
        text = dates.get(number, "")
        month = date.fromisoformat(text).replace(day=1) if text.startswith("20") else None
        count[month, deal["currency"].upper()] += 1
        value[month, deal["currency"].upper()] += money(deal)
    return {key: (count[key], value[key]) for key in count}


def test_open_deals_are_split_by_the_month_of_their_date(observed):
    found = by_month(observed)
    assert found == expected(observed)
    months = {month for month, _ in found}
    assert months >= {None, date(2026, 4, 1), date(2026, 5, 1), date(2027, 1, 1)}


def known_decisions(observed: Observed) -> set[int]:
    """Deals that were decided when they were created, or since the first sync; no activities."""
    return {
        number
        for number, deal in observed.account.truth("deals").items()
        if counts(deal) and deal["status"] != "0"
        if moment(deal["mdate"]) <= moment(deal["cdate"]) + timedelta(minutes=1)
        or moment(deal["mdate"]) > NOW
    }


def test_win_rates_may_rest_on_the_last_days_only(observed):
    recent = NOW - timedelta(days=300)
    build(observed, forecast_days=300)
    rows = observed.dbt.rows("from marts.forecast where stage_position = 1")
    known = known_decisions(observed)
    judged_by = set()
    for row in rows:
        deals = {
            number: deal
            for number, deal in observed.account.truth("deals").items()
            if counts(deal) and deal["status"] != "0"
            if int(deal["group"]) == row["pipeline_id"] and moment(deal["mdate"]) > recent
        }
        decided = Counter(deal["status"] for deal in deals.values())
        assert row["decided_deals_of_unknown_date"] == len(deals.keys() - known)
        assert row["won_deals"] == decided["1"]
        assert row["decided_deals"] == decided.total()
        assert row["win_rate"] == close(share(decided["1"], decided.total()))
        judged_by.add(decided.total())
    assert max(judged_by) > 0
    assert all(row["expected_close_month"] is None for row in rows)
