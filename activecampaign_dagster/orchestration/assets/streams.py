"""The streams of one account as Dagster assets, read together in one op that can be subset."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from typing import Any

import dagster as dg
from pydantic import Field

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.orchestration.account import KIND, MODE_TAG, Account
from activecampaign_dagster.orchestration.assets.events import RunEvents
from activecampaign_dagster.orchestration.checks import specs
from activecampaign_dagster.orchestration.failures import failure
from activecampaign_dagster.orchestration.freshness import freshness_policy
from activecampaign_dagster.orchestration.jobs import show_in_ui
from activecampaign_dagster.orchestration.old_runs import clear_old_runs
from activecampaign_dagster.orchestration.partitions import window_of
from activecampaign_dagster.orchestration.pool_claims import wait_for_living_runs_only
from activecampaign_dagster.orchestration.resources import (
    ActiveCampaignResource,
    WarehouseResource,
)
from activecampaign_dagster.orchestration.stopping import stops_in_a_sentence
from activecampaign_dagster.orchestration.storage_errors import tell_in_a_sentence
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.sync.outcomes import SyncError
from activecampaign_dagster.sync.request import Mode, SyncRequest
from activecampaign_dagster.sync.run import sync
from activecampaign_dagster.warehouse import ledger, migrate
from activecampaign_dagster.warehouse.ledger import StreamState, with_known_overlap
from activecampaign_dagster.warehouse.sql import SCHEMA
from activecampaign_dagster.warehouse.tables import bookkeeping


class SyncConfig(dg.Config):
    """Settings of a run: the way in which it reads the selected streams."""

    mode: str = Field(
        default="auto",
        pattern="^(auto|incremental|full)$",
        description="auto: what the job says; else the partition's window if one was chosen, else "
        "what changed since the last sync. incremental: what changed. full: everything, which "
        "also finds deletions.",
    )


def stream_assets(account: Account) -> dg.AssetsDefinition:
    """The multi-asset that reads an account."""
    wait_for_living_runs_only()
    tell_in_a_sentence()

    @dg.multi_asset(
        name=account.op,
        specs=[_spec(account, stream_table) for stream_table in account.enabled],
        check_specs=[spec for table in account.enabled for spec in specs(account, table)],
        partitions_def=account.partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
        pool=account.pool,
        required_resource_keys={account.resource_key, "warehouse"},
        description=f"Reads the selected streams of the account {account.name!r}: one request "
        "budget, one writer, streams side by side.",
    )
    def streams(context: dg.AssetExecutionContext, config: SyncConfig) -> Iterator[Any]:
        api: ActiveCampaignResource = getattr(context.resources, account.resource_key)
        warehouse: WarehouseResource = context.resources.warehouse
        show_in_ui(context.run, context.instance)
        try:
            with stops_in_a_sentence(f"while it read the account {account.name!r}"):
                yield from _sync(account, context, _request(context, config), api, warehouse)
            clear_old_runs(context.instance, context.log, account.name, account.is_read_by)
        except ActiveCampaignError as error:
            raise failure(error, context) from None

    return streams


def _spec(account: Account, stream_table: StreamTable) -> dg.AssetSpec:
    """One stream's asset."""
    stream = stream_table.stream
    metadata: dict[str, Any] = {
        "dagster/column_schema": _column_schema(stream_table),
        "dagster/table_name": f"{SCHEMA}.{stream_table.table}",
        "sync_type": str(stream_table.sync_type),
    }
    if stream.replication_key:
        metadata["replication_key"] = stream.replication_key
    if account.description:
        metadata["account"] = account.description
    return dg.AssetSpec(
        key=account.key(stream_table.name),
        description=stream.description,
        group_name=account.group(stream),
        kinds={KIND, "duckdb"},
        owners=list(account.owners),
        metadata=metadata,
        skippable=True,
        freshness_policy=freshness_policy(account),
    )


def _column_schema(stream_table: StreamTable) -> dg.TableSchema:
    declared = [
        dg.TableColumn(f.name, str(f.type), description=f.description)
        for f in stream_table.stream.fields
    ]
    own = [
        dg.TableColumn(name, type_, description=text)
        for name, type_, text in bookkeeping(stream_table.stream)
    ]
    return dg.TableSchema([*declared, *own])


def _request(context: dg.AssetExecutionContext, config: SyncConfig) -> SyncRequest:
    window = window_of(context)
    mode = config.mode if config.mode != "auto" else context.run.tags.get(MODE_TAG, "incremental")
    return SyncRequest(
        streams=frozenset(key.path[-1] for key in context.selected_asset_keys),
        mode=Mode.WINDOW if window else Mode(mode),
        window=window,
        sync_id=context.run.run_id,
        # whoever materializes a stream by hand wants it read now
        compares=True,
        rests=MODE_TAG in context.run.tags and config.mode == "auto",
    )


def _sync(
    account: Account,
    context: dg.AssetExecutionContext,
    request: SyncRequest,
    api: ActiveCampaignResource,
    warehouse: WarehouseResource,
) -> Iterator[Any]:
    """Read, land and yield the events; raises the errors in `failures`."""
    with api.client() as client:
        source, since, before = _as_established(account.source, warehouse)
        run_events = RunEvents(
            account=account,
            context=context,
            connect=warehouse.get_connection,
            request=request,
            client=client,
            since=since,
        )
        if not request.streams:
            run_events.checks_alone()
            return
        outcomes = sync(
            source,
            request,
            client=client,
            connect=warehouse.get_connection,
            staging=warehouse.path.with_name(f"{warehouse.path.name}.staging") / account.name,
            log=context.log,
        )
        try:
            # whoever reads the events may stop in the middle: the locks are free at once
            with closing(outcomes):
                for outcome in outcomes:
                    yield from run_events.of(outcome)
        except SyncError:
            run_events.checks()
            raise
        run_events.of_the_rest(before)
        run_events.checks()
        yield from run_events.outputs()


def _as_established(
    configured: Source, warehouse: WarehouseResource
) -> tuple[Source, dict[str, datetime], Mapping[str, StreamState]]:
    """The source with the overlap that the account's facts allow, where reads begin, and states."""
    with warehouse.get_connection() as db:
        migrate.prepare(db, configured)
        source = with_known_overlap(configured, db)
        marks, states = ledger.watermarks(db, source), ledger.states(db, source.name)
    return source, {stream: mark - source.overlap for stream, mark in marks.items()}, states
