"""What the Dagster UI shows of the report: its figures and deals as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from activecampaign_dagster.report.page import Report

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|~$])")


def preview(report: Report) -> str:
    """Tables in Markdown; whatever comes from the account is text in them."""
    parts = [_table(("figure", "value"), [(text(m), text(v)) for v, m in report.headlines])]
    for each in report.to_do:
        lines = [
            (
                f"[{text(deal.title)}]({deal.link})" if deal.link else text(deal.title),
                text(deal.value),
                text(deal.where),
                text(deal.why),
            )
            for deal in each.deals
        ]
        if lines:
            parts.append(f"**{each.title}**\n\n{_table(('deal', 'value', 'where', 'why'), lines)}")
    return "\n".join(parts)


def text(value: str) -> str:
    """A value as plain text of a cell."""
    return _SPECIAL.sub(r"\\\1", " ".join(value.split()))


def _table(columns: tuple[str, ...], lines: Sequence[tuple[str, ...]]) -> str:
    cells = [columns, ("---",) * len(columns), *lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)
