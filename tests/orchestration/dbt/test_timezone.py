"""The models' days are those of the accounts' time zone, unless somebody sets another."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import duckdb
import pytest

from activecampaign_dagster.orchestration.dbt.timezone import configured_timezone
from activecampaign_dagster.sandbox.server import Sandbox
from tests.components.projects import DBT, load
from tests.orchestration.setup import QUICK, environment, failure, small

ROOT = Path(__file__).parents[3]
# all that campaigns do not need: dbt takes long to read it
UNREAD = ("target", "logs", "deal_history", "semantics", "snapshots", "singular", "sales")
UNREAD = (
    *UNREAD,
    "[!cg_]*.md",
    "int_[!c]*",
    "int_c[!a]*",
    "stg_*__[!cmu]*",
    "stg_*__c[!a]*",
    "stg_*__campaign_[!m]*",
    "stg_*__user_*",
)
MARTS = ("attribution", "automation", "campaign_links", "contact", "customers", "email", "lead")
UNREAD = (*UNREAD, *(f"{mart}*" for mart in (*MARTS, "list", "orders", "tags", "touches")))
SETTINGS = f"""
streams: [campaigns, users]
start_date: {QUICK["start_date"]}
requests_per_second: 0
"""
AUCKLAND, CHICAGO, TOKYO = "Pacific/Auckland", "America/Chicago", "Asia/Tokyo"

pytestmark = [
    pytest.mark.slow,
    # dagster-dbt itself calls what Dagster has deprecated
    pytest.mark.filterwarnings("ignore::DeprecationWarning:dagster"),
]
Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """An account with campaigns that were sent at any time of the day."""
    account = small(campaign_count=20)
    for number, campaign in account.truth("campaigns").items():
        if campaign["sdate"]:
            stamp = f"2026-01-05T{number * 7 % 24:02}:30:00-06:00"
            account.update_record("campaigns", number, sdate=stamp)
    with Sandbox(account, requests_per_second=None) as served:
        yield served


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "dbt_project"
    shutil.copytree(ROOT / "dbt_project", folder, ignore=shutil.ignore_patterns(*UNREAD))
    return folder


@pytest.fixture
def run(
    sandbox: Sandbox, models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Run]:
    """A run over accounts with these time zones; dbt's variables as in YAML."""
    with environment(monkeypatch, tmp_path, ACTIVECAMPAIGN=sandbox) as instance:

        def ran(
            *zones: str, variables: str = "", job: str = "full_refresh"
        ) -> dg.ExecuteInProcessResult:
            accounts = {
                name: f"{SETTINGS}\nname: {name}\ntable_prefix: {name}_\ntimezone: {zone}"
                for name, zone in zip(("one", "two"), zones, strict=False)
            }
            dbt = DBT.format(models)
            if variables:
                dbt = dbt.replace("unit_test]", f"unit_test, --vars, '{variables}']")
            loaded = load(tmp_path, {"dbt": dbt}, **accounts)
            name = job if len(zones) > 1 else f"one__{job}"
            return loaded.resolve_job_def(name).execute_in_process(
                instance=instance, raise_on_error=False
            )

        yield ran


@pytest.fixture
def sent(sandbox: Sandbox, tmp_path: Path) -> Callable[[], str]:
    """The zone in which the mart's days are those on which campaigns were sent."""

    def zone() -> str:
        with duckdb.connect(tmp_path / "warehouse.duckdb") as db:
            rows = db.execute("select campaign_id, sent_date from marts.campaign_performance")
            found: dict[int, date] = dict(rows.fetchall())
        campaigns = sandbox.account.truth("campaigns")
        [zone] = [
            zone
            for zone in (AUCKLAND, CHICAGO, TOKYO, "UTC")
            if all(
                (day and day.isoformat()) == day_in(zone, campaigns[number]["sdate"])
                for number, day in found.items()
            )
        ]
        return zone

    return zone


def day_in(zone: str, stamp: str | None) -> str | None:
    return stamp and datetime.fromisoformat(stamp).astimezone(ZoneInfo(zone)).date().isoformat()


def test_the_days_follow_the_timezone_of_the_accounts_and_its_changes(
    run: Run, sent: Callable[[], str]
) -> None:
    assert run(AUCKLAND, AUCKLAND).success
    assert sent() == AUCKLAND
    assert run(CHICAGO, CHICAGO, job="incremental_sync").success
    assert sent() == CHICAGO


def test_a_variable_that_a_user_or_the_project_sets_stands(
    run: Run, sent: Callable[[], str], models: Path
) -> None:
    assert run(AUCKLAND, variables=f"reporting_timezone: {TOKYO}").success
    assert sent() == TOKYO
    # variables about other things are kept
    assert run(AUCKLAND, variables="sales_velocity_days: 30").success
    assert sent() == AUCKLAND
    project = models / "dbt_project.yml"
    written = project.read_text()
    project.write_text(written.replace('reporting_timezone: ""', f"reporting_timezone: {CHICAGO}"))
    assert project.read_text() != written
    assert run(AUCKLAND).success
    assert sent() == CHICAGO


def test_where_accounts_differ_the_run_says_in_a_sentence_that_the_zone_is_to_be_set(
    run: Run, sent: Callable[[], str]
) -> None:
    assert failure(run(AUCKLAND, CHICAGO)) == (
        "The accounts have different time zones (one: Pacific/Auckland, two: America/Chicago): "
        "set the variable reporting_timezone in dbt_project.yml to the one whose days and months "
        "the models are to use."
    )
    assert run(AUCKLAND, CHICAGO, variables=f"reporting_timezone: {TOKYO}").success
    assert sent() == TOKYO


@pytest.mark.parametrize(
    ("args", "written", "zone"),
    [
        ([], "vars: {reporting_timezone: Asia/Tokyo}", TOKYO),
        ([], "vars: {activecampaign: {reporting_timezone: Asia/Tokyo}}", TOKYO),
        ([], 'vars: {reporting_timezone: ""}', ""),
        ([], "vars:", ""),
        ([], "name: shop", ""),
        ([], "- no project", ""),
        (["--vars", "{reporting_timezone: UTC}"], "vars: {reporting_timezone: Asia/Tokyo}", "UTC"),
        (["--vars={reporting_timezone: UTC}"], "name: shop", "UTC"),
        (["--vars", "{as_of: 2026-01-01}"], "vars: {reporting_timezone: Asia/Tokyo}", TOKYO),
        (["--vars", "{"], "vars: {reporting_timezone: Asia/Tokyo}", TOKYO),
        (["--vars", "text"], "vars: {reporting_timezone: Asia/Tokyo}", TOKYO),
        (["--vars"], "vars: {reporting_timezone: Asia/Tokyo}", TOKYO),
    ],
)
def test_the_variable_is_read_from_arguments_first_and_from_the_project_second(
    tmp_path: Path, args: list[str], written: str, zone: str
) -> None:
    (tmp_path / "dbt_project.yml").write_text(written)
    assert configured_timezone(tmp_path, args) == zone
