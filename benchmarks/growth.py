"""How large the database grows by daily syncs, and how large a fresh copy of it would be."""

from __future__ import annotations

import logging
import random
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.registry import CORE
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.sync.request import Mode, SyncRequest
from activecampaign_dagster.sync.run import sync
from activecampaign_dagster.warehouse.factory import warehouse_at
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.location import locate
from activecampaign_dagster.warehouse.rewrite import rewrite

_DAYS, _SHARE = 200, 0.01
_TABLES = {"contacts", "deals", "custom_field_values"}


def daily(contacts: int, deals: int, values: int) -> Iterator[tuple[str, str]]:
    """File size and row groups over so many days of syncs, in each of which 1 % is changed."""
    now = [datetime(2026, 1, 1, 6, tzinfo=UTC)]
    account = Account.generate(
        contacts=contacts,
        deals=deals,
        field_values=values,
        now=now[0],
        clock=lambda: now[0],
    )
    rng = random.Random(1)
    logging.getLogger("sync").setLevel("ERROR")
    with (
        Sandbox(account, requests_per_second=None) as served,
        tempfile.TemporaryDirectory() as folder,
    ):
        path = Path(folder) / "a.duckdb"
        with Client(served.url, served.api_key, per_second=None) as client:
            _sync(client, path, Mode.FULL)
            yield "after the first sync", _state(path)
            for day in range(1, _DAYS + 1):
                now[0] += timedelta(days=1)
                _change(account, rng, day)
                _sync(client, path, Mode.INCREMENTAL)
                if day in {1, 10, 50, 100, 150, _DAYS}:
                    yield f"after {day} incremental syncs", _state(path)
        fresh = Path(shutil.copy(path, Path(folder) / "b.duckdb"))
        with connect(fresh) as db:
            rewrite(db, fresh)
        yield "written anew", _state(fresh)


def _change(account: Account, rng: random.Random, day: int) -> None:
    """Change 1 % of the contacts with the values of theirs, and 1 % of the deals."""
    contacts = list(account.contacts.live)
    fields = list(account.fields.fields)
    for contact in rng.sample(contacts, round(len(contacts) * _SHARE)):
        account.update_contact(contact, firstName=f"Day {day}")
        for field in rng.sample(fields, 3):
            account.set_field_value(contact, field, f"{rng.random()}")
    deals = list(account.deals.live)
    for deal in rng.sample(deals, round(len(deals) * _SHARE)):
        account.update_deal(deal, value=rng.randrange(10_000_000))


def _sync(client: Client, path: Path, mode: Mode) -> None:
    for _ in sync(
        Source(overlap=timedelta(minutes=10)),
        SyncRequest(streams=frozenset(CORE), mode=mode, sync_id="benchmark"),
        client=client,
        warehouse=warehouse_at(locate(str(path), path)),
        log=logging.getLogger("sync"),
    ):
        pass


def _state(path: Path) -> str:
    """The size of a database, and for its large tables: row groups, rows, and rows with space."""
    with connect(path) as db:
        found = []
        for table in sorted(_TABLES):
            groups, stored = db.execute(
                "select count(*), sum(rows) from (select row_group_id, max(start + count) "
                f"- min(start) as rows from pragma_storage_info('activecampaign.{table}') "
                "where segment_type <> 'VALIDITY' group by all)"
            ).fetchone() or (0, 0)
            (rows,) = db.execute(f"select count(*) from activecampaign.{table}").fetchone() or (0,)
            found.append(f"{table} {groups} row groups, {rows:,} rows of {stored:,} stored")
        (free,) = db.execute(
            "select free_blocks * block_size / 1e6 "
            "from pragma_database_size() where database_name = current_database()"
        ).fetchone() or (0,)
    return f"{path.stat().st_size / 1e6:.1f} MB, of which {free:.1f} MB free; {'; '.join(found)}"
