"""Who won what this quarter, and who has what open."""

from __future__ import annotations

from itertools import groupby

import duckdb

from activecampaign_dagster.report.parts import Table, beside, whole
from activecampaign_dagster.report.query import rows

_OWNERS = """
    with credited as (
        select
            account,
            if(status = 'open', owner_id, closed_owner_id) as owner_id,
            if(status = 'open', owner, closed_owner) as owner,
            if(status = 'open', currency, closed_currency) as currency,
            status = 'open' as is_open,
            if(status = 'open', value, closed_value) as value,
            coalesce(not is_closed_at_known, false) and status <> 'open' as is_doubtful
        from counted
        where status = 'open' or status = 'won' and closed_date >= quarter_start
    )
    select
        currency,
        in_account(
            account,
            coalesce(any_value(owner), if(owner_id is null, '(no owner)', 'user ' || owner_id))
        ) as owner,
        count(*) filter (not is_open) as won_deals,
        coalesce(sum(value) filter (not is_open), 0) as won_value,
        count(*) filter (is_doubtful) as unknown,
        count(*) filter (is_open) as open_deals,
        coalesce(sum(value) filter (is_open), 0) as open_value,
        sum(count(*) filter (is_open)) over (partition by currency) as open_in_currency
    from credited
    group by account, owner_id, currency
    order by open_in_currency desc, currency, won_value desc, open_value desc, owner, owner_id
"""


def owners(db: duckdb.DuckDBPyConnection) -> list[Table]:
    """A table per currency."""
    found = rows(db, _OWNERS)
    return [
        Table(
            str(currency),
            "",
            ("owner", "won", "won deals", "open", "open deals"),
            tuple(
                (
                    row["owner"],
                    whole(row["won_value"]),
                    beside(row["won_deals"], row["unknown"]),
                    whole(row["open_value"]),
                    str(row["open_deals"]),
                )
                for row in own
            ),
        )
        for currency, own in groupby(found, key=lambda row: row["currency"])
    ]
