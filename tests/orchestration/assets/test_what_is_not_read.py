"""What a run does not read: streams that rest, and features that the account does not have."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from activecampaign_dagster.sandbox import faults
from activecampaign_dagster.sandbox.server import Sandbox
from tests.orchestration.setup import Setup, checks, failure

LACKED = "accounts"  # companies, which are on larger plans alone


@pytest.fixture
def setup(make: Callable[..., Setup]) -> Setup:
    """Streams that an account may lack, that rest, and that do neither, with a model on each."""
    made = make(streams=["users", LACKED, "contacts"])

    @dg.asset(
        deps=[made.account.key(name) for name in ("users", LACKED, "contacts")],
        tags={"activecampaign/job": ""},
    )
    def model() -> None:
        """What is built on all three."""

    made.definitions = dg.Definitions.merge(made.definitions, dg.Definitions([model]))
    return made


def materialized(result: dg.ExecuteInProcessResult) -> set[str]:
    """The last part of the keys of what a run has materialized, apart from that of the account."""
    events = result.get_asset_materialization_events()
    return {event.asset_key.path[-1] for event in events if event.asset_key} - {"all_streams"}


def observed(result: dg.ExecuteInProcessResult) -> list[tuple[str, Any]]:
    """Stream and reason of each observation of a run."""
    events = [event.asset_observation_data.asset_observation for event in observations(result)]
    return [(seen.asset_key.path[-1], seen.metadata["unavailable"].value) for seen in events]


def observations(result: dg.ExecuteInProcessResult) -> list[dg.DagsterEvent]:
    return [e for e in result.all_events if e.event_type is dg.DagsterEventType.ASSET_OBSERVATION]


def messages(setup: Setup, result: dg.ExecuteInProcessResult) -> list[str]:
    return [entry.user_message for entry in setup.instance.all_logs(result.run_id)]


def unavailable(setup: Setup) -> list[tuple[Any, ...]]:
    """Why a stream cannot be read, and the rows of its table."""
    [state] = setup.query(
        f"select unavailable, live_rows from activecampaign._streams where stream = '{LACKED}'"
    )
    return [state[0], state[1]]


def test_a_stream_that_rests_lets_models_be_built_and_is_not_materialized(setup: Setup) -> None:
    assert materialized(setup.run()) == {"users", LACKED, "contacts", "model"}
    result = setup.run("incremental_sync")
    assert materialized(result) == {"contacts", "model"}
    assert not observations(result)
    assert f"Not read again yet, as they were lately: {LACKED}, users" in messages(setup, result)
    assert not [e for e in result.all_events if e.is_failure or e.is_step_skipped]


def test_a_full_refresh_and_a_materialize_button_read_what_was_read_a_minute_ago(
    setup: Setup, sandbox: Sandbox
) -> None:
    setup.run()
    for again in (setup.run, lambda: by_button(setup, "users")):
        sandbox.requests.clear()
        assert "users" in materialized(again())
        assert [request for request in sandbox.requests if request.path == "users"]


def by_button(setup: Setup, *streams: str, **options: Any) -> dg.ExecuteInProcessResult:
    """A run as the UI's Materialize button starts it."""
    return dg.materialize(
        setup.definitions.resolve_asset_graph().assets_defs,
        selection=[setup.account.key(name) for name in streams],
        instance=setup.instance,
        **options,
    )


def test_a_feature_that_the_account_does_not_have_is_told_once_and_fails_nothing(
    setup: Setup, sandbox: Sandbox
) -> None:
    sandbox.account.switch_off(LACKED)
    first = setup.run()
    assert materialized(first) == {"users", "contacts", "model"}
    [(stream, why)] = observed(first)
    assert (stream, why[:27]) == (LACKED, "Not on this account's plan:")
    assert unavailable(setup) == [why, 0]
    warned = [text for text in messages(setup, first) if text == f"{LACKED}: {why}"]
    assert len(warned) == 1
    sandbox.requests.clear()
    for job, asks in (("incremental_sync", False), ("full_refresh", True)):
        again = setup.run(job)
        assert "model" in materialized(again)
        assert not observations(again)
        assert not [text for text in messages(setup, again) if why in text]
        paths = [request.path for request in sandbox.requests]
        assert (LACKED in paths) == asks


def test_a_total_that_a_missing_feature_hides_is_not_warned_of(
    make: Callable[..., Setup], sandbox: Sandbox
) -> None:
    """Companies of contacts are asked for beside contacts, and there are none."""
    setup = make(streams=["contacts", "account_contacts"])
    sandbox.account.switch_off(LACKED)
    for job, landed in (
        ("full_refresh", {"contacts", "account_contacts"}),
        ("incremental_sync", {"contacts"}),
    ):
        result = setup.run(job)
        assert materialized(result) == landed
        log = setup.instance.all_logs(result.run_id)
        assert not [entry.user_message for entry in log if entry.level >= logging.WARNING]


def test_a_feature_that_the_account_has_again_is_read_by_the_next_full_refresh(
    setup: Setup, sandbox: Sandbox
) -> None:
    setup.run()
    before = unavailable(setup)
    sandbox.account.switch_off(LACKED)
    assert LACKED in {name for name, _ in observed(setup.run())}
    assert unavailable(setup)[1:] == before[1:]  # its table stays as it is
    sandbox.account.switch_on(LACKED)
    assert LACKED not in materialized(setup.run("incremental_sync"))
    assert LACKED in materialized(setup.run())
    assert unavailable(setup) == before
    assert before[0] is None
    assert before[1] > 0


def test_a_missing_permission_fails_a_run_for_what_is_listed_by_name_alone(
    make: Callable[..., Setup], sandbox: Sandbox
) -> None:
    sandbox.faults = [faults.always(faults.error(403), "notes")]
    for streams in (["contacts", "notes"], ["contacts", "crm", {"name": "notes"}]):
        result = make(streams=streams).run(streams=["contacts", "notes"], fails=True)
        assert "may not read notes" in failure(result)
    setup = make(streams=["crm"])
    result = setup.run(streams=["contacts", "notes"])
    assert materialized(result) == {"contacts"}
    [(stream, why)] = observed(result)
    assert stream == "notes"
    assert "may not read notes" in why


def test_months_are_marked_for_streams_that_tell_one_from_another(
    make: Callable[..., Setup],
) -> None:
    setup = make(streams=["contacts", "contact_tags", "users"])
    result = setup.run()
    months = set(setup.account.partitions.get_partition_keys())
    running = f"{datetime.now(UTC):%Y-%m}-01"
    assert setup.partitions("contacts") == months
    assert setup.partitions("contact_tags") == setup.partitions("users") == {running}
    # a run has an event for each stream, whatever it covers
    events = result.get_asset_materialization_events()
    assert sorted(
        (event.asset_key.path[-1], event.partition) for event in events if event.asset_key
    ) == [
        ("all_streams", None),
        *((name, running) for name in ("contact_tags", "contacts", "users")),
    ]
    marks = setup.instance.fetch_materializations(setup.account.key("contacts"), 100).records
    metadata = [r.asset_materialization.metadata for r in marks if r.asset_materialization]
    assert len(metadata) == len(months)
    assert "read" in metadata[0]  # the last event is that of the run
    assert {each["run"].value for each in metadata[1:]} == {result.run_id}


def test_a_first_full_refresh_of_all_streams_is_short(make: Callable[..., Setup]) -> None:
    """At 13 ms for each event, and a line on the run's page."""
    setup = make(streams=["all"])
    result = setup.run()
    log = setup.instance.all_logs(result.run_id)
    kinds = [e.dagster_event.event_type_value if e.dagster_event else "LOG" for e in log]
    streams = len(setup.account.enabled)
    assert streams > 55
    assert kinds.count("ASSET_MATERIALIZATION_PLANNED") == streams + 1
    assert kinds.count("ASSET_MATERIALIZATION") <= streams + 2
    assert "ASSET_CHECK_EVALUATION_PLANNED" not in kinds
    assert kinds.count("STEP_OUTPUT") == 1  # that of the account
    assert len(kinds) - streams < 300
    told = {text.partition(":")[0] for text in messages(setup, result) if " inserted, " in text}
    assert told == {t.name for t in setup.account.enabled}
    assert not [text for text in messages(setup, result) if re.search(r"\d pages?,", text)]
    # what comes beside parents makes no column of theirs
    assert all(check.passed for (_, name), check in checks(result).items() if name == "as_declared")
