"""Whether declarations can work, by themselves and together; mistakes fail at import."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from activecampaign_dagster.streams.declaration import (
    ByCreation,
    ById,
    Family,
    NewestFirst,
    Stream,
    Type,
)

_GROUPS = {"all", "core", *map(str, Family)}  # what users call several streams by


class DeclarationError(ValueError):
    """A stream is declared in a way that cannot work; the message names the stream."""


def _mistakes(stream: Stream) -> Iterable[str]:
    """What is wrong with a declaration by itself, in sentences."""
    names = [declared.name for declared in stream.fields]
    if not re.fullmatch("[a-z][a-z0-9_]*", stream.name):
        yield "its name must be lower-case letters, digits and underscores"
    if stream.name in _GROUPS:
        yield "its name stands for several streams"
    if len({name.casefold() for name in names}) != len(names):
        yield "two fields share a name (DuckDB ignores case)"
    missing = {use: name for use, name in _needed(stream).items() if name not in names}
    for use, name in missing.items():
        yield f"field {name!r} ({use}) is not declared"
    if missing:
        return
    if not stream.key:
        yield "no field tells its records apart"
    if isinstance(stream.walk, ById) and not stream.has_numeric_key:
        yield "a walk by id needs one numeric key"
    if isinstance(stream.walk, NewestFirst) and not stream.changes:
        yield "a walk from the newest record needs `changes` to know where it stops"
    if stream.beside and not stream.beside.has_own and stream.each:
        yield "it has a path for each parent, and is said to come beside their pages only"
    if stream.changes and stream.changes.before and not stream.changes.after:
        yield "it can be selected before a moment but not after one"
    yield from _unusable_types(stream)
    parameters = set(re.findall(r"\{(\w+)\}", stream.endpoint.path))
    if parameters != ({stream.each.parameter} if stream.each else set()):
        yield "the parameter of its path is not the one that `each` fills in"


def _unusable_types(stream: Stream) -> Iterable[str]:
    for name in sorted(stream.secrets & (stream.required | stream.owners)):
        yield f"field {name!r} is secret, but nothing can be read without it"
    for declared in stream.fields:
        if declared.nested_from and declared.type is not Type.JSON:
            yield f"field {declared.name!r} takes nested records, so its type must be JSON"
    if stream.pivot and stream.field(stream.pivot.column).type is not Type.JSON:
        yield "its pivot's column must be JSON"


def _needed(stream: Stream) -> dict[str, str]:
    """The fields that a declaration relies on: their use → their name."""
    needed = {f"key {name}": name for name in stream.key}
    if stream.changes:
        needed["stamp"] = stream.changes.stamp
    if stream.changes and stream.changes.created:
        needed["creation stamp"] = stream.changes.created
    if isinstance(stream.walk, ByCreation | NewestFirst):
        needed["walk's stamp"] = stream.walk.stamp
    if stream.beside:
        needed["owner"] = stream.beside.owner
    if stream.each:
        needed["parameter"] = stream.each.parameter
    if stream.pivot:
        needed["pivot's column"] = stream.pivot.column
    if stream.stub:
        needed |= {f"stub's {name}": name for name in (stream.stub.flag, *stream.stub.fields)}
    return needed


def registry(declared: Iterable[Stream]) -> dict[str, Stream]:
    """Streams by name; DeclarationError if they do not go together."""
    streams: dict[str, Stream] = {}
    for stream in declared:
        if streams.setdefault(stream.name, stream) is not stream:
            raise DeclarationError(f"two streams are called {stream.name}")
        for mistake in _mistakes(stream):
            raise DeclarationError(f"stream {stream.name}: {mistake}")
    for stream in streams.values():
        for mistake in _discords(stream, streams):
            raise DeclarationError(f"stream {stream.name}: {mistake}")
    return streams


def _discords(stream: Stream, streams: Mapping[str, Stream]) -> Iterable[str]:
    """What does not go together in a declaration and those that it names."""
    for declared in stream.fields:
        if declared.references and declared.references not in streams:
            yield f"field {declared.name!r} refers to {declared.references!r}, which is no stream"
    wanted: list[tuple[str, str, tuple[str, ...]]] = []
    if stream.beside:
        wanted.append(("parent", stream.beside.parent, ()))
    if stream.each:
        wanted.append(("parent", stream.each.stream, (stream.each.column,)))
    if pivot := stream.pivot:
        values = (pivot.label_of, pivot.value, pivot.currency)
        wanted.append(("pivot's child", pivot.child, tuple(filter(None, values))))
        labels = tuple(filter(None, (pivot.label, pivot.kind)))
        wanted.append(("pivot's labels", pivot.labels, labels))
    for use, name, fields in wanted:
        if name not in streams:
            yield f"its {use} {name!r} is no stream"
            continue
        known = {declared.name for declared in streams[name].fields}
        for missing in set(fields) - known:
            yield f"its {use} {name} has no field {missing!r}"
    child = streams.get(pivot.child) if pivot else None
    if child and (child.beside is None or child.beside.parent != stream.name):
        yield f"its pivot's child {child.name} does not come beside its pages"
    if stream.beside and (parent := streams.get(stream.beside.parent)) and parent.beside:
        yield f"its parent {parent.name} is itself a child"
