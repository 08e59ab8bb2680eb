"""The pipeline report's figures, each a query on the marts and a chart of its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import duckdb
import plotly.graph_objects as go

# one colour per pipeline, in every figure; distinguishable with the common colour-vision defects
_PALETTE = ("#0b5fa5", "#e07b00", "#2a9d6f", "#b5407c", "#6b4fa0", "#7a7a00", "#00829b", "#a83232")
# a pipeline's name, with its account's if there are several, and its id if it shares the name
_NAMES = """
    with names as (
        select
            account,
            pipeline_id,
            case when (select count(distinct account) > 1 from marts.pipelines)
                then account || ': ' else '' end
            || pipeline
            || case when count(*) over (partition by account, pipeline) > 1
                then ' (' || pipeline_id || ')' else '' end as name
        from marts.pipelines
        where pipeline is not null
        group by account, pipeline_id, pipeline
    )
"""
_INK, _GRID = "#22303c", "#e3e8ec"


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its title, a sentence on how to read it, and whether it has data."""

    title: str
    note: str
    chart: go.Figure | None


def figures(db: duckdb.DuckDBPyConnection) -> list[Figure]:
    """All figures of the report, from the marts in `db`."""
    pipelines = [
        row[0]
        for row in db.execute(
            f"{_NAMES} select name from marts.pipelines join names using (account, pipeline_id) "
            "where deals > 0 group by name order by sum(deals) desc, name"
        ).fetchall()
    ]
    colour = {name: _PALETTE[i % len(_PALETTE)] for i, name in enumerate(pipelines)}
    return [make(db, colour) for make in _FIGURES]


def _funnel(db: duckdb.DuckDBPyConnection, colour: dict[str, str]) -> Figure:
    rows = db.execute(f"""
        {_NAMES}
        select name, stage, sum(deals_reached)::bigint as deals
        from marts.sales_funnel
        join names using (account, pipeline_id)
        where stage is not null
        group by name, stage_id, stage
        order by name, min(stage_position)
    """).fetchall()
    chart = _bars(rows, colour, lambda row: f"{row[2]:,}")
    return Figure(
        "Sales funnel",
        "Distinct deals that reached each stage, over all time.",
        chart,
    )


def _win_rate(db: duckdb.DuckDBPyConnection, colour: dict[str, str]) -> Figure:
    rows = db.execute(f"""
        {_NAMES}
        select
            name,
            date_trunc('quarter', closed_month)::date as quarter,
            sum(won_deals) / sum(won_deals + lost_deals) as rate,
            sum(won_deals + lost_deals)::bigint as decided
        from marts.win_rates
        join names using (account, pipeline_id)
        group by all
        having decided > 0
        order by name, quarter
    """).fetchall()
    chart = go.Figure()
    for name in _present(rows, colour):
        own = [row for row in rows if row[0] == name]
        chart.add_scatter(
            x=[row[1] for row in own],
            y=[row[2] for row in own],
            customdata=[row[3] for row in own],
            name=name,
            mode="lines+markers",
            line={"color": colour[name], "width": 2},
            marker={"size": 6},
            hovertemplate="%{y:.0%} of %{customdata} decided deals<extra>%{fullData.name}</extra>",
        )
    chart.update_yaxes(tickformat=".0%", range=[0, 1.05])
    chart.update_layout(hovermode="x unified")
    return Figure(
        "Win rate over time",
        "Won / (won + lost), by the quarter in which deals were closed.",
        _styled(chart, legend=True) if rows else None,
    )


def _open_by_stage(db: duckdb.DuckDBPyConnection, colour: dict[str, str]) -> Figure:
    main = db.execute(
        "select currency, sum(open_deals) from marts.pipeline_stages group by 1 "
        "having sum(open_value) > 0 order by 2 desc limit 1"
    ).fetchone()
    currency = main[0] if main else ""
    rows = db.execute(
        f"""
        {_NAMES}
        select name, coalesce(stage, '(stage is gone)'), open_value::double, open_deals
        from marts.pipeline_stages
        join names using (account, pipeline_id)
        where currency = ? and open_deals > 0
        order by name, stage_position, stage_id
        """,
        [currency],
    ).fetchall()
    others = [
        f"{name} {value:,.0f} in {deals} deals"
        for name, value, deals in db.execute(
            "select currency, sum(open_value), sum(open_deals)::bigint from marts.pipelines "
            "where currency <> ? group by 1 having sum(open_deals) > 0 order by 3 desc",
            [currency],
        ).fetchall()
    ]
    note = f"Value in {currency} · number of open deals." if currency else "No open deals."
    if others:
        note += f" Not included, as currencies do not add up: {'; '.join(others)}."
    chart = _bars(rows, colour, lambda row: f"{_short(row[2])} · {row[3]}")
    return Figure("Open pipeline by stage", note, chart)


def _cycle(db: duckdb.DuckDBPyConnection, colour: dict[str, str]) -> Figure:
    rows = db.execute(f"""
        {_NAMES}
        select name, days_to_close
        from marts.deals
        join names using (account, pipeline_id)
        where is_counted and status = 'won' and days_to_close is not null
    """).fetchall()
    chart = go.Figure()
    for name in _present(rows, colour):
        chart.add_histogram(
            x=[row[1] for row in rows if row[0] == name],
            name=name,
            marker={"color": colour[name], "line": {"width": 0.5, "color": "white"}},
            xbins={"start": 0, "size": 7},
            hovertemplate="%{y} deals in days %{x}<extra>%{fullData.name}</extra>",
        )
    chart.update_layout(barmode="stack", bargap=0.05)
    days = sorted(row[1] for row in rows)
    longest = days[int(len(days) * 0.97)] if days else 0
    beyond = sum(day > longest for day in days)
    chart.update_xaxes(title="days from creation to won, by week", range=[0, longest + 7])
    chart.update_yaxes(title="won deals")
    return Figure(
        "Sales cycle",
        f"How long won deals took from creation to close; {beyond} took more than "
        f"{longest:.0f} days and are not shown.",
        _styled(chart, legend=True) if rows else None,
    )


def _campaigns(db: duckdb.DuckDBPyConnection, _: dict[str, str]) -> Figure:
    rows = db.execute("""
        select campaign, open_rate, click_rate, recipients
        from marts.campaign_performance
        where recipients >= 20 and click_rate is not null and not is_deleted
        order by click_rate desc, account, campaign_id limit 10
    """).fetchall()
    names = _apart([row[0] for row in rows])
    chart = go.Figure()
    for index, name, shade in ((1, "opened", "#9cc3e0"), (2, "clicked", "#0b5fa5")):
        chart.add_bar(
            y=names,
            x=[row[index] for row in rows],
            customdata=[row[3] for row in rows],
            name=name,
            orientation="h",
            marker={"color": shade},
            hovertemplate="%{x:.1%} of %{customdata} recipients<extra>%{fullData.name}</extra>",
        )
    chart.update_xaxes(tickformat=".0%")
    chart.update_yaxes(autorange="reversed", automargin=True)
    return Figure(
        "Top campaigns",
        "By share of recipients who clicked, of campaigns with 20 recipients or more. Opens "
        "include those that mail programs make on their own.",
        _styled(chart, legend=True, height=130 + 38 * len(rows)) if rows else None,
    )


_FIGURES: tuple[Callable[[duckdb.DuckDBPyConnection, dict[str, str]], Figure], ...] = (
    _funnel,
    _open_by_stage,
    _win_rate,
    _cycle,
    _campaigns,
)


def _apart(names: Sequence[str]) -> list[str]:
    """The names, with differences that nobody sees: plotly draws equal ones as one."""
    return [name + "\N{ZERO WIDTH SPACE}" * number for number, name in enumerate(names)]


def _present(rows: Sequence[tuple[Any, ...]], colour: dict[str, str]) -> list[str]:
    return [name for name in colour if any(row[0] == name for row in rows)]


def _short(value: float) -> str:
    """A value that finds room beside a bar on a phone; the chart shows the whole one on touch."""
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            units = value / unit
            return f"{units:.0f}{letter}" if units >= 100 else f"{units:.3g}{letter}"
    return f"{value:.0f}"


def _bars(
    rows: Sequence[tuple[Any, ...]],
    colour: dict[str, str],
    label: Callable[[tuple[Any, ...]], str],
) -> go.Figure | None:
    """Horizontal bars grouped by pipeline; rows of (pipeline, stage, length, …) in order."""
    chart = go.Figure()
    stages = _apart([row[1] for row in rows])
    rows = [(row[0], stage, *row[2:]) for row, stage in zip(rows, stages, strict=True)]
    for name in _present(rows, colour):
        own = [row for row in rows if row[0] == name]
        chart.add_bar(
            y=[["<br>".join(wrap(name, 11))] * len(own), [row[1] for row in own]],
            x=[row[2] for row in own],
            text=[label(row) for row in own],
            textposition="auto",
            orientation="h",
            name=name,
            marker={"color": colour[name]},
            hovertemplate="%{x:,.0f}<extra>%{y}</extra>",
        )
    longest = max((row[2] for row in rows), default=0)
    # room for the label of a bar that it does not fit into
    chart.update_xaxes(range=[0, longest * 1.15], nticks=4, tickangle=0)
    chart.update_yaxes(autorange="reversed", automargin=True)
    return _styled(chart, legend=False, height=90 + 30 * len(rows)) if rows else None


def _styled(chart: go.Figure, *, legend: bool, height: int = 380) -> go.Figure:
    chart.update_layout(
        template="plotly_white",
        font={"family": "system-ui, sans-serif", "size": 13, "color": _INK},
        margin={"l": 8, "r": 12, "t": 34 if legend else 8, "b": 8},
        height=height,
        showlegend=legend,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        dragmode=False,
    )
    chart.update_xaxes(gridcolor=_GRID, automargin=True, title_font_size=13)
    chart.update_yaxes(gridcolor=_GRID, title_font_size=13)
    return chart
