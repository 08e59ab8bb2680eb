"""Secrets in texts that others wrote, hidden in every spelling.

A server may echo the key it was sent: cut, in other case, as part of a URL, escaped, with line
breaks in it. A secret is therefore looked for in what a text spells, not in its characters:

    text      a u t h : % 4 1 b c \\n D e f …
    spells    a u t h :   A   b c     D e f …    escapes decoded
    compared  a u t h     a   b c     d e f …    without case, letters and digits alone

A part of a secret is as much of one. Texts are hidden before they are cut, never after.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator

HIDDEN = "…"
_PART = 8  # characters of a secret that are not met by chance
_LAYERS = 4  # escapes within escapes
_ESCAPE = re.compile(
    r"%(?P<url>[0-9a-f]{2})|\\u(?P<json>[0-9a-f]{4})|\\x(?P<python>[0-9a-f]{2})"
    r"|&#x(?P<html>[0-9a-f]{1,6});|&#(?P<decimal>[0-9]{1,7});|\\(?P<letter>[abfnrtv0\\])",
    re.IGNORECASE,
)
_LOGGERS = ("connection", "connectionpool", "poolmanager", "response", "util.retry")

_Unit = tuple[str, int, int]
"""A character, and where in the text it is spelt."""


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` with each of `secrets`, and each longer part of one, replaced by an ellipsis."""
    letters = list(_folded(_unescaped(text)))
    spelt = "".join(letter for letter, _, _ in letters)
    spans: list[tuple[int, int]] = []
    for secret in secrets:
        found = _found(spelt, "".join(map(_fold, secret)))
        spans += [(letters[first][1], letters[last - 1][2]) for first, last in found]
    out, position = "", 0
    for start, end in sorted(spans):
        if end > position:
            out += text[position:start] + (HIDDEN if start >= position else "")
            position = end
    return out + text[position:]


def _unescaped(text: str) -> list[_Unit]:
    """The characters that a text spells, with its escapes decoded, those in escapes too."""
    units = [(character, i, i + 1) for i, character in enumerate(text)]
    for _ in range(_LAYERS):
        spelt = "".join(character for character, _, _ in units)
        decoded: list[_Unit] = []
        position = 0
        for match in _ESCAPE.finditer(spelt):
            first, last = match.span()
            decoded += units[position:first]
            decoded.append((_decoded(match), units[first][1], units[last - 1][2]))
            position = last
        if not position:
            break
        units = decoded + units[position:]
    return units


def _decoded(escape: re.Match[str]) -> str:
    kind, digits = str(escape.lastgroup), escape[str(escape.lastgroup)]
    if kind == "letter":  # a control character is left out like any other
        return "\\" if digits == "\\" else " "
    code = int(digits, 10 if kind == "decimal" else 16)
    return chr(code) if code <= 0x10FFFF else " "


def _folded(units: Iterable[_Unit]) -> Iterator[_Unit]:
    """The letters that are compared: without case and all that is no letter or digit."""
    for character, start, end in units:
        for letter in _fold(character):
            yield letter, start, end


def _fold(character: str) -> str:
    if unicodedata.category(character)[0] in "CPSZ" and character != HIDDEN:
        return ""
    return unicodedata.normalize("NFKC", character).casefold()


def _found(spelt: str, secret: str) -> Iterator[tuple[int, int]]:
    """Where in `spelt` there are parts of `secret` that are not met by chance."""
    size = min(_PART, len(secret))
    parts = {secret[i : i + size] for i in range(len(secret) - size + 1)} - {""}
    first = 0
    while first + size <= len(spelt):
        last = first + size
        if spelt[first:last] not in parts:
            first += 1
            continue
        while last < len(spelt) and spelt[first : last + 1] in secret:
            last += 1
        yield first, last
        first = last


class _Hiding(logging.Filter):
    """Hides secrets in the records of the loggers that it is added to."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Hide what a record says; a trace might say it once more."""
        record.msg, record.args = redact(record.getMessage(), self.secrets), ()
        record.exc_info = record.exc_text = None
        return True


_hiding = _Hiding()


def hide_in_logs(secret: str) -> None:
    """Keep `secret` out of what the HTTP library logs, such as headers that it cannot parse."""
    _hiding.secrets.add(secret)
    for name in _LOGGERS:
        logging.getLogger(f"urllib3.{name}").addFilter(_hiding)
