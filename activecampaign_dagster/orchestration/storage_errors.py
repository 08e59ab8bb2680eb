"""Dagster's own storage that cannot be written is told in a sentence, not in SQL and stack traces.

Dagster notes each event of a run in SQLite files in DAGSTER_HOME, also that a step has failed. A
disk that is full there ends a run wherever it happens to be, mostly in Dagster's code; so the error
gets its words where it arises, in the library through which Dagster writes.
"""

from __future__ import annotations

from pathlib import Path

import click
from sqlalchemy import event
from sqlalchemy.engine import Engine, ExceptionContext

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.orchestration.dagster_internals import MessageOnlyError

# SQLite calls it an I/O error where a quota is used up, or where it maps a file that cannot grow
_SIGNS = ("disk is full", "disk I/O error", "readonly database", "unable to open database file")


class StorageError(ActiveCampaignError, MessageOnlyError, click.ClickException):
    """Dagster's storage cannot be written; its commands, logs and UI show the message alone."""

    is_permanent = True
    exit_code = 1

    def __init__(self, folder: Path, reason: str) -> None:
        message = (
            f"Dagster cannot write to its storage in {folder} ({reason}): make room on that disk "
            "or set DAGSTER_HOME to a folder on another one, then run again. What has landed stays."
        )
        click.ClickException.__init__(self, message)
        self.show_message(message, type(self).__name__)

    def __str__(self) -> str:
        return self.message


def tell_in_a_sentence() -> None:
    """Let Dagster in this process raise StorageError where its storage cannot be written."""
    if not event.contains(Engine, "handle_error", _raise_ours):
        event.listen(Engine, "handle_error", _raise_ours)


def _raise_ours(context: ExceptionContext) -> None:
    text, url = str(context.original_exception), context.engine and context.engine.url
    if context.dialect.name != "sqlite" or not url or not url.database:
        return
    if any(sign in text for sign in _SIGNS):
        raise StorageError(Path(url.database).parent, text) from None
