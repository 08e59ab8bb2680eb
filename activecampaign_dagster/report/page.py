"""The pipeline report: one self-contained HTML page for a weekly meeting, made of the marts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from activecampaign_dagster.report import charts, deal_lists, marketing, money, owners
from activecampaign_dagster.report.deal_lists import DealList
from activecampaign_dagster.report.parts import Tile, counted
from activecampaign_dagster.report.query import prepare, rows

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,  # titles and names are whatever people typed into the account
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Synced:
    """What syncs know and marts do not: when the last one began, which streams were read, and the
    address of each account, where it is known."""

    at: datetime
    streams: frozenset[str] = frozenset()
    addresses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """The page, its headline figures as (value, meaning), and the deals to talk about."""

    html: str
    headlines: tuple[tuple[str, str], ...]
    to_do: tuple[DealList, ...]


def render(db: duckdb.DuckDBPyConnection, synced: Synced) -> Report:
    """The report on the marts in `db`."""
    today = prepare(db, synced.at)
    overall, by_currency = money.overall(db), money.by_currency(db)
    to_do = deal_lists.to_do(db, synced.addresses)
    html = _TEMPLATES.get_template("page.html.jinja").render(
        accounts=[row["account"] for row in rows(db, "from accounts order by all")],
        today=today,
        synced=synced,
        overall=overall,
        by_currency=by_currency,
        owners=owners.owners(db),
        to_do=to_do,
        changes=deal_lists.changes(db),
        changed=deal_lists.changed(db, synced.addresses),
        charts=charts.charts(db),
        tables=marketing.tables(db),
        revenue=marketing.revenue(db),
        orders=marketing.ORDERS,
        counted=counted,
    )
    return Report(html, _headlines(overall, by_currency), tuple(to_do))


def _headlines(
    overall: list[Tile], by_currency: list[tuple[str, list[Tile]]]
) -> tuple[tuple[str, str], ...]:
    money_of = [
        (f"{currency} {tile.value}", _meaning(tile))
        for currency, tiles in by_currency
        for tile in tiles
    ]
    return (*((tile.value, _meaning(tile)) for tile in overall), *money_of)


def _meaning(tile: Tile) -> str:
    more = "; ".join(part for part in (tile.detail, tile.doubt) if part)
    return f"{tile.meaning} ({more})" if more else tile.meaning
