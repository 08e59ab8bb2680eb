"""Query parameters read the way the account's PHP reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

Params = Sequence[tuple[str, str]]

MAX_LIMIT = 100
DEFAULT_LIMIT = 20

_NESTED = re.compile(r"([^\[\]]+)\[([^\[\]]*)\](?:\[([^\[\]]*)\])?")
_NUMBER = re.compile(r"\s*([+-]?\d{1,18})")


@dataclass(frozen=True, slots=True)
class Query:
    """One request's parameters.

    `plain` holds `name=value`, `filters` and `orders` the parameters of those names in brackets
    (`filters[name][contains]` is the filter `name.contains`),
    `ids` those of `ids[]=1&ids[]=2` or `ids=1,2`. Of a repeated parameter the last one counts.
    """

    limit: int
    offset: int
    plain: tuple[tuple[str, str], ...]
    filters: tuple[tuple[str, str], ...]
    orders: tuple[tuple[str, bool], ...]
    ids: frozenset[int] | None
    include: tuple[str, ...]

    def get(self, name: str) -> str | None:
        """A plain parameter."""
        return dict(self.plain).get(name)

    def plain_without(self, *names: str) -> tuple[tuple[str, str], ...]:
        """The plain parameters that select records, without those named and without paging."""
        return tuple(
            item for item in self.plain if item[0] not in {"limit", "offset", "include", *names}
        )

    def filter(self, name: str) -> str | None:
        """A parameter `filters[name]`."""
        return dict(self.filters).get(name)


def integer(text: str | None) -> int | None:
    """PHP's (int): the leading digits, and nothing for what has none."""
    match = _NUMBER.match(text or "")
    return int(match[1]) if match else None


def read(params: Params) -> Query:
    """Parameters as sent → what the account understands. Never fails.

    ActiveCampaign API: limit is 20 by default and at most 100, offset counts from zero.
    """
    plain: dict[str, str] = {}
    filters: dict[str, str] = {}
    orders: dict[str, str] = {}
    ids: list[int] | None = None
    for name, value in params:
        nested = _NESTED.fullmatch(name)
        if nested is None:
            plain[name] = value
        elif nested[1] == "filters":
            filters[f"{nested[2]}.{nested[3]}" if nested[3] else nested[2]] = value
        elif nested[1] == "orders":
            orders[nested[2]] = value
        elif nested[1] == "ids":
            ids = [*(ids or []), integer(value) or 0]
    if "ids" in plain:
        ids = [*(ids or []), *(integer(part) or 0 for part in plain["ids"].split(","))]
    limit = integer(plain.get("limit")) or 0
    return Query(
        limit=min(limit, MAX_LIMIT) if limit > 0 else DEFAULT_LIMIT,
        offset=max(0, integer(plain.get("offset")) or 0),
        plain=tuple(plain.items()),
        filters=tuple(filters.items()),
        orders=tuple((name, way.strip().upper() == "DESC") for name, way in orders.items()),
        ids=None if ids is None else frozenset(ids),
        include=tuple(sorted({name for name in plain.get("include", "").split(",") if name})),
    )
