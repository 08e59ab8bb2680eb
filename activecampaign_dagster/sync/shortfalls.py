"""Children that do not come whole beside their parents: how that is known, and noted."""

from __future__ import annotations

from collections.abc import Mapping, Set

import duckdb

from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.sync.deliver import Complete
from activecampaign_dagster.sync.plan import Child
from activecampaign_dagster.sync.request import Mode, SyncRequest
from activecampaign_dagster.sync.totals import Totals, fact
from activecampaign_dagster.warehouse import ledger
from activecampaign_dagster.warehouse.delivery import Landed
from activecampaign_dagster.warehouse.warehouse import commit

_IGNORED, _SHORT = "ignored", "short"
_AS_MANY = 3  # children that a stub may have for each that another parent has


class Shortfalls:
    """What earlier syncs and this one found out about children that are left out.

    facts: of the account, as they were before the sync. verified: children that came, and are read
    alone to be sure.
    """

    def __init__(
        self, source: Source, request: SyncRequest, totals: Totals, facts: Mapping[str, str]
    ) -> None:
        self._source = source
        self._request = request
        self._totals = totals
        self._facts = facts
        self.verified: set[str] = set()

    def apart(self) -> set[str]:
        """The children that are not asked for beside their parents in this sync."""
        # asked for once more with every full sync
        if self._request.mode is not Mode.INCREMENTAL:
            return set()
        names = {t.name for t in self._source.stream_tables if t.stream.beside}
        return {
            name
            for name in names
            if (why := self._facts.get(_refused(name))) and (self._request.rests or why == _SHORT)
        }

    def note_refused(
        self, db: duckdb.DuckDBPyConnection, complete: Complete, missing: Set[str]
    ) -> None:
        """Note which children do not come whole beside their parents, and which do again."""
        read, account, facts = complete.read, self._source.name, self._facts
        came = {child.name for child in read.children} - missing
        new = {_refused(name): _IGNORED for name in missing}
        if read.main and read.stream.name in self.verified:
            new[_refused(read.stream.name)] = _SHORT
        old = {_refused(name) for name in came if read.is_full} & facts.keys()
        # only a comparison tells that none is left out
        old = {name for name in old if facts[name] != _SHORT or self._request.compares}
        new = {name: why for name, why in new.items() if facts.get(name) != why}
        if new or old:

            def noted() -> None:
                for name, why in new.items():
                    ledger.note_fact(db, account, name, why)
                for name in old:
                    ledger.forget_fact(db, account, name)

            commit(db, noted)

    def find(
        self, db: duckdb.DuckDBPyConnection, complete: Complete, landed: Mapping[str, Landed]
    ) -> list[Child]:
        """The children of which a full read brought fewer than the account counted before it.

        Those of stubs do not come, and are not to be seen; the account counts them all the same.
        """
        found = []
        progress = complete.spool.progress
        for child in complete.read.children if complete.read.is_full else ():
            outcome, stream = landed.get(child.name), child.stream_table.stream
            if outcome is None or outcome.doubt or not stream.has_own_pages:
                continue
            lacking = self._totals.lacking(stream, outcome.live_rows)
            total = self._totals.of(stream.name)
            if not lacking:
                continue
            if total and lacking * progress.rows <= _AS_MANY * progress.stubs * total:
                self._note_total(db, stream.name, total - outcome.live_rows)
            else:
                found.append(child)
        return found

    def note_uncounted(
        self, db: duckdb.DuckDBPyConnection, complete: Complete, landed: Mapping[str, Landed]
    ) -> None:
        """Note how many more a child's own path counts than it lists, once it was read whole."""
        read, total = complete.read, complete.spool.progress.total
        outcome = landed.get(read.stream.name)
        if outcome and read.is_full and total and read.stream.beside:
            self._note_total(db, read.stream.name, total - outcome.live_rows)

    def _note_total(self, db: duckdb.DuckDBPyConnection, stream: str, beyond: int) -> None:
        """Note how many more records of a stream are counted than there are to be read."""
        if beyond != self._totals.uncounted(stream):
            commit(db, lambda: ledger.note_fact(db, self._source.name, fact(stream), str(beyond)))


def _refused(child: str) -> str:
    """The fact that a child cannot be asked for beside its parents."""
    return f"include_refused:{child}"
