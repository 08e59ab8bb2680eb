"""The events of a run, by which the UI shows what landed: metadata, partitions and checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import duckdb

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.api.errors import ApiError
from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.assets.checks import (
    HIDDEN_DEALS,
    ROW_COUNT_DRIFT,
    Evidence,
    applicable,
    evaluate,
    newest_hidden,
)
from activecampaign_dagster.orchestration.dagster_internals import silent_output
from activecampaign_dagster.orchestration.partitions import keys_between
from activecampaign_dagster.streams.source import StreamTable
from activecampaign_dagster.survey import probes
from activecampaign_dagster.sync.outcomes import Outcome
from activecampaign_dagster.sync.request import SyncRequest
from activecampaign_dagster.warehouse import ledger, tables
from activecampaign_dagster.warehouse.ledger import StreamState
from activecampaign_dagster.warehouse.sql import SCHEMA, quoted
from activecampaign_dagster.warehouse.warehouse import Connect


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvents:
    """Turns the outcomes of one run into Dagster's events.

    since: stream → where an incremental sync would have begun before this run.
    """

    account: Account
    context: dg.AssetExecutionContext
    connect: Connect
    request: SyncRequest
    client: Client
    since: Mapping[str, datetime]
    landed: list[Outcome] = field(default_factory=list)

    def of(self, outcome: Outcome) -> Iterator[dg.MaterializeResult[Any]]:
        """The materialization of one stream, and the partitions that it covered.

        A child that came with its parent and is then read alone lands twice: the op's output can
        be yielded once only, so the second landing is an event of its own.
        """
        is_first = all(outcome.stream_table.name != each.stream_table.name for each in self.landed)
        self.landed.append(outcome)
        landed, key = outcome.landed, self.account.key(outcome.stream_table.name)
        self.context.log.info(
            "%s: %s inserted, %s updated, %s unchanged, %s deleted; %s live rows",
            outcome.stream_table.name,
            *(landed.inserted, landed.updated, landed.unchanged, landed.deleted),
            landed.live_rows,
        )
        with self.connect() as db:
            counts = _rows_per_partition(db, self.account.partitions, outcome.stream_table)
        if self.request.window:
            for partition in self.context.partition_keys:
                self.context.add_asset_metadata(
                    {"dagster/partition_row_count": counts.get(partition, 0)},
                    asset_key=key,
                    partition_key=partition,
                )
        else:
            for partition in self._covered(outcome):
                self.context.log_event(
                    dg.AssetMaterialization(
                        key,
                        partition=partition,
                        metadata={"dagster/partition_row_count": counts.get(partition, 0)},
                    )
                )
        if is_first:
            yield dg.MaterializeResult(asset_key=key, metadata=_metadata(outcome))
        else:
            self.context.log_event(dg.AssetMaterialization(key, metadata=_metadata(outcome)))

    def of_the_rest(self, before: Mapping[str, StreamState]) -> Iterator[Any]:
        """What lets models be built on streams that were not read, and why they were not.

        before: stream → its state before this run.
        """
        landed = {outcome.stream_table.name for outcome in self.landed}
        with self.connect() as db:
            states = ledger.states(db, self.account.name)
        definition = self.context.assets_def
        left = [t for t in self.account.enabled if t.name in self.request.streams - landed]
        resting = []
        for stream_table in left:
            name, key = stream_table.name, self.account.key(stream_table.name)
            why = states[name].unavailable if name in states else None
            if why is None:
                resting.append(name)
            elif name not in before or before[name].unavailable != why:
                observed = {"unavailable": why}
                self.context.log_event(dg.AssetObservation(key, metadata=observed))
            yield silent_output(definition.get_output_name_for_asset_key(key))
        if resting:
            self.context.log.info("Not read again yet, as they were lately: %s", ", ".join(resting))

    def _covered(self, outcome: Outcome) -> Sequence[str]:
        """The partitions to mark: those not marked yet that were covered, and the running one.

        Of streams whose path cannot be asked for a span of time only the running one, as each mark
        is an event.
        """
        covered = keys_between(self.account.partitions, outcome.read.since, outcome.at)
        if not outcome.stream_table.stream.can_filter:
            return covered[-1:]
        key = self.account.key(outcome.stream_table.name)
        marked = self.context.instance.get_materialized_partitions(key)
        return [key for key in covered if key not in marked or key == covered[-1]]

    def checks(self) -> Iterator[dg.AssetCheckResult]:
        """The results of the checks on all streams that landed, once no more will."""
        last = {outcome.stream_table.name: outcome for outcome in self.landed}
        for outcome in last.values():
            yield from self._checked(outcome.stream_table, is_full=outcome.read.is_full)

    def checks_alone(self) -> Iterator[dg.AssetCheckResult]:
        """The results of the checks that a run is asked for without their streams."""
        for stream_table in self.account.enabled:
            key, asked = self.account.key(stream_table.name), self.context.selected_asset_check_keys
            names = {check.name for check in asked if check.asset_key == key}
            if names:
                found = self._checked(stream_table, is_full=False)
                yield from (result for result in found if result.check_name in names)

    def _checked(
        self, stream_table: StreamTable, *, is_full: bool
    ) -> Iterator[dg.AssetCheckResult]:
        wanted = applicable(self.account, stream_table)
        # the account is asked before the database is opened, which others may wait for
        known = {outcome.stream_table.name: outcome.total for outcome in self.landed}
        total = known.get(stream_table.name)
        if total is None and ROW_COUNT_DRIFT in wanted:
            total = self._total(stream_table)
        # after full reads only, as these names seldom change
        hidden_by = self._hidden_by(stream_table) if is_full and HIDDEN_DEALS in wanted else None
        with self.connect() as db:
            evidence = Evidence(
                account=self.account,
                stream_table=stream_table,
                db=db,
                sync_id=self.request.sync_id,
                total=total,
                hidden_by=hidden_by,
                since=self.since.get(stream_table.name),
                is_full=is_full,
            )
            yield from evaluate(evidence)

    def _total(self, stream_table: StreamTable) -> int | None:
        """The account's own count, None if it cannot be had."""
        try:
            has_total = stream_table.stream.has_own_pages
            return probes.total(self.client, stream_table.stream) if has_total else None
        except ApiError as error:
            self.context.log.warning(
                "%s: its total could not be read: %s", stream_table.name, error
            )
            return None

    def _hidden_by(self, stream_table: StreamTable) -> Sequence[str] | None:
        """Names of what hides stubs, None if there are no stubs or the API does not tell."""
        hiding = stream_table.stream.stub and stream_table.stream.stub.hidden_by
        with self.connect() as db:
            stubs = newest_hidden(db, stream_table, most=50)
        if not stubs or not hiding:
            return None
        try:
            user = str(probes.whose_key(self.client).get("id"))
            return probes.hidden_by(self.client, hiding, stubs, user)
        except ApiError as error:
            self.context.log.info("The API does not name the hidden %s: %s", hiding.name, error)
            return None


def _rows_per_partition(
    db: duckdb.DuckDBPyConnection,
    definition: dg.TimeWindowPartitionsDefinition,
    stream_table: StreamTable,
) -> Mapping[str, int]:
    """Partition → rows whose replication key lies in it; none for streams without one."""
    stream, counts = stream_table.stream, dict[str, int]()
    if not stream.replication_key:
        return counts
    stamps = f"coalesce({', '.join(map(quoted, stream.stamps))})"
    zone = ZoneInfo(definition.timezone)
    rows = db.execute(
        f"select (timezone('{zone}', {stamps}))::date as day, count(*) "
        f"from {tables.relation(stream_table.table)} where day is not null group by day"
    ).fetchall()
    for day, count in rows:
        moment = datetime(day.year, day.month, day.day, 12, tzinfo=zone)
        if moment >= definition.start:
            key = definition.get_partition_key_for_timestamp(moment.timestamp())
            counts[key] = counts.get(key, 0) + count
    return counts


def _metadata(outcome: Outcome) -> dict[str, Any]:
    landed, stream_table, read = outcome.landed, outcome.stream_table, outcome.read
    metadata: dict[str, Any] = {
        "dagster/row_count": landed.live_rows + landed.deleted_rows,
        "dagster/table_name": f"{SCHEMA}.{stream_table.table}",
        "live_rows": landed.live_rows,
        "deleted_rows": landed.deleted_rows,
        "inserted": landed.inserted,
        "updated": landed.updated,
        "unchanged": landed.unchanged,
        "deleted": landed.deleted,
        "rejected_values": landed.rejected,
        "rows_read": outcome.rows_read,
        "read": str(read.mode),
        "pages": outcome.pages,
        "requests": outcome.requests,
        "duration_seconds": round(outcome.seconds, 3),
        "resumed": outcome.resumed,
    }
    if read.since:
        metadata["window_start"] = dg.MetadataValue.timestamp(read.since)
    if read.until:
        metadata["window_end"] = dg.MetadataValue.timestamp(read.until)
    if stream_table.stream.stub:
        metadata["stubs"] = outcome.stubs
    if landed.new_columns:
        metadata["new_columns"] = ", ".join(landed.new_columns)
    if outcome.notes:
        metadata["notes"] = dg.MetadataValue.md("\n".join(f"- {note}" for note in outcome.notes))
    return metadata
