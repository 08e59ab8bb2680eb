"""Merging typed rows into a table: for each key a verdict, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import duckdb

from activecampaign_dagster.streams.declaration import SyncType
from activecampaign_dagster.streams.source import StreamTable
from activecampaign_dagster.warehouse.cast import version
from activecampaign_dagster.warehouse.sql import literal, quoted
from activecampaign_dagster.warehouse.tables import Column, count, key_sql, relation, stub_sql

_VERDICTS = "temp.verdict"
_MADE = "temp.made"
_MADE_AT_ONCE = 100_000  # rows of which a column is made in one go
Key = int | str | None


@dataclass(frozen=True, slots=True)
class Made:
    """A column that is made of other rows.

    sql: `owner`, a key, and `made`, the column's value. rows: SQL of the rows that it is made of.
    """

    column: Column
    sql: str
    rows: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How many keys a merge saw in all, and what became of them."""

    seen: int
    inserted: int
    updated: int
    unchanged: int


class Merge:
    """Typed rows on their way into a table; owns the temporary table of verdicts.

    The newer version by replication key wins (creation stamp where that is null), ties go to the
    one read later, and a stub never replaces a full row, but marks it as hidden. Rows that stay as
    they are are not written. In an empty table all rows are new: no verdicts, no joins.

    rows: the typed rows (see `cast.load`). columns: those of the table that the rows have; what the
    table holds in others stays. made: a column that is made of other rows. present: how many rows
    the table had before, see `tables.count`.
    """

    def __init__(
        self,
        db: duckdb.DuckDBPyConnection,
        stream_table: StreamTable,
        rows: str,
        columns: Sequence[Column],
        others: Sequence[Column],
        made: Made | None,
        at: datetime,
        sync_id: str,
    ) -> None:
        self._db = db
        self._stream_table = stream_table
        self._table = relation(stream_table.table)
        self._rows = rows
        self._columns = columns
        self._others = others
        self._made = made
        self._stamp = [at, sync_id]
        self.present = count(db, stream_table)
        self._is_first = not sum(self.present)
        self._has_seen_all = False
        if not self._is_first:
            if made:
                self._make(made)
            db.execute(f"create or replace temp table verdict as {self._verdicts()}", [at])

    def apply(self) -> Counts:
        """Insert, update and mark what the verdicts say."""
        return self._fill() if self._is_first else self._upsert()

    def _fill(self) -> Counts:
        """Insert all rows into a table that has none."""
        into = ", ".join(quoted(column.name) for column in self._columns)
        selected = ", ".join(f"b.{quoted(column.name)}" for column in self._columns)
        into, selected, stamp = f"{into}, _synced_at, _sync_id", f"{selected}, ?, ?", self._stamp
        if self._stream_table.stream.stub:
            into, selected = f"{into}, _hidden_at", f"{selected}, case when b._stub then ? end"
            stamp = [*stamp, stamp[0]]
        filled = 0
        for low, high in self._slices():
            rows, column, made = f"{self._rows} as b", "", ""
            if self._made:
                column, made = f", {quoted(self._made.column.name)}", ", coalesce(m.made, '{}')"
                part = _between("m.owner", low, high)
                found = f"select * from ({self._made.sql}) as m where {part}"
                rows += f" left join ({found}) as m on m.owner = b._key"
            (inserted,) = self._db.execute(
                f"insert into {self._table} ({into}{column}) select {selected}{made} from {rows} "
                f"where b._key is not null and {_between('b._key', low, high)}",
                stamp,
            ).fetchone() or (0,)
            filled += inserted
        return Counts(seen=filled, inserted=filled, updated=0, unchanged=0)

    def _make(self, made: Made) -> None:
        """Make the column of all rows, to be compared with what is there."""
        self._db.execute(f"create or replace temp table made as {made.sql} limit 0")
        for low, high in self._slices():
            self._db.execute(
                f"insert into {_MADE} select * from ({made.sql}) as m "
                f"where {_between('m.owner', low, high)}"
            )

    def _slices(self) -> Iterable[tuple[Key, Key]]:
        """Parts of the keys (from, below) of which what is made of other rows takes little memory.

        In one go, fields of 100,000 contacts with three values each took 300 MB.
        """
        bounds: list[Key] = [None]
        if self._made:
            [[made_of]] = self._db.execute(f"select count(*) {self._made.rows}").fetchall()
            parts = made_of // _MADE_AT_ONCE + 1
            shares = [part / parts for part in range(1, parts)]
            if shares:
                [[found]] = self._db.execute(
                    f"select quantile_disc(_key, {shares}) from {self._rows}"
                ).fetchall()
                bounds += sorted(set(found or ()))
        return pairwise([*bounds, None])

    def _upsert(self) -> Counts:
        # on a lake a statement that finds no row takes as long as one that does
        verdicts = dict(
            self._db.execute(f"select verdict, count(*) from {_VERDICTS} group by all").fetchall()
        )
        if verdicts.keys() & {"insert", "update"}:
            self._write(replaces="update" in verdicts)
        if "mark" in verdicts:
            self._mark()
        seen, inserted = sum(verdicts.values()), verdicts.get("insert", 0)
        kept = verdicts.get("keep", 0)
        self._has_seen_all = seen - inserted == sum(self.present)
        return Counts(seen, inserted, seen - inserted - kept, kept)

    def _write(self, *, replaces: bool) -> None:
        """Insert the rows that are new or changed; replaces: some are changed."""
        db, table, rows = self._db, self._table, self._rows
        names = ", ".join(quoted(column.name) for column in self._columns)
        own, hidden_at = "_synced_at, _sync_id", ""
        into, selected = names, names
        if self._made:
            into += f", {quoted(self._made.column.name)}"
            selected += ", made"
        carried = kept = ""
        key = key_sql(self._stream_table.stream, "t")
        is_updated = f"{key} in (select _key from {_VERDICTS} where verdict = 'update')"
        if self._stream_table.stream.stub:
            own, hidden_at = f"{own}, _hidden_at", ", hidden_at"
        if self._others:
            carried = "".join(f", {quoted(column.name)}" for column in self._others)
            kept = " left join temp.carried using (_key)"
            db.execute(
                f"create or replace temp table carried as select {key} as _key{carried} "
                f"from {table} as t where {is_updated}"
            )
        if replaces:
            db.execute(f"delete from {table} as t where {is_updated}")
        db.execute(
            f"insert into {table} ({into}, {own}{carried}) "
            f"select {selected}, ?, ?{hidden_at}{carried} from {rows} "
            f"join (from {_VERDICTS} select * exclude (verdict) where verdict in ('insert', "
            f"'update')) using (_key){kept}",
            self._stamp,
        )

    def _mark(self) -> None:
        """Mark rows that are back, or hidden or shown since."""
        hide = ", _hidden_at = v.hidden_at" if self._stream_table.stream.stub else ""
        self._db.execute(
            f"update {self._table} as t set _deleted_at = null, _synced_at = ?, _sync_id = ?{hide} "
            f"from {_VERDICTS} as v where v._key = {key_sql(self._stream_table.stream, 't')} "
            "and v.verdict = 'mark'",
            self._stamp,
        )

    def delete(self, owners: str | None = None, but: str | None = None) -> int:
        """Mark the rows that did not come, or remove them from a FULL_TABLE table.

        owners: SQL, the keys (text) of the parents all of whose children came; None: all came.
        but: SQL, the keys of parents that do not tell. Returns how many rows it concerned.
        """
        if self._is_first or self._has_seen_all:
            return 0
        stream = self._stream_table.stream
        gone = f"not exists (from {_VERDICTS} as v where v._key = {key_sql(stream, 't')})"
        owner = f"t.{quoted(stream.beside.owner)}::varchar" if stream.beside else ""
        gone += f" and {owner} in ({owners})" if owners else ""
        gone += f" and coalesce({owner} not in ({but}), true)" if but else ""
        is_mirror = self._stream_table.sync_type is SyncType.FULL_TABLE
        gone = gone if is_mirror else f"_deleted_at is null and {gone}"
        table = f"{self._table} as t"
        # a lake takes three times as long to change no row as to find that there is none
        if self._db.execute(f"select 1 from {table} where {gone} limit 1").fetchone() is None:
            return 0
        if is_mirror:
            result = self._db.execute(f"delete from {table} where {gone}").fetchone()
        else:
            result = self._db.execute(
                f"update {table} set _deleted_at = ?, _synced_at = ?, _sync_id = ? where {gone}",
                [self._stamp[0], *self._stamp],
            ).fetchone()
        return int(result[0]) if result else 0

    def _verdicts(self) -> str:
        """SQL: what becomes of each key, since when it is hidden, and what was made for it.

        Only a hash of each row takes part in the join. ? is the time now.
        """
        stream_table = self._stream_table
        row = f"hash({', '.join(quoted(column.name) for column in self._columns)})"
        came, there, made, join = "b.hash", row, "null", ""
        if self._made:
            made = "coalesce(m.made, '{}')"
            came, there = f"hash(b.hash, {made})", f"hash({row}, {quoted(self._made.column.name)})"
            join = f"left join {_MADE} as m on m.owner = b._key"
        hidden = "_hidden_at" if stream_table.stream.stub else "null::timestamptz"
        better = "true"
        if stream_table.stream.replication_key:
            better = "(t.is_stub or (not b.is_stub and coalesce(b.version >= t.version, true)))"
        return f"""
            select b._key, case
                when t._key is null then 'insert'
                when {came} <> t.hash and {better} then 'update'
                when t.is_gone or b.is_stub <> (t.hidden_at is not null) then 'mark'
                else 'keep'
            end as verdict,
            case when b.is_stub then coalesce(t.hidden_at, ?) end as hidden_at, {made} as made
            from (
                select
                    _key, {row} as hash, {version(stream_table, "r")} as version,
                    _stub as is_stub
                from {self._rows} as r where _key is not null
            ) as b
            {join}
            left join (
                select
                    {key_sql(stream_table.stream, "r")} as _key, {there} as hash,
                    {version(stream_table, "r")} as version,
                    {stub_sql(stream_table, "r")} as is_stub, _deleted_at is not null as is_gone,
                    {hidden} as hidden_at
                from {self._table} as r
            ) as t on t._key = b._key
        """


def _between(column: str, low: Key, high: Key) -> str:
    """SQL: whether a key is not below one and below another; None: without that bound."""
    found = [] if low is None else [f"{column} >= {_sql(low)}"]
    found += [] if high is None else [f"{column} < {_sql(high)}"]
    return " and ".join(found) or "true"


def _sql(key: int | str) -> str:
    return literal(key) if isinstance(key, str) else str(key)
