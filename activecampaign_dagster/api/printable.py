"""Texts fit to be printed: an account's names steer no terminal and forge no line."""

from __future__ import annotations

_LONGEST = 200  # characters of one text


def printable(text: str) -> str:
    """A text with blanks in place of all that is not printable, line ends included."""
    return "".join(c if c.isprintable() else " " for c in text)


def one_line(text: object) -> str:
    """A text as one line of bearable length, cut behind a word if need be."""
    line = " ".join(printable(str(text)).split())
    if len(line) <= _LONGEST:
        return line
    cut = line[:_LONGEST]
    return f"{cut.rpartition(' ')[0] or cut[:-1]}…"


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural unless it is one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
