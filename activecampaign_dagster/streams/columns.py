"""Shorthand for the tables of fields: one function per column type, one line per field."""

from activecampaign_dagster.streams.declaration import Field, Type


def bigint(name: str, description: str) -> Field:
    """An id, a count, an amount in cents or a 0/1 flag."""
    return Field(name, Type.BIGINT, description)


def boolean(name: str, description: str) -> Field:
    """A value that was recorded as a JSON boolean."""
    return Field(name, Type.BOOLEAN, description)


def instant(name: str, description: str) -> Field:
    """A stamp with an offset: a point in time."""
    return Field(name, Type.TIMESTAMPTZ, description)


def wall_clock(name: str, description: str) -> Field:
    """A stamp without an offset, or a plain date: what a clock on the wall in Chicago showed."""
    return Field(name, Type.TIMESTAMP, description)


def nested(name: str, description: str) -> Field:
    """An array or an object."""
    return Field(name, Type.JSON, description)


def text(name: str, description: str) -> Field:
    """Everything else."""
    return Field(name, Type.VARCHAR, description)
