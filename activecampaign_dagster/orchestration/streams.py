"""The streams of one account as Dagster assets, read together in one op that can be subset."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from pydantic import Field

from activecampaign_dagster.orchestration.failures import EXPECTED, failure
from activecampaign_dagster.orchestration.partitions import keys_between, window_of
from activecampaign_dagster.orchestration.resources import (
    ActiveCampaignResource,
    WarehouseResource,
)
from activecampaign_dagster.sync import tables
from activecampaign_dagster.sync.run import Outcome, sync
from activecampaign_dagster.sync.source import SCHEMA, Mode, Source, SyncRequest, Target
from activecampaign_dagster.sync.tables import BOOKKEEPING
from activecampaign_dagster.sync.warehouse import quoted

MODE_TAG = "activecampaign/sync"  # on jobs: how their runs read
KIND = "activecampaign"


class SyncConfig(dg.Config):
    """How a run reads the selected streams."""

    mode: str = Field(
        default="auto",
        pattern="^(auto|incremental|full)$",
        description="auto: what the job says; else the partition's window if one was chosen, else "
        "what changed since the last sync. incremental: what changed. full: everything, which "
        "also finds deletions.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamAssets:
    """What the assets of one account are made of.

    key_prefix: the first part of the asset keys. op: the op's name. pool: the Dagster pool that
    keeps runs of one account apart.
    """

    source: Source
    partitions: dg.TimeWindowPartitionsDefinition
    resource_key: str
    key_prefix: str
    owners: Sequence[str]

    @property
    def op(self) -> str:
        """The name of the op that reads the account."""
        return f"{self.source.name}_streams"

    @property
    def pool(self) -> str:
        """The pool of one slot that every read of this account takes."""
        return f"activecampaign_{self.source.name}"

    @property
    def enabled(self) -> list[Target]:
        """The streams that are assets."""
        return [t for t in self.source.targets if t.name in self.source.enabled]

    def key(self, stream: str) -> dg.AssetKey:
        """The asset key of a stream."""
        return dg.AssetKey([self.key_prefix, stream])

    def spec(self, target: Target) -> dg.AssetSpec:
        """One stream's asset."""
        stream = target.stream
        metadata: dict[str, Any] = {
            "dagster/column_schema": _column_schema(target),
            "dagster/table_name": f"{SCHEMA}.{target.table}",
            "sync_type": str(target.sync_type),
        }
        if stream.replication_key:
            metadata["replication_key"] = stream.replication_key
        return dg.AssetSpec(
            key=self.key(target.name),
            description=stream.description,
            group_name=self.source.name,
            kinds={KIND, "duckdb"},
            owners=list(self.owners),
            metadata=metadata,
            skippable=True,
        )

    def build(self) -> dg.AssetsDefinition:
        """The multi-asset."""
        return _build(self)


def _column_schema(target: Target) -> dg.TableSchema:
    declared = [
        dg.TableColumn(f.name, str(f.type), description=f.description) for f in target.stream.fields
    ]
    own = [dg.TableColumn(name, type_, description=text) for name, type_, text in BOOKKEEPING]
    return dg.TableSchema([*declared, *own])


def _build(assets: StreamAssets) -> dg.AssetsDefinition:
    checks = [
        dg.AssetCheckSpec(name, asset=assets.key(target.name), description=description)
        for target in assets.enabled
        for name, description in CHECKS.items()
    ]

    @dg.multi_asset(
        name=assets.op,
        specs=[assets.spec(target) for target in assets.enabled],
        check_specs=checks,
        partitions_def=assets.partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
        pool=assets.pool,
        required_resource_keys={assets.resource_key, "warehouse"},
        description=f"Reads the selected streams of the account {assets.source.name!r}: one "
        "request budget, one writer, streams side by side.",
    )
    def streams(context: dg.AssetExecutionContext, config: SyncConfig) -> Iterator[Any]:
        account: ActiveCampaignResource = getattr(context.resources, assets.resource_key)
        warehouse: WarehouseResource = context.resources.warehouse
        request = _request(context, config)
        try:
            with account.client() as client:
                outcomes = sync(
                    assets.source,
                    request,
                    client=client,
                    connect=warehouse.get_connection,
                    staging=warehouse.path.with_name(f"{warehouse.path.name}.staging")
                    / assets.source.name,
                    log=context.log,
                )
                for outcome in outcomes:
                    yield from _Report(assets, context, warehouse, request, outcome).events()
        except EXPECTED as error:
            raise failure(error) from None

    return streams


def _request(context: dg.AssetExecutionContext, config: SyncConfig) -> SyncRequest:
    window = window_of(context)
    mode = config.mode if config.mode != "auto" else context.run.tags.get(MODE_TAG, "incremental")
    return SyncRequest(
        streams=frozenset(key.path[-1] for key in context.selected_asset_keys),
        mode=Mode.WINDOW if window else Mode(mode),
        window=window,
        sync_id=context.run_id,
    )


CHECKS = {
    "rejected_values": "Values that did not fit their column's type; they are kept verbatim in "
    "activecampaign._rejected_values.",
    "undeclared_fields": "Fields that the API sent and nobody declared; each has become a column.",
}


class _Report:
    """What the UI is told about one stream's outcome."""

    def __init__(
        self,
        assets: StreamAssets,
        context: dg.AssetExecutionContext,
        warehouse: WarehouseResource,
        request: SyncRequest,
        outcome: Outcome,
    ) -> None:
        self._assets = assets
        self._context = context
        self._warehouse = warehouse
        self._request = request
        self._outcome = outcome
        self._key = assets.key(outcome.target.name)

    def events(self) -> Iterator[Any]:
        """The materialization, the partitions it covered, and the checks."""
        outcome, landed = self._outcome, self._outcome.landed
        counts, rejected, undeclared = self._look()
        self._context.log.info(
            "%s: %s inserted, %s updated, %s unchanged, %s deleted; %s live rows",
            outcome.target.name,
            *(landed.inserted, landed.updated, landed.unchanged, landed.deleted),
            landed.live_rows,
        )
        if self._request.window:
            for key in self._context.partition_keys:
                self._context.add_asset_metadata(
                    {"dagster/partition_row_count": counts.get(key, 0)},
                    asset_key=self._key,
                    partition_key=key,
                )
        else:
            for key in self._covered():
                self._context.log_event(
                    dg.AssetMaterialization(
                        self._key,
                        partition=key,
                        metadata={"dagster/partition_row_count": counts.get(key, 0)},
                    )
                )
        yield dg.MaterializeResult(asset_key=self._key, metadata=self._metadata())
        yield self._check("rejected_values", rejected, f"{rejected} values are NULL in the table.")
        shown = ", ".join(undeclared)
        yield self._check("undeclared_fields", len(undeclared), f"New columns: {shown}.")

    def _check(self, name: str, found: int, description: str) -> dg.AssetCheckResult:
        return dg.AssetCheckResult(
            check_name=name,
            asset_key=self._key,
            passed=found == 0,
            severity=dg.AssetCheckSeverity.WARN,
            description=description if found else None,
            metadata={"found": found},
        )

    def _covered(self) -> Sequence[str]:
        """The partitions to mark: those not marked yet that were covered, and the running one."""
        definition, now = self._assets.partitions, self._request.at
        covered = keys_between(definition, self._outcome.since, now)
        marked = self._context.instance.get_materialized_partitions(self._key)
        return [key for key in covered if key not in marked or key == covered[-1]]

    def _look(self) -> tuple[Mapping[str, int], int, list[str]]:
        """(rows per partition, rejected values, undeclared columns) as the table has them."""
        target = self._outcome.target
        stream = target.stream
        definition = self._assets.partitions
        counts: dict[str, int] = {}
        with self._warehouse.get_connection() as db:
            if stream.replication_key:
                zone = definition.timezone
                stamps = (
                    f"coalesce({quoted(stream.replication_key)}, {quoted(str(stream.created_key))})"
                )
                rows = db.execute(
                    f"select (timezone('{zone}', {stamps}))::date as day, count(*) "
                    f"from {tables.relation(target.table)} "
                    f"where day is not null group by day"
                ).fetchall()
                for day, count in rows:
                    moment = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
                    if moment < definition.start:
                        continue
                    key = definition.get_partition_key_for_timestamp(moment.timestamp())
                    counts[key] = counts.get(key, 0) + count
            rejected = db.execute(
                f"select count(*) from {SCHEMA}._rejected_values where account = ? and stream = ?",
                [self._assets.source.name, target.name],
            ).fetchone()
            declared = {field.name for field in stream.fields}
            present = tables.columns(db, target)
        return (
            counts,
            rejected[0] if rejected else 0,
            [column.name for column in present if column.key not in declared],
        )

    def _metadata(self) -> dict[str, Any]:
        outcome, landed, target = self._outcome, self._outcome.landed, self._outcome.target
        kind = "full" if outcome.is_full else "window" if outcome.until else "incremental"
        metadata: dict[str, Any] = {
            "dagster/row_count": landed.live_rows + landed.deleted_rows,
            "dagster/table_name": f"{SCHEMA}.{target.table}",
            "live_rows": landed.live_rows,
            "deleted_rows": landed.deleted_rows,
            "inserted": landed.inserted,
            "updated": landed.updated,
            "unchanged": landed.unchanged,
            "deleted": landed.deleted,
            "rejected_values": landed.rejected,
            "rows_read": outcome.rows_read,
            "read": kind,
            "pages": outcome.pages,
            "requests": outcome.requests,
            "duration_seconds": round(outcome.seconds, 3),
            "resumed": outcome.resumed,
        }
        if outcome.since:
            metadata["window_start"] = dg.MetadataValue.timestamp(outcome.since)
        if outcome.until:
            metadata["window_end"] = dg.MetadataValue.timestamp(outcome.until)
        if target.stream.stub_flag:
            metadata["stubs"] = outcome.stubs
        if landed.new_columns:
            metadata["new_columns"] = ", ".join(landed.new_columns)
        if outcome.notes:
            metadata["notes"] = dg.MetadataValue.md("\n".join(f"- {n}" for n in outcome.notes))
        return metadata
