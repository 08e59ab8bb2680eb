"""From settings to how often incremental syncs read all of a stream, with the mistakes in them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from activecampaign_dagster.components.errors import Mistake
from activecampaign_dagster.components.selection import Chosen
from activecampaign_dagster.components.settings import RereadSettings
from activecampaign_dagster.orchestration import triggers
from activecampaign_dagster.streams.declaration import Stream, SyncType

_REFERENCE_DATA = timedelta(hours=1)  # it seldom changes, and five minutes are a usual trigger
_ALWAYS = timedelta.resolution  # the shortest time there is


def reread(stream: Stream, choice: Chosen, sync_type: SyncType) -> timedelta | None:
    """How often incremental syncs read all of a stream, as `StreamTable.reread` has it.

    stream: as it is declared. sync_type: the one that holds for this account.
    """
    wanted = choice.settings.reread
    is_full_table = sync_type is SyncType.FULL_TABLE
    match wanted:
        case RereadSettings():
            try:
                return _span(wanted)
            except ValueError:
                return _by_default(stream, is_full_table=is_full_table)
        case "always":
            return None if is_full_table else _ALWAYS
        case "never":
            return None
        case _:
            return _by_default(stream, is_full_table=is_full_table)


def _by_default(stream: Stream, *, is_full_table: bool) -> timedelta | None:
    if is_full_table and stream.sync_type is SyncType.INCREMENTAL:
        return None  # whoever chose FULL_TABLE wants it as current as each sync can make it
    if stream.beside:
        return stream.beside.passes
    return _REFERENCE_DATA if is_full_table else None


def reread_mistakes(choice: Chosen, sync_type: SyncType) -> Iterator[Mistake]:
    """A time span that is none, or a stream that would never be read."""
    wanted, path = choice.settings.reread, (*choice.path, "reread")
    if isinstance(wanted, RereadSettings):
        try:
            _span(wanted)
        except ValueError as error:
            yield Mistake((*path, "every"), str(error))
    elif wanted == "never" and sync_type is SyncType.FULL_TABLE:
        yield Mistake(
            path,
            f"{choice.settings.name} is FULL_TABLE, so incremental syncs must read all of it: "
            "write a long time, such as {every: 4 weeks}",
        )


def _span(wanted: RereadSettings) -> timedelta:
    return triggers.span(wanted.every)
