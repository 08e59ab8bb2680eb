"""What begins by itself: when something changed, when counts part, and when it had better not."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.test_utils import create_run_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from activecampaign_dagster.orchestration.account import MODE_TAG
from activecampaign_dagster.orchestration.automation import conditions
from activecampaign_dagster.orchestration.automation.alerts import AlertError, send
from activecampaign_dagster.orchestration.freshness import freshness_policy
from activecampaign_dagster.sandbox import faults
from activecampaign_dagster.sandbox.server import Sandbox
from tests.helpers import unresolved
from tests.orchestration.setup import Setup


def evaluate(
    setup: Setup, name: str, cursor: str | None = None
) -> tuple[list[dg.RunRequest], str, str | None]:
    """A tick of a sensor: (run requests, why there are none, cursor)."""
    sensor = setup.definitions.resolve_sensor_def(f"{setup.account.name}__{name}")
    context = dg.build_sensor_context(
        instance=setup.instance,
        cursor=cursor,
        repository_def=setup.definitions.get_repository_def(),
        repository_name="__repository__",  # as the daemon calls it
    )
    data = sensor.evaluate_tick(context)
    return list(data.run_requests or []), data.skip_message or "", data.cursor


def under_way(setup: Setup, job: str = "full_refresh", **options: Any) -> dg.DagsterRun:
    return create_run_for_test(
        setup.instance,
        job_name=job,
        status=dg.DagsterRunStatus.STARTED,
        tags={MODE_TAG: "full"},
        **options,
    )


class TestFirstSync:
    def test_it_starts_the_first_full_sync_and_no_second(self, setup: Setup) -> None:
        requests, _, _ = evaluate(setup, "first_sync")
        assert len(requests) == 1
        setup.run()
        requests, reason, _ = evaluate(setup, "first_sync")
        assert not requests
        assert reason == "The account has been synced before."

    def test_it_completes_one_that_was_killed_halfway(
        self, setup: Setup, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        setup.run(streams=["contacts", "users"])
        killed = under_way(setup, "full_refresh")
        assert not evaluate(setup, "first_sync")[0]
        setup.instance.report_run_failed(killed, "The process has died.")
        assert "failed with a transient error" in evaluate(setup, "first_sync")[1]
        monkeypatch.setitem(conditions._REST, "transient", timedelta(0))  # a while later
        [request], _, _ = evaluate(setup, "first_sync")
        [asked] = request.run_config["ops"].values()
        missing = {t.name for t in setup.account.enabled} - {"contacts", "users"}
        assert set(asked["config"]["streams"]) == missing
        setup.run(streams=asked["config"]["streams"])
        assert evaluate(setup, "first_sync")[1] == "The account has been synced before."

    def test_it_says_what_to_set_where_there_is_no_account(
        self, setup: Setup, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("ACTIVECAMPAIGN_URL")
        monkeypatch.delenv("ACTIVECAMPAIGN_API_KEY")
        requests, reason, _ = evaluate(setup, "first_sync")
        assert not requests
        assert reason.startswith("ACTIVECAMPAIGN_URL and ACTIVECAMPAIGN_API_KEY are not set")
        assert "make dev" in reason

    def test_a_manual_source_starts_nothing(self, make: Callable[..., Setup]) -> None:
        definitions = make(trigger="manual").definitions
        assert not list(definitions.sensors or [])
        assert not list(definitions.schedules or [])


class TestOnChange:
    @pytest.fixture
    def changing(self, make: Callable[..., Setup], synced: None) -> Setup:
        return make(trigger="on_change")

    def test_a_quiet_account_costs_two_requests_and_no_run(
        self, changing: Setup, sandbox: Sandbox
    ) -> None:
        requests, reason, _ = evaluate(changing, "on_change")
        assert not requests
        assert reason == "Nothing has changed since the last sync."
        assert len(sandbox.requests) == 2

    @pytest.mark.parametrize("stream", ["contacts", "deals"])
    def test_a_change_starts_one_sync_after_which_it_is_quiet(
        self, changing: Setup, sandbox: Sandbox, stream: str
    ) -> None:
        account = sandbox.account
        _ = account.add_contact() if stream == "contacts" else account.add_deal()
        requests, _, cursor = evaluate(changing, "on_change")
        assert [r.tags["activecampaign/changed"] for r in requests] == [stream]
        changing.run("incremental_sync", streams=["contacts", "deals"])
        requests, _, _ = evaluate(changing, "on_change", cursor)
        assert not requests

    def test_nothing_starts_while_a_run_is_under_way(
        self, changing: Setup, sandbox: Sandbox
    ) -> None:
        sandbox.account.add_contact()
        under_way(changing)
        requests, reason, _ = evaluate(changing, "on_change")
        assert not requests
        assert "is already reading the account" in reason
        assert not sandbox.requests

    def test_the_run_of_another_account_does_not_count(
        self, changing: Setup, sandbox: Sandbox
    ) -> None:
        sandbox.account.add_contact()
        under_way(changing, "shop__full_refresh")
        assert evaluate(changing, "on_change")[0]

    def test_a_change_that_no_sync_takes_in_starts_one_sync_only(
        self, changing: Setup, sandbox: Sandbox
    ) -> None:
        sandbox.account.add_contact()
        _, _, cursor = evaluate(changing, "on_change")
        assert not evaluate(changing, "on_change", cursor)[0]

    @pytest.mark.parametrize("many", [1, 150])
    def test_records_with_stamps_in_the_future_start_one_sync_and_hide_no_change(
        self, changing: Setup, sandbox: Sandbox, many: int
    ) -> None:
        ahead = datetime.now(UTC) + timedelta(hours=5)
        for minutes in range(many):
            sandbox.account.add_contact(udate=ahead + timedelta(minutes=minutes))
        cursor = None
        for _ in range(2):
            requests, _, cursor = evaluate(changing, "on_change", cursor)
            assert len(requests) == 1
            changing.run("incremental_sync")
            assert not evaluate(changing, "on_change", cursor)[0]
            sandbox.account.add_contact()

    def test_after_a_permanent_failure_nothing_starts_by_itself(
        self, changing: Setup, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sandbox.account.add_contact()
        monkeypatch.setenv("ACTIVECAMPAIGN_API_KEY", "wrong")
        changing.run("incremental_sync", streams=["contacts"], fails=True)
        monkeypatch.setenv("ACTIVECAMPAIGN_API_KEY", sandbox.api_key)
        requests, reason, _ = evaluate(changing, "on_change")
        assert not requests
        assert "failed with a permanent error" in reason
        changing.run("incremental_sync", streams=["contacts"])
        assert "Nothing has changed" in evaluate(changing, "on_change")[1]

    def test_after_a_run_for_a_partition_that_is_none_syncs_begin_by_themselves_as_before(
        self, changing: Setup, sandbox: Sandbox
    ) -> None:
        ends = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
        changing.run("incremental_sync", tags=dict.fromkeys(ends, "1999-12-01"), fails=True)
        sandbox.account.add_contact()
        assert evaluate(changing, "on_change")[0]

    def test_an_account_that_does_not_answer_is_no_failed_tick(
        self, changing: Setup, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ACTIVECAMPAIGN_API_KEY", "wrong")
        assert "not accepted by this account" in evaluate(changing, "on_change")[1]


class TestDrift:
    @pytest.mark.usefixtures("synced")
    def test_tables_that_agree_cost_a_request_a_stream(
        self, setup: Setup, sandbox: Sandbox
    ) -> None:
        requests, reason, _ = evaluate(setup, "drift")
        assert not requests
        assert reason == "The tables have as many rows as the account."
        assert len(sandbox.requests) == 3

    @pytest.mark.usefixtures("synced")
    def test_a_stream_that_drifted_is_read_anew_with_what_builds_on_it(
        self, setup: Setup, sandbox: Sandbox
    ) -> None:
        for contact in list(sandbox.account.contacts.live)[:10]:
            sandbox.account.delete_contact(contact)
        requests, _, cursor = evaluate(setup, "drift")
        [asked] = requests[0].run_config["ops"].values()
        assert "contacts" in asked["config"]["streams"]
        assert "deals" not in asked["config"]["streams"]
        assert requests[0].job_name == "full_refresh"
        setup.run(streams=asked["config"]["streams"])
        assert setup.query(
            "select count(*) from activecampaign.contacts where _deleted_at is null"
        ) == [(50,)]
        sandbox.account.delete_contact(next(iter(sandbox.account.contacts.live)))
        assert not evaluate(setup, "drift", cursor)[0]

    @pytest.mark.usefixtures("synced")
    def test_a_stream_is_requested_once_in_a_period(self, setup: Setup, sandbox: Sandbox) -> None:
        for contact in list(sandbox.account.contacts.live)[:10]:
            sandbox.account.delete_contact(contact)
        _, _, cursor = evaluate(setup, "drift")
        assert not evaluate(setup, "drift", cursor)[0]
        assert evaluate(setup, "drift", None)[0]

    def test_it_can_be_left_out(self, make: Callable[..., Setup]) -> None:
        names = {sensor.name for sensor in make(drift="never").definitions.sensors or []}
        assert names == {"activecampaign__first_sync"}


def tick(setup: Setup, job: str) -> Any:
    """What a job's schedule decides."""
    schedule = setup.definitions.resolve_schedule_def(f"activecampaign__{job}_schedule")
    # a context that is not left leaves its instance behind for later tests
    with dg.build_schedule_context(instance=setup.instance) as context:
        return schedule.evaluate_tick(context)


class TestSchedules:
    @pytest.fixture
    def setup(self, setup: Setup, tmp_path: Path) -> Iterator[Setup]:
        """With an instance on disk, which is what a schedule's context opens."""
        home = tmp_path / "dagster"
        home.mkdir()
        with dg.DagsterInstance.local_temp(str(home)) as instance:
            setup.instance = instance
            yield setup

    def test_each_job_has_its_own_and_skips_without_an_account(
        self, setup: Setup, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert tick(setup, "incremental_sync").run_requests
        monkeypatch.delenv("ACTIVECAMPAIGN_URL")
        assert "is not set" in str(tick(setup, "incremental_sync").skip_message)

    def test_an_incremental_one_skips_while_a_run_reads_and_a_full_one_queues(
        self, setup: Setup
    ) -> None:
        under_way(setup, "full_refresh")
        assert not tick(setup, "incremental_sync").run_requests
        assert tick(setup, "full_refresh").run_requests

    @pytest.mark.parametrize(
        ("variable", "wrong", "said"),
        [
            ("ACTIVECAMPAIGN_API_KEY", "wrong", "The API key is not accepted by this account"),
            ("ACTIVECAMPAIGN_URL", "http://127.0.0.1:9/blog", "is not the address of an account"),
        ],
    )
    @pytest.mark.parametrize("job", ["incremental_sync", "full_refresh"])
    def test_what_would_fail_as_the_last_run_did_is_not_begun_until_it_is_mended(
        self,
        setup: Setup,
        monkeypatch: pytest.MonkeyPatch,
        job: str,
        variable: str,
        wrong: str,
        said: str,
    ) -> None:
        right = os.environ[variable]
        monkeypatch.setenv(variable, wrong)
        result = setup.run(fails=True)
        ticked = tick(setup, job)
        assert not ticked.run_requests
        assert str(ticked.skip_message).startswith(f"The run {result.run_id[:8]} failed, and")
        assert said in str(ticked.skip_message)
        monkeypatch.setenv(variable, right)
        assert tick(setup, job).run_requests

    def test_while_a_host_does_not_exist_no_run_begins(
        self, setup: Setup, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            unresolved(patch, socket.EAI_NONAME)
            patch.setenv("ACTIVECAMPAIGN_URL", "https://acmee.api-us1.com")
            setup.run(fails=True)
            assert "acmee.api-us1.com found no host" in str(
                tick(setup, "incremental_sync").skip_message
            )
        assert tick(setup, "incremental_sync").run_requests

    def test_a_stream_without_permission_holds_up_no_schedule(
        self, setup: Setup, sandbox: Sandbox
    ) -> None:
        sandbox.faults = [faults.always(faults.error(403), "campaigns")]
        setup.run(fails=True)
        assert tick(setup, "incremental_sync").run_requests

    def test_triggers_become_crons_in_the_accounts_zone(self, make: Callable[..., Setup]) -> None:
        setup = make(
            timezone="Europe/Berlin",
            trigger={"at": ["08:00", "17:30"], "days": ["monday"]},
            full_sync={"cron": "0 4 * * 6"},
        )
        found = {s.name: s for s in setup.definitions.schedules or []}
        quick = found["activecampaign__incremental_sync_schedule"]
        assert list(quick.cron_schedule) == ["0 8 * * 1", "30 17 * * 1"]
        assert quick.execution_timezone == "Europe/Berlin"


def _origin(job: str) -> RemoteJobOrigin:
    """Where a job comes from that Dagster launches."""
    location = ManagedGrpcPythonEnvCodeLocationOrigin(
        loadable_target_origin=LoadableTargetOrigin(module_name="activecampaign_dagster"),
        location_name="activecampaign_dagster",
    )
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), job)


class TestAlerts:
    @pytest.fixture
    def alerting(self, make: Callable[..., Setup], monkeypatch: pytest.MonkeyPatch) -> Setup:
        monkeypatch.setenv("ALERT_URLS", "json://127.0.0.1:9/a json://127.0.0.1:9/b")
        return make(
            alerts={"urls_variable": "ALERT_URLS", "ui_url": "https://dagster.example.com/"}
        )

    @pytest.fixture
    def sent(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str, str]]:
        """What has been sent: (urls, title, body)."""
        messages: list[tuple[list[str], str, str]] = []
        monkeypatch.setattr(
            "activecampaign_dagster.orchestration.automation.alerts.send",
            lambda *args: messages.append(args),
        )
        return messages

    def test_a_message_names_stream_error_remedy_and_run_wherever_that_was_started(
        self,
        alerting: Setup,
        sent: list[tuple[list[str], str, str]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        _, _, cursor = evaluate(alerting, "alerts")
        monkeypatch.setenv("ACTIVECAMPAIGN_API_KEY", "wrong")
        result = alerting.run(fails=True)  # as from a command line
        evaluate(alerting, "alerts", cursor)
        [(urls, title, body)] = sent
        assert len(urls) == 2
        assert title == "ActiveCampaign sync failed: activecampaign, full_refresh"
        assert "The API key is not accepted by this account" in body
        assert "Someone has to fix the cause" in body
        assert f"https://dagster.example.com/runs/{result.run_id}" in body

    @pytest.mark.parametrize("launched", [True, False])
    def test_a_crash_is_told_unless_dagster_runs_it_again(
        self, alerting: Setup, sent: list[tuple[list[str], str, str]], launched: bool
    ) -> None:
        """Which it believes of every run, and can only do with those it has launched."""
        _, _, cursor = evaluate(alerting, "alerts")
        job = "full_refresh"
        run = under_way(alerting, job, remote_job_origin=_origin(job) if launched else None)
        alerting.instance.add_run_tags(run.run_id, {"dagster/will_retry": "true"})
        alerting.instance.report_run_failed(run)
        evaluate(alerting, "alerts", cursor)
        assert len(sent) == (0 if launched else 1)

    def test_another_projects_job_of_the_same_name_is_not_told(
        self, alerting: Setup, sent: list[tuple[list[str], str, str]]
    ) -> None:
        _, _, cursor = evaluate(alerting, "alerts")
        run = create_run_for_test(alerting.instance, job_name="full_refresh")
        alerting.instance.report_run_failed(run)
        evaluate(alerting, "alerts", cursor)
        assert not sent

    @pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # in Apprise, on Python 3.11
    def test_an_alert_that_cannot_be_sent_names_no_secret(self) -> None:
        with pytest.raises(AlertError) as raised:
            send(["nonsense://secret-token"], "title", "body")
        assert "secret" not in str(raised.value)

    def test_it_is_off_unless_configured(self, setup: Setup) -> None:
        assert "activecampaign__alerts" not in {s.name for s in setup.definitions.sensors or []}


class TestFreshness:
    def test_it_follows_the_more_frequent_trigger(self, setup: Setup) -> None:
        specs = setup.definitions.resolve_all_asset_specs()
        streams = [spec for spec in specs if "activecampaign" in spec.kinds]
        assert {spec.freshness_policy for spec in streams} == {
            dg.FreshnessPolicy.time_window(
                warn_window=timedelta(hours=2), fail_window=timedelta(hours=3)
            )
        }

    def test_on_change_counts_on_the_full_syncs(self, make: Callable[..., Setup]) -> None:
        setup = make(trigger="on_change", full_sync={"every": "1 day"})
        assert freshness_policy(setup.account) == dg.FreshnessPolicy.time_window(
            warn_window=timedelta(hours=25), fail_window=timedelta(hours=49)
        )

    def test_a_manual_source_promises_nothing(self, make: Callable[..., Setup]) -> None:
        assert freshness_policy(make(trigger="manual").account) is None
