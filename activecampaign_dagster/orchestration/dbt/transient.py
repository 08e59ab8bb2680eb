"""Tells failures of dbt that pass by themselves from those that somebody has to mend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb

from activecampaign_dagster.warehouse.transient import is_conflict, is_full, is_lost

# Locks that others hold, and disks that are away: DuckDB has no codes, only these beginnings.
_PASSING = ("IO Error", "TransactionContext Error")
_LASTING = "Permission denied"


def passes(results: Sequence[Any], reasons: Sequence[str]) -> bool:
    """Whether a failed command of dbt may succeed if it is run again.

    results: of dbt's nodes, none if it has not come to them. reasons: the lines in which dbt told
    of errors.
    """
    if any(each.status == "fail" for each in results):
        return False  # a test found something, which stays
    errors = [each.message or "" for each in results if each.status == "error"]
    return all(map(_passes, errors or ["\n".join(reasons)]))


def _passes(text: str) -> bool:
    error = duckdb.Error(text)  # dbt gives its text alone
    if is_conflict(error) or is_lost(error):
        return True
    lasts = is_full(error) or _LASTING in text
    return any(sign in text for sign in _PASSING) and not lasts
