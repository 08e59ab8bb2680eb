"""Values that did not fit their column's type, kept verbatim in `_rejected_values`."""

from __future__ import annotations

import duckdb

from activecampaign_dagster.warehouse.sql import SCHEMA


def count_by_column(db: duckdb.DuckDBPyConnection, account: str, stream: str) -> dict[str, int]:
    """Column → how many of its values were rejected, for the columns that have any."""
    rows = db.execute(
        f'select "column", count(*) from {SCHEMA}._rejected_values '
        "where account = ? and stream = ? group by all order by all",
        [account, stream],
    ).fetchall()
    return dict(rows)
