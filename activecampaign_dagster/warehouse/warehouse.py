"""What every warehouse has: connections, transactions and the errors of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import duckdb

from activecampaign_dagster.api.errors import ActiveCampaignError

Connect = Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]]


class WarehouseError(ActiveCampaignError):
    """The database cannot be used; the message says why and what to do."""

    is_permanent = True


class WarehouseBusyError(WarehouseError):
    """Another program has the database open; a later attempt may succeed."""

    is_permanent = False


@contextmanager
def transaction(db: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All of a block or, if it raises, none of it."""
    db.execute("begin")
    try:
        yield
    except BaseException:
        with suppress(duckdb.Error):  # DuckDB may have ended it, and the reason counts
            db.execute("rollback")
        raise
    db.execute("commit")
