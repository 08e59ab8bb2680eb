"""What DuckDB's errors mean: another writer was first, the catalogue's server was away, no room.

DuckDB gives both the classes of other errors, so that their texts tell. They were seen with DuckDB
1.5.5, DuckLake 1.0 and PostgreSQL 15, whose messages are English if its `lc_messages` is C.
"""

from __future__ import annotations

import duckdb

_CONFLICT = (
    "Transaction conflict",
    "Exceeded the maximum retry count",
    "duplicate key value violates unique constraint",  # of the same lake or snapshot
    "could not serialize access",
    "tuple concurrently updated",
    "deadlock detected",
)
_LOST = (
    "Unable to connect to Postgres",
    "server closed the connection",
    "terminating connection",
    "the database system is",  # starting up, shutting down, in recovery mode
    "connection to server",
    "no connection to the server",
    "could not receive data from server",
    "could not send data to server",
    "SSL connection has been closed",
    "SSL SYSCALL error",
    "Current transaction is aborted",  # what comes after the first of these in a transaction
    # what a connection that is gone answers, with nothing after it
    'Failed to execute query "ROLLBACK"',
    'Failed to execute query "BEGIN',
    'Failed to execute query "COMMIT',
    'Failed to prepare COPY "COPY',
)
_FULL = ("No space left", "File too large", "Disk quota exceeded")
# what a server answers that does not know who asks, or what for
_REFUSED = (
    "does not exist",
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "permission denied",
)


def is_conflict(error: BaseException) -> bool:
    """Whether another writer was in the way of a transaction."""
    return isinstance(error, duckdb.Error) and any(sign in str(error) for sign in _CONFLICT)


def is_lost(error: BaseException) -> bool:
    """Whether the server that keeps the catalogue could not be reached, or went away."""
    if not isinstance(error, duckdb.Error) or any(sign in str(error) for sign in _REFUSED):
        return False
    return any(sign in str(error) for sign in _LOST)


def is_full(error: BaseException) -> bool:
    """Whether a disk had no room for what was to be written: the database's, a lake's, scratch."""
    return isinstance(error, duckdb.Error) and any(sign in str(error) for sign in _FULL)
