"""docs/lake.md, followed from its first command to its last.

Hosts are folders with a project, a home and a scratch folder of their own, and PostgreSQL is the
server of this machine, in a database and with roles of the test's own. Only `pip install` is not
run but looked up: the packages of the extras that it names have to be installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import requires, version
from pathlib import Path
from uuid import uuid4

import duckdb
import pytest
from packaging.requirements import Requirement

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.warehouse.extensions import LAKE_EXTENSIONS, _packaged
from tests import lakes
from tests.helpers import Warehouse

PAGE = Path(__file__).parents[1] / "docs" / "lake.md"
PROJECT = "my_project"
QUICK = "  streams: core\n  requests_per_second: 0\n"
_BLOCK = re.compile(r"^```(\S+) (\S+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
pytestmark = pytest.mark.slow


@dataclass
class Journey:
    """The places of the page, and what its commands have printed."""

    folder: Path
    accounts: dict[str, Sandbox]
    name: str = field(default_factory=lambda: f"lake_{uuid4().hex[:12]}")
    passwords: tuple[str, str] = ("canary-writer", "canary-reader")
    said: str = ""

    @property
    def roles(self) -> tuple[str, str]:
        """Of the PostgreSQL server, who writes and who reads."""
        return f"{self.name}_writer", f"{self.name}_reader"

    def place(self, who: str) -> Path:
        """The folder in which somebody types commands."""
        return self.folder / who / PROJECT if who.startswith("host") else self.folder / who

    def ours(self, text: str, who: str) -> str:
        """A block of the page with this test's names in place of the page's."""
        server, here = lakes.server(), self.folder
        for theirs, own in {
            "db.internal": server["PGHOST"],
            "5432": server["PGPORT"],
            "-U postgres": f"-U {server['PGUSER']}",
            "<writer password>": self.passwords[0],
            "<reader password>": self.passwords[1],
            "lake_writer": self.roles[0],
            "lake_reader": self.roles[1],
            "/srv/lake": str(here / "shared"),
            "/var/lib/activecampaign": str(here / who / "scratch"),
        }.items():
            text = text.replace(theirs, own)
        return re.sub(r"(?<![\w./-])lake(?![\w.])", self.name, text)

    def run(self, who: str, *command: str) -> str:
        """What a command prints, which must succeed."""
        home = self.folder / who
        dropped = ("ACTIVE", "DAGSTER", "DBT", "PG", "PYTHONPATH", "VIRTUAL_ENV")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
        environment = {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "PYTHONPATH": str(self.place(who) / "src"),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "DO_NOT_TRACK": "1",
            "COLUMNS": "200",
        }
        if who == "administrator":
            environment["PGPASSWORD"] = lakes.server()["PGPASSWORD"]
        done = subprocess.run(
            command,
            cwd=self.place(who),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=900,
        )
        printed = done.stdout + done.stderr
        assert done.returncode == 0, f"{who}: {command}\n{printed[-4000:]}"
        self.said += printed
        return printed

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """Rows of the lake, as the page's reader gets them."""
        script = "import duckdb; db = duckdb.connect(); db.execute(open('lake.sql').read()); "
        script += f"print(db.sql({sql!r}).fetchall())"
        role, server = self.roles[1], lakes.server()
        found = self.run(
            "reader",
            *("env", f"PGHOST={server['PGHOST']}", f"PGPORT={server['PGPORT']}"),
            *(f"PGUSER={role}", f"PGDATABASE={self.name}", sys.executable, "-c", script),
        )
        rows: list[tuple[object, ...]] = eval(found)
        return rows

    def deals(self, *accounts: str) -> list[tuple[str, int]]:
        """Account and number of deals, as they are in the accounts."""
        found = ((name, self.accounts[name].account) for name in sorted(accounts))
        return [(name, len(account.visible_ids("deals"))) for name, account in found]


@pytest.fixture
def journey(tmp_path: Path) -> Iterator[Journey]:
    """Two projects, the first with a file that a sync has filled, and a reader's folder."""
    if reason := lakes.why_none():
        pytest.skip(reason)
    with (
        Sandbox(small(1), requests_per_second=None) as crm,
        Sandbox(small(2), requests_per_second=None) as shop,
    ):
        made = Journey(tmp_path, {"crm": crm, "shop": shop})
        for host, sandbox in (("host-1", crm), ("host-2", shop)):
            (tmp_path / host).mkdir()
            scaffold = ("create-dagster", "project", str(made.place(host)), "--no-uv-sync")
            subprocess.run([Path(sys.executable).with_name(scaffold[0]), *scaffold[1:]], check=True)
            secrets = (
                f"ACTIVECAMPAIGN_URL={sandbox.url}\nACTIVECAMPAIGN_API_KEY={sandbox.api_key}\n"
            )
            (made.place(host) / ".env").write_text(secrets)
        for component, name in (("ActiveCampaignSource", "crm"), ("DbtModels", "crm_models")):
            made.run(
                "host-1", *f"dg scaffold defs activecampaign_dagster.{component} {name}".split()
            )
        _append(made, "host-1", "crm", QUICK)
        _fill_file(made, crm)
        (tmp_path / "administrator").mkdir()
        _prepare_reader(made)
        try:
            yield made
        finally:
            lakes.ask(f"drop database if exists {made.name} with (force)")
            for role in made.roles:
                lakes.ask(f"drop role if exists {role}")


def _fill_file(journey: Journey, sandbox: Sandbox) -> None:
    """What a full refresh leaves of an account, and a snapshot as dbt makes them."""
    data = journey.place("host-1") / "data"
    data.mkdir()
    file = Warehouse(data / "warehouse.duckdb", Source(name="crm"))
    file.sync(sandbox)
    file.query("create schema snapshots")
    file.query("create table snapshots.kept as select 1 as id, now() as dbt_valid_from")


def small(seed: int) -> Account:
    return Account.generate(
        seed=seed, contacts=60, deals=40, field_values=120, years=1, campaign_count=5
    )


def _append(journey: Journey, host: str, account: str, text: str) -> None:
    file = journey.place(host) / "src" / PROJECT / "defs" / account / "defs.yaml"
    with file.open("a") as open_file:
        open_file.write(text)


def _prepare_reader(journey: Journey) -> None:
    """A home with a password file, fetched extensions, and a dbt project with a model."""
    home = journey.place("reader")
    with duckdb.connect() as db:
        [(platform,)] = db.execute("pragma platform").fetchall()
    extensions = home / ".duckdb" / "extensions" / f"v{duckdb.__version__}" / platform
    extensions.mkdir(parents=True)
    for name in LAKE_EXTENSIONS:
        packaged = _packaged(name)
        assert packaged
        shutil.copy(packaged, extensions)
    (home / ".pgpass").write_text(f"*:*:*:{journey.roles[1]}:{journey.passwords[1]}\n")
    (home / ".pgpass").chmod(0o600)
    (home / "dbt_project.yml").write_text("name: bi\nprofile: bi\n")
    (home / "models").mkdir()


def _installed(command: str) -> None:
    """What `pip install 'activecampaign-dagster[…]'` would install is installed."""
    wanted = Requirement(command.split("'")[1])
    for line in requires(wanted.name) or ():
        requirement = Requirement(line)
        if requirement.marker and any(
            requirement.marker.evaluate({"extra": extra}) for extra in wanted.extras
        ):
            assert requirement.specifier.contains(version(requirement.name)), line


def _do(journey: Journey, language: str, who: str, file: str, text: str) -> str:
    """Do what a block of the page says."""
    text = journey.ours(text, who)
    if file:
        (journey.place(who) / file).write_text(text)
        return ""
    if language == "python":
        return journey.run(who, sys.executable, "-c", text)
    assert language == "sh", language
    lines = text.splitlines()
    for line in lines:
        if line.startswith("pip install"):
            _installed(line)
    text = "\n".join(line for line in lines if not line.startswith("pip install"))
    return journey.run(who, "bash", "-euo", "pipefail", "-c", text)


def _after_the_first_host(journey: Journey, said: str) -> None:
    assert "snapshots.kept: 1 rows" in said
    assert "rows copied and compared" in said


def _after_readers(journey: Journey, said: str) -> None:
    assert re.search(r"│ crm +│ +40 │", said)
    assert re.search(r"│ shop +│ +40 │", said)
    by_account = "select account, count(*) from marts.deals group by all order by all"
    assert journey.query(by_account) == journey.deals("crm", "shop")
    with duckdb.connect(journey.place("reader") / "bi.duckdb", read_only=True) as db:
        built = db.sql("select account, count(*) from deals group by all order by all")
        assert built.fetchall() == journey.deals("crm", "shop")


def _after_the_backup(journey: Journey, said: str) -> None:
    by_account = "select account, count(*) from marts.deals group by all order by all"
    assert journey.query(by_account) == journey.deals("crm", "shop")
    journey.accounts["crm"].account.add_contact()
    journey.run("host-1", "dg", "launch", "--job", "crm__incremental_sync")
    [(people,)] = journey.query("select count(*) from activecampaign.contacts")
    assert people == 61
    assert journey.query("select id from snapshots.kept") == [(1,)]


CHECKS: dict[str, Callable[[Journey, str], None]] = {
    "The first host": _after_the_first_host,
    "Readers": _after_readers,
    "Backup and restore": _after_the_backup,
}


def test_the_page_leads_from_a_file_to_a_lake_on_two_hosts(journey: Journey) -> None:
    sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    titles = [section.partition("\n")[0] for section in sections]
    assert CHECKS.keys() <= set(titles)
    for title, section in zip(titles, sections, strict=True):
        said = ""
        for language, who, file, text in _BLOCK.findall(section):
            if "pg_restore" in text:  # what is done after a backup is undone
                moved = [journey.place("host-1") / name for name in ("lake.dump", "lake.files")]
                for each in moved:
                    shutil.move(each, journey.place("administrator"))
            said += _do(journey, language, who, file, text)
            if "dg scaffold" in text:
                _append(journey, who, "shop", QUICK)
        if check := CHECKS.get(title):
            check(journey, said)
    for password in journey.passwords:
        assert password not in journey.said


def test_every_block_of_the_page_is_run() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count("\n```") == 2 * len(_BLOCK.findall(text))
