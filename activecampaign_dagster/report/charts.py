"""The charts on sales: forecast, funnel, win rate and sales cycle, each a query on the marts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import duckdb

from activecampaign_dagster.report.parts import Bar, Chart, beside, counted, share, short, whole
from activecampaign_dagster.report.query import rows

FEW = 10  # decided deals below which a rate means little

_FORECAST = """
    select
        name || ', ' || currency as "group",
        coalesce(stage, '(stage is gone)') as label,
        sum(open_value) as open_value,
        sum(open_deals)::bigint as open_deals,
        sum(weighted_value) as weighted_value
    from marts.forecast
    join pipeline_names using (account, pipeline_id)
    group by name, currency, stage_position, account, stage_id, stage
    order by name, currency, stage_position, stage_id
"""
_FUNNEL = """
    select name as "group", stage as label, sum(deals_reached)::bigint as deals
    from marts.sales_funnel
    join pipeline_names using (account, pipeline_id)
    where stage is not null
    group by name, account, stage_id, stage
    order by name, min(stage_position), stage_id
"""
_WIN_RATE = """
    with quarters as (
        select
            name,
            date_trunc('quarter', closed_month)::date as quarter,
            sum(won_deals) / nullif(sum(won_deals + lost_deals), 0) as rate,
            sum(won_deals + lost_deals)::bigint as decided,
            sum(decided_deals_of_unknown_date)::bigint as unknown
        from marts.win_rates
        join pipeline_names using (account, pipeline_id)
        group by all
    )
    select
        name as "group",
        'Q' || quarter(quarter) || ' ' || strftime(quarter, '%y') as label,
        rate,
        decided,
        unknown
    from quarters, windows
    where quarter > quarter_start - interval 2 year and decided > 0
    order by name, quarter
"""
_CYCLE = """
    with buckets as (
        select * from (values
            (0, 30, 'to 30'), (30, 60, 'to 60'), (60, 90, 'to 90'),
            (90, 180, 'to 180'), (180, 365, 'to 365'), (365, 1e9, 'more')
        ) as buckets(above, most, label)
    )
    select
        name as "group",
        label,
        count(*) filter (days_to_close > above or above = 0 and days_to_close <= 0) as deals
    from buckets
    join counted on days_to_close <= most
    join pipeline_names using (account, pipeline_id)
    where status = 'won' and closed_date >= year_start
    group by name, label, above
    order by name, above
"""


def charts(db: duckdb.DuckDBPyConnection) -> list[Chart]:
    """All charts on sales."""
    return [
        Chart(
            "Open pipeline by stage",
            "Open value, number of deals, and the value weighted by the stage's win rate.",
            "bars",
            _grouped(rows(db, _FORECAST), "open_value", _forecast),
        ),
        Chart(
            "Sales funnel",
            "Distinct deals that reached each stage, over all time.",
            "bars",
            _grouped(rows(db, _FUNNEL), "deals", lambda row: (whole(row["deals"]), "", False)),
        ),
        Chart(
            "Win rate by quarter",
            "Won / (won + lost), by the quarter in which deals were closed, and the number of "
            f"decided deals, in brackets those of unknown date. Grey: fewer than {FEW} decided "
            "deals, which says little.",
            "columns",
            _grouped(rows(db, _WIN_RATE), "rate", _rate, longest=1),
        ),
        Chart(
            "Sales cycle",
            "Days from creation to won, of deals won in the last 365 days.",
            "columns",
            _grouped(rows(db, _CYCLE), "deals", lambda row: (whole(row["deals"]), "", False)),
        ),
    ]


def _grouped(
    found: Sequence[dict[str, Any]],
    length: str,
    worded: Callable[[dict[str, Any]], tuple[str, str, bool]],
    longest: float | None = None,
) -> tuple[tuple[str, tuple[Bar, ...]], ...]:
    """Bars by group; without `longest`, each group by its own longest bar."""
    groups = []
    for name, own in groupby(found, key=lambda row: row["group"]):
        members = list(own)
        most = longest or float(max(row[length] for row in members))
        bars = (
            Bar(row["label"], float(row[length]) / most if most else 0, *worded(row))
            for row in members
        )
        groups.append((str(name), tuple(bars)))
    return tuple(groups)


def _forecast(row: dict[str, Any]) -> tuple[str, str, bool]:
    value = f"{short(row['open_value'])} · {counted(row['open_deals'], 'deal')}"
    return value, f"weighted {short(row['weighted_value'])}", False


def _rate(row: dict[str, Any]) -> tuple[str, str, bool]:
    decided = beside(row["decided"], row["unknown"])
    return share(row["rate"]), decided, row["decided"] < FEW
