"""MotherDuck: DuckDB as a service, with the same SQL.

No account was at hand when this was written: the connect string was tried against a local DuckDB,
the rest was not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from activecampaign_dagster.warehouse.location import Location
from activecampaign_dagster.warehouse.signals import heard_signals
from activecampaign_dagster.warehouse.sql import quoted, relations
from activecampaign_dagster.warehouse.transient import is_conflict, is_lost
from activecampaign_dagster.warehouse.warehouse import (
    Untended,
    WarehouseBusyError,
    WarehouseError,
)


@dataclass(frozen=True, slots=True)
class MotherDuckWarehouse(Untended):
    """A database in MotherDuck; the token comes from the variable `motherduck_token`.

    Maintenance is MotherDuck's own, and hosts find each other by Dagster's pools alone.

    open: what opens a connect string, for tests.
    """

    location: Location
    open: Callable[[str], duckdb.DuckDBPyConnection] = duckdb.connect

    def exists(self) -> bool:
        """Always: who opens it makes it."""
        return True

    @contextmanager
    def connect(
        self,
        *,
        patience: float = 300.0,  # noqa: ARG002
        read_only: bool = False,  # noqa: ARG002
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for the block; MotherDuck's own client waits and tries again."""
        name = quoted(self.location.catalogue)
        with heard_signals() as before_a_signal:
            try:
                db = self.open("md:")
                before_a_signal.append(db.interrupt)
                db.execute(f"create database if not exists {name}")
                db.execute(f"use {name}")
                db.execute("set TimeZone = 'UTC'")
            except duckdb.Error as error:
                raise WarehouseError(
                    f"{self.location.label} cannot be opened ({str(error).splitlines()[0]}): set "
                    "motherduck_token to a token of an account that may write it."
                ) from error
            try:
                yield db
            except duckdb.Error as error:
                if not (is_lost(error) or is_conflict(error)):
                    raise
                raise WarehouseBusyError(
                    f"{self.location.label} was busy ({str(error).splitlines()[0]}): run again."
                ) from error
            finally:
                before_a_signal.clear()
                db.close()

    def sizes(self) -> Mapping[str, int]:
        """The number of tables; MotherDuck tells bytes in its own UI."""
        with self.connect(read_only=True) as db:
            return {"tables": len(relations(db))}

    def erase(self, db: duckdb.DuckDBPyConnection) -> None:
        """MotherDuck removes what was deleted by itself, after the days that its plan keeps it."""
        db.close()
