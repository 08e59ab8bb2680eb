"""What every warehouse has: connections, transactions and the errors of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import duckdb

Connect = Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]]


class WarehouseError(Exception):
    """The database cannot be used; the message says why and what to do."""


class WarehouseBusyError(WarehouseError):
    """Another program has the database open; a later attempt may succeed."""


@contextmanager
def transaction(db: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All of a block or, if it raises, none of it."""
    db.execute("begin")
    try:
        yield
    except BaseException:
        db.execute("rollback")
        raise
    db.execute("commit")
