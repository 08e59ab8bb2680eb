"""Shorthand for the tables of fields: one function per column type, one line per field."""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

from activecampaign_dagster.streams.declaration import Field, Kind, Type

# what ActiveCampaign calls custom fields whose values are not texts
KINDS = {
    "number": Kind.NUMBER,
    "currency": Kind.MONEY,
    "checkbox": Kind.LIST,
    "listbox": Kind.LIST,
    "multiselect": Kind.LIST,
}


class _Declare(Protocol):
    def __call__(
        self,
        name: str,
        description: str,
        *,
        references: str | None = None,
        personal: bool = False,
        secret: bool = False,
        nested_from: str | None = None,
    ) -> Field: ...


def _of_type(type_: Type, name: str, description: str, **more: Any) -> Field:
    return Field(name=name, type=type_, description=description, **more)


bigint: _Declare = partial(_of_type, Type.BIGINT)  # an id, a count, cents or a 0/1 flag
boolean: _Declare = partial(_of_type, Type.BOOLEAN)  # recorded as a JSON boolean
instant: _Declare = partial(_of_type, Type.TIMESTAMPTZ)  # a stamp with an offset: a point in time
wall_clock: _Declare = partial(_of_type, Type.TIMESTAMP)  # a stamp without one, or a plain date
nested: _Declare = partial(_of_type, Type.JSON)  # an array or an object
text: _Declare = partial(_of_type, Type.VARCHAR)  # everything else
