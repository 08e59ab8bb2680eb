"""The pipeline report: one self-contained HTML page made of the marts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from html import escape

import duckdb
from plotly.offline import get_plotlyjs

from activecampaign_dagster.report.figures import Figure, figures

_STYLE = """
:root { color-scheme: light; }
body { margin: 0; background: #f4f6f8; color: #22303c; font: 16px/1.45 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 20px 16px 48px; }
h1 { font-size: 1.6rem; margin: 0 0 4px; }
h2 { font-size: 1.1rem; margin: 0 0 2px; }
p { margin: 0; color: #51606d; font-size: .92rem; }
.tiles, .figures { display: grid; gap: 16px; margin-top: 18px; }
.tiles { grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); }
.figures { grid-template-columns: repeat(2, minmax(0, 1fr)); }
.card { background: white; border: 1px solid #e3e8ec; border-radius: 8px; padding: 14px 16px;
        min-width: 0; }
.tile strong { display: block; font-size: 1.7rem; line-height: 1.2; }
.plot { margin-top: 8px; }
.wide { grid-column: 1 / -1; }
@media (max-width: 820px) { .figures { grid-template-columns: minmax(0, 1fr); } }
"""


@dataclass(frozen=True, slots=True)
class Report:
    """The page, and its headline figures as (value, meaning)."""

    html: str
    headlines: tuple[tuple[str, str], ...]


def render(db: duckdb.DuckDBPyConnection, made_at: datetime) -> Report:
    """The report on the marts in `db`; `made_at` is shown as its date."""
    headlines = _headlines(db)
    tiles = "".join(
        f'<div class="card tile"><strong>{escape(value)}</strong><p>{escape(meaning)}</p></div>'
        for value, meaning in headlines
    )
    shown = figures(db)
    # charts take the width that their card has when the page is read up to there, so that CSS
    # cannot find out later which card is left alone in its row
    alone = len(shown) % 2 and shown[-1]
    cards = "".join(_card(figure, wide=figure is alone) for figure in shown)
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Pipeline report</title><style>{_STYLE}</style>"
        f"<script>{get_plotlyjs()}</script></head><body><main>"
        f"<h1>Pipeline report</h1><p>ActiveCampaign ({escape(_accounts(db))}), as of "
        f"{made_at:%d %B %Y, %H:%M %Z}. Deleted deals are left out, and hidden ones unless they "
        "were won or lost before.</p>"
        f'<div class="tiles">{tiles}</div><div class="figures">{cards}</div>'
        "</main></body></html>"
    )
    return Report(html, headlines)


def _accounts(db: duckdb.DuckDBPyConnection) -> str:
    names = db.execute("select distinct account from marts.pipelines order by all").fetchall()
    return ", ".join(name for (name,) in names) or "no account yet"


def _headlines(db: duckdb.DuckDBPyConnection) -> tuple[tuple[str, str], ...]:
    found = db.execute("""
        select
            count(*) filter (status = 'open'),
            count(*) filter (status = 'won' and closed_at > newest - interval 90 day),
            count(*) filter (status = 'won' and closed_at > newest - interval 365 day)
                / nullif(count(*) filter (closed_at > newest - interval 365 day), 0),
            median(days_to_close) filter (status = 'won' and closed_at > newest - interval 365 day),
            avg(days_to_close) filter (status = 'won' and closed_at > newest - interval 365 day)
        from marts.deals, (select max(updated_at) as newest from marts.deals)
        where is_counted
    """).fetchone()
    opened, won, rate, median, average = found or (0, 0, None, None, None)
    return (
        (f"{opened:,}", "open deals"),
        (f"{won:,}", "deals won in 90 days"),
        ("n/a" if rate is None else f"{rate:.0%}", "win rate of the last 365 days"),
        (_days(median), f"median time to win, last 365 days (average: {_days(average)})"),
    )


def _days(number: float | None) -> str:
    return "n/a" if number is None else f"{number:.0f} days"


def _card(figure: Figure, *, wide: bool) -> str:
    section = f'<section class="card{" wide" if wide else ""}">'
    head = f"<h2>{escape(figure.title)}</h2><p>{escape(figure.note)}</p>"
    if figure.chart is None:
        return f"{section}{head}<p>There is no data for this figure yet.</p></section>"
    chart = figure.chart.to_html(
        full_html=False,
        include_plotlyjs=False,
        config={"displayModeBar": False, "responsive": True},
    )
    return f'{section}{head}<div class="plot">{chart}</div></section>'
