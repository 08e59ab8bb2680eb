"""Dagster's own storage that cannot be used is told in a sentence, not in SQL and stack traces.

Dagster notes each event of a run in its storage, SQLite files in DAGSTER_HOME or a PostgreSQL
server, also that a step has failed. A disk that is full there, or a server that restarts, ends a
run wherever it happens to be, mostly in Dagster's code; so the error gets its words where it
arises, in the library through which Dagster writes.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import click
import dagster as dg
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine, ExceptionContext
from sqlalchemy.exc import OperationalError

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.orchestration.dagster_internals import MessageOnlyError, storage_urls
from activecampaign_dagster.orchestration.failures import FIRST_WAIT, RETRIES

# SQLite calls it an I/O error where a quota is used up, or where it maps a file that cannot grow
_SIGNS = ("disk is full", "disk I/O error", "readonly database", "unable to open database file")
_PATIENCE = 60.0  # seconds; a PostgreSQL server that restarts is back within a few
_PAUSE = 0.5  # seconds

_log = logging.getLogger(__name__)
_servers: set[URL] = set()


class StorageError(ActiveCampaignError, MessageOnlyError, click.ClickException):
    """Dagster's storage cannot be written; its commands, logs and UI show the message alone."""

    is_permanent = True
    exit_code = 1

    def __init__(self, folder: Path, reason: str) -> None:
        message = (
            f"Dagster cannot write to its storage in {folder} ({reason}): make room on that disk "
            "or set DAGSTER_HOME to a folder on another one, then run again. Loaded rows are kept."
        )
        click.ClickException.__init__(self, message)
        self.show_message(message, type(self).__name__)

    def __str__(self) -> str:
        return self.message


class StorageLostError(ActiveCampaignError, MessageOnlyError, dg.RetryRequested, OperationalError):
    """The connection to Dagster's storage was lost; a step that it ends is begun again.

    It may arise in Dagster's code around a step, where nobody could turn it into a request to
    retry; so it is one. Those who connect to the storage once more go on doing so.
    """

    is_permanent = False

    def __init__(self, server: str, reason: str, lost: Exception) -> None:
        message = (
            f"The connection to Dagster's storage on {server} was lost ({reason}): loaded rows "
            f"are kept, and the step starts again."
        )
        # what both bases set, whose constructors do not know of each other
        Exception.__init__(self, message)
        self.max_retries, self.seconds_to_wait = RETRIES, FIRST_WAIT
        self.orig, self.statement, self.params = lost, None, None
        self.hide_parameters, self.connection_invalidated = True, True
        self.message = message
        self.show_message(message, type(self).__name__)

    def __str__(self) -> str:
        return self.message


def tell_in_a_sentence() -> None:
    """Let Dagster in this process raise StorageError where its storage cannot be written."""
    if not event.contains(Engine, "handle_error", _raise_ours):
        event.listen(Engine, "handle_error", _raise_ours)


def outlast_restarts(instance: dg.DagsterInstance) -> None:
    """Let this process, which executes a run, outlast restarts of the storage's server.

    A lost connection waits until the server answers again, then raises StorageLostError.
    """
    tell_in_a_sentence()
    _servers.update(storage_urls(instance))


def _raise_ours(context: ExceptionContext) -> None:
    engine = context.engine
    url = engine and engine.url
    if not engine or not url or not url.database:
        return
    original = context.original_exception
    lines = str(original).strip().splitlines() or [""]
    if context.dialect.name == "sqlite":
        if any(sign in lines[0] for sign in _SIGNS):
            raise StorageError(Path(url.database).parent, lines[0]) from None
    elif url in _servers and isinstance(original, engine.dialect.loaded_dbapi.OperationalError):
        _wait_for(engine)
        raise StorageLostError(url.host or "this machine", lines[0], original) from None


def _wait_for(engine: Engine) -> None:
    """Wait until a server takes connections, or for as long as a restart may take."""
    unusable: Any = engine.dialect.loaded_dbapi.Error
    until = time.monotonic() + _PATIENCE
    is_said = False
    while time.monotonic() < until:
        try:
            engine.raw_connection().close()
        except unusable as error:
            if not is_said:
                _log.warning("Waiting for Dagster's storage: %s", str(error).strip())
                is_said = True
            time.sleep(_PAUSE)
        else:
            return
