"""The account's activities: one list of what other collections tell, oldest first."""

from __future__ import annotations

from array import array
from functools import cached_property
from typing import Protocol

from activecampaign_dagster.sandbox.store import StampIndex
from activecampaign_dagster.sandbox.templates import Record

# where activities come from, and how they are called then
_SOURCES = (
    ("logs", "Log"),
    ("linkData", "LinkData"),
    ("dealActivities", "DealActivity"),
    ("notes", "Note"),
    ("contactLists", "SubscriberList"),
    ("contactAutomations", "SubscriberSeries"),
    ("dealTasks", "DealTask"),
    ("ecomOrders", "EcomOrderActivity"),
)


class Source(Protocol):
    """A collection that activities are about."""

    @property
    def live(self) -> array[int]:
        """The ids that are in the account."""

    def facts(self, number: int) -> Record:
        """Tell what is known of a record."""


class Logbook:
    """All activities of an account as it is now; an id says which record of which source is meant.

    `changes` holds fields that were overwritten verbatim.
    """

    def __init__(self, sources: dict[str, Source], changes: dict[int, Record]) -> None:
        self.changes = changes
        self._sources = [sources[name] for name, _ in _SOURCES]

    @cached_property
    def live(self) -> array[int]:
        """The ids of all activities, ascending."""
        width = len(_SOURCES)
        ids = (n * width + k for k, source in enumerate(self._sources) for n in source.live)
        return array("I", sorted(ids))

    @cached_property
    def by_created(self) -> StampIndex:
        """The ids by the moment of the activity."""
        return StampIndex((self.facts(number)["created"], number) for number in self.live)

    def __len__(self) -> int:
        return sum(len(source.live) for source in self._sources)

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        record, source = divmod(number, len(_SOURCES))
        return record in self._sources[source].live

    def facts(self, number: int) -> Record:
        """Tell what is known of an activity."""
        record, place = divmod(number, len(_SOURCES))
        name, kind = _SOURCES[place]
        about = self._sources[place].facts(record)
        user = about.get("user")
        return {
            "contact": about.get("contact", 0),
            "created": about["created"],
            "userid": user or 0,
            "user": user,
            "reference_id": record,
            "reference_type": kind,
            "reference_action": None,
            "referenceModelName": kind,
            "reference": {"id": str(record), "type": name[:-1] if name[-1] == "s" else name},
        }


SOURCES = tuple(name for name, _ in _SOURCES)
