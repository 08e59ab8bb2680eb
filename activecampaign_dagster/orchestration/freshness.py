"""How old an account's tables may become, by what triggers its syncs."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

from activecampaign_dagster.orchestration.account import Account

_RUN = timedelta(hours=1)  # what a sync may take before its table counts as late


def freshness_policy(account: Account) -> dg.FreshnessPolicy | None:
    """Warn after one sync that did not come, fail after two; none if nobody promised a sync.

    On change, a quiet account has no syncs; the full syncs are what can be counted on.
    """
    gaps = [t.longest_gap() for t in (account.trigger, account.full_sync) if t.crons]
    gap = min((g for g in gaps if g is not None), default=None)
    if gap is None:
        return None
    return dg.FreshnessPolicy.time_window(warn_window=gap + _RUN, fail_window=2 * gap + _RUN)
