"""Partitions: spans of replication-key time in the source's time zone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import dagster as dg

from activecampaign_dagster.sync.source import Window


def partitions(size: str, start_date: str, timezone: str) -> dg.TimeWindowPartitionsDefinition:
    """The spans from `start_date` (YYYY-MM-DD) on, the running one included.

    size: month, week or day. Months by default, because Dagster writes one event per asset and
    partition: five years are 60 events an asset in months and 1,826 in days.
    """
    match size:
        case "month":
            return dg.MonthlyPartitionsDefinition(start_date, timezone=timezone, end_offset=1)
        case "week":
            return dg.WeeklyPartitionsDefinition(start_date, timezone=timezone, end_offset=1)
        case _:
            return dg.DailyPartitionsDefinition(start_date, timezone=timezone, end_offset=1)


def window_of(context: dg.AssetExecutionContext) -> Window | None:
    """The span of time that a run was asked for; None if it was started without a partition."""
    if not context.has_partition_key and not context.has_partition_key_range:
        return None
    span = context.partition_time_window
    return Window(span.start, span.end)


def keys_between(
    definition: dg.TimeWindowPartitionsDefinition, start: datetime | None, end: datetime
) -> Sequence[str]:
    """The keys of the partitions that hold a moment of [start, end]; start None: all up to end."""
    keys = definition.get_partition_keys(current_time=end)
    if start is None:
        return keys
    first = definition.get_partition_key_for_timestamp(start.timestamp())
    return [key for key in keys if key >= first]
