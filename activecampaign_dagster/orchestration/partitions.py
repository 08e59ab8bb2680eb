"""Partitions: spans of replication-key time in the source's time zone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import dagster as dg

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.sync.request import Window

_RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
_KEY_TAG = "dagster/partition"


class RequestError(ActiveCampaignError):
    """A run was asked for what does not exist."""

    is_permanent = True


class PartitionError(RequestError):
    """A run was asked for partitions that do not exist, or that it does not have."""


def partitions(size: str, start_date: str, timezone: str) -> dg.TimeWindowPartitionsDefinition:
    """The spans from the one of `start_date` (YYYY-MM-DD) on, the running one included.

    size: month, week or day. Months by default, because Dagster writes one event per asset and
    partition: five years are 60 events an asset in months and 1,826 in days.
    """
    first = date.fromisoformat(start_date)
    # Dagster would begin with the first whole span after `start_date`
    match size:
        case "month":
            start = first.replace(day=1).isoformat()
            return dg.MonthlyPartitionsDefinition(start, timezone=timezone, end_offset=1)
        case "week":
            sunday = (first - timedelta(days=first.isoweekday() % 7)).isoformat()
            return dg.WeeklyPartitionsDefinition(sunday, timezone=timezone, end_offset=1)
        case _:
            return dg.DailyPartitionsDefinition(start_date, timezone=timezone, end_offset=1)


def window_of(context: dg.AssetExecutionContext) -> Window | None:
    """The span of time that a run was asked for; None if it was started without a partition."""
    if not context.has_partition_key and not context.has_partition_key_range:
        return None
    _check(context)
    span = context.partition_time_window
    return Window(span.start, span.end)


def refuse_partitions(run: dg.DagsterRun) -> None:
    """Raise PartitionError if a run of a job names partitions: it would read more than they hold.

    Tags of that kind come from a command line only.
    """
    for tag in (_KEY_TAG, *_RANGE_TAGS):
        if tag in run.tags:
            raise PartitionError(
                f"A job reads the whole account, not partitions: leave out the tag {tag}, or "
                "materialize the partitions of the streams."
            )


def _check(context: dg.AssetExecutionContext) -> None:
    """Raise PartitionError if a partition or a range was asked for that does not exist.

    Dagster reads another partition, or none, if the tags of a run hold anything but keys. One of
    another account's, in a run over several, is none here.
    """
    definition = context.assets_def.partitions_def
    named = [context.run.tags.get(name) for name in _RANGE_TAGS]
    tags = [context.run.tags.get(_KEY_TAG)] * 2 if None in named else named
    if definition is None or None in tags:
        return
    keys = definition.get_partition_keys()
    unknown = [tag for tag in tags if tag not in keys]
    if unknown:
        known = ", ".join(keys if len(keys) < 4 else [*keys[:2], "…", keys[-1]])
        which = "they begin" if len(keys) > 1 else "the only one begins"
        raise PartitionError(f"{unknown[0]!r} is not a partition: {which} on {known}.")
    if keys.index(str(tags[0])) > keys.index(str(tags[1])):
        raise PartitionError(
            f"The range of partitions ends ({tags[1]}) before it begins ({tags[0]})."
        )


def keys_between(
    definition: dg.TimeWindowPartitionsDefinition, start: datetime | None, end: datetime
) -> Sequence[str]:
    """The keys of the partitions that hold a moment of [start, end]; start None: all up to end."""
    keys = definition.get_partition_keys(current_time=end)
    if start is None:
        return keys
    first = definition.get_partition_key_for_timestamp(start.timestamp())
    return [key for key in keys if key >= first]
