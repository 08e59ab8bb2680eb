"""What `activecampaign streams` prints: the streams by family, or one in detail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from activecampaign_dagster.orchestration.wording import enumerated
from activecampaign_dagster.streams.declaration import Family, Stream
from activecampaign_dagster.streams.registry import STREAMS

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


def mentioning(word: str | None) -> list[Stream]:
    """The streams of a family, or those whose name, description or fields have a word in them."""
    if word in set(Family):
        return [one for one in STREAMS.values() if one.family == word]
    return [one for one in STREAMS.values() if word is None or _mentions(one, word)]


def by_family(streams: Iterable[Stream], word: str | None) -> Iterator[str]:
    """A line for each family and stream; with a word, the fields that mention it, too."""
    chosen = list(streams)
    width = max(len(one.name) for one in chosen)
    for family in Family:
        of_family = [one for one in chosen if one.family is family]
        if of_family:
            yield str(family)
        for one in of_family:
            yield f"  {one.name:{width}}  {'on ' if one.default else 'off'}  {_line(one, word)}"


def detailed(stream: Stream) -> Iterator[str]:
    """One stream: what it is, how it is read, its fields."""
    yield f"{stream.name}: {_line(stream, None)}"
    yield stream.description
    yield ""
    facts = dict(_facts(stream))
    width = max(map(len, facts))
    yield from (f"  {name:{width}}  {text}" for name, text in facts.items())
    yield ""
    yield from (f"  {f.name:32} {f.type:12} {f.description}" for f in stream.fields)


def described(stream: Stream) -> dict[str, Any]:
    """One stream, for machines."""
    return {
        "name": stream.name,
        "family": str(stream.family),
        "default": stream.default,
        "path": stream.endpoint.path,
        "key": list(stream.key),
        "comes_with": stream.parent,
        "description": stream.description,
        "sync_type": str(stream.sync_type),
        "replication_key": stream.replication_key,
        "secret_fields": sorted(stream.secrets),
        "fields": [
            {"name": f.name, "type": str(f.type), "description": f.description}
            for f in stream.fields
        ],
    }


def every(span: timedelta) -> str:
    """A rhythm in words: every hour, every 7 days."""
    for unit, name in ((_DAY, "day"), (_HOUR, "hour")):
        if span % unit == timedelta(0):
            return f"every {name}" if span == unit else f"every {span // unit} {name}s"
    minutes = span / timedelta(minutes=1)
    return f"every {minutes:g} minutes" if minutes >= 1 else "in every sync"


def _facts(stream: Stream) -> Iterator[tuple[str, str]]:
    """What a user may want to know of a stream, apart from its fields: name → text."""
    yield "family", str(stream.family)
    yield "read", "by default" if stream.default else "only if it is listed by name (see above)"
    yield "path", stream.endpoint.path
    yield "key", enumerated(stream.key, "and")
    if stream.beside:
        passes = every(stream.beside.passes)
        yield "comes with", f"{stream.beside.parent}, all of which are read for it {passes}"
    if stream.each:
        yield "costs", f"a request or more for each of {stream.each.stream}"
    if stream.missing:
        yield "needs", stream.missing.says
    if stream.secrets:
        names = enumerated(sorted(stream.secrets), "and")
        yield "secret", f"{names}: left out unless `fields` lists them"
    if personal := [f.name for f in stream.fields if f.personal]:
        yield "personal", enumerated(personal, "and")


def _line(stream: Stream, word: str | None) -> str:
    key = f", by {stream.replication_key}" if stream.replication_key else ""
    parent = f", with {stream.parent}" if stream.parent else ""
    line = f"{stream.sync_type}{key}{parent}; {len(stream.fields)} fields"
    matching = _fields(stream, word) if word else []
    return f"{line}: {', '.join(matching)}" if matching else line


def _mentions(stream: Stream, word: str) -> bool:
    text = f"{stream.name} {stream.description}".casefold()
    return word.casefold() in text or bool(_fields(stream, word))


def _fields(stream: Stream, word: str) -> list[str]:
    word = word.casefold()
    return [f.name for f in stream.fields if word in f"{f.name} {f.description}".casefold()]
