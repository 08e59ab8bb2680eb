"""The DuckDB file: opened for as short as possible, and what a failure to open it means."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from activecampaign_dagster.warehouse.location import Location
from activecampaign_dagster.warehouse.private import make_folder, private_files, tighten
from activecampaign_dagster.warehouse.repair import (
    last_checkpoint,
    mend,
    read_metadata,
    was_left_open,
)
from activecampaign_dagster.warehouse.rewrite import rewrite
from activecampaign_dagster.warehouse.signals import heard_signals
from activecampaign_dagster.warehouse.sql import ROW_GROUP, literal
from activecampaign_dagster.warehouse.transient import is_full
from activecampaign_dagster.warehouse.warehouse import (
    Untended,
    WarehouseBusyError,
    WarehouseError,
)

_LOCKED = ("Could not set lock", "being used by another process", "Unique file handle conflict")
_DAMAGED = "Corrupt database file"
_MAGIC = b"DUCK"  # after a checksum of eight bytes


@dataclass(frozen=True, slots=True)
class FileWarehouse(Untended):
    """A DuckDB file: one process has it open at a time, for as short as possible.

    Hosts share no file, processes have locks of their own, and DuckDB uses free blocks again.
    """

    location: Location

    def exists(self) -> bool:
        """Whether there is a file."""
        return self.location.path.exists()

    def connect(
        self, *, patience: float = 300.0, read_only: bool = False
    ) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """See `connect`."""
        spill = self.location.folder("tmp")
        return connect(self.location.path, patience=patience, read_only=read_only, spill=spill)

    def sizes(self) -> Mapping[str, int]:
        """The bytes of the file."""
        return {"bytes": self.location.path.stat().st_size if self.exists() else 0}

    def erase(self, db: duckdb.DuckDBPyConnection) -> None:
        """Write the file anew."""
        rewrite(db, self.location.path)
        shutil.rmtree(self.location.folder("tmp"), ignore_errors=True)


@contextmanager
def connect(
    path: Path, *, patience: float = 300.0, read_only: bool = False, spill: Path | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection, closed at the end of the block whatever happens in it.

    Waits up to `patience` seconds, with jitter, while another process holds the file's lock.
    Raises WarehouseError at once for anything else: a path that cannot be written, a file that is
    no database or is damaged, a database made by a newer DuckDB; and for what is not written for
    want of room. Metadata that a kill has torn are mended first (see `repair`). The file, its WAL
    and what is spilled are the owner's alone.
    """
    spill = spill or path.with_name(f"{path.name}.tmp")
    with private_files(), heard_signals() as before_a_signal:
        yield from _connected(path, patience, read_only, spill, before_a_signal)


def _connected(
    path: Path,
    patience: float,
    read_only: bool,
    spill: Path,
    before_a_signal: list[Callable[[], None]],
) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = _open(path, patience, read_only, spill)
    before_a_signal.append(connection.interrupt)
    try:
        connection.execute("set TimeZone = 'UTC'")
        yield connection
    except RuntimeError as error:
        # DuckDB puts its own error in place of what a signal's handler raised while it ran a query
        if error.__cause__ is None or isinstance(error.__cause__, Exception):
            raise
        raise error.__cause__ from None
    except duckdb.Error as error:
        if _DAMAGED in str(error):
            raise WarehouseError(_meaning(path, error)) from error
        if not is_full(error):
            raise
        raise WarehouseError(
            f"The database {path} cannot be written ({_first_line(error)}): make room there or set "
            "ACTIVECAMPAIGN_DATABASE to another disk, then run again; committed rows are kept."
        ) from error
    finally:
        before_a_signal.clear()
        connection.close()


def _open(path: Path, patience: float, read_only: bool, spill: Path) -> duckdb.DuckDBPyConnection:
    try:
        make_folder(path.parent)
    except OSError as error:
        raise WarehouseError(
            f"The database's folder {path.parent} cannot be made ({error.strerror}): "
            "set ACTIVECAMPAIGN_DATABASE to a path that can be written."
        ) from error
    if not read_only and _is_database(path):
        tighten(path)
        tighten(path.with_name(f"{path.name}.wal"))
    deadline = time.monotonic() + patience
    delay = 0.05
    mended = False
    while True:
        looking = was_left_open(path)
        try:
            if looking:
                _look(path)
                looking = False
            return _connection(path, read_only, spill)
        except duckdb.Error as error:
            if looking and not mended and (mended := mend(path, error)):
                continue
            if not any(sign in str(error) for sign in _LOCKED):
                raise WarehouseError(_meaning(path, error)) from error
            if time.monotonic() > deadline:
                raise WarehouseBusyError(
                    f"The database {path} is still in use by another program after "
                    f"{patience:.0f} s: close the program that has it open, then run again."
                ) from error
        time.sleep(delay * random.uniform(0.5, 1))  # noqa: S311
        delay = min(delay * 1.5, 2.0)


def _is_database(path: Path) -> bool:
    """Whether a file is one of DuckDB's, and not somebody else's that was named by mistake."""
    with suppress(OSError), path.open("rb") as file:
        return file.read(12)[8:] == _MAGIC
    return False


def _look(path: Path) -> None:
    """Read the metadata of a database that was left open; raises duckdb.Error if they are torn."""
    with (
        suppress(OSError),
        last_checkpoint(path) as alone,
        closing(_connection(alone, read_only=True, spill=alone.with_suffix(".tmp"))) as connection,
    ):
        read_metadata(connection)


def _connection(path: Path, read_only: bool, spill: Path) -> duckdb.DuckDBPyConnection:
    """The file, attached under a name of our own.

    DuckDB calls a database by its file's name: in one called like the schema, and the default file
    is, `activecampaign.deals` would be ambiguous.
    """
    # rows in any order can be written by several threads and need not be held for it
    connection = duckdb.connect(
        config={"temp_directory": str(spill), "preserve_insertion_order": False}
    )
    mode = "read_only" if read_only else f"row_group_size {ROW_GROUP}"
    try:
        connection.execute(f"attach {literal(str(path))} as warehouse ({mode})")
        connection.execute("use warehouse")
    except duckdb.Error:
        connection.close()
        raise
    return connection


def _first_line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0]


def _meaning(path: Path, error: duckdb.Error) -> str:
    """One sentence on why DuckDB could not open the file."""
    text, first_line = str(error), _first_line(error)
    if "version number" in text or "newer version" in text:
        return (
            f"The database {path} was made by a newer DuckDB than {duckdb.__version__}: "
            "upgrade the duckdb package, or set ACTIVECAMPAIGN_DATABASE to another file."
        )
    if "not a valid DuckDB database" in text:
        return (
            f"{path} is not a DuckDB database: set ACTIVECAMPAIGN_DATABASE to another path; "
            "the file was not changed."
        )
    if _DAMAGED in text:
        return (
            f"The database {path} is damaged ({first_line}): restore it from a backup, or set "
            "ACTIVECAMPAIGN_DATABASE to another file and run a full sync."
        )
    if "Permission denied" in text or "Read-only file system" in text or "directory" in text:
        return (
            f"The database {path} cannot be opened for writing: check its permissions or set "
            f"ACTIVECAMPAIGN_DATABASE to another path ({first_line})."
        )
    return f"The database {path} cannot be opened: {first_line}"
