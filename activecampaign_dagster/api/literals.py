"""JSON numbers that no number of ours is equal to, kept as the text that they were written in.

An integer beyond 64 bits, `1e400`, `NaN`, or more digits than a float has would become another
number, or none, on the way to the tables. As text they arrive as they were sent: a column that
cannot hold them rejects them verbatim.

orjson changes most of them without a word. It is four times as fast as the standard library, so it
reads all pages but those that may hold such a number. What gives a page away is a number of 16
characters or more, or with an exponent below -99, seen in the page's shape:

    page     "id": 18446744073709551616, "n": "2024-10"
    shape    .....:00000000000000000000::...:..0000:00.     0: digits and dots

The shape of a page of contacts (300 kB) costs 0.3 ms, of the 40 ms that a sync spends on a page.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any

import orjson

_EXACT = 15  # digits that every float holds
_LONGEST_INTEGER = 20  # characters, in 64 bits
_LONG, _TINY = b":" + b"0" * (_EXACT + 1), b"0e:000"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")  # half of a character, or of none


def _shape_table() -> bytes:
    table = bytearray(b"." * 256)
    for shape, characters in ((b"0", b"0123456789."), (b":", b":,[- \t\r\n"), (b"e", b"eE")):
        for character in characters:
            table[character] = shape[0]
    return bytes(table)


_SHAPE = _shape_table()


def loads(content: bytes | bytearray) -> Any:
    """The JSON in `content`, with numbers that would be altered as text. Raises ValueError."""
    shape = content.translate(_SHAPE)
    # a shape is searched from its end for what begins with a rarer character than it ends with
    if _LONG not in shape and shape.rfind(_TINY) < 0:
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            pass  # NaN, 1e400 and lone surrogates, which others send for JSON, or none
    try:
        return _verbatim(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _verbatim(content: bytes | bytearray) -> Any:
    """The JSON in `content` by the standard library; lone surrogates become question marks."""
    found = json.loads(content, parse_int=_integer, parse_float=_real, parse_constant=str)
    if not _SURROGATE.search(content):
        return found
    clean = json.dumps(found, ensure_ascii=False).encode("utf-8", "replace")
    return json.loads(clean)


def _integer(literal: str) -> int | str:
    if len(literal) <= _LONGEST_INTEGER and -(2**63) <= (number := int(literal)) < 2**64:
        return number
    return literal


def _real(literal: str) -> float | str:
    number = float(literal)
    try:
        is_equal = math.isfinite(number) and Decimal(literal) == Decimal(repr(number))
    except ArithmeticError:  # its exponent is beyond all bounds
        is_equal = False
    return number if is_equal else literal
