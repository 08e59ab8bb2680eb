"""Records and bodies that no honest account sends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from activecampaign_dagster.streams.registry import STREAMS
from benchmarks.hostile_server import PATHS, Body, Records, Scenario, raw, record

_MAIN = ("contacts", "deals", "custom_field_values", "campaigns")
_TYPES = [
    True, False, 1.5, [], {}, [1, "a", None], {"a": {"b": [1]}}, "x", "", None, -1, 0, "0000-00-00",
    " 12 ", "1e3", "0x10", "\u0661\u0662", "true", "NULL", "[", "1_000", "12\n",
]  # fmt: skip
_STAMPS = [
    "0000-01-01T00:00:00+00:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
    "10000-01-01T00:00:00+00:00", "+12024-01-01T00:00:00Z", "-0001-01-01T00:00:00Z",
    "2024-01-01T24:00:00-06:00", "2016-12-31T23:59:60Z", "2024-02-30T00:00:00Z", "2024-13-01",
    "2024-01-01T00:00:00+23:59", "2024-01-01T00:00:00-23:59", "2024-01-01T00:00:00+24:00",
    "2024-01-01T00:00:00+15:59:59", "2024-01-01T00:00:00.123456789123Z",
    "9998-12-31T23:59:59-23:59",
    "infinity", "-infinity", "epoch", "now", "today", "294247-01-10 04:00:54.775806+00",
    "290309-12-22 (BC)",
    "2024-06-01 00:00:00 Europe/Berlin", "2024-06-01T00:00:00 Mars/Base", 1700000000, "1700000000",
    1e300, "2024-W01-1", "20240101", "20240101T000000Z", "\u0662\u0660\u0662\u0664-01-01",
    "2024-01-01\0",
    "1000-01-01T00:00:00+23:59", "0999-12-31T23:59:59-23:59", "1883-11-18T12:00:00-05:50:36",
]  # fmt: skip
_LITERALS = [
    "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616",
    "-9223372036854775809", "1e400", "-1e400", "1e-400", "NaN", "Infinity", "-Infinity", "9" * 400,
    "0." + "3" * 400, "-0", "-0.0", "1.5", "1E+2", "1e18", "1.0", "0.1e1", "1e99999999999999999999",
    "9007199254740993", "9007199254740993.0", "1" * 5000,
]  # fmt: skip
_NUMBERS = [raw(each) for each in _LITERALS] + _LITERALS
_TEXTS = [
    "a\0b", "\0", raw('"\\ud800"'), raw('"\\udc00\\ud800"'), raw('"a\\u0000b"'), "\ufeff",
    raw('"\\ud83d\\ude00\\ud83d"'), "\u2028", "\x1b[31m\r\n", "\U0001f642", "e\u0301", "\uffff",
    raw('"\xff"'), "'; drop table x; --", "\\u0000", "\\", '"', "{}", "null",
]  # fmt: skip
_KEYS = [
    "", " ", "a\0b", "\0", "_synced_at", "_sync_id", "_deleted_at", "_hidden_at", "_key", "_hash",
    "rowid", "made", "key", "_other_fields", "n", "r", "x", "u", "_u", "filename",
    "file_row_number",
    "k" * 70_000, '"; drop table x', "a.b", 'a"b', "a'b", raw('"\\ud800"'),
    "\u0130", "i\u0307", "\xdf", "SS",
    "ss", "\xe9", "e\u0301", "\xc9", "select", "*", "$", "$.a", "a[0]", "_row", "_rank", "_changed",
    "_from", "_n", "_account", "account", "_rejected", "_stub", "_parent", "_seen_at", "ID", "Id",
    "Email", "EMAIL", "CDATE", "uDate", "Udate", "MDATE", "ISDISABLED", "Contact", "\u212a", "K",
    "_SYNCED_AT", "_Other_Fields", "RowId", "__proto__", "\n", "\ufeffid", "id ", "customFields",
]  # fmt: skip
_IDS: list[Any] = [
    None, "", "abc", -5, "-5", 0, "0", raw("9223372036854775807"), "9223372036854775807",
    raw("18446744073709551616"), "9" * 400, raw("1e3"), 1.5, "1.5", True, [], {}, [7], "007", " 7 ",
    7, "7", 7.0, "\u0667", "1\x1f2", "7\0", "999999999999999999", "1e2", 12, "12", raw('"\\ud800"'),
]  # fmt: skip


def _deep(levels: int) -> list[str]:
    objects = '{"a":' * levels + "1" + "}" * levels
    return [
        raw("[" * levels + "]" * levels),
        raw(objects),
        raw("[" * levels + '"a\\u0000"' + "]" * levels),
    ]


def _all_fields(stream: str, values: list[Any]) -> Records:
    """A record for each value, which all of its fields have, and one whose stamps are right."""
    names = [field.name for field in STREAMS[stream].fields if field.name != "id"]
    stamps = ("cdate", "udate", "mdate", "contact", "field", "isDisabled")
    odd: Records = []
    for number, value in enumerate(values, 500):
        odd.append({"id": str(2 * number), **dict.fromkeys(names, value), "undeclared": value})
        kept = [name for name in names if name not in stamps]
        right = {name: record(stream, number)[name] for name in stamps}
        odd.append({**right, "id": str(2 * number + 1), **dict.fromkeys(kept, value)})
    return odd


def _keyed(stream: str) -> Records:
    each: Records = [{**record(stream, 1000 + n), key: f"v{n}"} for n, key in enumerate(_KEYS)]
    whole = json.dumps(record(stream, 1500))[:-1]
    doubled = raw(whole + ',"id":"1501","title":1,"title":[2],"a":1,"a":"b","":1,"":2}')
    once = {**record(stream, 1700), **dict.fromkeys(_KEYS, "2024-01-01T00:00:00Z")}
    return [*each, doubled, once]


def _families() -> Iterator[tuple[str, Callable[[str], Records]]]:
    yield "wrong types", lambda s: _all_fields(s, _TYPES)
    yield "absurd stamps", lambda s: _all_fields(s, _STAMPS)
    yield "absurd numbers", lambda s: _all_fields(s, _NUMBERS)
    yield "absurd texts", lambda s: _all_fields(s, _TEXTS)
    yield "bytes of surrogates", lambda s: _all_fields(s, ["\ud800", "a\udfffb"])
    yield "keys of surrogates", lambda s: [{**record(s, 1000), "\ud800": "\udc00"}]
    yield "control characters", lambda s: _all_fields(s, [raw('"\x01\x1f"')])
    yield "absurd keys", _keyed
    yield "a field called key", lambda s: [{**record(s, 1000), "key": "5"}]
    for levels in (250, 254, 300, 1000, 5000):
        yield f"nested {levels} levels", lambda s, n=levels: _all_fields(s, _deep(n))  # type: ignore[misc]
    yield (
        "5,000 new fields",
        lambda s: [
            {**record(s, 1000), **{f"new{n}": n for n in range(5000)}},
            *(
                {**record(s, 1001 + n), **{f"more{n}_{m}": m for m in range(100)}}
                for n in range(50)
            ),
        ],
    )
    yield (
        "10 MB texts",
        lambda s: [
            {**record(s, 1000 + n), "title": "x" * 10_000_000, "new": "\0" + "y" * 3_000_000}
            for n in range(3)
        ],
    )
    yield "no objects", lambda _: [
        None, 1, "x", "", [], [[]], True, 1.5, raw("NaN"), raw("1" * 400), {}, *_deep(300)
    ]  # fmt: skip
    yield (
        "absurd ids",
        lambda s: (
            [{**record(s, 1000), "id": each} for each in _IDS]
            + [{name: value for name, value in record(s, 1000).items() if name != "id"}]
        ),
    )
    yield "an id twice", lambda s: [{**record(s, 7), "title": n, "id": 7} for n in range(5)]


def _set(key: str, value: Any) -> Callable[[Body], None]:
    def change(body: Body) -> None:
        body[key] = value

    return change


def _in_records(path: str, key: str, value: Any) -> Callable[[Body], None]:
    def change(body: Body) -> None:
        for each in body[path]:
            each[key] = value

    return change


def _bodies(stream: str) -> Iterator[tuple[str, Callable[[Body], None]]]:
    path, values = PATHS[stream], ("null", "{}", '"x"', "7", '{"0":{"id":"1"}}', "[null,1,[],{}]")
    for text in values:
        yield f"list is {text}", _set(path, raw(text))
    yield "list is missing", lambda body: body.pop(path)
    totals = (
        "-5", "1e400", "[]", "NaN", '"9999999999999999999"', '"\u0661"', f'"{"9" * 5000}"', "2",
        "1000000", '"1.5"', "true", "9" * 5000,
    )  # fmt: skip
    for meta in ("null", "[]", "7", *(f'{{"total":{total}}}' for total in totals)):
        yield f"meta is {meta[:30]}", _set("meta", raw(meta))
    array, listed = {
        "contacts": ("fieldValues", "fieldValues"),
        "custom_fields": ("fieldOptions", "options"),
    }[stream]
    for text in (*values, "[]"):
        yield f"include is {text}", _set(array, raw(text))
    yield "include is cut", lambda body: body.update({array: (body.get(array) or [])[:3]})
    yield "include is missing", lambda body: body.pop(array, None)
    every: tuple[Any, ...] = (None, {}, "1", [None, {}, []], ["x"], 7, ["1", "1", "1"], [10**30])
    for ids in every:
        yield f"ids are {ids}", _in_records(path, listed, ids)


def all_records() -> Iterator[Scenario]:
    """Each kind of record in the streams that are read in different ways."""
    for name, made in _families():
        deep = name.startswith("nested")
        one = "surrogates" in name or name.startswith("control")
        few = ("deals", "custom_fields") if deep or one else _MAIN
        for stream in few:
            yield Scenario(
                f"{name} ({stream})", name.split(" 5")[0] if deep else name, stream, made(stream)
            )
    for name, made in [each for each in _families() if not each[0].startswith(("nested", "10 MB"))]:
        for stream in ("users", "custom_fields"):
            if name.startswith(("absurd", "wrong", "no ob")):
                yield Scenario(f"{name} ({stream})", name, stream, made(stream))
    for stream in ("contacts", "custom_fields"):
        for name, body in _bodies(stream):
            yield Scenario(f"{name} ({stream})", "bodies and includes", stream, body=body)
