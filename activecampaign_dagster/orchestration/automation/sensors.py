"""The sensors of a project: one for each purpose, over all accounts that it is for."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.automation.changes import change_sensor
from activecampaign_dagster.orchestration.automation.drift import drift_sensor
from activecampaign_dagster.orchestration.automation.first_sync import first_sync_sensor
from activecampaign_dagster.orchestration.automation.rounds import Jobs


def sensors_over(accounts: Sequence[Account], jobs: Jobs) -> list[dg.SensorDefinition]:
    """The sensors that start runs; an account whose trigger is manual is in none of them.

    jobs: of all accounts, by name.
    """
    by_themselves = [account for account in accounts if not account.trigger.is_manual]
    wanted = {
        first_sync_sensor: by_themselves,
        drift_sensor: [account for account in by_themselves if account.drift],
        change_sensor: [account for account in by_themselves if account.trigger.poll_seconds],
    }
    return [make(found, jobs) for make, found in wanted.items() if found]
