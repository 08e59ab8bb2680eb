"""The order in which a stream can be asked for ranges of its records."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from activecampaign_dagster.api.order import FOLD
from activecampaign_dagster.api.stamps import parse_stamp, write_stamp
from activecampaign_dagster.streams.declaration import ByCreation, ById, Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The order that ranges are ranges of, and how a collection is asked for one.

    order, after, before: query parameters. write: a position for `after` and `before`. first: what
    `after` is given for the range that begins at position 0: the position before it where the
    parameter excludes what it names. position: where a record is, None if it does not say. key: its
    key, None if it has none. slack: by how much the order may be off. margin: how far beyond a
    range its page has to reach.
    """

    order: str
    after: str
    before: str
    write: Callable[[int], str | int]
    first: int
    position: Callable[[Any], int | None]
    key: Callable[[Any], int | None]
    slack: int = 0
    margin: int = 0

    def between(self, low: int | None, high: int | None) -> dict[str, str | int]:
        """The parameters for positions in [low, high); None: no end."""
        params: dict[str, str | int] = {self.order: "ASC"}
        if low is not None:
            params[self.after] = self.write(low + self.first)
        if high is not None:
            params[self.before] = self.write(high)
        return params


def axis_of(stream: Stream, margin: timedelta = timedelta(0)) -> Axis | None:
    """How a stream is searched; None if its path cannot be asked for ranges of its records."""
    walk = stream.walk
    if not stream.has_numeric_key or not stream.has_own_pages:
        return None
    if isinstance(walk, ById):
        return Axis(
            order=walk.order,
            after=walk.after,
            before=walk.before,
            write=int,
            first=-1,
            position=lambda record: _key(stream, record),
            key=lambda record: _key(stream, record),
        )
    if isinstance(walk, ByCreation) and walk.before and walk.stamp in stream.required:
        return Axis(
            order=walk.order,
            after=walk.after,
            before=walk.before,
            write=lambda seconds: write_stamp(datetime.fromtimestamp(seconds, UTC)),
            first=0,
            position=lambda record: _seconds(record, walk.stamp),
            key=lambda record: _key(stream, record),
            slack=int(FOLD.total_seconds()),
            margin=int(margin.total_seconds()),
        )
    return None


def _key(stream: Stream, record: Any) -> int | None:
    key = stream.key_of(record)
    return None if key is None else int(key)


def _seconds(record: Any, stamp: str) -> int | None:
    moment = parse_stamp(record.get(stamp)) if isinstance(record, dict) else None
    return math.floor(moment.timestamp()) if moment else None
