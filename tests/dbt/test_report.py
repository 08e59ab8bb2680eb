"""The pipeline report: what it shows is what the marts say, on one page that needs no network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html import escape, unescape
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from activecampaign_dagster.orchestration.assets.pipeline_report import (
    pipeline_report,
    report_path,
)
from activecampaign_dagster.orchestration.resources import WAREHOUSE_KEY, WarehouseResource
from activecampaign_dagster.report.page import Report, Synced, render
from activecampaign_dagster.report.parts import short
from activecampaign_dagster.report.preview import preview
from activecampaign_dagster.streams.registry import CORE
from activecampaign_dagster.warehouse.file import connect
from tests.dbt.conftest import NOW, Observed
from tests.orchestration.setup import failure

LATER = NOW + timedelta(days=2)
MARKETING = ("lists", "contact_lists", "automations", "contact_automations")
SHOPS = ("ecommerce_orders", "ecommerce_customers", "ecommerce_connections")
READ = (*CORE, *MARKETING, *SHOPS)
WITH_FIELDS = (*READ, "deal_custom_fields", "deal_custom_field_values")
HOSTILE = "<script>alert('x')</script> | [a](http://b)"


def report(observed: Observed, streams: tuple[str, ...] = READ, address: str = "") -> Report:
    with connect(observed.dbt.database, read_only=True) as db:
        addresses = {"activecampaign": address} if address else {}
        return render(db, Synced(LATER, frozenset(streams), addresses))


def section(page: Report, title: str, nth: int = 0) -> str:
    """The HTML of a card."""
    return page.html.split(f"<h3>{title}</h3>")[1 + nth].split("</section>")[0]


def tile(card: str, meaning: str) -> tuple[str, str]:
    """Value and small print of a tile."""
    found = re.search(rf"<strong>([^<]*)</strong><p>{meaning}</p>(.*?)</div>", card, re.DOTALL)
    assert found, meaning
    return found[1], " ".join(unescape(re.sub("<[^>]*>", " ", found[2])).split())


def titles(card: str) -> list[str]:
    found = re.findall(r'<li><div class="line"><span>(?:<a [^>]*>)?([^<]*)', card)
    return [unescape(title) for title in found]


def table(card: str) -> list[list[str]]:
    """The cells of a card's table, without its head."""
    lines = re.findall(r"<tr>(.*?)</tr>", card.split("<tbody>")[1], re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", line) for line in lines]
    return [[unescape(cell) for cell in line] for line in cells]


@pytest.fixture(scope="module")
def changed(make_observed) -> dict[str, Any]:
    """The deals that are changed between two syncs, by what happens to them; and the account."""
    observed = make_observed(7, contacts=80, deals=200, field_values=0)
    account = observed.account
    observed.sync(at=NOW, streams=READ)
    observed.dbt.build("+resource_type:snapshot")
    opened = [
        number
        for number, deal in account.truth("deals").items()
        if not deal["isDisabled"] and deal["status"] == "0" and deal["currency"] == "usd"
    ]
    won, lost, moved, overdue, large = opened[:5]
    observed.clock.now = NOW + timedelta(days=1)
    account.update_record("deals", won, value="123400")
    account.win_deal(won)
    account.lose_deal(lost)
    stages = account.stages_of(account.pipeline_of(moved))
    here = int(account.truth("deals")[moved]["stage"])
    account.move_deal(moved, next(stage for stage in stages if stage != here))
    account.update_record("deals", overdue, nextdate="2026-02-20T10:00:00-06:00")
    account.update_record("deals", large, value="99999900", title=HOSTILE)
    observed.sync(at=LATER, streams=READ)
    observed.dbt.build(variables={"as_of": ""})
    names = ("won", "lost", "moved", "overdue", "large")
    return {"observed": observed, **dict(zip(names, opened[:5], strict=True))}


@pytest.fixture(scope="module")
def observed(changed) -> Observed:
    return changed["observed"]


@pytest.fixture(scope="module")
def page(observed) -> Report:
    return report(observed)


def test_the_page_loads_nothing_from_elsewhere_and_is_small(page):
    assert not re.search(r"<script|<link|<img|@import|url\(|src=", page.html)
    assert "http" not in page.html.replace("(http://b)", "")
    assert len(page.html.encode()) < 200_000


def test_the_day_is_that_of_the_last_sync(page):
    assert f"{LATER:%A, %-d %B %Y}" in page.html


def test_what_was_won_this_month_is_what_the_account_says_of_each_currency(page, observed):
    won: defaultdict[str, list[Decimal]] = defaultdict(list)
    before: defaultdict[str, Decimal] = defaultdict(Decimal)
    currencies = set()
    for deal in observed.account.truth("deals").values():
        if deal["isDisabled"]:
            continue
        decimals = 0 if deal["currency"] == "jpy" else 2
        currencies.add(currency := deal["currency"].upper())
        if deal["status"] != "1":
            continue
        closed = datetime.fromisoformat(deal["mdate"]).astimezone(UTC).date()
        value = Decimal(deal["value"]) / 10**decimals
        if closed >= date(2026, 3, 1):
            won[currency].append(value)
        elif closed >= date(2026, 2, 1):
            before[currency] += value
    assert len(currencies) > 1
    assert sum(won["USD"]) >= 1234
    for currency in currencies:
        value, detail = tile(section(page, f"Deals, {currency}"), "won this month")
        assert value == f"{sum(won[currency]):,.0f}"
        assert detail.startswith(f"{len(won[currency])} deal")
        assert f"last month: {before[currency]:,.0f}, " in detail


def test_what_was_won_this_quarter_and_is_open_is_what_the_marts_say(page, observed):
    marts = observed.dbt.rows("""
        select
            currency,
            coalesce(sum(won_value) filter (closed_month >= '2026-01-01'), 0) as won,
            sum(decided_deals_of_unknown_date) filter (closed_month >= '2026-01-01') as unknown
        from marts.win_rates group by 1
    """)
    assert len(marts) > 1
    for row in marts:
        value, _ = tile(section(page, f"Deals, {row['currency']}"), "won this quarter")
        assert value == f"{row['won']:,.0f}"
    for row in observed.dbt.rows(
        "select currency, sum(open_value) as opened, sum(weighted_value) as weighted "
        "from marts.forecast group by 1"
    ):
        card = section(page, f"Deals, {row['currency']}")
        assert tile(card, "open")[0] == f"{row['opened']:,.0f}"
        weighted = row["weighted"]
        shown = tile(card, "open, weighted by win rate")[0]
        assert shown == ("n/a" if weighted is None else f"{weighted:,.0f}")


def test_a_tile_says_how_much_of_it_rests_on_unknown_dates(page, observed):
    [found] = observed.dbt.rows("""
        select
            count(*) filter (not is_closed_at_known) as unknown,
            count(*) as decided,
            count(*) filter (status = 'won') as won
        from marts.deals
        where is_counted and status in ('won', 'lost') and closed_date > date '2025-03-03'
    """)
    value, detail = tile(section(page, "All deals"), "win rate, last 365 days")
    assert value == f"{found['won'] / found['decided']:.0%}"
    assert 0 < found["unknown"] < found["decided"]
    assert detail.endswith(f"{found['unknown']} of {found['decided']} deals of unknown date")


def test_what_changed_in_seven_days_is_named(page, changed):
    truth = changed["observed"].account.truth("deals")
    for kind in ("won", "lost", "moved"):
        title = truth[changed[kind]]["title"]
        assert title in titles(section(page, kind.capitalize())), kind
    assert re.search(r"USD 1\.23k</b>", section(page, "Won"))


def test_the_week_is_compared_with_the_one_before(page, observed):
    def created(start: date, end: date) -> int:
        days = f"between date '{start}' and date '{end}'"
        sql = f"select count(*) as n from marts.deals where is_counted and created_date {days}"
        return int(observed.dbt.rows(sql)[0]["n"])

    today = LATER.date()
    week = created(today - timedelta(days=6), today)
    before = created(today - timedelta(days=13), today - timedelta(days=7))
    assert f"<strong>{week}</strong>\n<p>created (the week before: {before})</p>" in page.html


def test_deals_to_do_are_named(page, changed):
    observed = changed["observed"]
    overdue = observed.account.truth("deals")[changed["overdue"]]["title"]
    card = section(page, "Past their next action")
    assert overdue in titles(card)
    assert "due 20 Feb 2026, 11 days ago" in card
    assert titles(section(page, "Largest open deals")).count(HOSTILE) == 1
    longest = observed.dbt.rows("""
        select title
        from marts.deal_stage_history as history
        join marts.deals as deals using (account, deal_id)
        where history.is_current and is_counted
        order by coalesce(days, days_observed) desc, deal_id
        limit 8
    """)
    assert titles(section(page, "Longest in their stage")) == [row["title"] for row in longest]


def test_deals_are_linked_where_the_account_is_known(observed, page, changed):
    assert '<a href="http' not in page.html
    linked = report(observed, address="acme").html
    assert f'href="https://acme.activehosted.com/app/deals/{changed["won"]}"' in linked
    assert '<a href="http' not in report(observed, address="127.0.0.1").html


def test_owners_have_what_they_won_and_have_open_in_each_currency(page, observed):
    rows = observed.dbt.rows("""
        select currency, owner, sum(won) as won, sum(opened) as opened
        from (
            select
                closed_currency as currency, closed_owner as owner, closed_value as won, 0 as opened
            from marts.deals
            where is_counted and status = 'won' and closed_date >= date '2026-01-01'
            union all
            select currency, owner, 0, value
            from marts.deals
            where is_counted and status = 'open'
        )
        group by all
    """)
    shown = {
        (currency, line[0]): (line[1], line[3])
        for currency in {row["currency"] for row in rows}
        for line in table(section(page, currency))
    }
    expected = {
        (row["currency"], row["owner"] or "(no owner)"): (
            f"{row['won']:,.0f}",
            f"{row['opened']:,.0f}",
        )
        for row in rows
    }
    assert shown == expected


def test_quarters_with_few_decided_deals_are_grey(page):
    card = section(page, "Win rate by quarter")
    found = re.findall(r'<div class="column( faint)?">.*?<small>(\d+)', card, re.DOTALL)
    assert {bool(faint) for faint, _ in found} == {True, False}
    assert all(bool(faint) == (int(decided) < 10) for faint, decided in found)


def test_the_funnel_shows_what_the_mart_says(page, observed):
    card = section(page, "Sales funnel")
    drawn = re.findall(r'<span class="figure">([\d,]+)</span>', card)
    expected = observed.dbt.rows("""
        select sum(deals_reached)::bigint as deals
        from marts.sales_funnel
        where stage is not null
        group by pipeline, pipeline_id, stage_id
    """)
    assert sorted(drawn) == sorted(f"{row['deals']:,}" for row in expected)


def test_marketing_shows_what_the_marts_say(page, observed):
    lists = observed.dbt.rows(
        "select list, members from marts.lists where month = date '2026-03-01' and "
        "not is_list_missing"
    )
    shown = {line[0]: line[1] for line in table(section(page, "Lists"))}
    assert shown == {row["list"]: f"{row['members']:,}" for row in lists}
    entered = observed.dbt.rows(
        "select automation, sum(in_progress)::bigint as n from marts.automation_performance "
        "where not is_automation_missing group by all"
    )
    shown = {line[0]: line[3] for line in table(section(page, "Automations"))}
    assert shown.items() <= {row["automation"]: f"{row['n']:,}" for row in entered}.items()
    sold = observed.dbt.rows(
        "select currency, sum(total_price) filter (ordered_date >= date '2026-01-01') as quarter "
        "from marts.orders where is_purchase group by 1"
    )
    assert sold
    for row in sold:
        value, _ = tile(section(page, f"Orders, {row['currency']}"), "sold this quarter")
        assert value == f"{row['quarter'] or 0:,.0f}"


def test_what_people_typed_into_the_account_is_text(page):
    assert "<script" not in page.html
    assert "&lt;script&gt;" in page.html
    lines = [line for line in preview(page).splitlines() if "alert" in line]
    assert lines
    for line in lines:
        assert r"\<script\>" in line
        assert len(re.findall(r"(?<!\\)\|", line)) == 5


def test_streams_that_were_never_read_are_named(make_observed):
    observed = make_observed(51)
    observed.sync(at=LATER, streams=("deals",))
    observed.dbt.build(variables={"as_of": ""})
    page = report(observed, streams=("deals",))
    assert "lists and contact_lists" in section(page, "Lists")
    assert re.search(r"the stream\s+campaigns", section(page, "Campaigns"))
    assert "ecommerce_orders" in section(page, "Orders")
    assert titles(section(page, "Longest in their stage"))


def test_before_any_sync_the_report_says_that_there_is_nothing(make_observed):
    observed = make_observed(50)
    observed.dbt.execute("select 1")
    observed.dbt.build()
    page = report(observed, streams=())
    assert "no account yet" in page.html
    assert re.search(r"the stream\s+deals", page.html)
    assert tile(section(page, "All deals"), "win rate, last 365 days")[0] == "n/a"


def test_pipelines_of_one_name_stay_two(make_observed):
    observed = make_observed(5, contacts=60, deals=60, field_values=0)
    account = observed.account
    title = account.truth("dealGroups")[1]["title"]
    account.update_record("dealGroups", 2, title=title)
    observed.sync(at=NOW)
    observed.dbt.build(variables={"as_of": ""})
    card = section(report(observed), "Sales funnel")
    assert f"<h4>{title} (1)</h4>" in card
    assert f"<h4>{title} (2)</h4>" in card


@pytest.fixture(scope="module")
def in_adelaide(make_observed) -> dict[str, Any]:
    """An account reported on in another zone, with a date of expected close; what was changed."""
    observed = make_observed(8, contacts=60, deals=200, field_values=0)
    account = observed.account
    meta = {"fieldLabel": "Close by", "fieldType": "date", "fieldOptions": None}
    field = account.add_record("dealCustomFieldMeta", **meta)
    opened = [
        number
        for number, deal in account.truth("deals").items()
        if not deal["isDisabled"] and deal["status"] == "0"
    ]
    for number, deal in enumerate(opened):
        account.set_deal_value(deal, field, f"2026-{4 + number % 3:02}-15")
    # in Adelaide 3 March, a quarter past eight, and the evening before
    for deal, due in zip(opened[:2], ("2026-03-02T21:45", "2026-03-02T12:00"), strict=True):
        account.update_record("deals", deal, nextdate=f"{due}:00+00:00")
    observed.sync(at=NOW, streams=WITH_FIELDS)
    observed.dbt.build("+resource_type:snapshot")
    observed.clock.now = NOW + timedelta(days=1)
    lost = opened[2:13]
    for number, deal in enumerate(lost):
        account.update_record("deals", deal, currency="eur", value=str(1000 + number))
        account.lose_deal(deal)
    account.update_record("deals", lost[-1], currency="usd", value="90000000")
    observed.sync(at=LATER, streams=WITH_FIELDS)
    zone, close_by = "Australia/Adelaide", "Close by"
    variables = {"as_of": "", "reporting_timezone": zone, "expected_close_field": close_by}
    observed.dbt.build(variables=variables)
    return {"observed": observed, "due": opened[:2], "lost": lost}


def test_a_next_action_is_due_on_a_day_of_the_reporting_time_zone(in_adelaide):
    observed = in_adelaide["observed"]
    page = report(observed)
    assert "Tuesday, 3 March 2026" in page.html
    counted = "select count(*) as n from marts.deals where is_counted and status = 'open' and "
    [row] = observed.dbt.rows(f"{counted} next_action_date < '2026-03-03'")
    assert tile(section(page, "All deals"), "open deals past their next action")[0] == str(row["n"])
    later, earlier = in_adelaide["due"]
    days = "select deal_id, next_action_date::varchar as day from marts.deals"
    due = {row["deal_id"]: row["day"] for row in observed.dbt.rows(days)}
    assert (due[later], due[earlier]) == ("2026-03-03", "2026-03-02")


def test_stages_have_one_bar_whatever_months_their_deals_are_expected_to_close_in(in_adelaide):
    observed = in_adelaide["observed"]
    sql = "select count(distinct {}) as n from marts.forecast where open_deals > 0"
    months = observed.dbt.rows(sql.format("expected_close_month"))[0]["n"]
    assert months > 1
    bars = observed.dbt.rows(sql.format("(pipeline_id, stage_id, currency)"))[0]["n"]
    card = section(report(observed), "Open pipeline by stage")
    assert card.count("<small>weighted ") == bars
    values = observed.dbt.rows("select sum(open_deals)::int as n from marts.forecast")
    assert sum(map(int, re.findall(r"(\d+) deals?\b", card))) == values[0]["n"]


def test_the_largest_deal_of_each_currency_is_named_first(in_adelaide):
    card = section(report(in_adelaide["observed"]), "Lost")
    truth = in_adelaide["observed"].account.truth("deals")
    [*_, largest_in_euro, in_dollars] = in_adelaide["lost"]
    assert titles(card)[:2] == [truth[n]["title"] for n in (largest_in_euro, in_dollars)]
    assert "and 3 more" in card


def test_the_asset_previews_the_report_in_the_ui(observed):
    database = observed.dbt.database
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [pipeline_report({})],
            instance=instance,
            resources={WAREHOUSE_KEY: WarehouseResource(database=str(database))},
        )
    [event] = result.asset_materializations_for_node("pipeline_report")
    assert "won this month" in str(event.metadata["preview"].value)
    assert not any("file:" in str(value.value) for value in event.metadata.values())
    assert "Pipeline report" in path_on(database).read_text()


def path_on(database: Path) -> Path:
    return report_path(WarehouseResource(database=str(database)).location)


def test_the_report_is_its_owners_alone(observed, tmp_path, monkeypatch):
    monkeypatch.setenv("ACTIVECAMPAIGN_REPORTS", str(tmp_path))
    os.umask(0o022)
    with dg.DagsterInstance.ephemeral() as instance:
        warehouse = WarehouseResource(database=str(observed.dbt.database))
        dg.materialize(
            [pipeline_report({})], instance=instance, resources={WAREHOUSE_KEY: warehouse}
        )
    [page] = tmp_path.iterdir()
    assert page.stat().st_mode & 0o077 == 0


def test_several_hosts_write_the_report_into_one_folder(observed, tmp_path, monkeypatch):
    def made(folder):
        monkeypatch.setenv("ACTIVECAMPAIGN_REPORTS", str(folder))
        with dg.DagsterInstance.ephemeral() as instance:
            return dg.materialize(
                [pipeline_report({})],
                instance=instance,
                resources={WAREHOUSE_KEY: WarehouseResource(database=str(observed.dbt.database))},
                raise_on_error=False,
            )

    assert made(tmp_path / "shared" / "reports").success
    [page] = (tmp_path / "shared" / "reports").iterdir()
    assert page.name == path_on(observed.dbt.database).name
    (tmp_path / "a file").touch()
    said = failure(made(tmp_path / "a file"))
    assert f"The report {tmp_path}/a file/{page.name} cannot be written" in said
    assert "ACTIVECAMPAIGN_REPORTS" in said


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
def test_a_phone_shows_the_page_without_scrolling_sideways(page, tmp_path: Path):
    path = tmp_path / "phone.html"
    # windows of Chromium are at least 500 px wide
    path.write_text(
        f'<iframe style="width:390px;border:0" srcdoc="{escape(page.html)}"></iframe><script>'
        "onload = () => { document.title = frames[0].document.documentElement.scrollWidth }"
        "</script>"
    )
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    done = subprocess.run(
        ["chromium", *options, "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "<title>390</title>" in done.stdout


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (0, "0"),
        (950, "950"),
        (5_340.4, "5.34k"),
        (229_521, "230k"),
        (999_600, "1000k"),
        (2.5e6, "2.5M"),
        (None, "n/a"),
    ],
)
def test_values_are_short_enough_to_stand_beside_a_bar_on_a_phone(value: Any, label: str) -> None:
    assert short(value) == label
