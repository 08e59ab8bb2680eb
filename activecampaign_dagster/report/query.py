"""What all parts of the report are asked with: rows by name, and the windows of its day."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import duckdb

# The day is that of the marts, in the reporting time zone. Without open deals pipeline_daily may
# end earlier, and then the day of the last sync has to do.
_WINDOWS = """
    create or replace temp table windows as
    with last_sync as (select cast(? as date) as day),
    days as (
        select
            coalesce(
                (select max(day) from marts.pipeline_daily where day >= last_sync.day - 1), day
            ) as today
        from last_sync
    ),
    starts as (
        select
            today,
            date_trunc('month', today)::date as month_start,
            date_trunc('quarter', today)::date as quarter_start
        from days
    ),
    last_starts as (
        select
            *,
            (month_start - interval 1 month)::date as last_month_start,
            (quarter_start - interval 3 month)::date as last_quarter_start
        from starts
    )
    select
        *,
        today - 6 as week_start,
        today - 13 as last_week_start,
        today - 364 as year_start,
        least(last_month_start + (today - month_start)::int, month_start - 1) as last_month_day,
        least(last_quarter_start + (today - quarter_start)::int, quarter_start - 1)
            as last_quarter_day
    from last_starts
"""
# a table, since every part asks it and marts.deals is a view
_COUNTED = """
    create or replace temp table counted as
    select
        deals.* replace (
            coalesce(currency, 'unknown') as currency,
            if(closed_at is not null, coalesce(closed_currency, 'unknown'), null)
                as closed_currency
        ),
        windows.*
    from marts.deals as deals, windows
    where is_counted
"""
_ACCOUNTS = """
    create or replace temp table accounts as
    select account from marts.pipelines
    union select account from marts.lists
    union select account from marts.campaign_performance
    union select account from marts.automation_performance
    union select account from marts.orders
"""
_IN_ACCOUNT = """
    create or replace temp macro in_account(account, name) as
        case when (select count(*) > 1 from accounts) then account || ': ' else '' end || name
"""
# a pipeline's name, with its id if it shares the name
_PIPELINE_NAMES = """
    create or replace temp view pipeline_names as
    select
        account,
        pipeline_id,
        in_account(account, pipeline)
        || case when count(*) over (partition by account, pipeline) > 1
            then ' (' || pipeline_id || ')' else '' end as name
    from marts.pipelines
    where pipeline is not null
    group by account, pipeline_id, pipeline
"""
# visits to stages, with what came before
_MOVES = """
    create or replace temp view moves as
    select
        account,
        deal_id,
        step_number,
        stage,
        entered_date,
        is_entered_at_known,
        lag(stage) over visits as stage_before,
        coalesce(lag(ended_by) over visits like 'moved to another %', false) as is_move
    from marts.deal_stage_history
    window visits as (partition by account, deal_id order by step_number)
"""


def prepare(db: duckdb.DuckDBPyConnection, synced_at: datetime) -> date:
    """Make what the report's queries share; returns the day it is made for."""
    db.execute(_WINDOWS, [synced_at])
    for statement in (_COUNTED, _ACCOUNTS, _IN_ACCOUNT, _PIPELINE_NAMES, _MOVES):
        db.execute(statement)
    today: date = db.execute("select today from windows").fetchall()[0][0]
    return today


def rows(db: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    """The rows of a query as dictionaries."""
    result = db.execute(sql)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
