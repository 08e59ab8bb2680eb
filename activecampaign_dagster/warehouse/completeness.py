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
class Census:
    """What the account says about the records of a full read.

    path: where they were read. total: how many there are, None if it did not say; the largest
    number that came with the read or, once asked again, the newest one. newest: the ids on the
    page that was asked for after the read; None: it was not. segments: what was staged of the
    records, if only their side-loads are landed.
    """

    path: str
    total: int | None
    newest: Sequence[int] | None = None
    segments: Sequence[str] = ()


def doubt(db: duckdb.DuckDBPyConnection, census: Census, came: str, known: str) -> str | None:
    """Why records may be in the account that did not come, in a sentence; None if all came.

    A record that nobody knew was added meanwhile, unless nothing is known at all.
    came: SQL, the ids that were read, NULL for each record without a proper one. known: SQL, `id`
    and `live` of what the tables hold.
    """
    if census.total is None and census.newest is None:
        return None
    (count,) = db.execute(f"select count(*) from ({came})").fetchone() or (0,)
    fresh = missed = 0
    if census.newest:
        fresh, missed = db.execute(
            f"""
            with known as (select id, bool_or(live) as live from ({known}) group by id)
            select
                count(*) filter (known.id is null and exists (from known)),
                count(*) filter (known.live or not exists (from known))
            from (select unnest(?::bigint[]) as id except select id from ({came}))
            left join known using (id)
            """,
            [census.newest],
        ).fetchone() or (0, 0)
    consequence = "nothing is deleted until a full sync reads them all."
    if census.total is not None and count + fresh < census.total:
        return (
            f"The account says that /{census.path} has {census.total} records, but {count} came: "
            f"{consequence}"
        )
    if missed:
        return (
            f"The account still has records of /{census.path} that did not come (at least "
            f"{missed}): {consequence}"
        )
    return None


def ids_in(files: Sequence[str]) -> str:
    """SQL: the ids in staged segments."""
    if not files:
        return "select null::bigint as id where false"
    names = ", ".join(map(literal, files))
    lines = f"read_ndjson([{names}], columns = {{r: 'struct(id bigint)'}})"
    return f"select distinct r.id from {lines}"
