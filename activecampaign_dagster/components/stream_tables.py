"""From settings to tables: where and how streams land, with the mistakes in the settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from activecampaign_dagster.components.errors import Mistake
from activecampaign_dagster.components.personal_data import hashed_fields
from activecampaign_dagster.components.rereads import reread, reread_mistakes
from activecampaign_dagster.components.selection import Chosen, chosen
from activecampaign_dagster.components.settings import MAY_BE_STUBS, Settings, StreamSettings
from activecampaign_dagster.components.wording import KeyPath, suggestion
from activecampaign_dagster.orchestration.wording import enumerated
from activecampaign_dagster.streams.declaration import Stream, SyncType
from activecampaign_dagster.streams.registry import CORE, STREAMS
from activecampaign_dagster.streams.source import StreamTable

_SQL_NAME = "[A-Za-z][A-Za-z0-9_]*"


def stream_tables(settings: Settings) -> tuple[tuple[StreamTable, ...], list[Mistake]]:
    """The tables of what is read, those that the core would have, and the mistakes in both."""
    asked, mistakes = chosen(settings)
    made = []
    for name, stream in STREAMS.items():
        choice = asked.get(name)
        is_read = choice is not None and choice.settings.enabled
        choice = choice or Chosen(StreamSettings(name=name), ("streams",))
        stream_table = _stream_table(settings, stream, choice)
        mistakes += _stream_mistakes(stream, choice)
        mistakes += reread_mistakes(choice, stream_table.sync_type)
        if is_read or name in CORE:
            made.append(stream_table)
    mistakes += _table_mistakes(settings, made, asked)
    return tuple(made), mistakes


def _stream_table(settings: Settings, declared: Stream, choice: Chosen) -> StreamTable:
    wanted, stream = choice.settings, declared
    keep = None
    if wanted.fields is not None:
        keep = frozenset(wanted.fields) | stream.required | stream.owners
    elif wanted.exclude_fields:
        names = frozenset(f.name for f in stream.fields)
        keep = names - frozenset(wanted.exclude_fields) | stream.owners
    if wanted.access == "partial" and stream.stub:
        # what a stub has, and no stamp to move by
        keep = frozenset((*stream.stub.fields, stream.stub.flag))
        stream = replace(stream, changes=None)
    default = stream.sync_type if stream.replication_key else SyncType.FULL_TABLE
    sync_type = SyncType(wanted.sync_type) if wanted.sync_type else default
    return StreamTable(
        stream=stream,
        table=f"{settings.table_prefix}{wanted.table or stream.name}",
        sync_type=sync_type,
        keep=keep,
        left_out=stream.secrets - frozenset(wanted.fields or ()),
        hashed=hashed_fields(settings, stream),
        reread=reread(declared, choice, sync_type),
        is_named=choice.is_named,
    )


def _stream_mistakes(stream: Stream, choice: Chosen) -> Iterator[Mistake]:
    wanted, path = choice.settings, choice.path
    if wanted.access and not stream.stub:
        others = enumerated(MAY_BE_STUBS, "and")
        yield Mistake(
            (*path, "access"), f"{stream.name} has no access setting: only {others} have one"
        )
    if wanted.sync_type == "INCREMENTAL":
        if wanted.access == "partial" and stream.stub:
            yield Mistake(
                (*path, "sync_type"),
                f"with partial access the API sends {stream.name} without "
                f"{stream.replication_key}, so changes cannot be detected: write FULL_TABLE, or "
                "access: full once the key's user has the Manage pipeline permission",
            )
        elif not stream.replication_key:
            yield Mistake(
                (*path, "sync_type"),
                f"{stream.name} has no field that reliably shows when a record changed, so "
                f"sync_type must be FULL_TABLE",
            )
    yield from _field_mistakes(stream, choice)


def _field_mistakes(stream: Stream, choice: Chosen) -> Iterator[Mistake]:
    wanted, path = choice.settings, choice.path
    declared = [f.name for f in stream.fields]
    if wanted.fields is not None and wanted.exclude_fields is not None:
        yield Mistake(
            (*path, "exclude_fields"), "fields and exclude_fields cannot be combined: keep one"
        )
    if wanted.access == "partial" and stream.stub and (wanted.fields or wanted.exclude_fields):
        yield Mistake(
            (*path, "fields" if wanted.fields else "exclude_fields"),
            f"with partial access only {enumerated(stream.stub.fields, 'and')} are there: leave "
            "this out",
        )
    for setting in ("fields", "exclude_fields"):
        for index, name in enumerate(getattr(wanted, setting) or ()):
            if name not in declared:
                more = suggestion(name, declared) or f"; see `activecampaign streams {stream.name}`"
                yield Mistake((*path, setting, index), f"{stream.name} has no field {name!r}{more}")
    for index, name in enumerate(wanted.exclude_fields or ()):
        if name in stream.required:
            yield Mistake(
                (*path, "exclude_fields", index),
                f"{name} cannot be left out: syncs need it to match records to rows and to find "
                f"the newer version",
            )


def _table_mistakes(
    settings: Settings, made: list[StreamTable], asked: dict[str, Chosen]
) -> Iterator[Mistake]:
    prefix = settings.table_prefix
    if prefix and not re.fullmatch(_SQL_NAME, prefix):
        yield Mistake(
            ("table_prefix",),
            f"{prefix!r} cannot begin a table's name in SQL: it must begin with a letter, "
            f"followed by letters, digits and underscores, such as shop_",
        )
    tables: dict[str, str] = {}
    for stream_table in made:
        choice = asked.get(stream_table.name)
        path: KeyPath = (*choice.path, "table") if choice else ("streams",)
        table = choice.settings.table if choice else None
        if table is not None and not re.fullmatch(_SQL_NAME, table):
            yield Mistake(
                path,
                f"{table!r} is not a valid table name in SQL: it must begin with a letter, "
                f"followed by letters, digits and underscores",
            )
            continue
        other = tables.setdefault(stream_table.table.casefold(), stream_table.name)
        if other != stream_table.name:
            if table is None and (named := asked.get(other)):
                path = (*named.path, "table")
            yield Mistake(
                path,
                f"{other} and {stream_table.name} would share the table {stream_table.table}: give "
                "one of them another table",
            )
