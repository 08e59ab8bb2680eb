"""From a read that is complete to a delivery that can land, with the labels that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb

from activecampaign_dagster.api.client import Page
from activecampaign_dagster.streams.declaration import Pivot
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.sync.children import owner_name, unlisted_name
from activecampaign_dagster.sync.extract import Extraction
from activecampaign_dagster.sync.plan import Child, Read
from activecampaign_dagster.sync.request import SyncRequest
from activecampaign_dagster.sync.spool import Arrival, Spool
from activecampaign_dagster.sync.totals import Totals
from activecampaign_dagster.warehouse import ledger
from activecampaign_dagster.warehouse import pivot as pivots
from activecampaign_dagster.warehouse.completeness import Completeness
from activecampaign_dagster.warehouse.delivery import Batch, Delivery, Scope
from activecampaign_dagster.warehouse.pivot import Labels

_AGREE_WITHIN = 5.0  # seconds, the way of an answer included


@dataclass(frozen=True, slots=True)
class Complete:
    """A read that is spooled to its end.

    expected: rows by stream that the account must have. refused: the children that could not be
    asked for. newest: a page asked for after the read.
    """

    read: Read
    spool: Spool
    extraction: Extraction
    expected: Mapping[str, int]
    seconds: float
    refused: tuple[Child, ...] = ()
    newest: Page | None = None


class Deliveries:
    """Makes deliveries of complete reads; knows the labels of definitions once they are read.

    landed: the enabled streams of which a full sync had landed before. totals: how many records
    the account counts.
    """

    def __init__(
        self, source: Source, request: SyncRequest, landed: set[str], totals: Totals
    ) -> None:
        self._source = source
        self._totals = totals
        self._request = request
        self._landed = landed
        self.at = request.at
        self._labels: dict[str, Labels | None] = {}

    def stamp(self, complete: Complete) -> datetime:
        """The moment that rows of this sync are stamped with: one for all, of the account's clock.

        A machine's clock that is wrong once would leave rows and versions in the future. One that
        agrees with the account's, which shows whole seconds, tells two syncs apart.
        """
        ahead = complete.spool.progress.ahead
        wrong_by = ahead if abs(ahead) > _AGREE_WITHIN else 0.0
        self.at = self.at or datetime.now(UTC) - timedelta(seconds=wrong_by)
        return self.at

    def learn(self, db: duckdb.DuckDBPyConnection, complete: Complete) -> None:
        """Note the labels of a read of definitions that do not land in a table."""
        stream = complete.read.stream
        for _, pivot in self._source.pivoted:
            if pivot.labels == stream.name and complete.read.main is None:
                files = complete.spool.files(stream.name)
                self._labels[stream.name] = pivots.spooled_labels(db, stream, pivot, files)

    def _labels_of(
        self, db: duckdb.DuckDBPyConnection, parent: StreamTable, pivot: Pivot
    ) -> Labels | None:
        """The labels that are known now; None if none ever were."""
        if pivot.labels in self._labels:
            return self._labels[pivot.labels]
        landed = pivots.landed_labels(db, self._source, pivot)
        is_known = landed or pivot.labels in ledger.read_in_full(
            ledger.states(db, self._source.name)
        )
        if pivot.labels in self._source.enabled and is_known:
            return landed
        return pivots.noted_labels(db, self._source, parent) or landed or None

    def make(self, db: duckdb.DuckDBPyConnection, complete: Complete) -> Delivery:
        """The delivery of a read."""
        read, spool, newest = complete.read, complete.spool, complete.newest
        labels = None
        if read.main and read.pivot:
            labels = self._labels_of(db, read.main, read.pivot)
        children = [
            self._batch_of_child(complete, child)
            for child in read.children
            if self._came_whole(complete, child)
        ]
        is_made = read.pivoted is not None and self._came_whole(complete, read.pivoted)
        main = None
        if read.main:
            moves_on = read.until is None and self._moves_on(complete, labels)
            is_all = read.is_full and not spool.progress.left_out
            scope = Scope.ALL if is_all else Scope.NOTHING
            main = self._batch(
                complete, read.main, scope, labels if is_made else None, moves_on=moves_on
            )
        key_of = read.stream.key_of
        newest_keys = [key for r in newest.records if (key := key_of(r))] if newest else None
        total = newest.total if newest else spool.progress.total or None
        return Delivery(
            main=main,
            children=children,
            owners=spool.files(owner_name(read.stream)) if read.children else (),
            completeness=Completeness(
                path=read.stream.endpoint.path,
                total=None if read.stream.each else total,
                newest=newest_keys,
            ),
            sync_id=self._request.sync_id,
            at=self.stamp(complete),
            folder=spool.folder,
            refills=self._refills(db, complete, labels),
            relabels=self._relabels(read, labels),
        )

    def _arrival(self, complete: Complete, child: Child) -> Arrival:
        return complete.spool.progress.arrivals.get(child.name, Arrival.WHOLE)

    def _came_whole(self, complete: Complete, child: Child) -> bool:
        return self._arrival(complete, child) is Arrival.WHOLE

    def missing(self, complete: Complete) -> list[Child]:
        """The children that did not come as they should."""
        return [child for child in complete.read.children if not self._came_whole(complete, child)]

    def _moves_on(self, complete: Complete, labels: Labels | None) -> bool:
        """Whether the watermark may pass over parents whose field could not be made.

        They are read again, unless the child is read by itself, or would not come then either.
        """
        child = complete.read.pivoted
        if child is None:
            return True
        arrived = self._arrival(complete, child)
        if arrived is Arrival.WHOLE:
            return labels is not None
        return child.is_kept or arrived is Arrival.IGNORED

    def _batch_of_child(self, complete: Complete, child: Child) -> Batch:
        scope = Scope.ALL if complete.read.is_full else Scope.SEEN_PARENTS
        stream = child.stream_table.stream
        came = complete.spool.progress.children.get(child.name, 0)
        if stream.beside_only and not came:
            scope = Scope.NOTHING  # as an API that ignores the include may answer the same
        has_stubs = complete.spool.progress.stubs > 0
        if complete.read.is_full and not has_stubs and self._totals.lacking(stream, came) > 0:
            scope = Scope.NOTHING  # some are left out; they are read from the child's own path
        if not came and stream.name in self._totals.absent:
            scope = Scope.NOTHING  # no feature, no records: the table stays as it is
        return self._batch(
            complete,
            child.stream_table,
            scope,
            is_kept=child.is_kept,
            unlisted=tuple(complete.spool.files(unlisted_name(child))),
            moves_on=complete.read.until is None,
        )

    def _batch(
        self,
        complete: Complete,
        stream_table: StreamTable,
        scope: Scope,
        labels: Labels | None = None,
        *,
        moves_on: bool,
        is_kept: bool = True,
        unlisted: tuple[str, ...] = (),
    ) -> Batch:
        spool, name = complete.spool, stream_table.name
        has_key = stream_table.stream.replication_key is not None
        return Batch(
            stream_table=stream_table,
            files=spool.files(name),
            size=spool.sizes[name],
            longest=spool.longest,
            extras=spool.progress.extras.get(name, ()),
            scope=scope,
            is_pass=complete.read.is_full,
            watermark=complete.extraction.watermark if moves_on and has_key else None,
            expected=complete.expected.get(name),
            is_kept=is_kept,
            unlisted=unlisted,
            labels=labels,
        )

    def _refills(
        self, db: duckdb.DuckDBPyConnection, complete: Complete, labels: Labels | None
    ) -> list[tuple[StreamTable, Labels]]:
        """The parents whose field is to be made of their children's landed rows."""
        read = complete.read
        if read.main and (child := read.pivoted):
            ignored = self._arrival(complete, child) is Arrival.IGNORED
            can_refill = ignored and not child.is_kept and child.name in self._landed
            return [(read.main, labels)] if can_refill and labels else []
        known = [
            (parent, self._labels_of(db, parent, pivot))
            for parent, pivot in self._source.pivoted
            if read.main and pivot.child == read.stream.name and parent.name in self._source.enabled
        ]
        return [(parent, labels) for parent, labels in known if labels]

    def _relabels(
        self, read: Read, labels: Labels | None
    ) -> list[tuple[StreamTable, Labels | None]]:
        """The parents whose field is to follow labels; None: those that land with this read."""
        if read.main and read.pivot:
            return [(read.main, labels)] if labels is not None else []
        if read.main is None:
            return []
        return [
            (parent, None)
            for parent, pivot in self._source.pivoted
            if pivot.labels == read.stream.name and parent.name in self._source.enabled
        ]
