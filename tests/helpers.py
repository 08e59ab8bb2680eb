"""What the tests of several packages share: an account on loopback, a warehouse file, a sync."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pytest

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.registry import CORE
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.sync.outcomes import Outcome
from activecampaign_dagster.sync.request import Mode, SyncRequest, Window
from activecampaign_dagster.sync.run import sync
from activecampaign_dagster.warehouse import warehouse as warehouse_module
from activecampaign_dagster.warehouse.factory import warehouse_at
from activecampaign_dagster.warehouse.location import Location, locate

Table = dict[int, dict[str, Any]]

# a key that guards nothing, and the certificate of localhost that goes with it
SELF_SIGNED = Path(__file__).with_name("self_signed.pem")

_NOW = datetime.now(UTC)
_syncs = count(1)


@dataclass
class Warehouse:
    """What syncs land in: a DuckDB file, or another place.

    Whoever asks for the path of what is none is skipped: it is about the file.
    """

    file: Path
    source: Source = field(default_factory=Source)
    place: Location | None = None

    @property
    def path(self) -> Path:
        if self.place:
            pytest.skip("about the file")
        return self.file

    @property
    def location(self) -> Location:
        return self.place or locate(str(self.file), self.file)

    @property
    def opened(self) -> warehouse_module.Warehouse:
        return warehouse_at(self.location)

    def sync(self, sandbox: Sandbox, mode: Mode = Mode.FULL, **options: Any) -> dict[str, Outcome]:
        """One sync of the account behind `sandbox`, as `outcomes` has it; outcomes by stream."""
        with closing(self.outcomes(sandbox, mode, **options)) as outcomes:
            return {outcome.stream_table.name: outcome for outcome in outcomes}

    def outcomes(
        self,
        sandbox: Sandbox,
        mode: Mode = Mode.FULL,
        *,
        streams: Sequence[str] | None = None,
        window: Window | None = None,
        at: datetime | None = None,
        rests: bool = False,
        compares: bool = False,
        per_second: int | None = None,
        url: str | None = None,
    ) -> Generator[Outcome]:
        """The outcomes of one sync as they come. streams: None for all that the source reads."""
        request = SyncRequest(
            streams=self.source.enabled if streams is None else frozenset(streams),
            mode=mode,
            window=window,
            sync_id=f"sync-{next(_syncs)}",
            at=at,
            rests=rests,
            compares=compares,
        )
        with Client(url or sandbox.url, sandbox.api_key, per_second=per_second) as client:
            yield from sync(
                self.source,
                request,
                client=client,
                warehouse=self.opened,
                log=logging.getLogger("sync"),
            )

    @property
    def staging(self) -> Path:
        return self.location.folder("staging") / self.source.name

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with self.opened.connect() as db:
            return db.execute(sql).fetchall()

    def tables(self, names: Iterable[str] = CORE) -> dict[str, Table]:
        """Tables by name, as `table` gives them."""
        with self.opened.connect() as db:
            return {name: _rows(db.execute(f'from activecampaign."{name}"')) for name in names}

    def table(self, name: str) -> Table:
        """A table's rows by id, as dictionaries."""
        return self.tables([name])[name]

    def live(self, name: str) -> Table:
        """The rows that are in the account, without the sync's own columns."""
        return live(self.table(name))


def live(table: Table) -> Table:
    """A table's rows that are in the account, without the sync's own columns."""
    return {
        row_id: {key: value for key, value in row.items() if not key.startswith("_")}
        for row_id, row in table.items()
        if row["_deleted_at"] is None
    }


def _rows(result: duckdb.DuckDBPyConnection) -> Table:
    names = [column[0] for column in result.description]
    rows = (dict(zip(names, row, strict=True)) for row in result.fetchall())
    return {row["id"]: row for row in rows}


@contextmanager
def serving(account: Account | None = None, **options: Any) -> Iterator[Sandbox]:
    """An account on loopback, without a rate limit unless one is given.

    If none is given, it is a small made-up one: always the same.
    """
    sizes = {"contacts": 230, "deals": 150, "field_values": 500}
    clock = partial(datetime.now, UTC)
    account = account or Account.generate(seed=1, now=_NOW, clock=clock, **sizes)
    options = {"requests_per_second": None, **options}
    with Sandbox(account, **options) as sandbox:
        yield sandbox


@contextmanager
def encrypted() -> Iterator[str]:
    """A URL on loopback where a certificate is shown that nobody has vouched for, and no more."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(SELF_SIGNED)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def shake_hands() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        context.wrap_socket(connection, server_side=True).close()

        threading.Thread(target=shake_hands, daemon=True).start()
        yield f"https://localhost:{listener.getsockname()[1]}"
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread


def unresolved(monkeypatch: pytest.MonkeyPatch, code: int) -> list[str]:
    """From now on name servers answer with an error; returns the names that are asked for."""
    asked: list[str] = []

    def look_up(host: str, *_: object, **__: object) -> None:
        asked.append(host)
        raise socket.gaierror(code, "as the name server says")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked
