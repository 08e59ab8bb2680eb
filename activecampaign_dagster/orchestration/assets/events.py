"""The events of a run, by which the UI shows what landed: metadata, partitions and checks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import duckdb

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.api.errors import ApiError
from activecampaign_dagster.api.printable import counted
from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.checks import (
    HIDDEN_DEALS,
    ROW_COUNT_DRIFT,
    Evidence,
    applicable,
    evaluate,
    hidden_rows,
    newest_hidden,
)
from activecampaign_dagster.orchestration.dagster_internals import (
    data_version_tags,
    feeds_another_step,
    is_forgotten,
    log_evaluation,
    plan_materialization,
    silent_output,
)
from activecampaign_dagster.orchestration.partitions import keys_between
from activecampaign_dagster.orchestration.resources import location
from activecampaign_dagster.streams.source import StreamTable
from activecampaign_dagster.survey import probes
from activecampaign_dagster.sync.outcomes import Outcome
from activecampaign_dagster.sync.request import SyncRequest
from activecampaign_dagster.sync.unavailable import lacking
from activecampaign_dagster.warehouse import ledger, tables
from activecampaign_dagster.warehouse.builds import content_of, last_changes
from activecampaign_dagster.warehouse.ledger import StreamState
from activecampaign_dagster.warehouse.sql import SCHEMA, quoted
from activecampaign_dagster.warehouse.warehouse import Connect

_ROWS = "dagster/partition_row_count"


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
    landed: dict[str, Outcome] = field(default_factory=dict)

    @property
    def _is_of_job(self) -> bool:
        """Whether the step materializes the account as one asset, and reports its streams."""
        return self.account.all_streams in self.context.selected_asset_keys

    def begun(self, names: Sequence[str]) -> None:
        """Let the UI show the streams that are read as under way, and as failed if they fail."""
        for name in names if self._is_of_job else ():
            plan_materialization(self.context, self.account.key(name))

    def of(self, outcome: Outcome) -> Iterator[dg.MaterializeResult[Any]]:
        """The materialization of one stream, and the partitions that it covered.

        A child that its parent's pages do not bring whole lands once more.
        """
        stream_table, landed = outcome.stream_table, outcome.landed
        key = self.account.key(stream_table.name)
        is_again = stream_table.name in self.landed
        self.landed[stream_table.name] = outcome
        self.context.log.info(
            "%s: %s inserted, %s updated, %s unchanged, %s deleted; %s live rows",
            stream_table.name,
            *(landed.inserted, landed.updated, landed.unchanged, landed.deleted),
            landed.live_rows,
        )
        with self.connect() as db:
            counts = _rows_per_partition(db, self.account.partitions, stream_table)
            # the UI calls what is made of another version of it out of date
            version = content_of(db, stream_table.table)
            metadata = _metadata(outcome, hidden_rows(db, stream_table))
        if not self.request.window:
            self._mark(key, outcome, metadata, counts, version)
            return
        for partition in self.context.partition_keys:
            rows = {_ROWS: counts.get(partition, 0)}
            if is_again:
                again = dg.AssetMaterialization(
                    key, partition=partition, metadata={**metadata, **rows}
                )
                self.context.log_event(again)
            else:
                self.context.add_asset_metadata(rows, asset_key=key, partition_key=partition)
        if not is_again:
            yield dg.MaterializeResult(
                asset_key=key, metadata=metadata, data_version=dg.DataVersion(version)
            )

    def _mark(
        self,
        key: dg.AssetKey,
        outcome: Outcome,
        metadata: Mapping[str, Any],
        counts: Mapping[str, int],
        version: str,
    ) -> None:
        """Mark the running partition, and earlier ones that were covered and are not marked yet.

        Dagster has one event per partition, and no more than that for a run without partitions: the
        earlier ones stand beside the run, whose page would hold little else after a first sync.
        """
        run = self.context.run.run_id
        *earlier, running = keys_between(self.account.partitions, outcome.read.since, outcome.at)
        if is_forgotten(self.context.instance, self.context.run):
            earlier = []
        # paths that cannot be asked for a span of time do not tell one partition from another
        if earlier and outcome.stream_table.stream.can_filter:
            marked = self.context.instance.get_materialized_partitions(key)
            for partition in earlier:
                if partition not in marked:
                    marks: dict[str, Any] = {
                        _ROWS: counts.get(partition, 0),
                        "run": dg.MetadataValue.dagster_run(run),
                    }
                    self.context.instance.report_runless_asset_event(
                        dg.AssetMaterialization(key, partition=partition, metadata=marks)
                    )
        self.context.log_event(
            dg.AssetMaterialization(
                key,
                partition=running,
                metadata={**metadata, _ROWS: counts.get(running, 0)},
                tags=data_version_tags(version),
            )
        )

    def of_the_rest(self, before: Mapping[str, StreamState]) -> None:
        """Say why streams were not read.

        before: stream → its state before this run.
        """
        with self.connect() as db:
            states = ledger.states(db, self.account.name)
        resting = []
        for name in sorted(self.request.streams - self.landed.keys()):
            why = states[name].unavailable if name in states else None
            if why is None:
                resting.append(name)
            elif name not in before or before[name].unavailable != why:
                key = self.account.key(name)
                self.context.log_event(dg.AssetObservation(key, metadata={"unavailable": why}))
        if resting:
            self.context.log.info("Not read again yet, as they were lately: %s", ", ".join(resting))

    def outputs(self) -> Iterator[Any]:
        """What lets models be built on streams, read in this run or not."""
        if self._is_of_job:
            yield from self._of_account()
            return
        done = self.landed.keys() if self.request.window else set[str]()
        for name in sorted(self.request.streams - done):
            key = self.account.key(name)
            if feeds_another_step(self.context, key):
                yield silent_output(self.context.assets_def.get_output_name_for_asset_key(key))

    def _of_account(self) -> Iterator[Any]:
        """The materialization of the asset over all streams."""
        key, landed = self.account.all_streams, list(self.landed.values())
        if not landed:
            yield silent_output(self.context.assets_def.get_output_name_for_asset_key(key))
            return
        reads = {id(outcome.read): outcome for outcome in landed}.values()
        requests = sum(outcome.requests for outcome in reads)
        self.context.log.info(
            "Read %s with %s.", counted(len(landed), "stream"), counted(requests, "request")
        )
        with self.connect() as db:
            version = last_changes(db, {t.table for t in self.account.enabled})
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={
                "streams_read": len(landed),
                "requests": requests,
                "inserted": sum(outcome.landed.inserted for outcome in landed),
                "updated": sum(outcome.landed.updated for outcome in landed),
                "deleted": sum(outcome.landed.deleted for outcome in landed),
            },
            data_version=dg.DataVersion(version),
        )

    def checks(self) -> None:
        """Check all streams that landed, once no more will."""
        for outcome in self.landed.values():
            self._check(outcome.stream_table, is_full=outcome.read.is_full)

    def checks_alone(self) -> None:
        """Make the checks that a run is asked for without their streams."""
        for stream_table in self.account.enabled:
            key, asked = self.account.key(stream_table.name), self.context.selected_asset_check_keys
            names = {check.name for check in asked if check.asset_key == key}
            if names:
                self._check(stream_table, is_full=False, only=names)

    def _check(
        self, stream_table: StreamTable, *, is_full: bool, only: Collection[str] | None = None
    ) -> None:
        wanted = applicable(self.account, stream_table)
        # the account is asked before the database is opened, which others may wait for
        outcome = self.landed.get(stream_table.name)
        total = outcome.total if outcome else None
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
            found = list(evaluate(evidence))
        for evaluation in found:
            if only is None or evaluation.check_name in only:
                log_evaluation(self.context, evaluation)

    def _total(self, stream_table: StreamTable) -> int | None:
        """The account's own count, None if it cannot be had."""
        try:
            has_total = stream_table.stream.has_own_pages
            return probes.total(self.client, stream_table.stream) if has_total else None
        except ApiError as error:
            # what comes beside its parents comes without a feature, too
            if lacking(stream_table.stream, error) is None:
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


def _metadata(outcome: Outcome, hidden: int | None) -> dict[str, Any]:
    """Numbers of the table, then of this sync. hidden: the table's rows that are seen as stubs."""
    landed, stream_table, read = outcome.landed, outcome.stream_table, outcome.read
    metadata: dict[str, Any] = {
        "dagster/row_count": landed.live_rows + landed.deleted_rows,
        "dagster/table_name": location().table(SCHEMA, stream_table.table),
        "live_rows": landed.live_rows,
        "deleted_rows": landed.deleted_rows,
        "inserted": landed.inserted,
        "updated": landed.updated,
        "unchanged": landed.unchanged,
        "newly_deleted": landed.deleted,
        "rejected_values": landed.rejected,
        # each once: pages overlap, and children come beside the pages of others
        "records_read": landed.inserted + landed.updated + landed.unchanged,
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
    if hidden is not None:
        metadata["hidden_rows"] = hidden
    if outcome.searched:
        metadata["search_requests"] = outcome.searched
    if landed.new_columns:
        metadata["new_columns"] = ", ".join(landed.new_columns)
    if outcome.notes:
        metadata["notes"] = dg.MetadataValue.md("\n".join(f"- {note}" for note in outcome.notes))
    return metadata
