"""What the warehouse knows about an account, read without holding anybody up.

`_streams` holds how far each stream is; `_account_facts` what `activecampaign check` found out
about the account's API, and which account it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.sql import SCHEMA
from activecampaign_dagster.warehouse.tables import create_facts
from activecampaign_dagster.warehouse.warehouse import Connect, transaction

_PATIENCE = 2.0  # seconds; whoever asks can ask again later
OFFSETS_HONOURED = "offsets_honoured"  # per filtered stream: yes, no or unknown
_OVERLAP_WITH_OFFSETS = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class StreamState:
    """How far a stream is: stamps in UTC, and the rows that are in the account."""

    watermark: datetime | None
    last_synced_at: datetime | None
    live_rows: int


def stream_states(path: Path, account: str) -> dict[str, StreamState]:
    """Stream → state, for the streams that have been synced; raises WarehouseError."""
    if not path.exists():
        return {}
    with connect(path, patience=_PATIENCE, read_only=True) as db:
        exists = db.execute(
            "select 1 from duckdb_tables() where schema_name = ? and table_name = '_streams'",
            [SCHEMA],
        ).fetchone()
        if not exists:
            return {}
        rows = db.execute(
            f"select stream, watermark, last_synced_at, live_rows from {SCHEMA}._streams "
            "where account = ?",
            [account],
        ).fetchall()
    states = {name: StreamState(*state) for name, *state in rows}
    return {name: state for name, state in states.items() if state.last_synced_at}


def store_facts(open_database: Connect, account: str, facts: Mapping[str, str]) -> None:
    """Replace what is known about an account; raises WarehouseError."""
    now = datetime.now(UTC)
    with open_database() as db:
        create_facts(db)
        with transaction(db):
            for fact, value in facts.items():
                owner = [account, fact]
                db.execute(
                    f"delete from {SCHEMA}._account_facts where account = ? and fact = ?", owner
                )
                db.execute(
                    f"insert into {SCHEMA}._account_facts values (?, ?, ?, ?)", [*owner, value, now]
                )


def with_known_overlap(source: Source, db: duckdb.DuckDBPyConnection) -> Source:
    """The source with the shorter overlap, if date filters are known to honour offsets."""
    filtered = {t.stream.parent or t.name for t in source.stream_tables if t.name in source.enabled}
    filtered &= {t.name for t in source.stream_tables if t.stream.can_filter}
    facts = dict(
        db.execute(
            f"select fact, value from {SCHEMA}._account_facts where account = ?", [source.name]
        ).fetchall()
    )
    if all(facts.get(f"{OFFSETS_HONOURED}:{stream}") == "yes" for stream in filtered):
        return replace(source, overlap=min(source.overlap, _OVERLAP_WITH_OFFSETS))
    return source
