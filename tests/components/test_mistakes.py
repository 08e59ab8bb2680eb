"""Every mistake in a source file is told at load time: file, line, what is wrong, what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from activecampaign_dagster.components.errors import ConfigurationError
from activecampaign_dagster.components.source import ActiveCampaignSource
from tests.components.projects import TYPE, load, project

ROOT = Path(__file__).parents[2]


def told(root: Path, **accounts: str) -> list[str]:
    """The lines of the error, each as `folder/defs.yaml:line: what`."""
    with pytest.raises(ConfigurationError) as raised:
        load(root, **accounts)
    first, *lines = str(raised.value).splitlines()
    assert first.endswith(" in the configuration:")
    return [line.strip().rpartition("/defs/")[2] for line in lines]


@pytest.mark.parametrize(
    ("attributes", "line", "said"),
    [
        ("streams: [deals, contcts]", 3, "no stream 'contcts'; did you mean contacts?"),
        ("streams: [deals, webinars]", 3, "the families are `crm`, `marketing`, `automation`"),
        ("streams: [deals, makreting]", 3, "no stream 'makreting'; did you mean marketing?"),
        ("streams: markting", 3, "no stream 'markting'; did you mean marketing?"),
        ("streams: [deals, deals]", 3, "deals is listed twice"),
        ("streams: [crm, deals, name: deals]", 3, "deals is listed twice"),
        ("streams:\n- crm\n- name: crm", 5, "crm stands for several streams and has no settings"),
        ("streams: [pipelines]", 3, "no stream 'pipelines'; did you mean deal_groups?"),
        ("streams: [companies]", 3, "no stream 'companies'; did you mean accounts?"),
        ("streams: [pipeline_stages]", 3, "did you mean deal_stages?"),
        ("streams: everything", 3, "no stream 'everything'; the families are"),
        ("streams: [{name: deals, enabled: false}]", 3, "no stream is enabled"),
        (
            "streams:\n- name: users\n  fields: [id, emial]",
            5,
            "users has no field 'emial'; did you mean email?",
        ),
        (
            "streams:\n- name: deals\n  exclude_fields: [mdate]",
            5,
            "mdate cannot be left out",
        ),
        (
            "streams:\n- name: deals\n  fields: [id]\n  exclude_fields: [title]",
            6,
            "cannot be combined",
        ),
        (
            "streams:\n- name: campaigns\n  sync_type: INCREMENTAL",
            5,
            "so sync_type must be FULL_TABLE",
        ),
        (
            "streams:\n- name: deals\n  access: partial\n  sync_type: INCREMENTAL",
            6,
            "the API sends deals without mdate",
        ),
        (
            "streams:\n- name: users\n  access: full",
            5,
            "users has no access setting: only deals have one",
        ),
        ("streams:\n- all\n- name: deals\n  table: contacts", 6, "would share the table contacts"),
        ("streams:\n- name: deals\n  reread: {every: often}", 5, "'often' is not a time span"),
        ("streams:\n- name: deals\n  reread: {every: 0 days}", 5, "'0 days' is not a time span"),
        (
            "streams:\n- name: deals\n  reread: 1 day",
            5,
            "'1 day' is invalid: it must be 'always', 'never' or settings, indented below",
        ),
        (
            "streams:\n- name: users\n  reread: never",
            5,
            "users is FULL_TABLE, so incremental syncs must read all of it",
        ),
        ("streams:\n- name: deals\n  table: my deals", 5, "not a valid table name in SQL"),
        ("streams:\n- name: deals\n  tabel: x", 5, "unknown setting 'tabel'; did you mean table?"),
        ("table_prefix: 1-shop", 3, "cannot begin a table's name in SQL"),
        (f"description: {'x' * 141}", 3, "is 141 characters long: shorten it to at most 140"),
        ("descripton: x", 3, "unknown setting 'descripton'; did you mean description?"),
        ("url: acme.api-us1.com", 3, "unknown setting 'url'; did you mean url_variable?"),
        ("api_key: x", 3, "unknown setting 'api_key'; did you mean api_key_variable?"),
        ("trigger: {cron: '61 * * * *'}", 3, "invalid cron expression"),
        ("trigger: {cron: ['0 6 * * *', 'daily']}", 3, "invalid cron expression 'daily'"),
        ("trigger: {every: 7 minutes}", 3, "does not divide the day evenly: choose 6 minutes or 8"),
        ("trigger: {every: often}", 3, "'often' is not a time span"),
        ("trigger: {every: 30}", 3, "30 is not a time span: write a number and a unit"),
        ("trigger: {on_change: 5}", 3, "5 is not a time span: write a number and a unit"),
        ("drift: {at_most_every: 1}", 3, "1 is not a time span: write a number and a unit"),
        ("purge_deleted_after: 30", 3, "for example 30 minutes or 30 days"),
        ("trigger: {at: ['25:00']}", 3, "'25:00' is not a time of day"),
        (
            "trigger: {at: ['08:00'], days: [someday]}",
            3,
            "'someday' is invalid: it must be one of 'sunday'",
        ),
        ("trigger: {at: ['08:00'], days: someday}", 3, "trigger.days: 'someday' is invalid"),
        ("trigger: {days: [monday]}", 3, "trigger.days: days needs `at`, the times of the day"),
        ("trigger: {cron: '0 6 * * *', days: [monday]}", 3, "days can be combined with `at` only"),
        ("trigger: {cron: '0 6 * * *', every: 1 hour}", 3, "cron and every cannot be combined"),
        ("trigger: {}", 3, "write one of cron, every, at, on_change"),
        ("trigger: hourly", 3, "'hourly' is invalid: it must be 'manual', 'on_change' or settings"),
        ("trigger: off", 3, "False is not valid here"),
        ("full_sync: {on_change: 1 minute}", 3, "unknown setting 'on_change'"),
        ("trigger: {on_change: 2 seconds}", 3, "write at least 5 seconds"),
        (
            "trigger: manual\nfull_sync: {every: 1 day}",
            4,
            "full_sync cannot be scheduled if trigger is manual",
        ),
        (
            "trigger: on_change\nstreams: [users]",
            3,
            "changes are only visible in deals and contacts: enable one",
        ),
        ("timezone: Europe/Berln", 3, "no time zone 'Europe/Berln'; did you mean Europe/Berlin?"),
        ("start_date: 2020-02-30", 3, "is not a date: write it as 2024-01-31"),
        ("start_date: 2999-01-01", 3, "is in the future"),
        ("start_date: 0001-01-01\npartition: week", 3, "0001-01-01 is before 1970"),
        ("partition: year", 3, "'year' is invalid: it must be one of 'month', 'week' or 'day'"),
        ("name: My Shop", 3, "'My Shop' is an invalid name"),
        (
            "streams:\n- name: deals\n  fields: [amount]",
            5,
            "has no field 'amount'; there are id, account",
        ),
        ("name: marts", 3, "is reserved for the asset keys of dbt models: choose another name"),
        ("checks: {orphans: warn}", 3, "unknown setting 'orphans'; there are rejected_values"),
        (
            "checks: {hidden_deals: loud}",
            3,
            "'loud' is invalid: it must be one of 'warn', 'error' or 'ignore'",
        ),
        ("drift: {every: sometimes}", 3, "'sometimes' is not a time span"),
        ("drift: {tolerance: 5}", 3, "less than or equal to 1"),
        ("alerts: {ui_url: http://x}", 3, "the setting 'urls_variable' is missing"),
        ("alerts: {urls_variable: 'json://x'}", 3, "must be the name of an environment variable"),
        ("full_sync: weekly", 3, "must be 'never' or settings, indented below"),
        ("streams: ALL", 3, "no stream 'ALL'; did you mean all?"),
        ("streams:", 3, "is empty: give it a value, or leave the line out"),
        ("trigger: {at: [17:30]}", 3, "1050 must be quoted"),
        ("trigger: {at: 17:30}", 3, "trigger.at: 1050 must be quoted"),
        ("owners: {team: data}", 3, "is not a list: write it in brackets"),
        ("streams: [{name: deals, fields: amount}]", 3, "deals has no field 'amount'"),
        ("start_date: 2020", 3, "2020 is not a date: write it as 2024-01-31"),
        ("extract_contact_custom_fields: maybe", 3, "'maybe' is invalid: it must be true or false"),
        ("requests_per_second: fast", 3, "'fast' is not a whole number"),
        ("drift: {tolerance: 1%}", 3, "'1%' is not a number: write it as 0.01"),
        (
            "owners: [team:data, me]",
            3,
            "'me' is not a valid owner: write an e-mail address, or a team",
        ),
        ("timezone: '{{ env.NO_SUCH_VARIABLE }}'", 3, "timezone: is empty"),
        (
            "url_variable: '{{ env.NO_SUCH_VARIABLE }}'",
            3,
            "if it is written as {{ env.NAME }}, set that environment variable",
        ),
        ("description: '{{ nothing }}'", 3, "cannot be filled in: UndefinedError: 'nothing'"),
        ("description: '{{ broken'", 3, "cannot be filled in"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_the_remedy(
    tmp_path: Path, attributes: str, line: int, said: str
) -> None:
    lines = told(tmp_path, shop=attributes)
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"shop/defs.yaml:{line}: ")
    assert said in lines[0]


@pytest.mark.parametrize(
    ("attributes", "setting", "first", "line"),
    [
        ("timezone: UTC\nname: shop\ntimezone: Europe/Berlin", "timezone", 3, 5),
        ("trigger:\n  every: 1 hour\n  every: 1 day", "trigger.every", 4, 5),
        ("streams:\n- name: users\n- name: deals\n  name: contacts", "streams.1.name", 5, 6),
    ],
)
def test_a_setting_that_is_written_twice_is_a_mistake_with_both_lines(
    tmp_path: Path, attributes: str, setting: str, first: int, line: int
) -> None:
    assert told(tmp_path, shop=attributes) == [
        f"shop/defs.yaml:{line}: {setting}: is written twice, first on line {first}: leave one of "
        "them out."
    ]


@pytest.mark.parametrize(
    ("whole", "said"),
    [
        (
            f"type: {TYPE}\nattributes: {{name: a}}\nattributes: {{name: b}}\n",
            ":3: attributes: is written twice, first on line 2: leave",
        ),
        (
            f"type: {TYPE}\nattributes: {{name: a}}\n---\n"
            f"type: {TYPE}\nattributes:\n  table_prefix: b_\n  name: b\n  name: c\n",
            ":8: name: is written twice, first on line 7: leave",
        ),
    ],
)
def test_what_is_written_twice_is_found_in_every_part_of_a_file(
    tmp_path: Path, whole: str, said: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(tmp_path, {"shop": whole})
    (line,) = str(raised.value).splitlines()[1:]
    assert said in line


def test_a_file_that_is_no_yaml_is_a_mistake_with_its_place(tmp_path: Path) -> None:
    (line,) = told(tmp_path, shop="name: [shop")
    assert line.startswith("shop/defs.yaml:")
    assert ": invalid YAML: " in line


@pytest.mark.parametrize(
    ("whole", "said"),
    [
        (
            f"type: {TYPE}\nattribute:\n  name: shop",
            ":2: attribute: unknown setting 'attribute'",
        ),
        (f"type: {TYPE}\nattributes: []", ":2: attributes: [] is not valid here"),
        ("attributes: {}", ":1: type: the setting 'type' is missing"),
        (f"type: {TYPE}s", ":1: type: there is no component 'activecampaign_dagster.components."),
        ("type: activecampaign_dagster.ActiveCampaignSorce", "did you mean activecampaign_dagster"),
        ("# shop\ntype: Shop", ":2: type: there is no component 'Shop'; `dg list components`"),
        (f"type: {TYPE.rpartition('.')[0]}", ":1: type: there is no component"),
        ("", "shop/defs.yaml:1: the file is empty: write a component's `type`"),
        ("# later\n", "shop/defs.yaml:1: the file is empty"),
    ],
)
def test_a_file_that_no_account_can_be_made_of_is_a_mistake(
    tmp_path: Path, whole: str, said: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(tmp_path, {"shop": whole})
    assert said in str(raised.value)


def test_a_text_in_quotes_stays_a_text(tmp_path: Path) -> None:
    load(tmp_path, shop="description: '5'")


def test_the_value_of_a_secret_in_the_wrong_place_is_not_repeated(tmp_path: Path) -> None:
    lines = told(tmp_path, shop="api_key_variable: 7f3c-secret-key")
    assert "must be the name of an environment variable" in lines[0]
    assert "secret" not in lines[0]


def test_all_mistakes_of_all_files_are_told_at_once_in_the_order_of_the_lines(
    tmp_path: Path,
) -> None:
    lines = told(
        tmp_path,
        a="timezone: Nowhere\nstart_date: soon\nstreams: [nothing]",
        b="name: b\ntable_prefix: b_\ntrigger: {cron: x}",
    )
    assert [line.split(": ")[0] for line in lines] == [
        "a/defs.yaml:3",
        "a/defs.yaml:4",
        "a/defs.yaml:5",
        "b/defs.yaml:5",
    ]


def test_a_wrong_setting_in_the_environment_is_told_with_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIVECAMPAIGN_KEEP_RUNS", "a month")
    with pytest.raises(ConfigurationError) as told:
        load(tmp_path, shop="name: shop\nstreams: [dealz]")
    assert len(str(told.value).splitlines()) == 3
    assert str(told.value).endswith(
        "ACTIVECAMPAIGN_KEEP_RUNS is 'a month': set it to a number of days, such as 30, or to 0 to "
        "keep all runs."
    )


def test_an_interval_of_builds_that_is_no_time_span_is_told_even_with_one_account(
    tmp_path: Path,
) -> None:
    models = "type: activecampaign_dagster.DbtModels\nattributes: {build_every: soon}\n"
    with pytest.raises(ConfigurationError, match="build_every of the dbt models: 'soon' is not a"):
        load(tmp_path, {"models": models}, shop="name: shop")


def test_two_accounts_need_two_names(tmp_path: Path) -> None:
    lines = told(tmp_path, a="name: shop", b="name: shop\ntable_prefix: b_")
    assert lines == [
        "b/defs.yaml:3: name: another account is also called 'shop': give this one another name."
    ]


def test_an_invalid_name_is_one_error_beside_an_account_with_the_default_name(
    tmp_path: Path,
) -> None:
    (line,) = told(tmp_path, a="name: My Shop", b="description: the main account")
    assert line.startswith("a/defs.yaml:3: name: 'My Shop' is an invalid name")


def test_words_are_taken_in_any_case_and_weekdays_shortened(tmp_path: Path) -> None:
    settings = ActiveCampaignSource.model_validate(
        {
            "trigger": {"at": ["08:00"], "days": ["Mon", "tues", "FRIDAY"]},
            "streams": [{"name": "deals", "sync_type": "full_table", "access": "Full"}],
            "partition": "Week",
            "checks": {"rejected_values": "ERROR"},
        }
    )
    assert settings.account().trigger.crons == ("0 8 * * 1,2,5",)
    [deals] = settings.account().enabled
    assert deals.sync_type == "FULL_TABLE"
    assert settings.account().severities["rejected_values"] == "error"


def test_one_value_is_taken_as_a_list_of_one() -> None:
    settings = ActiveCampaignSource.model_validate(
        {
            "trigger": {"at": "08:00", "days": "monday"},
            "streams": [{"name": "users", "fields": "email"}, {"name": "deals"}],
            "owners": "team:sales",
            "hash_fields": "email",
        }
    )
    account = settings.account()
    assert not settings.mistakes()
    assert account.trigger.crons == ("0 8 * * 1",)
    assert account.owners == ["team:sales"]
    [users] = [one for one in account.enabled if one.table == "users"]
    assert users.keep
    assert "email" in users.keep


def test_two_accounts_cannot_share_tables(tmp_path: Path) -> None:
    lines = told(tmp_path, a="name: a\nstreams: [deals]", b="name: b")
    assert len(lines) == 1
    assert "with a: give one of them a table_prefix, such as b_" in lines[0]


@pytest.mark.slow
def test_a_code_server_tells_the_mistakes_without_a_stack_trace(tmp_path: Path) -> None:
    with project(tmp_path, shop="timezone: Nowhere\nstreams: [contcts]") as package:
        shutil.copy(ROOT / "activecampaign_dagster" / "definitions.py", package)
        dagster = str(Path(sys.executable).with_name("dagster"))
        done = subprocess.run(
            [dagster, "definitions", "validate", "-m", f"{package.name}.definitions"],
            cwd=package.parent,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(package.parent), str(ROOT)])},
            capture_output=True,
            text=True,
            check=False,
        )
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "2 errors in the configuration:" in said
    assert "no stream 'contcts'; did you mean contacts?" in said
    assert "Stack Trace" not in said
    assert "Traceback" not in said
