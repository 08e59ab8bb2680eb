"""A DuckLake: rows in files that all hosts reach, the catalogue in PostgreSQL, many writers.

How PostgreSQL is reached is libpq's own business: PGHOST, PGPORT, PGUSER, PGPASSWORD or PGPASSFILE,
and PGDATABASE. So no address holds a password, which DuckDB's errors would quote.
"""

from __future__ import annotations

import hashlib
import random
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from activecampaign_dagster.warehouse.extensions import (
    LAKE_EXTENSIONS,
    are_packaged,
    load_extension,
)
from activecampaign_dagster.warehouse.location import (
    LAKE_FILES_VARIABLE,
    SCRATCH_VARIABLE,
    Location,
)
from activecampaign_dagster.warehouse.private import make_folder, private_files
from activecampaign_dagster.warehouse.signals import heard_signals
from activecampaign_dagster.warehouse.sql import literal
from activecampaign_dagster.warehouse.transient import is_conflict, is_full, is_lost
from activecampaign_dagster.warehouse.warehouse import (
    Lock,
    NoWarehouseError,
    WarehouseBusyError,
    WarehouseError,
)

_NAME = "warehouse"
_METADATA = f"__ducklake_metadata_{_NAME}"  # as DuckLake calls the catalogue's own database
# A host that is cut off is noticed within seconds, on both sides.
_REACH = (
    "connect_timeout=10 keepalives_idle=5 keepalives_interval=2 keepalives_count=3 "
    "tcp_user_timeout=20000"
)
_SESSION = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "11000",  # keepalives do not begin while an answer is on its way
    "idle_in_transaction_session_timeout": "0",
}
_RETRIES = 100  # of DuckLake's own, when two commits want the same snapshot number
_USE = "use"  # the lock that whoever writes shares, and maintenance has alone
_POLL = 0.5  # seconds
_PATIENCE = 600.0  # seconds
_SHORT_PATIENCE = 10.0  # seconds: somebody is looking
_PREFIX = "activecampaign: "  # of a holder's name in PostgreSQL
_LONGEST_NAME = 63  # bytes

_guard = threading.Lock()
_attached: dict[Location, duckdb.DuckDBPyConnection] = {}
_shares: dict[int, duckdb.DuckDBPyConnection] = {}  # by the id of the connection that writes


@dataclass(frozen=True, slots=True)
class LakeWarehouse:
    """A DuckLake, attached once per process: to attach it takes longer than a small landing."""

    location: Location

    def exists(self) -> bool:
        """Whether there is a catalogue; also if nobody can tell, as the server is away."""
        try:
            with self.connect(patience=0.0, read_only=True):
                return True
        except NoWarehouseError:
            return False
        except WarehouseBusyError:
            return True

    @contextmanager
    def connect(
        self, *, patience: float = 300.0, read_only: bool = False
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for the block; whoever may write shares the lake with maintenance's absence.

        Waits up to `patience` seconds for the server, or for maintenance to end.
        """
        with private_files(), heard_signals() as before_a_signal:
            db = self._cursor(patience, make=not read_only)
            before_a_signal.append(db.interrupt)
            try:
                if not read_only:
                    _shares[id(db)] = self._share(patience)
                yield db
            except duckdb.Error as error:
                if (failure := _failure(self.location, error)) is None:
                    raise
                raise failure from error
            finally:
                before_a_signal.clear()
                _close(_shares.pop(id(db), None))
                _close(db)

    def _cursor(self, patience: float, *, make: bool = True) -> duckdb.DuckDBPyConnection:
        """A connection to the attached lake, which another one does not disturb."""
        deadline, pause = time.monotonic() + patience, 0.2
        while True:
            try:
                with _guard:
                    if self.location not in _attached:
                        _attached[self.location] = _attach(self.location, make=make)
                    db = _attached[self.location].cursor()
                db.execute(f"use {_NAME}")
                db.execute("set TimeZone = 'UTC'")
                db.execute("select 1 from information_schema.schemata limit 1").fetchall()
            except duckdb.Error as error:
                if _NOT_MADE in str(error):
                    raise NoWarehouseError(self.location) from error
                if not (is_lost(error) or is_conflict(error)):
                    raise WarehouseError(_meaning(self.location, error)) from error
                if time.monotonic() > deadline:
                    raise WarehouseBusyError(
                        f"PostgreSQL, which keeps the catalogue of {self.location.label}, did not "
                        f"answer for {patience:.0f} s ({_first_line(error)}): check that it runs, "
                        "and PGHOST, PGPORT and PGUSER."
                    ) from error
            else:
                return db
            time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
            pause = min(pause * 1.7, 5.0)

    def _share(self, patience: float) -> duckdb.DuckDBPyConnection:
        """What holds the lake against maintenance until it is closed."""
        deadline = time.monotonic() + patience
        while (held := self._try(_USE, shared=True)) is None:
            if time.monotonic() > deadline:
                raise WarehouseBusyError(
                    f"Maintenance of {self.location.label} has not ended after {patience:.0f} s: "
                    "run again once it has."
                )
            time.sleep(_POLL)
        return held

    def lock(self, name: str, who: str) -> Lock | None:
        """A lock in PostgreSQL, which lets go of it when its holder is gone."""
        held = self._try(name, who=who)
        return _Held(held, _key(name)) if held else None

    def holder(self, name: str) -> str:
        """Who holds a lock, as PostgreSQL tells."""
        asked = (
            "select a.application_name from pg_locks join pg_stat_activity a using (pid) "
            f"where locktype = 'advisory' and granted and {_SAME_KEY.format(key=_key(name))}"
        )
        with suppress(duckdb.Error, WarehouseError):
            db = self._cursor(0.0)
            try:
                for (holder,) in _ask(db, asked):
                    return str(holder).removeprefix(_PREFIX)
            finally:
                _close(db)
        return "another host"

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Share the lake with all but maintenance."""
        held = self._share(_PATIENCE)
        try:
            yield
        finally:
            _close(held)

    def _try(
        self, name: str, *, shared: bool = False, who: str = ""
    ) -> duckdb.DuckDBPyConnection | None:
        """A connection whose transaction holds a lock; None if somebody else holds it."""
        with _guard:
            attached = _attached.get(self.location)
        db = attached.cursor() if attached else self._cursor(300.0)  # needs no table
        how = "pg_try_advisory_xact_lock" + ("_shared" if shared else "")
        session = {**_SESSION, "application_name": f"{_PREFIX}{who}"[:_LONGEST_NAME]}
        settings = "".join(
            f", set_config({literal(key)}, {literal(value)}, true) as {key}"
            for key, value in session.items()
        )
        try:
            db.execute("begin")
            if _ask(db, f"select {how}({_key(name)}) as got{settings}")[0][0]:
                return db
        except duckdb.Error as error:
            _close(db)
            if not is_lost(error):
                raise
            _close(self._cursor(300.0))  # which waits for the server
            return None
        except BaseException:
            _close(db)
            raise
        _close(db)
        return None

    def sizes(self) -> Mapping[str, int]:
        """Tables, snapshots, files with rows and with deletions, and the bytes of all."""
        with self.connect(patience=_SHORT_PATIENCE, read_only=True) as db:
            (snapshots,) = db.execute(
                f"select count(*) from ducklake_snapshots({literal(_NAME)})"
            ).fetchone() or (0,)
            files = db.execute(
                "select count(*), sum(file_count), sum(file_size_bytes), sum(delete_file_count), "
                f"sum(delete_file_size_bytes) from ducklake_table_info({literal(_NAME)})"
            ).fetchone() or (0, 0, 0, 0, 0)
            [(catalogue,)] = _ask(db, "select pg_database_size(current_database())")
        names = ("tables", "files", "bytes of files", "deletion files", "bytes of deletion files")
        found = {name: int(number or 0) for name, number in zip(names, files, strict=True)}
        return {**found, "snapshots": snapshots, "bytes of the catalogue": catalogue}

    def tidy(self) -> Iterator[str]:
        """Flush, expire, merge, rewrite and clean."""
        yield from self._maintained(timedelta(days=7), timedelta(days=1), _MAINTENANCE)

    def erase(self, db: duckdb.DuckDBPyConnection) -> None:
        """Write files anew of which rows were deleted, and keep no snapshot but the last one."""
        _close(_shares.pop(id(db), None))  # which would keep maintenance waiting
        db.close()
        try:
            # clocks of other hosts, which wrote snapshots, may be ahead
            for _ in self._maintained(-timedelta(days=1), -timedelta(days=1), _ERASURE):
                pass
        except WarehouseError as error:
            raise WarehouseError(
                f"The rows are deleted, but the lake's files still contain them. {error} Add "
                "--rewrite then."
            ) from error

    def _maintained(
        self, kept: timedelta, files_kept: timedelta, steps: Sequence[tuple[str, str]]
    ) -> Iterator[str]:
        """Maintenance; alone, as compaction beside a writer has lost deletions (DuckLake 1.0).

        kept: for how long snapshots are; files_kept: those that no snapshot has, which a reader may
        still be at. steps: what is said, and the statement.
        """
        deadline = time.monotonic() + _PATIENCE
        while (held := self._try(_USE)) is None:
            if time.monotonic() > deadline:
                raise WarehouseBusyError(
                    f"Somebody has been writing to {self.location.label} for {_PATIENCE:.0f} s: "
                    "run again once nobody does."
                )
            time.sleep(_POLL)
        db = self._cursor(_PATIENCE)
        try:
            self._refuse_readers(db)
            now = datetime.now(UTC)
            ages = {"kept": now - kept, "cleaned": now - files_kept}
            stamps = {name: literal(at.isoformat()) for name, at in ages.items()}
            for done, statement in steps:
                found = db.execute(statement.format(lake=literal(_NAME), **stamps)).fetchall()
                yield done.format(count=len(found))
        except duckdb.Error as error:
            raise _failure(self.location, error) or WarehouseError(
                f"{self.location.label} cannot be maintained: {_first_line(error)}"
            ) from error
        finally:
            _close(held)
            _close(db)

    def _refuse_readers(self, db: duckdb.DuckDBPyConnection) -> None:
        """Tell a role that may only read before DuckLake does, in words that depend on threads."""
        [(may_write, role)] = _ask(
            db,
            "select has_table_privilege('ducklake_snapshot', 'insert') as may_write, "
            "current_user::text as role",
        )
        if not may_write:
            raise WarehouseError(
                f"{self.location.label} cannot be maintained: permission denied for the role "
                f"{role!r}, which may not write its catalogue. Run this as the role that syncs."
            )


class _Held:
    """A lock of PostgreSQL, which ends with the transaction that took it."""

    def __init__(self, db: duckdb.DuckDBPyConnection, key: int) -> None:
        self._db = db
        self._key = key

    def still_held(self) -> bool:
        asked = (
            "select 1 from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() "
            f"and granted and {_SAME_KEY.format(key=self._key)}"
        )
        try:
            return bool(_ask(self._db, asked))
        except duckdb.Error:  # the transaction is gone, and the lock with it
            return False

    def release(self) -> None:
        _close(self._db)


def _key(name: str) -> int:
    """PostgreSQL's number of a lock in the lake's own database."""
    digest = hashlib.sha256(f"activecampaign {name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


_NOT_MADE = "creating a new DuckLake is explicitly disabled"
_UNREACHABLE = re.compile(r'^.*Unable to connect to Postgres at ".*?": ')
# classid has a key's upper half, objid its lower one, both without a sign
_SAME_KEY = "((classid::bigint << 32) | objid::bigint) = ({key})"
_FLUSHED = (
    "Rows that were kept in the catalogue were moved to files.",
    "call ducklake_flush_inlined_data({lake})",
)
_EXPIRED = (
    "{count} snapshots expired.",
    "call ducklake_expire_snapshots({lake}, older_than => timestamptz {kept})",
)
_CLEANED = (
    "{count} files removed that no snapshot uses.",
    "call ducklake_cleanup_old_files({lake}, older_than => timestamptz {cleaned})",
)
# left by writers that were killed; nobody writes while these are looked for
_ORPHANS = (
    "{count} files removed that killed writers left.",
    "call ducklake_delete_orphaned_files({lake}, older_than => timestamptz {cleaned})",
)
_MAINTENANCE = (
    _FLUSHED,
    _EXPIRED,
    ("Small files merged into {count}.", "call ducklake_merge_adjacent_files({lake})"),
    (
        "Files with many deleted rows rewritten into {count}.",
        "call ducklake_rewrite_data_files({lake})",
    ),
    _CLEANED,
    _ORPHANS,
)
_ERASURE = (
    _FLUSHED,
    (
        "Files with deleted rows rewritten into {count}.",
        "call ducklake_rewrite_data_files({lake}, delete_threshold => 0)",
    ),
    _EXPIRED,
    _CLEANED,
    _ORPHANS,
)


def _attach(location: Location, *, make: bool) -> duckdb.DuckDBPyConnection:
    """A DuckDB in which the lake is attached. make: create it if there is none yet."""
    if make:
        _make_folders(location)
    db = duckdb.connect(
        config={
            "temp_directory": str(location.folder("tmp")),
            "preserve_insertion_order": False,
            "threads": 1,  # which would wait for each other while the catalogue is read
            # To check the signatures takes 0.3 s of CPU, a fifth of a sync that finds no change.
            # pip has checked these files as it has DuckDB's own, and they lie beside it.
            "allow_unsigned_extensions": are_packaged(LAKE_EXTENSIONS),
        }
    )
    try:
        for extension in LAKE_EXTENSIONS:
            load_extension(db, extension)
        db.execute("set allow_unsigned_extensions = false")  # which cannot be undone
        db.execute(f"set ducklake_max_retry_count = {_RETRIES}")
        db.execute(
            f"attach {literal(f'ducklake:postgres:dbname={location.database} {_REACH}')} "
            f"as {_NAME} (data_path {literal(location.files)}, create_if_not_exists {make})"
        )
        db.execute(f"use {_NAME}")  # reads the catalogue
        db.execute("reset threads")
        if not make:  # only now that there is a lake
            _make_folders(location)
    except BaseException:
        db.close()
        raise
    return db


def _make_folders(location: Location) -> None:
    _make(location.stem.parent, SCRATCH_VARIABLE, "one that this host can write")
    if "://" not in location.files:
        _make(Path(location.files), LAKE_FILES_VARIABLE, "one that all hosts can write")


def _make(folder: Path, variable: str, what: str) -> None:
    try:
        make_folder(folder)
    except OSError as error:
        raise WarehouseError(
            f"The folder {folder} cannot be made ({error.strerror}): set {variable} to {what}."
        ) from error


def _ask(db: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    """What PostgreSQL answers, in the transaction that is open."""
    found = db.execute(f"from postgres_query({literal(_METADATA)}, {literal(sql)})")
    return found.fetchall()


def _close(db: duckdb.DuckDBPyConnection | None) -> None:
    if db is not None:
        with suppress(duckdb.Error):
            db.execute("rollback")
        db.close()


def _first_line(error: duckdb.Error) -> str:
    """Why, without the address that DuckDB repeats before it."""
    line = str(error).splitlines()[0]
    return _UNREACHABLE.sub("", line)


def _failure(location: Location, error: duckdb.Error) -> WarehouseError | None:
    """What an error means that is none of a statement: of the disk, the server, other writers."""
    if is_full(error):
        return WarehouseError(
            f"{location.label} cannot be written ({_first_line(error)}): make room there, then run "
            "again; committed rows are kept."
        )
    if is_lost(error) or is_conflict(error):
        return WarehouseBusyError(
            f"The catalogue of {location.label} was unavailable or busy ({_first_line(error)}): "
            "run again once PostgreSQL answers."
        )
    return None


def _meaning(location: Location, error: duckdb.Error) -> str:
    text, first_line = str(error), _first_line(error)
    if "DATA_PATH" in text:
        return (
            f"{location.label} keeps its files in another place than ACTIVECAMPAIGN_LAKE_FILES "
            f"says ({location.files}): set it as on the host that made the lake. {first_line}"
        )
    return f"{location.label} cannot be opened: {first_line}"
