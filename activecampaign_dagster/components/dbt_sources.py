"""The dbt project's sources, written from the declarations of the streams.

The models learn from them which columns a stream has where nothing of it was read.
"""

from __future__ import annotations

from typing import Any

import yaml  # type: ignore[import-untyped]

from activecampaign_dagster.streams.declaration import Stream
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.warehouse.tables import bookkeeping

_HEAD = "# Written by python -m activecampaign_dagster.components.reference\n"
_ABOUT = (
    "What the sync lands: one table per stream, columns named as in the API. Rows that left the "
    "account stay, with `_deleted_at` set, unless the stream is synced as a full table. With "
    "several accounts, a table is as fresh as that of the account that is furthest behind. A "
    "stream that is not read has no table; models take it as an empty one."
)
# a stream that nobody reads is not late
_LOADED_AT = (
    "select coalesce(min(last_synced_at), current_timestamp) "
    "from \"{{{{ target.database }}}}\".{{{{ var('activecampaign_schema') }}}}._streams "
    "where stream = '{name}'"
)


def sources() -> str:
    """The text of _sources.yml."""
    source = {
        "name": "activecampaign",
        "description": _ABOUT,
        "schema": "{{ var('activecampaign_schema') }}",
        "config": {
            "freshness": {
                "warn_after": {"count": 24, "period": "hour"},
                "error_after": {"count": 72, "period": "hour"},
            }
        },
        "tables": [_table(stream) for stream in STREAMS.values()],
    }
    written = yaml.safe_dump(
        {"version": 2, "sources": [source]}, sort_keys=False, width=100, allow_unicode=True
    )
    return f"{_HEAD}{written}"


def _table(stream: Stream) -> dict[str, Any]:
    name = stream.name
    fields = [(f.name, str(f.type), f.description) for f in stream.fields]
    return {
        "name": name,
        "description": stream.description,
        "identifier": f"{{{{ var('activecampaign_tables').get('{name}', '{name}') }}}}",
        "config": {"loaded_at_query": _LOADED_AT.format(name=name)},
        "columns": [
            {"name": column, "data_type": type_, "description": about, "quote": True}
            for column, type_, about in (*fields, *bookkeeping(stream))
        ],
    }
