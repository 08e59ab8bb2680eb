"""What Dagster's storage tells of the runs that read accounts, each thing asked for once."""

from __future__ import annotations

from functools import cached_property

import dagster as dg
from dagster import DagsterRunStatus as Status

from activecampaign_dagster.orchestration.account import JOBS, UNDER_WAY, Account

_ENDED = [Status.SUCCESS, Status.FAILURE]
_RECENT = 100  # runs looked through for the last one that read an account, whichever job's
_OWN = 5  # of each of its own jobs, if it is not among those


class Runs:
    """The runs as they are now; made anew for each tick."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance

    def under_way(self, account: Account) -> list[dg.DagsterRun]:
        """The runs that are queued or running and read an account."""
        return list(filter(account.is_read_by, self._under_way))

    def last(self, account: Account) -> dg.RunRecord | None:
        """The run that read an account last and has ended."""
        for records in (self._recent, self._own(account)):
            if found := [r for r in records if account.is_read_by(r.dagster_run)]:
                return max(found, key=lambda record: record.storage_id)
        return None

    @cached_property
    def _under_way(self) -> list[dg.DagsterRun]:
        return list(self.instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY)))

    @cached_property
    def _recent(self) -> list[dg.RunRecord]:
        filters = dg.RunsFilter(statuses=_ENDED)
        return list(self.instance.get_run_records(filters, limit=_RECENT))

    def _own(self, account: Account) -> list[dg.RunRecord]:
        if len(self._recent) < _RECENT:
            return []
        return [
            record
            for mode in JOBS
            for record in self.instance.get_run_records(
                dg.RunsFilter(job_name=account.job(mode), statuses=_ENDED), limit=_OWN
            )
        ]
