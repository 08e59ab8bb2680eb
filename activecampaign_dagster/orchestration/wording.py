"""Names in sentences."""

from __future__ import annotations

from collections.abc import Iterable


def enumerated(names: Iterable[str], conjunction: str) -> str:
    """The names as a sentence lists them: "a, b and c"."""
    *first, last = names
    return f"{', '.join(first)} {conjunction} {last}" if first else last
