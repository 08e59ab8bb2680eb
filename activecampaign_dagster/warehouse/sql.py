"""Names and texts in SQL, and the schema that the tables lie in."""

from __future__ import annotations

import duckdb

SCHEMA = "activecampaign"
# A row group is compressed in memory: this is a seventh of DuckDB's own size, since contacts have
# 90 columns.
ROW_GROUP = 8 * 2048  # rows


def relations(db: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], str]:
    """Schema and name of every table and view → BASE TABLE or VIEW."""
    # duckdb_tables() would count the bytes of each table, which a lake looks up one by one
    found = db.execute(
        "select table_schema, table_name, table_type from information_schema.tables "
        "where table_catalog = current_database()"
    ).fetchall()
    return {(schema, name): kind for schema, name, kind in found}


def has_relation(db: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether the schema of the streams has a table or view."""
    return (SCHEMA, name) in relations(db)


def quoted(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
