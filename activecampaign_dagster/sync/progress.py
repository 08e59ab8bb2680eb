"""How far a read has come and what it has learnt, kept with what is staged to outlive a kill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class SideLoads(StrEnum):
    """How the records came that were asked for with `include`."""

    WHOLE = "whole"
    IGNORED = "ignored"  # no page had any
    INCOMPLETE = "incomplete"  # some pages had none, or not all that their parents list


@dataclass(slots=True, kw_only=True)
class Progress:
    """What is known of the records that were read so far."""

    rows: int = 0
    pages: int = 0
    total: int = 0  # the largest that a page gave
    stubs: int = 0
    newest: datetime | None = None  # stamp of the record that was changed last
    began: datetime | None = None  # when the first page was sent, by the account's clock
    side_loads: SideLoads | None = None  # None: not known yet
    has_custom_fields: bool = True  # whether contacts were given theirs, where they are to be
    extras: dict[str, list[str]] = field(default_factory=dict)  # target → undeclared fields
    notes: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, saved: Mapping[str, Any]) -> Progress:
        """From the JSON that orjson makes of it."""
        known = {
            "newest": datetime.fromisoformat,
            "began": datetime.fromisoformat,
            "side_loads": SideLoads,
        }
        typed = {name: of(saved[name]) for name, of in known.items() if saved.get(name)}
        return cls(**{**saved, **typed})
