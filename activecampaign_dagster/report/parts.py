"""What the report is made of, and how it words numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

Number = int | float | Decimal


@dataclass(frozen=True, slots=True)
class Tile:
    """A headline figure; `doubt` says how much of it rests on unknown dates."""

    value: str
    meaning: str
    detail: str = ""
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart; `length` is its share of the longest, from 0 to 1."""

    label: str
    length: float
    text: str
    detail: str = ""
    is_faint: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars by group, side by side (`bars`) or upright (`columns`)."""

    title: str
    note: str
    kind: str
    groups: tuple[tuple[str, tuple[Bar, ...]], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column is a name and whose others are numbers."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    missing: tuple[str, ...] = ()


def whole(value: Number | None) -> str:
    """A number without its fraction."""
    return "n/a" if value is None else f"{value:,.0f}"


def short(value: Number | None) -> str:
    """An amount in as little room as a phone leaves for it."""
    if value is None:
        return "n/a"
    amount = float(value)
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(amount) >= unit:
            units = amount / unit
            return f"{units:.0f}{letter}" if abs(units) >= 100 else f"{units:.3g}{letter}"
    return f"{amount:.0f}"


def share(value: Number | None) -> str:
    """A share as a percentage."""
    return "n/a" if value is None else f"{value:.0%}"


def signed(value: Number | None) -> str:
    """A whole number with its sign, zero without."""
    if value is None:
        return "n/a"
    return f"{value:+,.0f}".replace("-", "\N{MINUS SIGN}") if value else "0"


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural unless it is one."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def day(value: date | None) -> str:
    """A day in as little room as a column of a table has."""
    return "n/a" if value is None else f"{value.day} {value:%b %y}"


def doubt(unknown: int, of: int) -> str:
    """How many deals of a figure have no known date; empty if all have one."""
    return f"{unknown:,} of {counted(of, 'deal')} of unknown date" if unknown else ""


def against(period: str, count: str, last: Number | None, so_far: Number | None) -> str:
    """What a figure of a period rests on, beside the last period's, whole and to the same day."""
    return f"{count} · last {period}: {whole(last)}, to the same day: {whole(so_far)}"


def beside(number: int, unknown: int) -> str:
    """A number of deals and, in brackets, how many of them have no known date."""
    return f"{number:,} ({unknown:,}?)" if unknown else f"{number:,}"
