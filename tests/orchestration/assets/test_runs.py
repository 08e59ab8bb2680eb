"""What runs do: windows, ranges, partitions, repeats, failures."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Generator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import duckdb
import pytest

from activecampaign_dagster.api.errors import CredentialsError
from activecampaign_dagster.orchestration import resources
from activecampaign_dagster.orchestration.account import JOBS, MODE_TAG
from activecampaign_dagster.orchestration.assets.streams import stream_assets
from activecampaign_dagster.orchestration.partitions import partitions
from activecampaign_dagster.orchestration.resources import (
    WAREHOUSE_KEY,
    ActiveCampaignResource,
    WarehouseResource,
)
from activecampaign_dagster.sandbox import faults
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.sync.outcomes import Outcome
from activecampaign_dagster.sync.run import sync
from activecampaign_dagster.warehouse.location import locate
from tests.helpers import encrypted, unresolved
from tests.orchestration.setup import QUICK, Ran, Setup, failure

TABLES = ("deals", "contacts", "deal_groups", "campaigns", "custom_field_values", "users")


def month(moment: datetime) -> str:
    return moment.strftime("%Y-%m-01")


def test_a_full_refresh_lands_everything_and_marks_what_it_covered(refreshed: Ran) -> None:
    setup, _ = refreshed
    for stream in TABLES:
        assert setup.query(f"select count(*) from activecampaign.{stream}")[0][0] > 0
    marked = setup.partitions("contacts")
    assert marked == set(setup.account.partitions.get_partition_keys())
    assert month(datetime.now(UTC)) in marked
    metadata = setup.metadata("contacts")
    assert metadata["dagster/row_count"] == 60
    assert metadata["read"] == "full"
    assert metadata["requests"] > 0
    assert setup.metadata("deals")["hidden_rows"] > 0


def rows_by_partition(setup: Setup, stream: str) -> dict[str, int]:
    """Partition → the rows that it is marked with."""
    records = setup.instance.fetch_materializations(setup.account.key(stream), 200).records
    return {
        r.partition_key: r.asset_materialization.metadata["dagster/partition_row_count"].value
        for r in records
        if r.partition_key and r.asset_materialization
    }


def test_partitions_are_marked_with_their_rows(refreshed: Ran) -> None:
    setup, _ = refreshed
    counts = rows_by_partition(setup, "contacts")
    stored = dict(
        setup.query(
            "select strftime(timezone('UTC', udate), '%Y-%m-01'), count(*) "
            f"from activecampaign.contacts where udate >= '{QUICK['start_date']}' group by all"
        )
    )
    assert {key: count for key, count in counts.items() if count} == stored


def test_rows_are_counted_by_the_days_of_a_time_zone_half_a_day_ahead(
    make: Callable[..., Setup], sandbox: Sandbox
) -> None:
    first = datetime.now(UTC).date() - timedelta(days=9)
    for days in range(6):
        sandbox.account.add_contact(udate=f"{first + timedelta(days=days)}T20:00:00+00:00")
    zone = "Pacific/Auckland"
    setup = make(partition="day", timezone=zone, start_date=first.isoformat())
    setup.run(streams=["contacts"])
    counts = rows_by_partition(setup, "contacts")
    stored = setup.query(
        f"select strftime(timezone('{zone}', udate), '%Y-%m-%d') as day, count(*) "
        f"from activecampaign.contacts where day >= '{first}' group by all"
    )
    assert len(stored) >= 6
    assert {key: count for key, count in counts.items() if count} == dict(stored)


def test_running_it_again_changes_nothing_and_marks_the_running_partition_only(
    setup: Setup,
) -> None:
    setup.run(streams=["contacts"])
    before = setup.query("from activecampaign.contacts order by id")
    result = setup.run(streams=["contacts"])
    assert setup.query("from activecampaign.contacts order by id") == before
    marked = [
        e.partition
        for e in result.all_events
        if e.is_step_materialization and e.asset_key == setup.account.key("contacts")
    ]
    assert [key for key in marked if key] == [month(datetime.now(UTC))]
    assert setup.metadata("contacts")["unchanged"] == 60


@pytest.mark.usefixtures("synced")
def test_an_incremental_sync_reads_what_changed(setup: Setup, sandbox: Sandbox) -> None:
    contact = sandbox.account.add_contact(email="new@example.com")
    setup.run("incremental_sync", streams=["contacts"])
    assert setup.query(f"select email from activecampaign.contacts where id = {contact}") == [
        ("new@example.com",)
    ]
    metadata = setup.metadata("contacts")
    assert metadata["read"] == "incremental"
    assert metadata["inserted"] == 1
    assert metadata["window_start"]


def test_a_partition_reads_its_window_alone(setup: Setup, sandbox: Sandbox) -> None:
    stamps = sorted(sandbox.account.contacts.live)
    assert stamps
    keys = setup.account.partitions.get_partition_keys()
    wanted = keys[len(keys) // 2]
    setup.materialize("contacts", "users", partition=wanted)
    found = setup.query(
        "select distinct strftime(date_trunc('month', udate), '%Y-%m-%d') "
        "from activecampaign.contacts"
    )
    assert found in ([(wanted,)], [])
    assert setup.partitions("contacts") == {wanted}
    assert setup.query("select count(*) from activecampaign.users")[0][0] > 0


def test_a_range_of_partitions_is_one_run(setup: Setup) -> None:
    keys = setup.account.partitions.get_partition_keys()
    first, last = keys[-5], keys[-2]
    result = setup.materialize("contacts", "deals", "users", partition=first, to=last)
    assert len(setup.instance.get_runs()) == 1
    assert result.success
    assert setup.partitions("deals") == set(keys[-5:-1])
    assert setup.partitions("users") == set(keys[-5:-1])
    assert setup.metadata("contacts")["read"] == "window"


def test_a_range_that_is_none_is_one_sentence_and_reads_nothing(
    setup: Setup, sandbox: Sandbox
) -> None:
    keys = setup.account.partitions.get_partition_keys()
    middle = keys[-2].removesuffix("01") + "15"
    for first, last, said in (
        (middle, keys[-1], f"'{middle}' is not a partition: they begin on {keys[0]}, "),
        (keys[-1], keys[-2], f"ends ({keys[-2]}) before it begins ({keys[-1]})"),
    ):
        asked = len(sandbox.requests)
        message = failure(setup.materialize("deals", partition=first, to=last, fails=True))
        assert said in message
        assert len(message.splitlines()) == 1
        assert len(sandbox.requests) == asked


@pytest.mark.parametrize(
    ("months", "said"),
    [
        (1, "the only one begins on {0}"),
        (2, "they begin on {0}, {1}"),
        (4, "they begin on {0}, {1}, …, {3}"),
    ],
)
def test_a_partition_that_is_none_names_those_there_are(
    make: Callable[..., Setup], months: int, said: str
) -> None:
    first = datetime.now(UTC).date().replace(day=1)
    for _ in range(months - 1):
        first = (first - timedelta(days=1)).replace(day=1)
    setup = make(start_date=first.isoformat())
    keys = setup.account.partitions.get_partition_keys()
    assert len(keys) == months
    none = "1999-12-01"
    expected = f"'{none}' is not a partition: {said.format(*keys)}."
    assert failure(setup.materialize("deals", partition=none, to=none, fails=True)) == expected


@pytest.mark.parametrize("size", ["month", "week", "day"])
def test_the_day_on_which_an_account_begins_lies_in_its_first_partition(size: str) -> None:
    for days in range(60):
        start = date(2024, 2, 1) + timedelta(days=days)
        made = partitions(size, start.isoformat(), "Europe/Berlin")
        noon = datetime.combine(start, time(12), ZoneInfo("Europe/Berlin"))
        window = made.time_window_for_partition_key(made.get_partition_keys()[0])
        assert window.start <= noon < window.end


@pytest.mark.parametrize("job", JOBS.values())
def test_a_job_has_no_partitions_and_never_reads_one(
    setup: Setup, job: str, sandbox: Sandbox
) -> None:
    assert setup.definitions.resolve_job_def(job).partitions_def is None
    key = setup.account.partitions.get_partition_keys()[-2]
    ends = [f"dagster/asset_partition_range_{end}" for end in ("start", "end")]
    for tags in ({"dagster/partition": key}, dict.fromkeys(ends, key)):
        message = failure(setup.run(job, tags=tags, fails=True))
        assert message == (
            f"A job reads the whole account, not partitions: leave out the tag {next(iter(tags))}, "
            "or materialize the partitions of the streams."
        )
    assert sandbox.requests == []


def test_streams_can_be_read_alone(setup: Setup) -> None:
    setup.run(streams=["users"])
    assert setup.query("select count(*) from activecampaign.users")[0][0] > 0
    assert setup.query("select count(*) from activecampaign.deals") == [(0,)]
    setup.materialize("contacts")
    assert setup.query("select count(*) from activecampaign.contacts")[0][0] > 0


def test_a_stream_that_there_is_not_is_told_before_anything_is_read(
    setup: Setup, sandbox: Sandbox
) -> None:
    message = failure(setup.run(streams=["deels"], fails=True))
    assert message.startswith("The account 'activecampaign' has no stream 'deels' that is enabled:")
    assert sandbox.requests == []


def test_streams_that_the_same_run_materializes_are_read_once(setup: Setup) -> None:
    result = setup.materialize("users", "all_streams")
    marked = [e.asset_key for e in result.all_events if e.is_step_materialization]
    assert marked == [setup.account.key("users")]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("ACTIVECAMPAIGN_API_KEY", "wrong", "The API key is not accepted by this account"),
        ("ACTIVECAMPAIGN_API_KEY", "", "ACTIVECAMPAIGN_API_KEY is not set"),
        ("ACTIVECAMPAIGN_URL", "", "ACTIVECAMPAIGN_URL is not set"),
        ("ACTIVECAMPAIGN_URL", "https://example.com/blog", "is not the address of an account"),
        ("ACTIVECAMPAIGN_URL", "http://example.com", "would send the API key unencrypted"),
        ("ACTIVECAMPAIGN_DATABASE", "/proc/no/where.duckdb", "cannot be made"),
    ],
)
def test_a_mistake_outside_is_one_sentence_and_stops_every_retry(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert_final(setup, setup.run(fails=True), said)


def test_a_host_that_does_not_exist_is_one_sentence_and_stops_every_retry(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    unresolved(monkeypatch, socket.EAI_NONAME)
    monkeypatch.setenv("ACTIVECAMPAIGN_URL", "https://acmee.api-us1.com")
    assert_final(setup, setup.run(fails=True), "on acmee.api-us1.com found no host")


def test_a_certificate_that_is_refused_is_one_sentence_and_stops_every_retry(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    with encrypted() as url:
        monkeypatch.setenv("ACTIVECAMPAIGN_URL", url)
        assert_final(setup, setup.run(fails=True), "was rejected: self-signed certificate")


def assert_final(setup: Setup, result: dg.ExecuteInProcessResult, said: str) -> None:
    assert said in failure(result)
    assert "\n" not in failure(result).strip()
    tags = setup.instance.get_run_by_id(result.run_id).tags  # type: ignore[union-attr]
    assert tags["activecampaign/failure"] == "permanent"
    assert tags["dagster/max_retries"] == "0"
    assert not [e for e in result.all_events if e.is_step_up_for_retry]


def test_another_accounts_url_is_two_lines_and_stops_every_retry(
    setup: Setup, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup.run(streams=["users"])
    monkeypatch.setenv("ACTIVECAMPAIGN_URL", sandbox.url.replace("127.0.0.1", "localhost"))
    result = setup.run(streams=["users"], fails=True)
    assert "hold the account 127.0.0.1, but the URL is that of localhost" in failure(result)
    assert len(failure(result).strip().splitlines()) == 2
    tags = setup.instance.get_run_by_id(result.run_id).tags  # type: ignore[union-attr]
    assert tags["activecampaign/failure"] == "permanent"


def test_a_missing_permission_fails_a_stream_that_is_listed_and_lands_its_neighbours(
    make: Callable[..., Setup], sandbox: Sandbox
) -> None:
    setup = make(streams=["core", "campaigns"])
    sandbox.faults = [faults.always(faults.error(403), "campaigns")]
    result = setup.run(streams=["campaigns", "contacts"], fails=True)
    assert "campaigns: " in failure(result)
    assert "may not read campaigns" in failure(result)
    assert setup.query("select count(*) from activecampaign.contacts") == [(60,)]
    assert setup.partitions("contacts")
    assert not setup.partitions("campaigns")
    # the UI shows what was planned and did not come as failed
    logged = [entry.dagster_event for entry in setup.instance.all_logs(result.run_id)]
    planned = {e.asset_key for e in logged if e and e.event_type_value.endswith("_PLANNED")}
    assert setup.account.key("campaigns") in planned
    assert setup.account.key("users") not in planned


def test_a_missing_permission_for_a_stream_that_a_group_brings_is_told_and_fails_nothing(
    setup: Setup, sandbox: Sandbox
) -> None:
    sandbox.faults = [faults.always(faults.error(403), "campaigns")]
    setup.run(streams=["campaigns", "contacts"])
    [(says,)] = setup.query(
        "select unavailable from activecampaign._streams where stream = 'campaigns'"
    )
    assert "may not read campaigns" in says
    assert not setup.partitions("campaigns")


def test_a_child_that_lands_twice_in_a_run_is_materialized_twice_and_checked_once(
    make: Callable[..., Setup], sandbox: Sandbox
) -> None:
    setup = make(streams=["campaigns", "campaign_messages"])
    truth = sandbox.account.truth("campaignMessages")
    assert truth
    # campaigns list no ids of these, so that only the total tells that some did not come
    array = "campaignMessages"
    cut = faults.changed(lambda body: body | {array: body.get(array, [])[1:]})
    sandbox.faults = [faults.always(cut, "campaigns")]
    result = setup.run()
    key = setup.account.key("campaign_messages")
    landed = [e for e in result.get_asset_materialization_events() if e.asset_key == key]
    assert len([event for event in landed if "read" in event.materialization.metadata]) == 2
    [(rows,)] = setup.query("select count(*) from activecampaign.campaign_messages")
    assert rows == len(truth)
    evaluated = [e for e in result.get_asset_check_evaluations() if e.asset_key == key]
    assert len({e.check_name for e in evaluated}) == len(evaluated)


def test_a_long_read_tells_how_far_it_is_while_it_runs(
    setup: Setup, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activecampaign_dagster.sync.extract._REPORT_SECONDS", 0.0)
    for _ in range(440):
        sandbox.account.add_contact()
    sandbox.latency = 0.02
    result = setup.run(streams=["contacts"])
    log = setup.instance.all_logs(result.run_id)
    messages = [entry.user_message for entry in log]
    landed = next(i for i, text in enumerate(messages) if "500 inserted" in text)
    told = [text for text in messages[:landed] if text.startswith("contacts: ")]
    line = r"contacts: \d+ records received of 500 \(\d+%\), \d pages?, [\d.]+ requests/s, \d s"
    assert len([text for text in told if re.fullmatch(line + r", about \d s left", text)]) >= 3
    assert re.fullmatch(line, told[-1])


@pytest.mark.usefixtures("no_waits")
def test_an_outage_is_tried_again_by_the_op(
    setup: Setup, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activecampaign_dagster.orchestration.failures.FIRST_WAIT", 0.0)
    sandbox.faults = [faults.times(6, faults.error(503), "users")]
    result = setup.run(streams=["users"])
    assert [e.step_key for e in result.all_events if e.is_step_up_for_retry] == [
        "activecampaign_streams"
    ]


@pytest.mark.usefixtures("no_waits")
def test_an_outage_that_lasts_is_one_sentence_in_the_end(
    setup: Setup, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activecampaign_dagster.orchestration.failures.FIRST_WAIT", 0.0)
    sandbox.faults = [faults.always(faults.error(503), "users")]
    result = setup.run(streams=["users"], fails=True)
    assert len([e for e in result.all_events if e.is_step_up_for_retry]) == 2
    assert "status.activecampaign.com shows known outages" in failure(result)
    run = setup.instance.get_run_by_id(result.run_id)
    assert run
    assert run.tags["activecampaign/failure"] == "transient"
    assert "dagster/max_retries" not in run.tags


def test_no_secret_gets_into_events_metadata_or_the_database(
    refreshed: Ran, sandbox: Sandbox
) -> None:
    setup, result = refreshed
    log = setup.instance.all_logs(result.run_id)
    assert sandbox.api_key not in "".join(map(str, log))
    assert sandbox.api_key.encode() not in setup.database.read_bytes()


def test_a_resource_made_in_code_takes_env_vars(
    make: Callable[..., Setup], monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox
) -> None:
    monkeypatch.setenv("ELSEWHERE_URL", sandbox.url)
    monkeypatch.setenv("ELSEWHERE_KEY", sandbox.api_key)
    monkeypatch.delenv("ACTIVECAMPAIGN_URL")
    setup = make()
    account = setup.account
    resource = ActiveCampaignResource(
        url=dg.EnvVar("ELSEWHERE_URL"), api_key=dg.EnvVar("ELSEWHERE_KEY"), requests_per_second=0
    )
    result = dg.materialize(
        [stream_assets(account)],
        selection=[account.key("users")],
        resources={account.resource_key: resource, WAREHOUSE_KEY: WarehouseResource()},
        instance=setup.instance,
    )
    assert result.success


@pytest.mark.parametrize("name", ["url", "api_key"])
def test_a_resource_takes_no_literal(name: str) -> None:
    with pytest.raises(CredentialsError, match=rf"`{name}` as a dg.EnvVar only") as caught:
        ActiveCampaignResource(**{name: "canary-of-a-key"})
    assert "canary" not in str(caught.value)


def test_the_configuration_of_a_resource_has_no_field_for_a_key() -> None:
    fields = ActiveCampaignResource.to_config_schema().as_field().config_type.fields
    assert set(fields) == {"url_variable", "api_key_variable", "requests_per_second"}


def test_a_key_in_place_of_its_variable_is_refused_without_being_shown() -> None:
    key = "abcdef0123456789" * 4
    with pytest.raises(CredentialsError, match="name of an environment variable") as caught:
        ActiveCampaignResource(api_key_variable=key).client()
    assert key not in str(caught.value)


@pytest.mark.parametrize("partition", [None, month(datetime.now(UTC))])
def test_a_stream_that_lands_twice_is_materialized_twice_and_checked_once(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, partition: str | None
) -> None:
    """A child does if its parents' pages do not bring all of it."""

    def twice(*arguments: Any, **options: Any) -> Generator[Outcome]:
        for outcome in sync(*arguments, **options):
            yield from (outcome, outcome)

    monkeypatch.setattr("activecampaign_dagster.orchestration.assets.streams.sync", twice)
    result = (
        setup.materialize("users", partition=partition)
        if partition
        else setup.run(streams=["users"])
    )
    events = result.get_asset_materialization_events()
    of_users = [event for event in events if event.asset_key == setup.account.key("users")]
    assert [event.partition for event in of_users] == [month(datetime.now(UTC))] * 2
    found = result.get_asset_check_evaluations()
    assert [evaluation.check_name for evaluation in found] == ["as_declared"]


def test_a_run_on_the_default_file_of_earlier_versions_says_so_in_a_line(
    make: Callable[..., Setup], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "data" / "activecampaign.duckdb"
    monkeypatch.setattr(resources, "_project", tmp_path)
    monkeypatch.setenv("ACTIVECAMPAIGN_DATABASE", str(database))
    setup = make()
    monkeypatch.setenv("ACTIVECAMPAIGN_DATABASE", "")
    database.parent.mkdir()
    duckdb.connect(database).close()
    result = setup.run(streams=["users"])
    messages = [entry.user_message for entry in setup.instance.all_logs(result.run_id)]
    assert sum("the default of earlier versions" in message for message in messages) == 1


def test_the_table_name_of_a_stream_can_be_pasted_into_duckdb(refreshed: Ran) -> None:
    setup, _ = refreshed
    specs = setup.definitions.resolve_all_asset_specs()
    names = [s.metadata["dagster/table_name"] for s in specs if "activecampaign" in s.kinds]
    assert names
    for name in names:
        setup.query(f"select 1 from {name} limit 1")
    assert setup.metadata("deals")["dagster/table_name"] == "activecampaign.deals"


@pytest.mark.parametrize("file", ["activecampaign.duckdb", "warehouse.duckdb"])
@pytest.mark.parametrize("table", ["deals", "Shop-deals"])
def test_a_table_name_is_told_as_duckdb_takes_it(tmp_path: Path, file: str, table: str) -> None:
    place = locate(str(tmp_path / file), tmp_path)
    with duckdb.connect(place.path) as db:
        db.execute("create schema activecampaign")
        made = f'{place.catalogue}.activecampaign."{table}"'
        db.execute(f"create table {made} as select 7")
        assert db.execute(f"from {place.table('activecampaign', table)}").fetchall() == [(7,)]


def test_a_run_is_tagged_with_the_way_it_reads_not_with_that_of_its_job(
    setup: Setup, sandbox: Sandbox
) -> None:
    job = setup.definitions.resolve_job_def("full_refresh")

    def ran(**config: object) -> str:
        result = job.execute_in_process(
            instance=setup.instance,
            run_config={"ops": {setup.account.op: {"config": {"streams": ["contacts"], **config}}}},
        )
        run = setup.instance.get_run_by_id(result.run_id)
        assert run
        assert setup.metadata("contacts")["read"] == run.tags[MODE_TAG]
        return run.tags[MODE_TAG]

    assert ran() == "full"
    assert ran(mode="incremental") == "incremental"
