"""Records as bytes: shapes with holes, filled without building a dict for every record."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from activecampaign_dagster.sandbox import stamps

HOST = "https://sandbox.api-us1.com/api/3"
_ID = b"\x01"  # never part of JSON
_VALUE = re.compile(rb'"<<([\w.]+):(\w+)>>"')


class Absent:
    """As the value of a change: the key is left out of the record."""


ABSENT: Final = Absent()

Record = dict[str, Any]
Facts = Mapping[str, Any]


def dumps(value: object) -> bytes:
    """JSON, also for strings that are no valid unicode (lone surrogates)."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()


def inner(text: str) -> bytes:
    """A text as it stands between the quotes of a JSON string."""
    return dumps(text)[1:-1]


def _quoted(value: object) -> bytes:
    """A number as text, as the API sends most of them; other values are plain JSON."""
    return b'"%d"' % value if type(value) is int else dumps(value)


def _stamp(write: Callable[[int], bytes]) -> Callable[[Any], bytes]:
    """Instants are written by `write`, other values (null, a text) are plain JSON."""
    return lambda value: b'"%b"' % write(value) if type(value) is int else dumps(value)


FORMATS: dict[bytes, Callable[[Any], bytes]] = {
    b"json": dumps,
    b"quoted": _quoted,
    b"iso": _stamp(stamps.iso),
    b"naive": _stamp(stamps.naive),
    b"utc": _stamp(stamps.utc),
    b"text": lambda escaped: b'"%b"' % escaped,
    b"raw": bytes,
}


class Shape:
    """A record's JSON with holes: `"<<fact:format>>"` for a value, `<id>` for the record's id."""

    def __init__(self, record: Record) -> None:
        template = orjson.dumps(record).replace(b"%", b"%%").replace(b"<id>", _ID)
        self._holes = [
            (b"%b:%b" % (fact, way), fact.decode(), FORMATS[way])
            for fact, way in dict.fromkeys(_VALUE.findall(template))
        ]
        self._template = _VALUE.sub(rb"%(\1:\2)b", template)

    def render(self, number: int, facts: Facts) -> bytes:
        """The record with its holes filled."""
        holes = {hole: write(facts[fact]) for hole, fact, write in self._holes}
        # a record holds its id about twenty times, nearly all in links: one replace is faster
        return (self._template % holes).replace(_ID, b"%d" % number)


def links(path: str, names: tuple[str, ...]) -> dict[str, str]:
    """A record's `links`: absolute URLs on the account's host."""
    return {name: f"{HOST}/{path}/{name}" for name in names}


def merged(raw: bytes, changes: Mapping[str, object] | None) -> bytes:
    """A rendered record with changed, added and left-out keys."""
    if not changes:
        return raw
    record: Record = orjson.loads(raw)
    for key, value in changes.items():
        if value is ABSENT:
            record.pop(key, None)
        else:
            record[key] = value
    return dumps(record)
