"""From the spool to tables: typed, merged and entered in the ledger in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import duckdb

from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.warehouse import ledger, pivot, rejected, tables
from activecampaign_dagster.warehouse.cast import load
from activecampaign_dagster.warehouse.completeness import keys_in, why_doubted
from activecampaign_dagster.warehouse.delivery import Batch, Delivery, Landed, Scope
from activecampaign_dagster.warehouse.merge import Made, Merge
from activecampaign_dagster.warehouse.scratch import scratch, with_memory
from activecampaign_dagster.warehouse.sql import quoted
from activecampaign_dagster.warehouse.tables import Column
from activecampaign_dagster.warehouse.warehouse import commit

_Merged = tuple[ledger.Entry, Landed]  # of one batch


class UnsureError(Exception):
    """The account may have more than came: it has to be asked again."""


class ShiftedError(Exception):
    """The account no longer holds what was spooled before a kill: it has to be read again."""


def land(
    db: duckdb.DuckDBPyConnection, source: Source, deliveries: Sequence[Delivery]
) -> dict[str, Landed]:
    """Merge what reads brought into their tables and move their streams on, in one transaction.

    No stream may be in two of them. Returns what became of each stream that is kept. Raises, with
    nothing changed, ShiftedError if a batch is not what was expected, and UnsureError if the
    account may have more than came (see `completeness`), unless it was asked again: then nothing is
    deleted.
    """
    batches = [batch for delivery in deliveries for batch in delivery.batches]
    if not batches:
        return {}
    names = ", ".join(batch.name for batch in batches)
    columns = {batch.name: _columns(db, batch) for batch in batches}
    return with_memory(db, names, partial(_land, db, source, deliveries, columns))


@dataclass(frozen=True, slots=True)
class _Columns:
    """A table's columns: those that records fill, those that stay, and the one that is made."""

    filled: list[Column]
    left: list[Column]
    made: Column | None
    added: list[Column]


def _land(
    db: duckdb.DuckDBPyConnection,
    source: Source,
    deliveries: Sequence[Delivery],
    columns: Mapping[str, _Columns],
) -> dict[str, Landed]:
    size = sum(delivery.size for delivery in deliveries)
    with scratch(db, size, deliveries[0].folder):
        for delivery in deliveries:
            for batch in delivery.batches:
                _load(db, delivery, batch, columns[batch.name])
        return commit(db, partial(_merge_all, db, source, deliveries, columns))


def _merge_all(
    db: duckdb.DuckDBPyConnection,
    source: Source,
    deliveries: Sequence[Delivery],
    columns: Mapping[str, _Columns],
) -> dict[str, Landed]:
    rejecting = rejected.streams(db, source)
    merged: dict[str, _Merged] = {}
    for delivery in deliveries:
        merged |= _merge_delivery(db, source, delivery, columns, rejecting)
    ledger.record(db, source, [entry for entry, _ in merged.values()])
    return {name: landed for name, (_, landed) in merged.items()}


def _merge_delivery(
    db: duckdb.DuckDBPyConnection,
    source: Source,
    delivery: Delivery,
    columns: Mapping[str, _Columns],
    rejecting: Set[str],
) -> dict[str, _Merged]:
    merged: dict[str, _Merged] = {}
    why = _doubt(db, delivery)
    if why and delivery.completeness.newest is None:
        raise UnsureError(why)
    stamp: list[datetime | str] = [delivery.at, delivery.sync_id]
    # what a batch brings has the labels of today, so the rows before it follow first
    for parent, labels in delivery.relabels:
        if labels is not None:
            pivot.relabel(db, source, parent, labels, stamp)
    for batch in delivery.batches:
        if batch.is_kept:
            merged[batch.name] = _merge(
                db, source, delivery, batch, columns[batch.name], why, rejecting
            )
    for parent, known in delivery.relabels:
        if known is None and (found := parent.stream.pivot):
            labels = pivot.landed_labels(db, source, found)
            pivot.relabel(db, source, parent, labels, stamp)
    for parent, labels in delivery.refills:
        pivot.refill(db, source, parent, labels, stamp)
    return merged


def _columns(db: duckdb.DuckDBPyConnection, batch: Batch) -> _Columns:
    """The table's columns, widened by those that the batch needs (outside of any transaction).

    The declared ones for a batch that is not kept, whose table may not exist.
    """
    if not batch.is_kept:
        declared = batch.stream_table.stream.fields
        filled = [Column(field.name, str(field.type), field.name) for field in declared]
        return _Columns(filled=filled, left=[], made=None, added=[])
    present = tables.columns(db, batch.stream_table)
    keys = {column.key for column in present}
    added: list[Column] = []
    for key in batch.extras:
        if key not in keys:
            taken = [column.name for column in (*present, *added)]
            taken += [name for name, _, _ in tables.bookkeeping(batch.stream_table.stream)]
            added.append(tables.column_for(key, taken))
    if added:
        widths = [(column.name, column.type) for column in added]
        commit(db, partial(tables.add_columns, db, batch.stream_table, widths))
    present += added
    found = batch.stream_table.stream.pivot
    made = next((c for c in present if found and c.key == found.column), None)
    return _Columns(
        filled=[column for column in present if column is not made],
        left=[made] if made and batch.labels is None else [],
        made=made,
        added=added,
    )


def _load(
    db: duckdb.DuckDBPyConnection, delivery: Delivery, batch: Batch, columns: _Columns
) -> None:
    """Make typed rows of a batch, without children of an earlier reading of a parent."""
    load(db, batch.typed, batch.stream_table, columns.filled, batch.files, batch.longest)
    beside = batch.stream_table.stream.beside
    if beside and batch is not delivery.main and delivery.owners:
        db.execute(
            f"delete from {batch.typed} as c using ({keys_in(delivery.owners)}) as o "
            f"where c.{quoted(beside.owner)}::varchar = o.key and c._n < o.n"
        )


def _made(
    db: duckdb.DuckDBPyConnection,
    source: Source,
    delivery: Delivery,
    batch: Batch,
    columns: _Columns,
) -> Made | None:
    """The column that is made of a child's rows; None if the table has none, or it stays."""
    found = batch.stream_table.stream.pivot
    if not found or batch.labels is None or not columns.made:
        return None
    child = next(each for each in delivery.children if each.name == found.child)
    rows = f"from {child.typed}"
    kinds = pivot.landed_kinds(db, source, found)
    sql = pivot.pivoted_sql(
        batch.stream_table.stream, child.stream_table.stream, rows, batch.labels, kinds
    )
    return Made(columns.made, sql, rows)


def _owners(delivery: Delivery) -> str:
    """SQL: the `key` (text) of each parent that was read."""
    if delivery.main:
        return f"select _key::varchar as key from {delivery.main.typed} where _key is not null"
    return f"select key from ({keys_in(delivery.owners)})"


def _doubt(db: duckdb.DuckDBPyConnection, delivery: Delivery) -> str | None:
    """See `completeness`. Records that only their children's tables know count as known, too."""
    if not any(batch.scope is Scope.ALL for batch in delivery.batches):
        return None
    came, known = _owners(delivery), []
    if main := delivery.main:
        key = tables.key_sql(main.stream_table.stream, "t")
        known.append(
            f"select ({key})::varchar as key, _deleted_at is null as live from {main.table} t"
        )
        came = (
            f"select _key::varchar as key from {main.typed} where _key is not null union all "
            "select null from "
            f"(select distinct _record::varchar from {main.typed} where _key is null)"
        )
    for child in delivery.children:
        beside = child.stream_table.stream.beside
        if child.is_kept and beside and not delivery.main:
            owner = f"{quoted(beside.owner)}::varchar"
            known.append(
                f"select {owner} as key, true as live from {child.table} where _deleted_at is null"
            )
    return why_doubted(db, delivery.completeness, came, " union all ".join(known))


def _merge(
    db: duckdb.DuckDBPyConnection,
    source: Source,
    delivery: Delivery,
    batch: Batch,
    columns: _Columns,
    doubt: str | None,
    rejecting: Set[str],
) -> _Merged:
    """Merge one batch. doubt: why it may not be all that the account has."""
    scope, watermark = batch.scope, batch.watermark
    if doubt:
        # Without a watermark the next sync reads everything again, which mends a mishap. But an
        # account that always says it has more than it shows must not be read so for ever.
        if not ledger.has_no_watermark(db, source, batch.name):
            watermark = None
        scope = Scope.NOTHING
    unfit = rejected.keep(
        db,
        source,
        batch.stream_table,
        batch.typed,
        columns.filled,
        delivery.sync_id,
        has_some=batch.name in rejecting,
    )
    merge = Merge(
        db,
        batch.stream_table,
        batch.typed,
        columns.filled,
        columns.left,
        _made(db, source, delivery, batch, columns),
        delivery.at,
        delivery.sync_id,
    )
    counts = merge.apply()
    if batch.expected is not None and counts.seen != batch.expected:
        raise ShiftedError
    deleted = 0
    if scope is not Scope.NOTHING:
        owners = _owners(delivery) if scope is Scope.SEEN_PARENTS else None
        deleted = merge.delete(owners, _unlisted(db, delivery, batch))
    is_changed = counts.inserted or counts.updated or deleted
    live, gone = tables.count(db, batch.stream_table) if is_changed else merge.present
    entry = ledger.Entry(
        stream_table=batch.stream_table,
        at=delivery.at,
        sync_id=delivery.sync_id,
        watermark=watermark,
        is_full=scope is Scope.ALL,
        is_pass=batch.is_pass,
        live_rows=live,
        deleted_rows=gone,
    )
    landed = Landed(
        inserted=counts.inserted,
        updated=counts.updated,
        unchanged=counts.unchanged,
        deleted=deleted,
        rejected=unfit,
        live_rows=live,
        deleted_rows=gone,
        new_columns=tuple(column.name for column in columns.added),
        doubt=doubt,
    )
    return entry, landed


def _unlisted(db: duckdb.DuckDBPyConnection, delivery: Delivery, batch: Batch) -> str | None:
    """SQL: the keys of parents that do not list their children; None if there are none.

    Where a full read has no parent that does, the account does not list children at all, and what
    came beside the pages is all there is.
    """
    if not batch.unlisted:
        return None
    unlisted = f"select key from ({keys_in(batch.unlisted)})"
    found = db.execute(f"select exists ({_owners(delivery)} except {unlisted})").fetchone()
    is_usual = found == (False,)
    return None if is_usual and batch.scope is Scope.ALL else unlisted
