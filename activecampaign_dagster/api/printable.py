"""Texts of an account, fit to be printed: names steer no terminal and forge no line."""

from __future__ import annotations

_LONGEST = 200  # characters of one text


def printable(text: str) -> str:
    """A text with blanks in place of all that is not printable, line ends included."""
    return "".join(c if c.isprintable() else " " for c in text)


def one_line(text: object) -> str:
    """A text as one line of bearable length."""
    return " ".join(printable(str(text)).split())[:_LONGEST]
