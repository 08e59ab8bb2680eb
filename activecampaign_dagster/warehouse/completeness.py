"""Whether a full read brought all that the account has, so that what is missing was deleted.

A walk ends with a short page, and a page that is short or empty by mishap looks the same. The total
beside it says otherwise, but may be missing or wrong, and falls while records are deleted. So where
fewer records came than a page said there are, one more page is asked for: what the account has then
must have come, but for what was added meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from activecampaign_dagster.warehouse.sql import literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """What the account says about the records of a full read.

    path: where they were read. total: how many there are, None if it did not say; the largest
    number that came with the read or, once asked again, the newest one. newest: the keys on the
    page that was asked for after the read; None: it was not.
    """

    path: str
    total: int | None
    newest: Sequence[str] | None = None


def why_doubted(
    db: duckdb.DuckDBPyConnection, completeness: Completeness, came: str, known: str
) -> str | None:
    """Why records may be in the account that did not come, in a sentence; None if all came.

    A record that nobody knew was added meanwhile, unless nothing is known at all.
    came: SQL, the `key` of each record that was read, NULL for one without. known: SQL, `key` and
    `live` of what the tables hold. Keys are texts.
    """
    if completeness.total is None and completeness.newest is None:
        return None
    (count,) = db.execute(f"select count(*) from ({came})").fetchone() or (0,)
    fresh = missed = 0
    if completeness.newest:
        fresh, missed = db.execute(
            f"""
            with known as (select key, bool_or(live) as live from ({known}) group by key)
            select
                count(*) filter (known.key is null and exists (from known)),
                count(*) filter (known.live or not exists (from known))
            from (select unnest(?::varchar[]) as key except select key from ({came}))
            left join known using (key)
            """,
            [completeness.newest],
        ).fetchone() or (0, 0)
    path, total = completeness.path, completeness.total
    consequence = "nothing is deleted until a full sync reads them all."
    if total is not None and count + fresh < total:
        return (
            f"The account reports {total} records of /{path}, but returned {count}: {consequence}"
        )
    if missed:
        return (
            f"The account still has records of /{path} that it did not return (at least {missed}): "
            f"{consequence}"
        )
    return None


def keys_in(files: Sequence[str]) -> str:
    """SQL: the keys of parents in segments, and the last place `n` in which each was read."""
    if not files:
        return "select null::varchar as key, null::bigint as n where false"
    names = ", ".join(map(literal, files))
    lines = f"read_ndjson([{names}], columns = {{n: 'bigint', r: 'struct(key varchar)'}})"
    return f"select r.key as key, max(n) as n from {lines} group by all"
