"""The command `activecampaign`: what it says, and how it ends."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result

from activecampaign_dagster import __version__, cli
from activecampaign_dagster.components.source import ActiveCampaignSource
from activecampaign_dagster.orchestration.wording import enumerated
from activecampaign_dagster.sandbox import faults
from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.declaration import Family
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.sync.request import Mode
from tests.components.projects import project
from tests.helpers import Warehouse, unresolved

pytestmark = pytest.mark.usefixtures("no_waits")
OFFSET = re.compile(r"T\d\d:\d\d:\d\d[+-]\d\d:\d\d$")


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """A small account that the command's configuration names."""
    account = Account.generate(contacts=60, deals=40, field_values=120, years=1, stub_share=0.1)
    with Sandbox(account, requests_per_second=None) as served:
        monkeypatch.chdir(tmp_path)  # where no .env names another account
        monkeypatch.setenv("ACTIVECAMPAIGN_URL", served.url)
        monkeypatch.setenv("ACTIVECAMPAIGN_API_KEY", served.api_key)
        monkeypatch.setenv("ACTIVECAMPAIGN_DATABASE", str(tmp_path / "a.duckdb"))
        use(monkeypatch)
        yield served


def use(monkeypatch: pytest.MonkeyPatch, **settings: object) -> None:
    """Let the command find one account with these settings."""
    source = ActiveCampaignSource.model_validate({"requests_per_second": 0, **settings})
    monkeypatch.setattr(cli, "configured", lambda: [source.account()])


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


@pytest.mark.parametrize(("streams", "requests"), [("core", 20), ("all", 74)])
def test_check_tells_what_a_sync_will_need(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, streams: str, requests: int
) -> None:
    use(monkeypatch, streams=streams)
    result = run("check")
    assert result.exit_code == 0, result.output
    for said in ("with the key of", "contacts", "First full sync:", "when nothing changed:"):
        assert said in result.output
    assert "contacts: yes" in result.output
    assert "Syncs overlap by 10 minutes" in result.output
    assert "of 40 deals that were checked are hidden from this key" in result.output
    assert "their pipelines were deleted" in result.output
    assert "with the pages of contacts? custom_field_values: yes" in result.output
    assert len(sandbox.requests) <= requests


@pytest.mark.parametrize("far", ["0001-01-01T00:00:00-05:00", "9999-12-31T23:59:59-05:00"])
def test_check_passes_over_stamps_that_are_no_dates(sandbox: Sandbox, far: str) -> None:
    account = sandbox.account
    for contact in account.contacts.live:
        account.update_contact(contact, udate=far)
    account.update_deal(account.deals.live[0], mdate=far)
    result = run("check")
    assert result.exit_code == 0, result.output
    assert "contacts: unknown" in result.output


def test_check_keeps_what_it_found_out_where_syncs_find_it(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    run("check")
    with duckdb.connect(tmp_path / "a.duckdb") as db:
        facts = dict(db.execute("select fact, value from activecampaign._account_facts").fetchall())
    assert facts["offsets_honoured:contacts"] == facts["offsets_honoured:deals"] == "yes"
    assert facts["include_works:custom_field_values"] == "yes"


def test_check_tells_in_which_zone_stamps_without_an_offset_are_read(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strip(body: dict[str, Any]) -> None:
        for records in body.values():
            for record in records if isinstance(records, list) else ():
                iso = [name for name, value in record.items() if OFFSET.search(str(value))]
                record.update(dict.fromkeys(iso))

    sandbox.faults = [faults.always(faults.changed(strip))]
    assert (
        "read as times of America/Chicago, because no timestamp with an offset"
        in run("check").output
    )
    odd = faults.record("contacts", udate="2024-01-15T12:00:00+01:23")
    sandbox.faults = [faults.always(odd, "contacts")]
    assert "America/Chicago, because no time zone has all offsets" in run("check").output
    sandbox.faults = []
    assert (
        "read as times of America/Chicago, because the account's other timestamps have its offsets"
        in run("check").output
    )
    account = Account.generate(contacts=60, deals=40, zone="Australia/Adelaide")
    with Sandbox(account, requests_per_second=None) as moved:
        monkeypatch.setenv("ACTIVECAMPAIGN_URL", moved.url)
        assert "read as times of Australia/Adelaide, because the account's" in run("check").output
        [report] = json.loads(run("check", "--json").output)["accounts"]
    assert report["facts"]["time_zone"] == "Australia/Adelaide"


def test_check_reads_the_env_file_as_dagster_does(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(f"ACTIVECAMPAIGN_URL={sandbox.url}\n")
    monkeypatch.setenv("ACTIVECAMPAIGN_URL", "http://127.0.0.1:9")
    assert run("check").exit_code == 0


def test_in_a_subfolder_the_env_file_of_the_project_counts_after_that_of_the_folder(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with project(tmp_path) as package:
        (package.parent / ".env").write_text(
            f"ACTIVECAMPAIGN_URL={sandbox.url}\nACTIVECAMPAIGN_API_KEY=wrong\n"
        )
        (package / ".env").write_text(f"ACTIVECAMPAIGN_API_KEY={sandbox.api_key}\n")
        monkeypatch.delenv("ACTIVECAMPAIGN_URL")
        monkeypatch.chdir(package)
        assert run("check").exit_code == 0


def test_in_a_subfolder_the_database_in_the_projects_env_file_is_that_of_the_project(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with project(tmp_path) as package:
        (package.parent / ".env").write_text("ACTIVECAMPAIGN_DATABASE=own.duckdb\n")
        for folder in (package.parent, package):
            monkeypatch.chdir(folder)
            assert run("check").exit_code == 0
    assert (package.parent / "own.duckdb").exists()
    assert not (package / "own.duckdb").exists()


def test_check_says_where_partial_access_is_not_needed(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, streams=[{"name": "deals", "access": "partial"}])
    assert "Remove `access: partial`" not in run("check").output  # some deals are hidden
    account = Account.generate(contacts=30, deals=20, years=1, stub_share=0)
    with Sandbox(account, requests_per_second=None) as full:
        monkeypatch.setenv("ACTIVECAMPAIGN_URL", full.url)
        said = "Remove `access: partial` from deals: the key may read all 20 deals"
        assert said in run("check").output
        use(monkeypatch, streams=["deals"])
        assert "Remove `access: partial`" not in run("check").output


def test_check_speaks_json(sandbox: Sandbox) -> None:
    [report] = json.loads(run("check", "--json").output)["accounts"]
    assert report["account"] == "activecampaign"
    assert report["first_full_sync"]["requests"] > 5
    assert {s["stream"]: s["rows"] for s in report["streams"]}["contacts"] == 60
    assert 0 < report["hidden_deals"] < report["deals_seen"] == 40
    assert isinstance(report["hidden_pipelines"], list)


@pytest.mark.parametrize(("streams", "tolerance"), [("core", 2), ("all", 6)])
def test_the_estimate_is_what_syncs_take(
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    streams: str,
    tolerance: int,
) -> None:
    use(monkeypatch, streams=streams)
    [report] = json.loads(run("check", "--json").output)["accounts"]
    warehouse = Warehouse(
        tmp_path / "b.duckdb", ActiveCampaignSource.model_validate({"streams": streams}).source()
    )
    sandbox.requests.clear()
    warehouse.sync(sandbox, compares=True)
    assert abs(len(sandbox.requests) - report["first_full_sync"]["requests"]) <= tolerance
    sandbox.requests.clear()
    warehouse.sync(sandbox, Mode.INCREMENTAL, rests=True)
    assert len(sandbox.requests) <= report["quiet_incremental_sync"]["requests"] + 1


def test_a_wrong_key_is_one_sentence_and_exit_code_1(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIVECAMPAIGN_API_KEY", "wrong")
    result = run("check")
    assert result.exit_code == 1
    assert "The API key is not accepted by this account" in result.output
    assert "Traceback" not in result.output


def test_a_host_that_does_not_exist_is_one_sentence_and_exit_code_1(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIVECAMPAIGN_URL", "acmee.api-us1.com")
    unresolved(monkeypatch, socket.EAI_NONAME)
    result = run("check")
    assert result.exit_code == 1
    assert "acmee.api-us1.com found no host" in result.output
    assert len(result.output.splitlines()) == 1


def test_a_wrong_key_of_a_second_account_is_not_said_to_be_the_first_ones(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "wrong")
    use(monkeypatch, name="shop", api_key_variable="SHOP_API_KEY")
    result = run("check")
    assert "The API key is not accepted by this account" in result.output
    assert "ACTIVECAMPAIGN_API_KEY" not in result.output


def test_a_stream_that_may_not_be_read_is_named(sandbox: Sandbox) -> None:
    sandbox.faults = [faults.always(faults.error(403), "campaigns")]
    result = run("check")
    assert result.exit_code == 1
    assert "no access" in result.output
    assert "may not read campaigns" in result.output


def test_a_stream_that_is_not_enabled_may_be_out_of_reach(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, streams=["deals", "users"])
    sandbox.faults = [faults.always(faults.error(403), "campaigns")]
    assert run("check").exit_code == 0


def test_an_account_that_is_not_configured_is_exit_code_2(sandbox: Sandbox) -> None:
    result = run("check", "shop")
    assert result.exit_code == 2
    assert "There is no account 'shop'. The accounts are activecampaign." in result.output


@pytest.mark.parametrize(
    "command",
    [["check"], ["check", "crm"], ["check", "--json"], ["streams", "--cost"], ["status"]],
)
def test_a_project_without_an_account_is_told_how_to_add_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    with project(tmp_path) as package:
        monkeypatch.chdir(package.parent)
        result = run(*command)
    assert result.exit_code == 1
    assert result.output == (
        f"Error: No account is configured in {package.parent}: run `dg scaffold defs "
        "activecampaign_dagster.ActiveCampaignSource NAME` there.\n"
    )


@pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated")  # in Dagster's YAML parser
def test_a_mistake_in_the_configuration_is_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with project(tmp_path, shop="streams: [contcts]") as package:
        monkeypatch.chdir(package)
        result = run("check")
    assert result.exit_code == 2
    assert "did you mean contacts?" in result.output
    assert "Traceback" not in result.output


def test_outside_of_a_dagster_project_it_says_where_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "shipped", lambda name: tmp_path / name)  # as far from any clone
    result = run("check")
    assert result.exit_code == 1
    assert "is not in a Dagster project: run this command in the folder" in result.output


def test_a_project_that_cannot_be_imported_is_said_without_a_stack_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "unknown"\n'
    (tmp_path / "pyproject.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    result = run("check")
    assert result.exit_code == 1
    assert "pip install -e ." in result.output
    assert "Traceback" not in result.output


def test_the_version_is_that_of_the_package() -> None:
    assert run("--version").output == f"activecampaign, version {__version__}\n"


def test_streams_lists_all_by_family() -> None:
    lines = run("streams").output.splitlines()
    families = [line for line in lines if not line.startswith(" ")]
    assert families == [
        family for family in Family if family in {s.family for s in STREAMS.values()}
    ]
    states = {name: state for name, state, *_ in (line.split() for line in lines if line[0] == " ")}
    assert states == {s.name: "on" if s.default else "off" for s in STREAMS.values()}


def test_streams_searches_for_a_word_or_a_family() -> None:
    found = run("streams", "pipeline").output
    assert found.startswith("crm\n  deals")
    assert "fields: group, isDisabled" in found
    lines = run("streams", "marketing").output.splitlines()
    assert lines[0] == "marketing"
    assert {line.split()[0] for line in lines[1:]} == {
        s.name for s in STREAMS.values() if s.family == "marketing"
    }
    missing = run("streams", "webinar")
    assert missing.exit_code == 1
    assert "No stream mentions 'webinar'" in missing.output


def test_streams_tells_all_of_one() -> None:
    assert "perstag" in run("streams", "custom_fields").output
    values = run("streams", "custom_field_values").output
    assert "family      crm" in values
    assert "read        by default" in values
    assert "path        fieldValues" in values
    assert "comes with  contacts, all of which are read for it every day" in values
    [users] = json.loads(run("streams", "users", "--json").output)["streams"]
    assert (users["name"], users["family"], users["default"]) == ("users", "settings", True)


@pytest.mark.parametrize("name", [s.name for s in STREAMS.values() if s.secrets])
def test_streams_tells_which_fields_are_left_out(name: str) -> None:
    output = run("streams", name).output
    assert f"{enumerated(sorted(STREAMS[name].secrets), 'and')}: left out unless" in output


def test_cost_tells_what_streams_take_from_a_request_for_each(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, streams="core")
    result = run("streams", "--cost")
    assert result.exit_code == 0, result.output
    assert sorted(request.path for request in sandbox.requests) == [
        "campaigns", "contacts", "dealGroups", "dealStages", "deals", "fields", "users",
    ]  # fmt: skip
    lines = [line.split() for line in result.output.splitlines()]
    assert [
        "contacts",
        "60",
        "1",
        "2",
        "every",
        "day:",
        "1,",
        "for",
        "custom_field_values",
    ] in lines
    assert ["custom_field_values", "1", "1", "with", "contacts"] in lines
    assert ["users", "8", "1", "0", *["every", "hour:", "1"]] in lines
    [total] = [line for line in lines if line[0] == "total"]
    assert total == ["total", "8", "5", "121", "a", "day"]


def test_cost_can_be_asked_of_one_stream_or_family_and_by_machines(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, streams="core")
    [found] = json.loads(run("streams", "users", "--cost", "--json").output)["accounts"]
    [users] = found["streams"]
    assert (users["first_full_sync"], users["incremental_sync"], users["records"]) == (1, 0, 8)
    assert users["reread"]["requests_per_day"] == 24


def test_cost_names_what_cannot_be_read(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, streams="core")
    sandbox.faults = [faults.always(faults.error(403), "campaigns")]
    result = run("streams", "--cost")
    assert result.exit_code == 0, result.output
    assert "campaigns: " in result.output
    assert "may not read campaigns" in result.output


def test_check_tells_what_reading_whole_takes_in_a_day(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, streams="core")
    said = "read whole streams, as often as `reread` says: up to 121 requests a day. Most of it: "
    assert said in run("check").output
    [report] = json.loads(run("check", "--json").output)["accounts"]
    rereads = {reread["stream"]: reread for reread in report["rereads"]}
    assert rereads["contacts"]["of"] == ["custom_field_values"]
    assert rereads["contacts"]["every_seconds"] == 86_400
    use(monkeypatch, streams=["deals"])
    assert "Incremental syncs never read a whole stream." in run("check").output


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_file_of_variables_in_another_encoding_is_refused_in_a_sentence(
    sandbox: Sandbox, tmp_path: Path, encoding: str
) -> None:
    (tmp_path / ".env").write_text("ACTIVECAMPAIGN_NOTE=Müller\n", encoding=encoding)
    result = run("streams")
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {tmp_path / '.env'} is not encoded in UTF-8")
    assert result.output.count("\n") == 1


def test_a_byte_order_mark_hides_no_variable(sandbox: Sandbox, tmp_path: Path) -> None:
    lines = f"ACTIVECAMPAIGN_URL={sandbox.url}\nACTIVECAMPAIGN_API_KEY={sandbox.api_key}\n"
    (tmp_path / ".env").write_text(lines, encoding="utf-8-sig")
    assert run("check").exit_code == 0


def test_names_in_the_account_steer_no_terminal_and_forge_no_line(sandbox: Sandbox) -> None:
    odd = "Eve\x1b]0;owned\x07\nactivecampaign: all is well\u202e\x9b31m"
    rule = faults.changed(lambda body: body | {"user": {"id": "1", "firstName": odd}})
    sandbox.faults.append(faults.always(rule, "users/me"))
    result = run("check")
    assert result.exit_code == 0, result.output
    assert all(c.isprintable() or c == "\n" for c in result.output)
    lines = result.output.splitlines()
    assert not [line for line in lines if line.startswith("activecampaign: all")]


@pytest.mark.parametrize("record", [{}, {"id": None}, {"id": ["1"]}, "text", None, 7])
def test_odd_records_end_no_check(sandbox: Sandbox, record: object) -> None:
    for path in ("contacts", "deals"):
        rule = faults.changed(lambda body, path=path: body | {path: [record]})
        sandbox.faults.append(faults.always(rule, path))
    result = run("check")
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_a_feature_that_the_account_lacks_is_told_and_is_no_failure(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, streams="all")
    sandbox.account.switch_off("crm")
    for arguments in (["check"], ["streams", "--cost"]):
        result = run(*arguments)
        assert result.exit_code == 0, result.output
        assert "deal_activities: the account lacks the Deals (CRM) feature" in result.output
    assert "not on this plan" in run("check").output


@pytest.mark.parametrize(("streams", "code"), [("all", 0), (["core", "deal_activities"], 1)])
def test_a_missing_permission_is_a_failure_for_a_stream_that_is_listed_by_name(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, streams: object, code: int
) -> None:
    use(monkeypatch, streams=streams)
    sandbox.faults = [faults.always(faults.error(403), "dealActivities")]
    result = run("check")
    assert result.exit_code == code
    assert "may not read dealActivities" in result.output
