"""A database whose writer was killed while it wrote a checkpoint: the torn block is mended.

DuckDB adds to a block of metadata by writing the whole block to its place. Killed in the middle,
Linux leaves the new block's beginning, checksum included, in front of the old one's rest. What the
last checkpoint needs is the same in both, so that nothing but the checksum is wrong. Seen with
DuckDB 1.5.6; `tests/sync/test_mend.py` tears a block at six places.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

import duckdb

_MISMATCH = re.compile(
    r"computed checksum (\d+) does not match stored checksum (\d+) in block at location (\d+)"
)


def was_left_open(database: Path) -> bool:
    """Whether the last process that wrote to a database was killed."""
    return database.exists() and database.with_name(f"{database.name}.wal").exists()


def read_metadata(connection: duckdb.DuckDBPyConnection) -> None:
    """Read all that a torn block may hold; raises duckdb.Error if one does, and for that alone."""
    tables = connection.execute(
        """
        select format('"{}"."{}"', replace(schema_name, '"', '""'), replace(table_name, '"', '""'))
        from duckdb_tables() where database_name = current_database() and not internal
        """
    ).fetchall()
    for (name,) in tables:
        try:
            connection.execute("select count(*) from pragma_storage_info(?)", [name])
        except duckdb.Error as error:
            if _MISMATCH.search(str(error)):
                raise


def mend(database: Path, error: duckdb.Error) -> bool:
    """Correct the checksum that reading the metadata failed for; returns whether that was done.

    Only where a killed writer explains it: any other damage is left as it is.
    """
    found = _MISMATCH.search(str(error))
    if not found or not was_left_open(database):
        return False
    computed, stored, location = map(int, found.groups())
    try:
        with database.open("r+b") as file:
            file.seek(location)
            if int.from_bytes(file.read(8), "little") != stored:
                return False
            file.seek(location)
            file.write(computed.to_bytes(8, "little"))
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        return False
    logging.getLogger(__name__).warning(
        "The process that wrote to %s was killed while it did; the block at %d is mended "
        "(checksum %d, before %d). Nothing that was committed is lost.",
        *(database, location, computed, stored),
    )
    return True
