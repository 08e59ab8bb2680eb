"""One or more accounts on loopback, with their definitions and a Dagster instance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

from activecampaign_dagster.components.source import ActiveCampaignSource, together
from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.jobs import common_job
from activecampaign_dagster.sandbox.account import Account as SandboxAccount
from activecampaign_dagster.sandbox.server import Sandbox

# few partitions, as Dagster writes an event for each, and few streams
_NOW = datetime.now(UTC)
_START = (_NOW - timedelta(days=180)).date().replace(day=1)
QUICK = {"requests_per_second": 0, "start_date": _START.isoformat(), "streams": "core"}


def small(**options: Any) -> SandboxAccount:
    """An account that is read in a second: always the same one."""
    sizes = {"contacts": 60, "deals": 40, "field_values": 120, "years": 1, "campaign_count": 5}
    sizes |= {"bulk_import": 5, "stub_share": 0.1, "now": _NOW, "clock": lambda: datetime.now(UTC)}
    return SandboxAccount.generate(**{**sizes, **options})


@dataclass
class Setup:
    """Definitions of accounts, and where they run."""

    sources: list[ActiveCampaignSource]
    instance: dg.DagsterInstance
    database: Path

    def __post_init__(self) -> None:
        together(self.sources)
        for source in self.sources:
            source._is_of_package = True  # so that a single account's jobs have the plain names
        self.accounts: list[Account] = [source.account() for source in self.sources]
        self.definitions = dg.Definitions.merge(
            *(source.definitions() for source in self.sources),
            dg.Definitions(
                jobs=[common_job(mode, self.accounts) for mode in ("incremental", "full")]
                if len(self.accounts) > 1
                else []
            ),
        )

    @property
    def account(self) -> Account:
        return self.accounts[0]

    def run(
        self,
        job: str = "full_refresh",
        *,
        tags: Mapping[str, str] | None = None,
        streams: list[str] | None = None,
        fails: bool = False,
    ) -> dg.ExecuteInProcessResult:
        """A run of a job, in this process."""
        config = {"ops": {self.account.op: {"config": {"streams": streams}}}}
        result = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            tags=dict(tags or {}),
            run_config=config if streams else None,
        )
        if not fails:
            assert result.success, failure(result)
        return result

    def materialize(
        self,
        *streams: str,
        partition: str | None = None,
        to: str | None = None,
        fails: bool = False,
    ) -> dg.ExecuteInProcessResult:
        """A run that materializes streams as the UI's button does, of a range of partitions."""
        tags = {
            "dagster/asset_partition_range_start": partition or "",
            "dagster/asset_partition_range_end": to or "",
        }
        keys = [self.account.key(name) for name in streams]
        result = self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            tags=tags if to else {},
            partition_key=None if to else partition,
            asset_selection=keys,
        )
        if not fails:
            assert result.success, failure(result)
        return result

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.database) as db:
            return db.execute(sql).fetchall()

    def partitions(self, stream: str) -> set[str]:
        """The partitions of a stream that are marked as materialized."""
        return set(self.instance.get_materialized_partitions(self.account.key(stream)))

    def metadata(self, stream: str) -> dict[str, Any]:
        """The metadata of a stream's last materialization that is not of a partition only."""
        records = self.instance.fetch_materializations(self.account.key(stream), limit=300).records
        found = [r.asset_materialization for r in records if r.asset_materialization]
        last = next(m for m in found if "read" in m.metadata)
        return {key: value.value for key, value in last.metadata.items()}


Ran = tuple[Setup, dg.ExecuteInProcessResult]


def checks(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
    """(stream, check) → its evaluation in a run."""
    return {(e.asset_key.path[-1], e.check_name): e for e in result.get_asset_check_evaluations()}


def failure(result: dg.ExecuteInProcessResult) -> str:
    """What a failed run says."""
    event = next(e for e in result.all_events if e.is_step_failure)
    data = event.step_failure_data
    assert data.error
    assert not data.error.stack
    return data.error.message


@contextmanager
def environment(
    monkeypatch: Any, tmp_path: Path, **sandboxes: Sandbox
) -> Iterator[dg.DagsterInstance]:
    """The variables of the accounts (prefix → sandbox) and the database, and an instance."""
    for prefix, sandbox in sandboxes.items():
        monkeypatch.setenv(f"{prefix}_URL", sandbox.url)
        monkeypatch.setenv(f"{prefix}_API_KEY", sandbox.api_key)
    monkeypatch.setenv("ACTIVECAMPAIGN_DATABASE", str(tmp_path / "warehouse.duckdb"))
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        yield instance
