"""dbt in this process, on databases that real syncs of the sandbox have filled."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.streams.registry import CORE, STREAMS
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.warehouse.file import connect
from tests.helpers import Warehouse, serving

PROJECT = Path(__file__).parents[2] / "dbt_project"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AS_OF = NOW + timedelta(days=60)
VARS = {"as_of": AS_OF.isoformat()}
# the variables that name the sources; all others are read when a node runs, not when it is parsed
NAMING = {"activecampaign_schema", "activecampaign_tables"}


@dataclass
class Dbt:
    """dbt on one database. All databases of a session share the artifacts' folder, so that the
    project is parsed once; hence they all have the same file name."""

    database: Path
    folder: Path
    manifests: dict[str, Manifest]
    patch: pytest.MonkeyPatch

    def run(self, *args: str, variables: dict[str, Any] | None = None) -> dbtRunnerResult:
        """The result of a dbt command; fails the test if dbt fails."""
        variables = variables or {}
        naming = {name: value for name, value in variables.items() if name in NAMING}
        runner = dbtRunner(manifest=self.parsed(json.dumps(naming)))
        return self._invoke(runner, *args, "--vars", json.dumps(VARS | variables))

    def parsed(self, naming: str = "{}") -> Manifest:
        """The project, with the variables that name its sources."""
        if naming not in self.manifests:
            self.manifests[naming] = self._invoke(dbtRunner(), "parse", "--vars", naming).result
        return self.manifests[naming]

    def _invoke(self, runner: dbtRunner, *args: str) -> dbtRunnerResult:
        self.patch.setenv("ACTIVECAMPAIGN_DATABASE", str(self.database))
        places = {"project-dir": PROJECT, "profiles-dir": PROJECT, "target-path": self.target}
        options = [f"--{name}={place}" for name, place in places.items()]
        # of a small build, half the time would go into writing the artifacts
        if args[0] != "docs":
            options.append("--no-write-json")
        try:
            result = runner.invoke([*args, *options, "--log-level=none", "--log-level-file=none"])
        finally:
            DuckDBConnectionManager.close_all_connections()
        if not result.success:
            failed = [
                f"{each.node.name}: {each.message}"
                for each in getattr(result.result, "results", [])
                if each.status in {"error", "fail"}
            ]
            pytest.fail(f"dbt {args[0]}: {result.exception or failed}")
        return result

    def build(
        self,
        *select: str,
        exclude: Sequence[str] = (),
        tests: bool = False,
        variables: dict[str, Any] | None = None,
    ) -> dbtRunnerResult:
        """Build seeds, snapshots and models; with the tests of their rows if asked for."""
        without = ["--exclude-resource-type=unit_test"]
        without += [] if tests else ["--exclude-resource-type=test"]
        without += ["--exclude", *exclude] if exclude else []
        chosen = ("--select", *select) if select else ()
        return self.run("build", *chosen, *without, variables=variables)

    def build_rows(self, *select: str) -> dbtRunnerResult:
        """Build anew what may have other rows; views and seeds stay as an earlier build made them,
        which is all that building them again would do."""
        return self.build(*select, exclude=["config.materialized:view", "config.materialized:seed"])

    @property
    def target(self) -> Path:
        return self.folder / "target"

    def artifact(self, name: str) -> dict[str, Any]:
        return json.loads((self.target / f"{name}.json").read_text())

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a query as dictionaries."""
        with connect(self.database) as db:
            result = db.execute(sql, values)
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def execute(self, sql: str) -> None:
        with connect(self.database) as db:
            db.execute(sql)


class Clock:
    """A clock that shows what it is set to."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class Observed:
    """A sandbox account with its warehouse: change it, sync it, build it, at set times."""

    def __init__(self, dbt: Dbt, account: Account, clock: Clock) -> None:
        self.dbt = dbt
        self.account = account
        self.clock = clock
        self.warehouse = Warehouse(dbt.database)

    def sync(self, at: datetime, streams: Sequence[str] = CORE) -> None:
        """A full sync of streams that writes its rows at a time."""
        more = [name for name in streams if name not in CORE]
        if more:
            names = (*CORE, *more)
            tables = tuple(StreamTable(STREAMS[n], n, STREAMS[n].sync_type) for n in names)
            source = Source(stream_tables=tables, enabled=frozenset(names))
            self.warehouse = replace(self.warehouse, source=source)
        with serving(self.account) as sandbox:
            self.warehouse.sync(sandbox, at=at, streams=streams)

    @cached_property
    def tables(self) -> dict[str, dict[int, dict[str, Any]]]:
        """The account's own records now, by the API's names of the collections."""
        names = [STREAMS[name].endpoint.collection for name in CORE]
        return {name: self.account.truth(name) for name in names}


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(scope="session")
def manifests() -> dict[str, Manifest]:
    """Parsed projects by the variables that name their sources."""
    return {}


@pytest.fixture(scope="session")
def session_patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="session")
def make_observed(artifacts, manifests, session_patch, tmp_path_factory):
    """Makes accounts with a database of their own, to be synced and built."""

    def make(seed: int, **options: Any) -> Observed:
        database = tmp_path_factory.mktemp("database") / "warehouse.duckdb"
        clock = Clock(NOW)
        options = {"contacts": 120, "deals": 120, "field_values": 300, **options}
        account = Account.generate(seed=seed, now=NOW, clock=clock, **options)
        return Observed(Dbt(database, artifacts, manifests, session_patch), account, clock)

    return make


@pytest.fixture(scope="session")
def built(make_observed) -> Observed:
    """An account that was synced, built and documented; not to be changed."""
    observed = make_observed(1)
    observed.sync(at=NOW + timedelta(minutes=5))
    observed.dbt.build()
    observed.dbt.run("docs", "generate")
    return observed


@pytest.fixture(scope="session")
def manifest(make_observed, artifacts) -> dict[str, Any]:
    path = artifacts / "parsed.json"
    make_observed(1).dbt.parsed().write(str(path))
    return json.loads(path.read_text())
