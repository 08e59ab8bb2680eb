"""What every warehouse has: connections, transactions, locks, and the errors of all three.

A warehouse is a DuckDB connection in which it is the current catalogue: everything else is the same
SQL for all of them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Protocol, TypeVar

import duckdb

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.warehouse.location import Location
from activecampaign_dagster.warehouse.transient import is_conflict

Connect = Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]]
T = TypeVar("T")

_PATIENCE = 120.0  # seconds
_LONGEST_PAUSE = 5.0  # seconds


class WarehouseError(ActiveCampaignError):
    """The database cannot be used; the message says why and what to do."""

    is_permanent = True


class WarehouseBusyError(WarehouseError):
    """Another program has the database open; a later attempt may succeed."""

    is_permanent = False


class NoWarehouseError(WarehouseError):
    """Nobody has made the warehouse yet, and who only looks does not make it."""

    def __init__(self, location: Location) -> None:
        super().__init__(
            f"There is no warehouse at {location.label} yet: run `activecampaign warehouse init`, "
            "or start a sync."
        )


class Lock(Protocol):
    """A lock that this process holds."""

    def still_held(self) -> bool:
        """Whether it has been held all the time."""

    def release(self) -> None:
        """Let others have it."""


class Unshared:
    """A lock that nobody else can want."""

    def still_held(self) -> bool:
        """Always."""
        return True

    def release(self) -> None:
        """Nothing to do."""


class Untended:
    """What a warehouse has to do that needs neither maintenance nor locks between hosts."""

    __slots__ = ()

    def in_use(self) -> AbstractContextManager[None]:
        """Nothing to keep out: there is no maintenance."""
        return nullcontext()

    def lock(self, name: str, who: str) -> Lock | None:  # noqa: ARG002
        """A lock for the asking."""
        return Unshared()

    def holder(self, name: str) -> str:  # noqa: ARG002
        """Nobody."""
        return "nobody"

    def tidy(self) -> Iterator[str]:
        """Nothing to do."""
        return iter(())


class Warehouse(Protocol):
    """Where the tables are, and how to get at them."""

    @property
    def location(self) -> Location:
        """Where it is, as the setting says."""

    def exists(self) -> bool:
        """Whether there is anything to read."""

    def connect(
        self, *, patience: float = 300.0, read_only: bool = False
    ) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A connection for the block. patience: seconds to wait for others or for the server.

        A connection that may write makes the warehouse if there is none; with `read_only`,
        NoWarehouseError may be raised. Raises WarehouseBusyError after `patience`, WarehouseError
        if no waiting would help.
        """

    def in_use(self) -> AbstractContextManager[None]:
        """Keep maintenance out while other programs write; `connect` does so for its block."""

    def lock(self, name: str, who: str) -> Lock | None:
        """A lock that is one on all hosts; None if another process holds it. who: its holder."""

    def holder(self, name: str) -> str:
        """Who holds a lock, as far as is known."""

    def sizes(self) -> Mapping[str, int]:
        """How large it is: numbers by what they count."""

    def tidy(self) -> Iterator[str]:
        """Clear what has piled up, alone; yields what was done, a sentence each."""

    def erase(self, db: duckdb.DuckDBPyConnection) -> None:
        """Leave no byte of rows that were deleted. db: of no use afterwards."""


def commit(db: duckdb.DuckDBPyConnection, work: Callable[[], T]) -> T:
    """Do `work` in one transaction, all of it or none, and return what it returns.

    It is done once more if another writer was in the way: it must change nothing but the database,
    and itself begin from the database. After two minutes of that WarehouseBusyError is raised. A
    lost connection to the catalogue's server is not made good here: the locks that were held
    through it are gone, too, and must be taken anew first.
    """
    began, pause = time.monotonic(), 0.02
    while True:
        try:
            db.execute("begin")
            result = work()
            db.execute("commit")
        except BaseException as error:
            with suppress(duckdb.Error):  # DuckDB may have ended it, and the reason counts
                db.execute("rollback")
            if not is_conflict(error):
                raise
            if time.monotonic() - began > _PATIENCE:
                raise WarehouseBusyError(
                    f"Other writers kept the warehouse busy for {_PATIENCE:.0f} s "
                    f"({str(error).splitlines()[0]}): run again once they have ended."
                ) from error
        else:
            return result
        time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
        pause = min(pause * 1.7, _LONGEST_PAUSE)
