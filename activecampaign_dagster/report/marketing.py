"""The marketing page: growth of lists, campaigns, automations and revenue."""

from __future__ import annotations

from typing import Any

import duckdb

from activecampaign_dagster.report.parts import (
    Table,
    Tile,
    against,
    counted,
    day,
    share,
    signed,
    whole,
)
from activecampaign_dagster.report.query import rows

ORDERS = ("ecommerce_orders",)  # the streams that revenue is made of
_LISTS = """
    select
        in_account(account, coalesce(any_value(list), 'List ' || list_id)) as name,
        coalesce(sum(members) filter (month = month_start), 0)::bigint as members,
        coalesce(sum(subscribed) filter (month = month_start), 0)::bigint as subscribed,
        -coalesce(sum(unsubscribed + removed) filter (month = month_start), 0)::bigint as gone,
        coalesce(sum(net_growth) filter (month = last_month_start), 0)::bigint as last_growth,
        coalesce(sum(net_growth) filter (month > month_start - interval 1 year), 0)::bigint
            as year_growth
    from marts.lists, windows
    where not is_list_missing
    group by account, list_id
    order by members desc, name, list_id
    limit 12
"""
_CAMPAIGNS = """
    select
        in_account(account, coalesce(campaign, 'Campaign ' || campaign_id)) as name,
        sent_date, sends, open_rate, click_rate, unsubscribes
    from marts.campaign_performance
    where sends > 0 and not is_deleted and not is_automated
    order by sent_date desc nulls last, account, campaign_id
    limit 10
"""
_AUTOMATIONS = """
    select
        in_account(account, coalesce(any_value(automation), 'Automation ' || automation_id))
            as name,
        coalesce(sum(entered) filter (entered_month = month_start), 0)::bigint as entered,
        coalesce(sum(entered) filter (entered_month = last_month_start), 0)::bigint
            as entered_before,
        sum(in_progress)::bigint as in_progress,
        sum(completed) / nullif(sum(entered), 0) as completion_rate
    from marts.automation_performance, windows
    where automation_id <> 0 and not is_automation_missing
    group by account, automation_id
    order by entered desc, entered_before desc, in_progress desc, name, automation_id
    limit 10
"""
_REVENUE = """
    select
        currency,
        coalesce(sum(total_price) filter (ordered_date >= month_start), 0) as month_value,
        count(*) filter (ordered_date >= month_start) as month_orders,
        coalesce(
            sum(total_price) filter (ordered_month = last_month_start), 0
        ) as last_month_value,
        coalesce(
            sum(total_price) filter (
                ordered_date between last_month_start and last_month_day
            ), 0
        ) as last_month_so_far_value,
        coalesce(sum(total_price) filter (ordered_date >= quarter_start), 0) as quarter_value,
        count(*) filter (ordered_date >= quarter_start) as quarter_orders,
        coalesce(
            sum(total_price) filter (
                ordered_date >= last_quarter_start and ordered_date < quarter_start
            ), 0
        ) as last_quarter_value,
        coalesce(
            sum(total_price) filter (
                ordered_date between last_quarter_start and last_quarter_day
            ), 0
        ) as last_quarter_so_far_value,
        avg(total_price) filter (ordered_date >= year_start) as average_value,
        count(*) filter (ordered_date >= year_start) as year_orders
    from marts.orders, windows
    where is_purchase
    group by currency
    order by year_orders desc, currency
"""
_CUSTOMERS = """
    select
        currency,
        count(*) filter (orders > 0) as customers,
        count(*) filter (is_repeat) as repeats
    from marts.customers
    group by currency
"""


def tables(db: duckdb.DuckDBPyConnection) -> list[Table]:
    """Lists, campaigns and automations."""
    return [
        Table(
            "Lists",
            "Subscribed contacts now, who came and went this month, and the net growth of last "
            "month and of twelve months.",
            ("list", "members", "new", "gone", "last month", "12 months"),
            tuple(
                (
                    row["name"],
                    whole(row["members"]),
                    signed(row["subscribed"]),
                    signed(row["gone"]),
                    signed(row["last_growth"]),
                    signed(row["year_growth"]),
                )
                for row in rows(db, _LISTS)
            ),
            ("lists", "contact_lists"),
        ),
        Table(
            "Campaigns",
            "The ten that were sent last. Opens include those that mail programs make on their "
            "own.",
            ("campaign", "sent", "mails", "opened", "clicked", "left"),
            tuple(
                (
                    row["name"],
                    day(row["sent_date"]),
                    whole(row["sends"]),
                    share(row["open_rate"]),
                    share(row["click_rate"]),
                    whole(row["unsubscribes"]),
                )
                for row in rows(db, _CAMPAIGNS)
            ),
            ("campaigns",),
        ),
        Table(
            "Automations",
            "Entries this month and last, entries in progress now, and the share of all entries "
            "that were completed.",
            ("automation", "entered", "last month", "in progress", "completed"),
            tuple(
                (
                    row["name"],
                    whole(row["entered"]),
                    whole(row["entered_before"]),
                    whole(row["in_progress"]),
                    share(row["completion_rate"]),
                )
                for row in rows(db, _AUTOMATIONS)
            ),
            ("automations", "contact_automations"),
        ),
    ]


def revenue(db: duckdb.DuckDBPyConnection) -> list[tuple[str, list[Tile]]]:
    """Each currency with its tiles, the one with most orders first."""
    customers = {row["currency"]: row for row in rows(db, _CUSTOMERS)}
    return [
        (
            row["currency"],
            [
                _sold(row, "month"),
                _sold(row, "quarter"),
                Tile(
                    whole(row["average_value"]),
                    "average order, last 365 days",
                    counted(row["year_orders"], "order"),
                ),
                _customers(customers.get(row["currency"])),
            ],
        )
        for row in rows(db, _REVENUE)
    ]


def _sold(row: dict[str, Any], period: str) -> Tile:
    return Tile(
        whole(row[f"{period}_value"]),
        f"sold this {period}",
        against(
            period,
            counted(row[f"{period}_orders"], "order"),
            row[f"last_{period}_value"],
            row[f"last_{period}_so_far_value"],
        ),
    )


def _customers(row: dict[str, Any] | None) -> Tile:
    customers, repeats = (row["customers"], row["repeats"]) if row else (0, 0)
    rate = repeats / customers if customers else None
    return Tile(whole(customers), "customers", f"{share(rate)} bought more than once")
