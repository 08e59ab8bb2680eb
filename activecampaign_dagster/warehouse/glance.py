"""Reads a DuckDB file that another process has open for writing.

DuckDB locks a file as a whole, so a copy is read. A file may be large and a glance small: the copy
has holes, and only blocks that a query needs are filled in. DuckDB names such a block itself,
because zeros do not match its checksum. The same checksum tells when the writer was faster.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import duckdb

from activecampaign_dagster.warehouse.repair import BLOCK, HEAD, MISMATCH
from activecampaign_dagster.warehouse.sql import literal
from activecampaign_dagster.warehouse.warehouse import Warehouse, WarehouseBusyError

T = TypeVar("T")

_FOR_THE_LOCK = 1.0  # seconds
_FOR_THE_WRITER = 10.0  # seconds for which it may be faster
_PAUSE = 0.1  # seconds


def glance(warehouse: Warehouse, read: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
    """What `read` returns for the state that was committed last, whoever is writing.

    `read` may be called several times. Raises WarehouseError.
    """
    try:
        with warehouse.connect(patience=_FOR_THE_LOCK, read_only=True) as db:
            return read(db)
    except WarehouseBusyError as busy:
        if warehouse.location.is_shared:
            raise
        try:
            return _without_lock(warehouse.location.path, read)
        except duckdb.Error:
            raise busy from None


def _without_lock(database: Path, read: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
    file = database.resolve()  # DuckDB keeps the WAL of a link beside the link's target
    deadline = time.monotonic() + _FOR_THE_WRITER
    while True:
        try:
            with TemporaryDirectory() as folder:
                return _read(file, Path(folder) / "glance.duckdb", read)
        except duckdb.Error:
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE)


def _read(file: Path, copy: Path, read: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
    with file.open("rb") as source, copy.open("wb") as target:
        target.write(source.read(HEAD))
        target.truncate(file.stat().st_size)
    wal = file.with_name(f"{file.name}.wal")
    if wal.exists():
        shutil.copyfile(wal, copy.with_name(f"{copy.name}.wal"))
    filled: set[int] = set()
    while True:
        try:
            with closing(duckdb.connect()) as db:
                db.execute(f"attach {literal(str(copy))} as warehouse (read_only)")
                db.execute("use warehouse")
                db.execute("set TimeZone = 'UTC'")
                return read(db)
        except duckdb.Error as error:
            missing = MISMATCH.search(str(error))
            if not missing or (place := int(missing[3])) in filled:
                raise
            filled.add(place)
            _fill(file, copy, place)


def _fill(file: Path, copy: Path, place: int) -> None:
    with file.open("rb") as source, copy.open("r+b") as target:
        source.seek(place)
        target.seek(place)
        target.write(source.read(BLOCK))
