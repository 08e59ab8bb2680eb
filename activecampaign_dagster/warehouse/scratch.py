"""Room for a landing: a database for typed rows on their way, and the memory that it may take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import duckdb

from activecampaign_dagster.warehouse.sql import ROW_GROUP, literal
from activecampaign_dagster.warehouse.warehouse import WarehouseError

SCRATCH = "_landing"
# What does not fit goes to disk; records of unheard-of size may need the next step.
_MEGABYTES = (125, 300, 1_000, 8_000)
_SMALL_BYTES = 60_000_000
T = TypeVar("T")


def with_memory(db: duckdb.DuckDBPyConnection, what: str, work: Callable[[], T]) -> T:
    """Do `work` with as little memory as it can be done with, and return what it returns.

    what: its name in the WarehouseError that is raised if no bearable amount suffices. `work` must
    change nothing if it fails.
    """
    try:
        for megabytes in _MEGABYTES:
            db.execute(f"set memory_limit = '{megabytes}MB'")
            with suppress(duckdb.OutOfMemoryException):
                return work()
    finally:  # for all connections of the process
        db.execute("reset memory_limit")
    raise WarehouseError(
        f"Landing {what} takes more than {_MEGABYTES[-1]} MB of memory, which no account "
        "should need: please report it."
    )


@contextmanager
def one_thread(db: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let DuckDB use one thread within the block, in all connections of the process.

    Each would fill row groups of its own, of which a limit of memory counts only a part. And the
    many small statements of a sync take a third less CPU if none waits for another.
    """
    db.execute("set threads = 1")
    try:
        yield
    finally:
        db.execute("reset threads")


@contextmanager
def scratch(db: duckdb.DuckDBPyConnection, size: int, folder: Path) -> Iterator[None]:
    """A database called SCRATCH for typed rows, on disk in `folder` unless they are few."""
    path = folder / "typed.duckdb"
    path.unlink(missing_ok=True)
    place = ":memory:" if size < _SMALL_BYTES else str(path)
    db.execute(f"attach {literal(place)} as {SCRATCH} (row_group_size {ROW_GROUP})")
    try:
        yield
    finally:
        db.execute(f"detach {SCRATCH}")
        path.unlink(missing_ok=True)
