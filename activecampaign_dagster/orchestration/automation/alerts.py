"""A sensor that tells people about failed runs, by Apprise: webhooks, e-mail, chat."""

from __future__ import annotations

import os
from dataclasses import dataclass

import dagster as dg

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.orchestration.account import FAILURE_TAG, Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """Names the variable that holds Apprise URLs, and the address of Dagster's UI for links."""

    urls_variable: str
    ui_url: str


class AlertError(ActiveCampaignError):
    """A message could not be sent."""

    is_permanent = False


def failure_sensor(account: Account, alerts: Alerts) -> dg.SensorDefinition:
    """Sends a message when a run that reads the account fails for good."""

    @dg.run_failure_sensor(
        name=f"{account.name}__alerts",
        # to Dagster, runs that a command line has started belong to no code location
        monitor_all_code_locations=True,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Sends a message about failed runs to the URLs in {alerts.urls_variable}.",
    )
    def on_failure(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
        run = context.dagster_run
        if not account.is_read_by(run):
            return dg.SkipReason(f"The run does not read the account {account.name}.")
        # Dagster says so of runs from a command line too, and then cannot
        if run.tags.get("dagster/will_retry") == "true" and run.remote_job_origin:
            return dg.SkipReason("Dagster runs it again.")
        urls = os.environ.get(alerts.urls_variable, "").split()
        if not urls:
            return dg.SkipReason(f"{alerts.urls_variable} is not set.")
        title, body = message(account, alerts, context)
        send(urls, title, body)
        return None

    return on_failure


def message(
    account: Account, alerts: Alerts, context: dg.RunFailureSensorContext
) -> tuple[str, str]:
    """(title, body): what failed, why, what to do, and where to look."""
    run = context.dagster_run
    reasons = []
    for event in context.get_step_failure_events():
        data = event.step_failure_data
        description = data.user_failure_data and data.user_failure_data.description
        error = data.error and data.error.message.strip()
        reasons.append(f"{event.step_key}: {description or error or 'failed'}")
    remedy = {
        "permanent": "Someone has to fix the cause: retries do not help.",
        "transient": "It may resolve itself: the next sync tries again.",
    }.get(run.tags.get(FAILURE_TAG, ""), "See the run's log for details.")
    lines = [*(reasons or [context.failure_event.message or "The run failed."]), remedy]
    lines.append(f"{alerts.ui_url.rstrip('/')}/runs/{run.run_id}")
    return f"ActiveCampaign sync failed: {account.name}, {run.job_name}", "\n".join(lines)


def send(urls: list[str], title: str, body: str) -> None:
    """Post a message to all URLs; raises AlertError, which names no URL, as they hold secrets."""
    import apprise  # noqa: PLC0415 - takes 0.1 s, and most processes send nothing

    notifier = apprise.Apprise()
    usable = [notifier.add(url) for url in urls]
    sent = notifier.notify(title=title, body=body, notify_type=apprise.NotifyType.FAILURE)
    if not all(usable) or not sent:
        raise AlertError(
            f"The message could not be sent to each of the {len(urls)} Apprise URLs: check that "
            f"they are correct and reachable."
        )
