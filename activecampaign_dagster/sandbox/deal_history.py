"""The log of what happened to deals: stages, decisions and values, told by the deals' stories."""

from __future__ import annotations

from array import array
from itertools import accumulate

from activecampaign_dagster.sandbox import words
from activecampaign_dagster.sandbox.children import Children, Parents
from activecampaign_dagster.sandbox.deals import OPEN, Deals
from activecampaign_dagster.sandbox.pipelines import stage_ids
from activecampaign_dagster.sandbox.templates import Record

_PATHS = {
    stage: stages[: place + 1]
    for stages in stage_ids().values()
    for place, stage in enumerate(stages)
}


class DealActivities(Children):
    """One record per change of a deal's stage, pipeline, status or value.

    A generated deal walked through its pipeline's stages up to the one that it is in, had its value
    changed once or never, and was then won, lost or nothing yet.
    """

    def __init__(self, seed: int, deals: Deals, parents: Parents) -> None:
        # as they were at first: the deals go on changing
        self._stage = array("H", deals.stage)
        self._status = array("B", deals.status)
        self._closed = array("I", deals.closed)
        self._owner = array("H", deals.owner)
        self._value = array("q", deals.value)
        super().__init__("deal", parents, 0, words.salted(seed, "history"), self._tell_change)

    def _changes(self, slot: int) -> int:
        moves = len(_PATHS[self._stage[slot]]) - 1
        return moves + self._was_repriced(slot) + (self._status[slot] != OPEN)

    def _was_repriced(self, slot: int) -> bool:
        return words.mix(self._seed, slot) & 3 == 0

    def _spread(self) -> array[int]:
        return array("I", accumulate(map(self._changes, range(len(self.parents.ids))), initial=0))

    def _tell_change(self, _: int, slot: int, place: int) -> Record:
        path = _PATHS[self._stage[slot]]
        moves = len(path) - 1
        born = self.parents.created(slot)
        last = self._closed[slot] or max(born, self.parents.updated(slot))
        if place < moves:
            kind, new, old = "d_stageid", path[place + 1], path[place]
        elif place == moves and self._was_repriced(slot):
            kind, new, old = "value", self._value[slot], self._value[slot] * 9 // 10
        else:
            kind, new, old = "status", self._status[slot], OPEN
        moment = born + (last - born) * (place + 1) // self._changes(slot)
        return change(
            self.parents.ids[slot],
            self._owner[slot],
            path[min(place + 1, moves)],
            (kind, new, old),
            moment,
        )


def change(deal: int, user: int, stage: int, what: tuple[str, object, object], now: int) -> Record:
    """The facts of one change: `what` is its kind, the new and the old value."""
    kind, new, old = what
    return {
        "deal": deal,
        "user": user,
        "d_stageid": stage,
        "dataId": deal,
        "dataType": kind,
        "dataAction": str(new),
        "dataOldval": str(old),
        "created": now,
    }
