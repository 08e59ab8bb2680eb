"""The asset checks: each finds what it is for, and nothing in a sound account."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import dagster as dg
import pytest

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.sandbox import faults
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.survey import probes
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.ledger import OFFSETS_HONOURED, store_facts
from tests.orchestration.setup import Ran, Setup, checks, small


def test_a_first_sync_finds_stubs_and_dangling_stages_only(refreshed: Ran) -> None:
    found = {key for key, check in checks(refreshed[1]).items() if not check.passed}
    assert found <= {
        ("deals", "hidden_deals"),
        ("deals", "orphaned_references"),
        ("deal_stages", "orphaned_references"),
        ("campaigns", "orphaned_references"),
    }
    assert ("deals", "hidden_deals") in found


def test_hidden_pipelines_are_named_where_the_api_tells(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "hidden_by", lambda *_: ["Secret pipeline"])
    check = checks(setup.run(streams=["deals"]))["deals", "hidden_deals"]
    assert setup.metadata("deals")["hidden_rows"] == check.metadata["found"].value
    assert "Hidden pipelines: Secret pipeline." in str(check.description)


@pytest.mark.usefixtures("synced")
def test_deals_that_were_seen_in_full_and_are_hidden_now_are_counted_too(
    setup: Setup, sandbox: Sandbox, refreshed: Ran
) -> None:
    before = checks(refreshed[1])["deals", "hidden_deals"].metadata["found"].value
    sandbox.account.hide_pipeline(1)
    after = checks(setup.run(streams=["deals"]))["deals", "hidden_deals"].metadata["found"].value
    truth = sandbox.account.truth("deals").values()
    assert before < after == sum(deal["isDisabled"] for deal in truth)


def test_values_that_do_not_fit_are_counted_by_column(setup: Setup, sandbox: Sandbox) -> None:
    sandbox.account.update_contact(next(iter(sandbox.account.contacts.live)), bounced_hard="many")
    check = checks(setup.run(streams=["contacts"]))["contacts", "as_declared"]
    assert not check.passed
    assert check.description == "1 values are NULL in the table: bounced_hard (1)."
    assert check.metadata["rejected_values"].value == check.metadata["found"].value == 1


def test_what_is_not_as_declared_is_told_together_with_a_count_for_each(
    make: Callable[..., Setup], sandbox: Sandbox
) -> None:
    first = next(iter(sandbox.account.contacts.live))
    sandbox.account.update_contact(first, bounced_hard="many", shoe_size="43", hat="blue")
    setup = make(checks={"rejected_values": "error", "undeclared_fields": "warn"})
    check = checks(setup.run(streams=["contacts"]))["contacts", "as_declared"]
    assert check.severity is dg.AssetCheckSeverity.ERROR
    assert "bounced_hard (1). New columns: " in str(check.description)
    counts = {name: check.metadata[name].value for name in check.metadata}
    assert counts == {
        "found": 3,
        "rejected_values": 1,
        "undeclared_fields": 2,
        "duplicate_ids": 0,
    }
    sandbox.account.update_contact(first, bounced_hard="0")
    check = checks(setup.run(streams=["contacts"]))["contacts", "as_declared"]
    assert check.severity is dg.AssetCheckSeverity.WARN  # as only new fields are left


def test_new_fields_are_named(setup: Setup, sandbox: Sandbox) -> None:
    sandbox.account.update_contact(next(iter(sandbox.account.contacts.live)), shoe_size="43")
    check = checks(setup.run(streams=["contacts"]))["contacts", "as_declared"]
    assert check.description == "New columns: shoe_size."


@pytest.mark.usefixtures("synced")
def test_references_to_rows_that_are_not_there_are_counted(setup: Setup, sandbox: Sandbox) -> None:
    deal = sandbox.account.add_deal(owner="999")
    check = checks(setup.run(streams=["deals"]))["deals", "orphaned_references"]
    assert check.metadata["owner"].value == 1
    assert deal


@pytest.mark.usefixtures("synced")
def test_a_table_that_drifted_is_told_with_both_counts(
    make: Callable[..., Setup], sandbox: Sandbox
) -> None:
    setup = make(streams=["contacts"], deletions="full_sync_only")
    setup.run("full_refresh")
    for contact in list(sandbox.account.contacts.live)[:5]:
        sandbox.account.delete_contact(contact)
    found = checks(setup.run("incremental_sync", streams=["contacts"]))
    check = found["contacts", "row_count_drift"]
    assert not check.passed
    assert check.metadata["live_rows"].value == 60
    assert check.metadata["account_total"].value == 55
    assert checks(setup.run(streams=["contacts"]))["contacts", "row_count_drift"].passed


@pytest.mark.usefixtures("synced")
def test_a_value_that_changed_behind_its_contacts_back_is_found_by_a_full_sync(
    setup: Setup, sandbox: Sandbox
) -> None:
    account = sandbox.account
    account.field_values_touch_contact = False
    oldest = setup.query(
        "select v.id, v.contact, v.field from activecampaign.custom_field_values v "
        "join activecampaign.contacts c on c.id = v.contact order by c.udate limit 1"
    )[0]
    account.set_field_value(oldest[1], oldest[2], "changed in secret")
    streams = ["contacts", "custom_field_values"]
    key = ("custom_field_values", "missed_changes")
    assert key not in checks(setup.run("incremental_sync", streams=streams))
    check = checks(setup.run(streams=streams))[key]
    assert not check.passed
    assert check.metadata["found"].value == 1
    # what cannot tell leaves the result of what could
    assert key not in checks(setup.run("incremental_sync", streams=streams))


def test_severity_is_the_users_choice(make: Callable[..., Setup]) -> None:
    setup = make(checks={"hidden_deals": "error", "undeclared_fields": "ignore"})
    found = checks(setup.run(streams=["deals"]))
    assert found["deals", "hidden_deals"].severity is dg.AssetCheckSeverity.ERROR
    assert found["deals", "as_declared"].severity is dg.AssetCheckSeverity.WARN
    assert "undeclared_fields" not in found["deals", "as_declared"].metadata
    setup = make(
        checks=dict.fromkeys(("rejected_values", "undeclared_fields", "duplicate_ids"), "ignore")
    )
    assert ("deals", "as_declared") not in checks(setup.run(streams=["deals"]))


@pytest.mark.usefixtures("synced")
def test_a_total_that_cannot_be_had_fails_nothing(setup: Setup, sandbox: Sandbox) -> None:
    sandbox.faults = [
        lambda request, _: faults.error(404) if ("limit", "1") in request.params else None
    ]
    found = checks(setup.run("incremental_sync", streams=["deals"]))
    assert ("deals", "row_count_drift") not in found
    assert ("deals", "as_declared") in found


@pytest.mark.usefixtures("synced")
def test_checks_that_are_run_alone_look_at_the_tables_as_they_are(
    setup: Setup, sandbox: Sandbox
) -> None:
    asked = [
        dg.AssetCheckKey(setup.account.key("deals"), "hidden_deals"),
        dg.AssetCheckKey(setup.account.key("contacts"), "row_count_drift"),
    ]
    for contact in list(sandbox.account.contacts.live)[:6]:
        sandbox.account.delete_contact(contact)
    result = dg.materialize(
        setup.definitions.resolve_asset_graph().assets_defs,
        selection=dg.AssetSelection.checks(*asked),
        instance=setup.instance,
    )
    found = checks(result)
    assert set(found) == {("deals", "hidden_deals"), ("contacts", "row_count_drift")}
    assert not found["deals", "hidden_deals"].passed
    assert not found["contacts", "row_count_drift"].passed
    assert not result.get_asset_materialization_events()


def test_a_check_is_one_event_in_a_job_and_is_planned_by_a_button(
    make: Callable[..., Setup],
) -> None:
    setup = make(streams=["users"])
    by_job = setup.run()
    by_button = dg.materialize(
        setup.definitions.resolve_asset_graph().assets_defs,
        selection=[setup.account.key("users")],
        instance=setup.instance,
    )
    for result, planned, outputs in ((by_job, 0, 1), (by_button, 1, 0)):
        assert set(checks(result)) == {("users", "as_declared")}
        events = [e.dagster_event for e in setup.instance.all_logs(result.run_id)]
        kinds = [event.event_type_value for event in events if event]
        assert kinds.count("ASSET_CHECK_EVALUATION_PLANNED") == planned
        assert kinds.count("ASSET_CHECK_EVALUATION") == 1
        assert kinds.count("STEP_OUTPUT") == outputs  # that of the account
        assert not [e for e in setup.instance.all_logs(result.run_id) if e.level >= logging.WARNING]
    [record] = setup.instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(setup.account.key("users"), "as_declared"), limit=1
    )
    assert record.run_id == by_button.run_id
    assert record.status.value == "SUCCEEDED"


def test_partial_access_stores_stubs_and_reads_everything(make: Callable[..., Setup]) -> None:
    setup = make(streams=[{"name": "deals", "access": "partial"}])
    setup.run()
    setup.run("incremental_sync")
    assert setup.query(
        "select count(*) > 0, count(mdate), count(value), count(title) = count(*), "
        'count(_hidden_at) > 0, count(_hidden_at) = count(*) filter ("isDisabled") '
        "from activecampaign.deals"
    ) == [(True, 0, 0, True, True, True)]
    assert setup.metadata("deals")["read"] == "full"
    assert setup.metadata("deals")["hidden_rows"] > 0


@pytest.mark.usefixtures("synced")
def test_the_overlap_shrinks_once_offsets_are_known_to_be_honoured(
    setup: Setup, sandbox: Sandbox
) -> None:
    [(mark,)] = setup.query("select watermark from activecampaign._streams where stream = 'deals'")
    setup.run("incremental_sync", streams=["deals"])
    assert setup.metadata("deals")["window_start"] == (mark - timedelta(hours=24)).timestamp()
    facts = {f"{OFFSETS_HONOURED}:{stream}": "yes" for stream in ("contacts", "deals")}
    store_facts(lambda: connect(setup.database), "activecampaign", facts)
    setup.run("incremental_sync", streams=["deals"])
    assert setup.metadata("deals")["window_start"] == (mark - timedelta(minutes=10)).timestamp()


@pytest.mark.parametrize(
    ("reads", "answer"), [("offset_honoured", "yes"), ("offset_dropped", "no")]
)
def test_the_probe_tells_how_date_filters_read_offsets(reads: str, answer: str) -> None:
    with (
        Sandbox(small(date_filter=reads), requests_per_second=None) as sandbox,
        Client(sandbox.url, sandbox.api_key, per_second=None) as client,
    ):
        for name in ("contacts", "deals"):
            stream = STREAMS[name]
            page = client.page(stream.endpoint.path, stream.endpoint.collection, {"limit": 100})
            assert probes.honours_offsets(client, stream, page) == answer
