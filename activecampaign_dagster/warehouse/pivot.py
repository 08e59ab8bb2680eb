"""The custom fields of contacts under their personalisation tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.warehouse.sql import literal
from activecampaign_dagster.warehouse.tables import relation


def personalisation_tags(fields: Iterable[Any]) -> dict[str, str]:
    """Custom field id → personalisation tag; a tag that two fields share gets the id of the later.

    fields: records of /fields.
    """
    tags: dict[str, str] = {}
    # pages overlap, so a field may come twice
    known = {
        str(field["id"]): field for field in fields if isinstance(field, dict) and "id" in field
    }
    for field_id, field in sorted(known.items(), key=lambda item: (len(item[0]), item[0])):
        tag = str(field.get("perstag") or field_id)
        while tag in tags.values():
            tag = f"{tag}_{field_id}"
        tags[field_id] = tag
    return tags


def stored_tags(db: duckdb.DuckDBPyConnection, source: Source) -> dict[str, str]:
    """The same, from the table of custom fields."""
    table = next(relation(t.table) for t in source.stream_tables if t.name == "custom_fields")
    rows = db.execute(f"select id, perstag from {table}").fetchall()
    return personalisation_tags({"id": i, "perstag": tag} for i, tag in rows)


def fill_custom_fields(
    db: duckdb.DuckDBPyConnection, source: Source, tags: Mapping[str, str], stamp: list[Any]
) -> None:
    """Set contacts.customFields from the table of custom field values, where it differs.

    For contacts that were read without them. stamp: time and id of the sync.
    """
    table = {
        stream_table.name: relation(stream_table.table) for stream_table in source.stream_tables
    }
    known = ", ".join(f"({literal(i)}, {literal(tag)})" for i, tag in tags.items())
    db.execute(
        f"""
        update {table["contacts"]} as c
        set "customFields" = found.fields, _synced_at = ?, _sync_id = ?
        from (
            select c.id, coalesce(v.fields, '{{}}') as fields
            from {table["contacts"]} as c left join (
                select contact, to_json(map(list(tag order by tag), list("value" order by tag)))
                    as fields
                from (
                    select v.contact, coalesce(t.tag, v.field::varchar) as tag,
                        arg_max_null(v."value", v.id) as "value"
                    from {table["custom_field_values"]} as v
                    left join (values {known or "(null, null)"}) as t (field, tag)
                        on t.field = v.field::varchar
                    where v._deleted_at is null and v.field is not null
                    group by all
                )
                group by contact
            ) as v on v.contact = c.id
            where c._deleted_at is null
        ) as found
        where found.id = c.id and c."customFields" is distinct from found.fields
        """,
        stamp,
    )
