"""Fields of a parent that are made of a child's rows: label → value.

The labels are those of the definitions that landed last. What they were when the field was written
is kept in the ledger, so that every row follows when a definition is renamed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import duckdb

from activecampaign_dagster.streams.declaration import Kind, Pivot, Stream
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.warehouse import ledger
from activecampaign_dagster.warehouse.sql import literal, quoted
from activecampaign_dagster.warehouse.tables import existing, key_sql, relation

Labels = Mapping[str, str]  # key of a definition → its label
_NUMBER, _CENTS = r"-?(0|[1-9]\d{0,300})(\.\d+)?", r"-?\d{1,18}"  # as JSON and as BIGINT


def unique_labels(definitions: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """Key → label; the key stands in for a missing label, and is added to one that is taken.

    definitions: key and label of each.
    """
    labels: dict[str, str] = {}
    taken: set[str] = set()
    for key, named in sorted(dict(definitions).items(), key=lambda item: (len(item[0]), item[0])):
        # a NUL cannot stand in SQL
        label = str(named or key).replace("\0", "\\u0000")
        while label in taken:
            label = f"{label}_{key}"
        labels[key] = label
        taken.add(label)
    return labels


def landed_labels(db: duckdb.DuckDBPyConnection, source: Source, pivot: Pivot) -> dict[str, str]:
    """The labels in the table of the definitions, if there is one."""
    table = source.table_of(pivot.labels)
    if table not in existing(db, source):
        return {}
    found = db.execute(
        f"select ({key_sql(table.stream, 't')})::varchar, t.{quoted(pivot.label)} "
        f"from {relation(table.table)} as t where t._deleted_at is null"
    )
    return unique_labels(found.fetchall())


def spooled_labels(
    db: duckdb.DuckDBPyConnection, definitions: Stream, pivot: Pivot, files: Sequence[str]
) -> dict[str, str]:
    """The labels in the segments of definitions that do not land in a table."""
    if not files:
        return {}
    names = ", ".join(map(literal, files))
    fields = ", ".join(f"{quoted(name)} varchar" for name in (*definitions.key, pivot.label))
    found = db.execute(
        f"select r from read_ndjson([{names}], columns = {{r: {literal(f'struct({fields})')}}}) "
        "where r is not null"
    ).fetchall()
    keyed = ((definitions.key_of(record), record[pivot.label]) for (record,) in found)
    return unique_labels((key, label) for key, label in keyed if key is not None)


def landed_kinds(db: duckdb.DuckDBPyConnection, source: Source, pivot: Pivot) -> dict[str, Kind]:
    """Key of a definition → what its values are, of those whose values are not texts."""
    table = source.table_of(pivot.labels)
    if pivot.kind is None or table not in existing(db, source):
        return {}
    found = db.execute(
        f"select ({key_sql(table.stream, 't')})::varchar, t.{quoted(pivot.kind)} "
        f"from {relation(table.table)} as t where t._deleted_at is null"
    ).fetchall()
    return {key: pivot.kinds[kind] for key, kind in found if kind in pivot.kinds}


def _value_sql(pivot: Pivot) -> str:
    """SQL: a child's value as what its definition says it is, as JSON; else as text."""
    value = f"v.{quoted(pivot.value)}"
    if pivot.kind is None:
        return value
    number, money, choices = (f"t.kind = {literal(kind)}" for kind in Kind)
    cents = f"json_object('value', {value}::bigint"
    if pivot.currency:
        cents += f", 'currency', v.{quoted(pivot.currency)}"
    return f"""case
        when {number} and regexp_full_match({value}, '{_NUMBER}') then {value}::json
        when {money} and regexp_full_match({value}, '{_CENTS}') then {cents})
        when {choices} and starts_with({value}, '[') and json_valid({value}) then {value}::json
        when {choices} and {value} <> ''
            then to_json(list_filter(string_split({value}, '||'), lambda each: each <> ''))
        else to_json({value})
    end"""


def pivoted_sql(
    parent: Stream, child: Stream, rows: str, labels: Labels, kinds: Mapping[str, Kind]
) -> str:
    """SQL: `owner` (a parent's key) and `made`, its children's labels and values as JSON.

    parent: the stream that is given it. rows: SQL, rows of the child. kinds: key of a definition →
    what its values are. Where two carry one label, the one with the greater key counts.
    """
    assert child.beside is not None  # noqa: S101
    assert parent.pivot is not None  # noqa: S101
    pivot, owner = parent.pivot, f"v.{quoted(child.beside.owner)}"
    if child.field(child.beside.owner).type != parent.field(parent.key[0]).type:
        owner += f"::{parent.field(parent.key[0]).type}"
    label_of = quoted(pivot.label_of)
    known = ", ".join(
        f"({literal(key)}, {literal(label)}, {literal(kinds.get(key, ''))})"
        for key, label in labels.items()
    )
    return f"""
        select owner, to_json(map(list(label order by label), list("value" order by label))) as made
        from (
            select
                {owner} as owner, coalesce(t.label, v.{label_of}::varchar) as label,
                arg_max_null({_value_sql(pivot)}, {key_sql(child, "v")}) as "value"
            from ({rows}) as v
            left join (values {known or "(null, null, null)"}) as t (key, label, kind)
                on t.key = v.{label_of}::varchar
            where v.{label_of} is not null
            group by all
        )
        group by owner
    """


def refill(
    db: duckdb.DuckDBPyConnection,
    source: Source,
    parent: StreamTable,
    labels: Labels,
    stamp: Sequence[datetime | str],
) -> None:
    """Make the field of all parents of the child's landed rows, where it differs.

    For parents that came without their children. stamp: time and id of the sync.
    """
    pivot = parent.stream.pivot
    assert pivot is not None  # noqa: S101
    child, column = source.table_of(pivot.child), quoted(pivot.column)
    rows = f"from {relation(child.table)} where _deleted_at is null"
    key = key_sql(parent.stream, "c")
    kinds = landed_kinds(db, source, pivot)
    made = pivoted_sql(parent.stream, child.stream, rows, labels, kinds)
    db.execute(
        f"""
        update {relation(parent.table)} as c
        set {column} = found.made, _synced_at = ?, _sync_id = ?
        from (
            select {key} as key, coalesce(made.made, '{{}}') as made
            from {relation(parent.table)} as c
            left join ({made}) as made
                on made.owner = {key}
            where c._deleted_at is null
        ) as found
        where found.key = {key} and c.{column} is distinct from found.made
        """,
        stamp,
    )


def note_labels(db: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Note the labels of fields that were made before the ledger kept any: those that landed."""
    known = ledger.facts(db, source.name)
    for parent, found in source.pivoted:
        if _fact(parent, found) not in known:
            labels = landed_labels(db, source, found)
            if labels:
                _note(db, source, parent, found, labels)


def noted_labels(
    db: duckdb.DuckDBPyConnection, source: Source, parent: StreamTable
) -> dict[str, str] | None:
    """The labels with which the field was written last; None if nothing is known of them."""
    assert parent.stream.pivot is not None  # noqa: S101
    noted = ledger.facts(db, source.name).get(_fact(parent, parent.stream.pivot))
    return json.loads(noted) if noted else None


def _fact(parent: StreamTable, pivot: Pivot) -> str:
    return f"labels:{parent.name}.{pivot.column}"


def _note(
    db: duckdb.DuckDBPyConnection,
    source: Source,
    parent: StreamTable,
    pivot: Pivot,
    labels: Labels,
) -> None:
    text = json.dumps(dict(labels), ensure_ascii=False)
    ledger.note_fact(db, source.name, _fact(parent, pivot), text)


def relabel(
    db: duckdb.DuckDBPyConnection,
    source: Source,
    parent: StreamTable,
    labels: Labels,
    stamp: Sequence[datetime | str],
) -> None:
    """Let the field of every row follow the labels as they are now, where one has changed.

    stamp: time and id of the sync. Changes rows and ledger in the transaction that is open.
    """
    pivot = parent.stream.pivot
    assert pivot is not None  # noqa: S101
    before = noted_labels(db, source, parent)
    if before == labels:
        return
    if before is not None:
        now = {**{key: key for key in before}, **labels}
        old_to_new = {before.get(key, key): label for key, label in now.items()}
        renamed = {old: new for old, new in old_to_new.items() if old != new}
        if renamed:
            _rename(db, parent, pivot, renamed, stamp)
    _note(db, source, parent, pivot, labels)


def _rename(
    db: duckdb.DuckDBPyConnection,
    parent: StreamTable,
    pivot: Pivot,
    renamed: Labels,
    stamp: Sequence[datetime | str],
) -> None:
    """Rename keys of the field's JSON, all at once, so that two can change places."""
    table, column = relation(parent.table), f"c.{quoted(pivot.column)}"
    key = key_sql(parent.stream, "c")
    known = ", ".join(f"({literal(old)}, {literal(new)})" for old, new in renamed.items())
    # a renamed label wins over one of the same name that nobody defines any more
    db.execute(
        f"""
        update {table} as c
        set {quoted(pivot.column)} = found.made, _synced_at = ?, _sync_id = ?
        from (
            select key, to_json(map(list(label order by label), list(v order by label))) as made
            from (
                select
                    {key} as key, coalesce(t.new, e.key) as label,
                    arg_max_null(e.value, t.new is not null) as v
                from {table} as c, json_each({column}) as e
                left join (values {known}) as t (old, new) on t.old = e.key
                group by all
            )
            group by key
        ) as found
        where found.key = {key} and {column} is distinct from found.made
        """,
        stamp,
    )
