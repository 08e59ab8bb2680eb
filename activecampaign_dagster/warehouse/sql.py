"""Names and texts in SQL, and the schema that the tables lie in."""

from __future__ import annotations

import duckdb

SCHEMA = "activecampaign"


def has_table(db: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether the schema has a table."""
    found = db.execute(
        "select 1 from duckdb_tables() where schema_name = ? and table_name = ? "
        "and database_name = current_database()",
        [SCHEMA, table],
    ).fetchone()
    return found is not None


def quoted(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
