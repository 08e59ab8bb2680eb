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


def _iso(value: object) -> bytes:
    return b'"%b"' % stamps.iso(value) if type(value) is int else dumps(value)


def _naive(value: object) -> bytes:
    return b'"%b"' % stamps.naive(value) if type(value) is int else dumps(value)


def _utc(value: object) -> bytes:
    return b'"%b"' % stamps.utc(value) if type(value) is int else dumps(value)


FORMATS: dict[bytes, Callable[[Any], bytes]] = {
    b"json": dumps,
    b"quoted": _quoted,
    b"iso": _iso,
    b"naive": _naive,
    b"utc": _utc,
}
# for facts that are bytes or numbers already
_DIRECT = {b"text": rb'"%(\1)b"', b"int": rb'"%(\1)d"', b"raw": rb"%(\1)b"}


class Shape:
    """A record's JSON with holes: `"<<fact:format>>"` for a value, `<id>` for the record's id."""

    def __init__(self, record: Record) -> None:
        # an id can be a number in JSON, too
        template = orjson.dumps(record).replace(b'"<<number:json>>"', _ID)
        template = template.replace(b"%", b"%%").replace(b"<id>", _ID)
        self._holes = [
            (b"%b:%b" % (fact, way), fact.decode(), FORMATS[way])
            for fact, way in dict.fromkeys(_VALUE.findall(template))
            if way in FORMATS
        ]
        self._template = _VALUE.sub(
            lambda found: found.expand(_DIRECT.get(found[2], rb"%(\1:\2)b")), template
        )

    def render(self, number: int, facts: Facts) -> bytes:
        """The record with its holes filled."""
        return self.fill(number, {hole: write(facts[fact]) for hole, fact, write in self._holes})

    def fill(self, number: int, holes: Mapping[bytes, bytes | int]) -> bytes:
        """The record of a shape that has the formats `text`, `int` and `raw` alone."""
        # a record holds its id about twenty times, nearly all in links: one replace is faster
        return (self._template % holes).replace(_ID, b"%d" % number)


def links(path: str, names: str) -> dict[str, str]:
    """A record's `links`: absolute URLs on the account's host."""
    return {name: f"{HOST}/{path}/{name}" for name in names.split()}


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
