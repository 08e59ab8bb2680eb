"""A database is written anew, so that nothing that was deleted is left in its free blocks."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

from activecampaign_dagster.warehouse.sql import ROW_GROUP, literal, quoted
from activecampaign_dagster.warehouse.warehouse import WarehouseError


def rewrite(db: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Put a copy of the database in the place of its file; nobody else may have it open.

    db: a connection to the file at `path`, of no use afterwards. Raises WarehouseError, with the
    file as it was, if there is no room for the copy.
    """
    fresh = path.with_name(f".{path.name}.rewritten")
    (name,) = db.execute("select current_database()").fetchone() or ("",)
    _remove(fresh)
    try:
        db.execute("checkpoint")
        db.execute(f"attach {literal(str(fresh))} as rewritten (row_group_size {ROW_GROUP})")
        db.execute(f"copy from database {name} to rewritten")
        before, after = (_counts(db, each) for each in (name, "rewritten"))
        db.execute("detach rewritten")
        if before != after:
            raise WarehouseError(f"A copy of {path} differs from the original: please report this.")
        _sync_to_disk(fresh)
        # the lock on the old file is held until the new one is in its place
        fresh.replace(path)
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
    except (duckdb.Error, OSError) as error:
        raise WarehouseError(
            f"The rows were deleted from the tables of {path}, but the file could not be rewritten "
            f"({str(error).splitlines()[0]}), so it may still contain their bytes: make room "
            "for a second file of its size beside it, then run the command again with --rewrite."
        ) from error
    finally:
        _remove(fresh)


def _counts(db: duckdb.DuckDBPyConnection, database: str) -> dict[tuple[str, str], int]:
    """The rows of each table of a database."""
    tables = db.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = ? "
        "and not internal",
        [database],
    ).fetchall()
    counts = {}
    for schema, table in tables:
        place = f"{quoted(database)}.{quoted(schema)}.{quoted(table)}"
        (count,) = db.execute(f"select count(*) from {place}").fetchone() or (-1,)
        counts[schema, table] = count
    return counts


def _remove(fresh: Path) -> None:
    for each in (fresh, fresh.with_name(f"{fresh.name}.wal")):
        each.unlink(missing_ok=True)


def _sync_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
