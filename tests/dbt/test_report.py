"""The pipeline report: what it shows is what the marts say, on one page that needs no network."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime
from statistics import fmean, median
from typing import Any

import duckdb
import pytest

from activecampaign_dagster.report.figures import _short
from activecampaign_dagster.report.page import Report, render
from activecampaign_dagster.warehouse.file import connect
from tests.dbt.conftest import NOW

SALES = ["deals", "pipelines", "pipeline_stages", "sales_funnel", "win_rates"]


def report(built: Any) -> Report:
    with connect(built.dbt.database) as db:
        return render(db, datetime(2026, 3, 1, tzinfo=UTC))


def charts(page: Report) -> list[list[dict[str, Any]]]:
    """The traces of each chart, as the page hands them to plotly."""
    decoder = json.JSONDecoder()
    found = re.finditer(r'Plotly\.newPlot\(\s*"[^"]+",\s*', page.html)
    return [decoder.raw_decode(page.html, match.end())[0] for match in found]


def test_the_page_loads_nothing_from_elsewhere(built):
    html = report(built).html
    head_and_body = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert "<script src" not in head_and_body
    assert "<link" not in head_and_body
    assert "http" not in head_and_body.split("<body>")[0]


def test_the_funnel_shows_what_the_mart_says(built):
    drawn = {
        (trace["name"], stage.strip("\u200b")): int(label.replace(",", ""))
        for trace in charts(report(built))[0]
        for stage, label in zip(trace["y"][1], trace["text"], strict=True)
    }
    expected: Counter[tuple[str, str]] = Counter()
    for row in built.dbt.rows("from marts.sales_funnel where stage is not null"):
        expected[row["pipeline"], row["stage"]] += row["deals_reached"]
    assert drawn == dict(expected)


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (0, "0"),
        (950, "950"),
        (5_340.4, "5.34k"),
        (229_521, "230k"),
        (999_600, "1000k"),
        (2.5e6, "2.5M"),
    ],
)
def test_values_are_short_enough_to_stand_beside_a_bar_on_a_phone(value, label):
    assert _short(value) == label


def test_the_open_pipeline_shows_value_and_number_of_deals_of_each_stage(built):
    drawn = {
        (trace["name"], stage.strip("\u200b")): (value, label)
        for trace in charts(report(built))[1]
        for stage, value, label in zip(trace["y"][1], trace["x"], trace["text"], strict=True)
    }
    expected = {
        (row["pipeline"], row["stage"]): (
            float(row["open_value"]),
            f"{_short(float(row['open_value']))} · {row['open_deals']}",
        )
        for row in built.dbt.rows(
            "from marts.pipeline_stages where currency = 'USD' and open_deals > 0"
        )
    }
    assert drawn == expected


def test_pipelines_stages_and_campaigns_of_one_name_stay_two(make_observed):
    observed = make_observed(5, contacts=60, deals=60, field_values=0)
    account = observed.account
    stages = sorted(
        account.truth("dealStages").values(), key=lambda s: (s["group"], int(s["order"]))
    )
    first, second = [int(stage["id"]) for stage in stages if stage["group"] == "1"][:2]
    account.update_record("dealGroups", 2, title=account.truth("dealGroups")[1]["title"])
    account.update_record("dealStages", second, title=account.truth("dealStages")[first]["title"])
    for campaign in account.truth("campaigns"):
        account.update_record("campaigns", campaign, name="News")
    observed.sync(at=NOW)
    observed.dbt.build()

    funnel, _, win_rate, _, campaigns = charts(report(observed))
    reached = observed.dbt.rows(
        "select pipeline_id, sum(deals_reached)::bigint as deals, "
        "count(distinct stage_id) as stages "
        "from marts.sales_funnel where pipeline_id in (1, 2) group by 1"
    )
    title = account.truth("dealGroups")[1]["title"]
    shared = {f"{title} ({row['pipeline_id']})": row for row in reached}
    assert len(shared) == 2
    for name, row in shared.items():
        [trace] = [trace for trace in funnel if trace["name"] == name]
        assert sum(trace["x"]) == row["deals"]
        assert len(set(trace["y"][1])) == len(trace["y"][1]) == row["stages"]
    assert shared.keys() <= {trace["name"] for trace in win_rate}
    assert all(len(set(trace["y"])) == 10 for trace in campaigns)


def test_a_figure_alone_in_its_row_has_all_of_it(built):
    cards = re.findall(r'<section class="(card[^"]*)">', report(built).html)
    assert cards == ["card"] * 4 + ["card wide"]


def test_the_headline_counts_open_deals(built):
    [counted] = built.dbt.rows(
        "select count(*) as deals from marts.deals where is_counted and status = 'open'"
    )
    assert report(built).headlines[0] == (f"{counted['deals']:,}", "open deals")


def test_the_time_to_win_is_told_as_median_and_average(built):
    won = built.dbt.rows(
        "select days_to_close from marts.deals where is_counted and status = 'won' "
        "and closed_at > (select max(updated_at) from marts.deals) - interval 365 day"
    )
    days = [row["days_to_close"] for row in won]
    meaning = f"median time to win, last 365 days (average: {fmean(days):.0f} days)"
    assert report(built).headlines[3] == (f"{median(days):.0f} days", meaning)


def test_a_report_without_data_says_so(built):
    with duckdb.connect() as db:
        db.execute(f"attach '{built.dbt.database}' as full_one (read_only)")
        db.execute("create schema marts")
        for mart in [*SALES, "campaign_performance"]:
            db.execute(f"create table marts.{mart} as from full_one.marts.{mart} limit 0")
        page = render(db, datetime(2026, 3, 1, tzinfo=UTC))
    assert page.html.count("There is no data for this figure yet.") == 5
    assert page.headlines[2] == ("n/a", "win rate of the last 365 days")
