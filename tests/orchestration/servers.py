"""Dagster's storage on a PostgreSQL server, where one answers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy
from sqlalchemy.engine import URL, make_url

ROOT = Path(__file__).parents[2]
VARIABLE = "TEST_POSTGRES_URL"
_DEFAULT = "postgresql+psycopg2://postgres@127.0.0.1:5432/postgres"
_STORAGE = "\nstorage:\n  postgres:\n    postgres_url:\n      env: DAGSTER_POSTGRES_URL\n"


@contextmanager
def postgres() -> Iterator[URL]:
    """An empty database of its own on the server, which is dropped in the end."""
    server = make_url(os.environ.get(VARIABLE, _DEFAULT))
    engine = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT")
    name = f"dagster_{uuid4().hex[:12]}"
    try:
        with engine.connect() as db:
            db.execute(sqlalchemy.text(f"create database {name}"))
    except sqlalchemy.exc.OperationalError as error:
        pytest.skip(f"no PostgreSQL server answers at {server!r} ({VARIABLE}): {error.orig}")
    try:
        yield server.set(database=name)
    finally:
        with engine.connect() as db:
            db.execute(sqlalchemy.text(f"drop database {name} with (force)"))
        engine.dispose()


def home_with_postgres(home: Path, more: str = "") -> None:
    """Make a DAGSTER_HOME whose storage is at DAGSTER_POSTGRES_URL; more: further settings."""
    home.mkdir(parents=True, exist_ok=True)
    settings = (ROOT / "dagster.yaml").read_text("utf-8")
    (home / "dagster.yaml").write_text(settings + _STORAGE + more)


def shown(url: URL) -> str:
    """The address as it stands in a variable."""
    return url.render_as_string(hide_password=False)


class Restart(threading.Thread):
    """Ends the connection of whoever writes an event next, in the middle of its statement.

    As a server does that restarts, which others may be using: for `away` seconds after that nobody
    can connect to the database.
    """

    def __init__(self, url: URL, away: float = 0.0) -> None:
        super().__init__(daemon=True)
        self._url, self._away = url, away
        self.ended = 0
        self.is_ready = threading.Event()

    def begin(self) -> None:
        """Begin, and return once whoever writes next will be interrupted."""
        self.start()
        assert self.is_ready.wait(20)

    def run(self) -> None:
        server = sqlalchemy.create_engine(
            self._url.set(database="postgres"), isolation_level="AUTOCOMMIT"
        )
        own = sqlalchemy.create_engine(self._url)
        with own.connect() as holder, server.connect() as db:
            holder.execute(sqlalchemy.text("lock table event_logs in access exclusive mode"))
            self.is_ready.set()
            waiting = sqlalchemy.text(
                "select pid from pg_stat_activity "
                "where datname = :name and wait_event_type = 'Lock'"
            )
            while not (found := db.execute(waiting, {"name": self._url.database}).fetchall()):
                time.sleep(0.02)
            if self._away:
                self._allow(db, "false")
            for [pid] in found:
                db.execute(sqlalchemy.text(f"select pg_terminate_backend({pid})"))
                self.ended += 1
            holder.rollback()
            if self._away:
                time.sleep(self._away)
                self._allow(db, "true")
        own.dispose()
        server.dispose()

    def _allow(self, db: sqlalchemy.Connection, allowed: str) -> None:
        name = self._url.database
        db.execute(sqlalchemy.text(f"alter database {name} with allow_connections {allowed}"))
