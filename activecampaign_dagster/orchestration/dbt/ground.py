"""What the models of a project are made of, as it stands now (see `due`)."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
from dagster_dbt import DbtProject

from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.dbt.due import Ground
from activecampaign_dagster.orchestration.dbt.timezone import configured_timezone
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.warehouse import builds, ledger

_GENERATED = {"target", "logs"}
_ASKED = re.compile(r"""env_var\(\s*['"]([^'"]+)""")
_TOOLS = ("activecampaign-dagster", "dbt-core", "dbt-duckdb", "duckdb")


def ground(
    db: duckdb.DuckDBPyConnection,
    project: DbtProject,
    args: Sequence[str],
    accounts: Sequence[Account],
) -> Ground:
    """What models are made of now. args: of dbt's command."""
    settings = sorted(_settings(account.source) for account in accounts)
    contents, forms = builds.streams(db)
    return Ground(
        common=builds.digest(signature(project.project_dir), *args, *settings),
        streams=contents,
        forms=forms,
        day=_day(ledger.last_sync(db), configured_timezone(project.project_dir, args)).isoformat(),
    )


def own_files(project_dir: Path) -> Iterator[Path]:
    """The project's files, without those that dbt makes."""
    for child in project_dir.iterdir():
        if child.name not in _GENERATED:
            paths = [child] if child.is_file() else child.rglob("*")
            yield from (path for path in paths if path.is_file())


def signature(project_dir: Path) -> str:
    """A digest of all that dbt reads of a project: 150 files take 5 ms.

    These are its files, the environment variables that they ask for, and which dbt it is. Profiles
    tell how to reach the database, not what is in it.
    """
    found = hashlib.sha256()
    asked: set[str] = set()
    for path in sorted(own_files(project_dir)):
        content = path.read_bytes()
        found.update(f"{path.relative_to(project_dir)}\0{len(content)}\0".encode())
        found.update(content)
        if path.name != "profiles.yml":
            asked |= set(_ASKED.findall(content.decode(errors="replace")))
    for name in sorted(asked):
        found.update(f"{name}\0{os.environ.get(name)}\0".encode())
    for tool in _TOOLS:
        found.update(f"{tool} {version(tool)}\0".encode())
    return found.hexdigest()


def _settings(source: Source) -> str:
    """What the settings of an account say about what its tables hold."""
    held = (
        (
            table.name,
            table.table,
            str(table.sync_type),
            sorted(table.keep) if table.keep is not None else None,
            sorted(table.left_out),
            sorted(table.hashed),
        )
        for table in source.stream_tables
    )
    return repr((source.name, sorted(source.enabled), source.pivots, sorted(held, key=str)))


def _day(last_sync: datetime | None, timezone: str) -> date:
    """The day that the models would call today: that of the last sync, where reports are read."""
    zone = ZoneInfo("UTC")
    with suppress(KeyError, ValueError):
        zone = ZoneInfo(timezone)
    return (last_sync or datetime.now(UTC)).astimezone(zone).date()
