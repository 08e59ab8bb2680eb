"""The age that an account's tables may reach, given its triggers."""

from __future__ import annotations

from datetime import timedelta
from functools import cache

import dagster as dg

from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.triggers import Trigger

_RUN = timedelta(hours=1)  # a sync may take so long before its table counts as late


def freshness_policy(account: Account) -> dg.FreshnessPolicy | None:
    """Warn after one sync that did not come, fail after two; none if nobody promised a sync.

    On change, a quiet account has no syncs; the full syncs are what can be counted on.
    """
    triggers = (account.trigger, account.full_sync)
    gaps = [_longest_gap(trigger) for trigger in triggers if trigger.crons]
    gap = min((g for g in gaps if g is not None), default=None)
    if gap is None:
        return None
    return dg.FreshnessPolicy.time_window(warn_window=gap + _RUN, fail_window=2 * gap + _RUN)


@cache  # every stream asks, and the answer is a year of runs
def _longest_gap(trigger: Trigger) -> timedelta | None:
    return trigger.longest_gap()
