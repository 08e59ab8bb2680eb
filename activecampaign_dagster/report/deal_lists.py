"""Deals by name: what to do, and what changed in the last seven days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from activecampaign_dagster.report.parts import short
from activecampaign_dagster.report.query import rows

_MOST = 8  # deals of a list: what a meeting gets through


@dataclass(frozen=True, slots=True)
class Deal:
    """A line of a list; `link` is empty where the account's address is not known."""

    title: str
    link: str
    value: str
    where: str
    why: str


@dataclass(frozen=True, slots=True)
class DealList:
    """Named deals, `more` of them left out."""

    title: str
    note: str
    deals: tuple[Deal, ...]
    more: int


_NO_DATE = "case when is_closed_at_known then '' else ' (date unknown)' end"
# each gives the deals with `why` and `rank`
_STUCK = """
    select
        counted.*,
        days_observed,
        case
            when history.days is null then 'at least ' || format('{:.0f}', days_observed)
            else format('{:.0f}', history.days)
        end || ' days in this stage' as why,
        row_number() over (
            order by coalesce(history.days, days_observed) desc, counted.account, deal_id
        ) as rank
    from counted
    join marts.deal_stage_history as history using (account, deal_id)
    where status = 'open' and history.is_current
"""
_OVERDUE = """
    select
        *,
        'due ' || strftime(next_action_date, '%-d %b %Y') || ', '
        || (today - next_action_date) || if(today - next_action_date = 1, ' day', ' days')
        || ' ago' as why,
        row_number() over (order by next_action_at, account, deal_id) as rank
    from counted
    where status = 'open' and next_action_date < today
"""
_LARGEST = """
    select
        *,
        'open for ' || format('{:.0f}', days_open) || ' days' as why,
        row_number() over (order by place, currency, value desc, account, deal_id) as rank
    from (
        select
            *,
            count(*) over (partition by currency) * -1 as place,
            row_number() over (partition by currency order by value desc, account, deal_id) as nth
        from counted
        where status = 'open' and value > 0
    )
    where nth <= 3
"""
_MOVED = """
    select
        counted.* replace (moves.stage as stage),
        'from ' || coalesce(stage_before, 'a stage that is gone')
        || ', ' || strftime(entered_date, '%-d %b') as why,
        row_number() over (
            order by entered_date desc, counted.account, deal_id, step_number desc
        ) as rank
    from counted
    join moves using (account, deal_id)
    where is_move and entered_date >= week_start
    qualify row_number() over (partition by account, deal_id order by step_number desc) = 1
"""


def _decided(status: str) -> str:
    return f"""
        select
            * replace (
                closed_value as value, closed_currency as currency, closed_owner as owner
            ),
            strftime(closed_date, '%-d %b') || {_NO_DATE} as why,
            row_number() over (order by nth, closed_currency, account, deal_id) as rank
        from (
            select
                *,
                row_number() over (
                    partition by closed_currency
                    order by closed_value desc nulls last, account, deal_id
                ) as nth
            from counted
            where status = '{status}' and closed_date >= week_start
        )
    """


_TO_DO = (
    ("Longest in their stage", "Open deals that have not moved for longest.", _STUCK),
    ("Past their next action", "Open deals whose next action was due before today.", _OVERDUE),
    ("Largest open deals", "The three largest of each currency.", _LARGEST),
)
_CHANGED = (
    (
        "Lost",
        "Deals lost in the last seven days, the largest of each currency first.",
        _decided("lost"),
    ),
    (
        "Won",
        "Deals won in the last seven days, the largest of each currency first.",
        _decided("won"),
    ),
    ("Moved", "Deals that came to another stage in the last seven days.", _MOVED),
)
_CHANGES = """
    with events as (
        select 'Created' as kind, account, deal_id, created_date as happened, currency, value,
            true as is_known
        from counted
        union all
        select if(status = 'won', 'Won', 'Lost'), account, deal_id, closed_date, closed_currency,
            closed_value, is_closed_at_known
        from counted
        where status in ('won', 'lost')
        union all
        select 'Moved', account, deal_id, entered_date, currency, value, is_entered_at_known
        from moves
        join counted using (account, deal_id)
        where is_move
    ),
    this_week as (
        select kind, account, deal_id, currency, value, bool_and(is_known) as is_known
        from events, windows
        where happened >= week_start
        group by all
    ),
    amounts as (
        select kind, currency, sum(value) as amount from this_week group by all
    )
    select
        kind,
        (select count(distinct (account, deal_id)) from this_week where this_week.kind = kinds.kind)
            as deals,
        (
            select count(distinct (account, deal_id)) from events, windows
            where events.kind = kinds.kind
                and happened >= last_week_start and happened < week_start
        ) as deals_before,
        (
            select count(distinct (account, deal_id)) from this_week
            where this_week.kind = kinds.kind and not is_known
        ) as unknown,
        (
            select list({'currency': currency, 'amount': amount} order by currency)
            from amounts where amounts.kind = kinds.kind
        ) as amounts
    from (values (1, 'Created'), (2, 'Won'), (3, 'Lost'), (4, 'Moved')) as kinds(place, kind)
    order by place
"""


def to_do(db: duckdb.DuckDBPyConnection, addresses: Mapping[str, str]) -> list[DealList]:
    """Open deals that ask for something."""
    return [_list(db, addresses, *each) for each in _TO_DO]


def changed(db: duckdb.DuckDBPyConnection, addresses: Mapping[str, str]) -> list[DealList]:
    """Deals that were decided or moved in the last seven days."""
    return [_list(db, addresses, *each) for each in _CHANGED]


def changes(db: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Per kind of change: deals, deals of the week before, those of unknown date, amounts."""
    return rows(db, _CHANGES)


def _list(
    db: duckdb.DuckDBPyConnection, addresses: Mapping[str, str], title: str, note: str, sql: str
) -> DealList:
    found = rows(
        db,
        f"""
        with listed as ({sql})
        select
            account, deal_id, title, owner, stage, currency, value, why,
            coalesce(name, listed.pipeline) as pipeline
        from listed
        left join pipeline_names using (account, pipeline_id)
        order by rank
        """,
    )
    most = len(found) if sql is _LARGEST else _MOST
    deals = tuple(_deal(row, addresses) for row in found[:most])
    return DealList(title, note, deals, more=len(found) - len(deals))


def _deal(row: dict[str, Any], addresses: Mapping[str, str]) -> Deal:
    where = (row["pipeline"], row["stage"], row["owner"] or "no owner")
    return Deal(
        title=row["title"] or f"Deal {row['deal_id']}",
        link=_link(addresses.get(row["account"], ""), row["deal_id"]),
        value="" if row["value"] is None else f"{row['currency']} {short(row['value'])}",
        where=" · ".join(part for part in where if part),
        why=row["why"] or "",
    )


def _link(address: str, deal_id: int) -> str:
    """Where ActiveCampaign shows the deal; its own addresses are noted as the account's name."""
    if not address or "." in address or ":" in address or address == "localhost":
        return ""
    return f"https://{address}.activehosted.com/app/deals/{deal_id}"
