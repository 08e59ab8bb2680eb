"""Money by currency: what was won against the last period, and what is open."""

from __future__ import annotations

from typing import Any

import duckdb

from activecampaign_dagster.report.parts import Tile, against, counted, doubt, share, whole
from activecampaign_dagster.report.query import rows


def _decided(name: str, condition: str) -> str:
    return f"""
        coalesce(sum(closed_value) filter ({condition}), 0) as {name}_value,
        count(*) filter ({condition}) as {name}_deals,
        count(*) filter ({condition} and not is_closed_at_known) as {name}_unknown
    """


def _periods(period: str) -> str:
    start, last = f"{period}_start", f"last_{period}_start"
    won = "status = 'won' and closed_date"
    return ",".join(
        (
            _decided(period, f"{won} >= {start}"),
            _decided(f"last_{period}", f"{won} >= {last} and closed_date < {start}"),
            _decided(
                f"last_{period}_so_far",
                f"{won} >= {last} and closed_date <= last_{period}_day",
            ),
        )
    )


_MONEY = f"""
    with closed as (
        select
            closed_currency as currency,
            {_periods("month")},
            {_periods("quarter")},
            {_decided("year", "status = 'won' and closed_date >= year_start")}
        from counted
        where closed_currency is not null
        group by closed_currency
    ),
    opened as (
        select
            currency,
            sum(open_deals)::bigint as open_deals,
            sum(open_value) as open_value,
            sum(weighted_value) as weighted_value,
            sum(open_value) filter (weighted_value is null) as unweighted_value
        from marts.forecast
        group by currency
    )
    select *
    from closed
    full join opened using (currency)
    order by open_deals desc nulls last, year_deals desc, currency
"""
_OVERALL = """
    select
        count(*) filter (status = 'open') as open_deals,
        count(*) filter (status = 'open' and next_action_date < today) as overdue,
        count(*) filter (status = 'won' and closed_date >= year_start) as won,
        count(*) filter (status in ('won', 'lost') and closed_date >= year_start) as decided,
        count(*) filter (
            status in ('won', 'lost') and closed_date >= year_start and not is_closed_at_known
        ) as unknown,
        count(*) filter (
            status = 'won' and closed_date >= year_start and not is_closed_at_known
        ) as unknown_won,
        median(days_to_close) filter (status = 'won' and closed_date >= year_start) as median_days,
        avg(days_to_close) filter (status = 'won' and closed_date >= year_start) as average_days
    from counted
"""
_DOUBTFUL_OPEN = """
    select
        coalesce(sum(open_deals_of_unknown_date), 0)::bigint as unknown,
        coalesce(sum(open_deals), 0)::bigint as deals
    from marts.pipeline_daily, windows
    where day = today
"""


def overall(db: duckdb.DuckDBPyConnection) -> list[Tile]:
    """What can be said of all currencies together: counts, rates and days."""
    [found] = rows(db, _OVERALL)
    [at_end] = rows(db, _DOUBTFUL_OPEN)
    stage = doubt(at_end["unknown"], at_end["deals"])
    rate = found["won"] / found["decided"] if found["decided"] else None
    decided = counted(found["decided"], "decided deal")
    return [
        Tile(whole(found["open_deals"]), "open deals", doubt=stage and f"in their stage: {stage}"),
        Tile(whole(found["overdue"]), "open deals past their next action"),
        Tile(
            share(rate),
            "win rate, last 365 days",
            f"{found['won']:,} of {decided}",
            doubt(found["unknown"], found["decided"]),
        ),
        Tile(
            _days(found["median_days"]),
            "median time to win, last 365 days",
            f"average: {_days(found['average_days'])}",
            doubt(found["unknown_won"], found["won"]),
        ),
    ]


def by_currency(db: duckdb.DuckDBPyConnection) -> list[tuple[str, list[Tile]]]:
    """Each currency with its tiles, the one with most open deals first."""
    return [(row["currency"], _tiles(row)) for row in rows(db, _MONEY)]


def _tiles(row: dict[str, Any]) -> list[Tile]:
    bare = row["unweighted_value"]
    average = row["year_value"] / row["year_deals"] if row["year_deals"] else None
    return [
        _won(row, "month"),
        _won(row, "quarter"),
        Tile(whole(row["open_value"] or 0), "open", counted(row["open_deals"] or 0, "deal")),
        Tile(
            whole(row["weighted_value"]),
            "open, weighted by win rate",
            f"without {whole(bare)} in stages that have no history" if bare else "",
        ),
        Tile(
            whole(average),
            "average won deal, last 365 days",
            counted(row["year_deals"] or 0, "deal"),
            doubt(row["year_unknown"] or 0, row["year_deals"] or 0),
        ),
    ]


def _won(row: dict[str, Any], period: str) -> Tile:
    def of(name: str) -> Any:
        return row[f"{name}_value"] or 0

    return Tile(
        whole(of(period)),
        f"won this {period}",
        against(
            period,
            counted(row[f"{period}_deals"] or 0, "deal"),
            of(f"last_{period}"),
            of(f"last_{period}_so_far"),
        ),
        doubt(row[f"{period}_unknown"] or 0, row[f"{period}_deals"] or 0),
    )


def _days(number: float | None) -> str:
    return "n/a" if number is None else f"{number:.0f} days"
