"""What `activecampaign check` says about `start_date`."""

from __future__ import annotations

from datetime import datetime, time

import dagster as dg

_EARLIEST = 1970  # Dagster cannot count partitions from the first years on


def about_start(began: datetime | None, partitions: dg.TimeWindowPartitionsDefinition) -> list[str]:
    """A sentence with the `start_date` that suits an account whose first record was made then.

    Nothing if the configured one suits: its first partition has records, and none were made before.
    """
    zone = partitions.start.tzinfo
    first = partitions.get_first_partition_window()
    if began is None or began.year < _EARLIEST or first is None:
        return []
    day = began.astimezone(zone).date().replace(day=1)
    if began < first.start:
        why = f"records were made before {first.start:%Y-%m-%d}, where the first partition begins"
    elif first.end <= datetime.combine(day, time(), zone):
        empty = sum(
            partitions.time_window_for_partition_key(key).end.date() <= day
            for key in partitions.get_partition_keys()
        )
        why = f"the first {empty} partitions of each stream are empty"
    else:
        return []
    return [f"Set start_date to {day}: {why}."]
