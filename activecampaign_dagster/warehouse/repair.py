"""A database whose writer was killed while it wrote a checkpoint: the torn block is mended.

DuckDB adds to a block of metadata by writing the whole block to its place. Killed in the middle,
Linux leaves the new block's beginning, checksum included, in front of the old one's rest. What the
last checkpoint needs is the same in both, so that nothing but the checksum is wrong. Seen with
DuckDB 1.5.6; `tests/warehouse/test_repair.py` tears a block at six places.

A checksum cannot tell a torn block from one that has decayed. So only metadata is mended, only
beside a WAL, once, and the log has both checksums, with which it can be undone; a full sync then
compares every row with the account.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

HEAD, BLOCK = 3 * 4096, 256 * 1024  # bytes before the first block, and of each
MISMATCH = re.compile(
    r"computed checksum (\d+) does not match stored checksum (\d+) in block at location (\d+)"
)


def was_left_open(database: Path) -> bool:
    """Whether the last process that wrote to a database was killed."""
    file = database.resolve()  # DuckDB keeps the WAL of a link beside the link's target
    return file.exists() and file.with_name(f"{file.name}.wal").exists()


@contextmanager
def last_checkpoint(database: Path) -> Iterator[Path]:
    """The database without its WAL, whose replay reads data too: by a second name for the file.

    Raises OSError where files cannot have two names.
    """
    file = database.resolve()  # a link's target may lie elsewhere, on another file system
    with TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as folder:
        alone = Path(folder) / "checkpoint.duckdb"
        os.link(file, alone)
        yield alone


def read_metadata(connection: duckdb.DuckDBPyConnection) -> None:
    """Read all that a torn block may hold; raises duckdb.Error if one does, and for that alone."""
    blocks = connection.execute("select distinct block_id from pragma_metadata_info()").fetchall()
    places = {HEAD + block * BLOCK for (block,) in blocks}
    tables = connection.execute(
        """
        select format('"{}"."{}"', replace(schema_name, '"', '""'), replace(table_name, '"', '""'))
        from duckdb_tables() where database_name = current_database() and not internal
        """
    ).fetchall()
    for (name,) in tables:
        try:
            # this looks at some of the data, too
            connection.execute("select count(*) from pragma_storage_info(?)", [name])
        except duckdb.Error as error:
            found = MISMATCH.search(str(error))
            if found and int(found[3]) in places:
                raise


def mend(database: Path, error: duckdb.Error) -> bool:
    """Correct the checksum that reading the metadata failed for; returns whether that was done.

    error: what `read_metadata`, or opening what it reads, raised.
    """
    found = MISMATCH.search(str(error))
    if not found:
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
        "The process that wrote to %s was killed, and the metadata at byte %d do not match their "
        "checksum, as if it was killed while it wrote them: the checksum is set to %d (it was %d). "
        "Run a full sync: it compares every row with the account.",
        *(database, location, computed, stored),
    )
    return True
