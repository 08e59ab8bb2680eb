"""Keys: the text that tells a record of a collection from all others."""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Callable, Iterable
from typing import Any

KeyOf = Callable[[Any], str | None]
"""Gives the key of a record, None if the record has no proper one."""

_ID_DIGITS = 18  # any such number is a BIGINT


def numeric_id(record: Any) -> str | None:
    """The key of a record with a number as its `id`, sent as text or as a number.

    It comes without leading zeros. None for 0, for what is no number and for more than 18 digits.
    """
    sent = record.get("id") if isinstance(record, dict) else ""
    text = str(sent) if isinstance(sent, str | int) else ""
    if not (text.isascii() and text.isdecimal() and len(text) <= _ID_DIGITS):
        return None
    return text.lstrip("0") or None


def keys(records: Iterable[Any], key: KeyOf) -> list[str]:
    """The key of each record, or its content if it has none."""
    return [key(record) or _content(record) for record in records]


def _content(record: Any) -> str:
    try:
        return str(record)
    except RecursionError:  # nested more deeply than most of Python can follow
        return hashlib.sha256(marshal.dumps(record, 2)).hexdigest()
