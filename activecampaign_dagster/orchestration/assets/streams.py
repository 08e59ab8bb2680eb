"""The streams of one account as Dagster assets, read together in one op that can be subset."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from typing import Any, Literal

import dagster as dg
from pydantic import Field

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.orchestration.account import JOBS_GROUP, KIND, MODE_TAG, Account
from activecampaign_dagster.orchestration.assets.events import RunEvents
from activecampaign_dagster.orchestration.checks import specs
from activecampaign_dagster.orchestration.dagster_internals import silent_output
from activecampaign_dagster.orchestration.failures import failure
from activecampaign_dagster.orchestration.freshness import freshness_policy
from activecampaign_dagster.orchestration.jobs import show_in_ui
from activecampaign_dagster.orchestration.old_runs import clear_old_runs
from activecampaign_dagster.orchestration.partitions import (
    RequestError,
    refuse_partitions,
    window_of,
)
from activecampaign_dagster.orchestration.pool_claims import wait_for_living_runs_only
from activecampaign_dagster.orchestration.resources import (
    WAREHOUSE_KEY,
    ActiveCampaignResource,
    WarehouseResource,
    about_earlier_default,
    location,
)
from activecampaign_dagster.orchestration.stopping import stops_in_a_sentence
from activecampaign_dagster.orchestration.storage_errors import (
    outlast_restarts,
    tell_in_a_sentence,
)
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

    mode: Literal["auto", "incremental", "full"] = Field(
        default="auto",
        description="auto: as the job does; without a job the selected partitions, or else what "
        "changed since the last sync. incremental: what changed. full: everything, which also "
        "finds deletions.",
    )


class JobConfig(SyncConfig):
    """Settings of a job's run: which streams it reads, and in which way."""

    streams: list[str] = Field(
        default_factory=list,
        description="Names of streams: the last part of their asset keys. Default: all.",
    )


def account_asset(account: Account) -> dg.AssetsDefinition:
    """The asset by which jobs read an account: it reports the streams that it reads.

    It has no partitions, so that no job asks for one: of a job over assets that have some, the UI
    starts no run without.
    """
    wait_for_living_runs_only()
    tell_in_a_sentence()

    @dg.multi_asset(
        name=account.op,
        specs=[
            dg.AssetSpec(
                account.all_streams,
                description=f"All streams of the account {account.name!r}; the jobs read them by "
                "this asset. Materializing it reads what changed since the last sync. To read one "
                "month, materialize a partition of a stream.",
                group_name=JOBS_GROUP,
                kinds={"duckdb"},
                owners=list(account.owners),
                skippable=True,
            )
        ],
        pool=account.pool,
        required_resource_keys={account.resource_key, WAREHOUSE_KEY},
        description=f"Reads the streams of the account {account.name!r} in parallel, within one "
        "request limit.",
    )
    def all_streams(context: dg.AssetExecutionContext, config: JobConfig) -> Iterator[Any]:
        own = {account.key(t.name) for t in account.enabled}
        if not own.isdisjoint(context.job_def.asset_layer.executable_asset_keys):
            yield silent_output(account.all_streams.to_python_identifier())  # read by that step
            return
        yield from _read(account, context, lambda: _job_request(account, context, config))

    return all_streams


def stream_assets(account: Account) -> dg.AssetsDefinition:
    """The multi-asset that reads what is asked for of an account: streams, and partitions."""
    wait_for_living_runs_only()
    tell_in_a_sentence()

    @dg.multi_asset(
        name=f"{account.name}_chosen_streams",
        specs=[_spec(account, stream_table) for stream_table in account.enabled],
        check_specs=[spec for table in account.enabled for spec in specs(account, table)],
        partitions_def=account.partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
        pool=account.pool,
        required_resource_keys={account.resource_key, WAREHOUSE_KEY},
        description=f"Reads the selected streams of the account {account.name!r} in parallel, "
        "within one request limit.",
    )
    def streams(context: dg.AssetExecutionContext, config: SyncConfig) -> Iterator[Any]:
        yield from _read(account, context, lambda: _request(context, config))

    return streams


def _spec(account: Account, stream_table: StreamTable) -> dg.AssetSpec:
    """One stream's asset."""
    stream = stream_table.stream
    metadata: dict[str, Any] = {
        "dagster/column_schema": _column_schema(stream_table),
        "dagster/table_name": location().table(SCHEMA, stream_table.table),
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
    """What a run reads that materializes streams; whoever does that wants them read now."""
    window = window_of(context)
    mode = config.mode if config.mode != "auto" else "incremental"
    return SyncRequest(
        streams=frozenset(key.path[-1] for key in context.selected_asset_keys),
        mode=Mode.WINDOW if window else Mode(mode),
        window=window,
        sync_id=context.run.run_id,
        compares=True,
    )


def _job_request(
    account: Account, context: dg.AssetExecutionContext, config: JobConfig
) -> SyncRequest:
    """What a job's run reads. Raises RequestError."""
    refuse_partitions(context.run)
    enabled = {stream_table.name for stream_table in account.enabled}
    if unknown := sorted({*config.streams} - enabled):
        raise RequestError(
            f"The account {account.name!r} has no stream {unknown[0]!r} that is enabled: choose "
            f"from {', '.join(sorted(enabled))}."
        )
    of_job = context.job_def.tags.get(MODE_TAG, "incremental")
    mode = config.mode if config.mode != "auto" else of_job
    if mode != of_job and context.run.job_name == account.job(of_job):
        context.instance.add_run_tags(context.run.run_id, {MODE_TAG: mode})  # what it really does
    return SyncRequest(
        streams=frozenset(config.streams or enabled),
        mode=Mode(mode),
        sync_id=context.run.run_id,
        compares=True,
        rests=MODE_TAG in context.run.tags and config.mode == "auto" and not config.streams,
    )


def _read(
    account: Account, context: dg.AssetExecutionContext, request: Callable[[], SyncRequest]
) -> Iterator[Any]:
    """Carry out a request; its errors, and those of making it, end the step in a sentence."""
    api: ActiveCampaignResource = getattr(context.resources, account.resource_key)
    warehouse: WarehouseResource = getattr(context.resources, WAREHOUSE_KEY)
    outlast_restarts(context.instance)
    show_in_ui(context.run, context.instance)
    try:
        if about := about_earlier_default(warehouse.location):
            context.log.info(about)
        with stops_in_a_sentence(f"while it read the account {account.name!r}"):
            yield from _sync(account, context, request(), api, warehouse)
        clear_old_runs(context.instance, context.log, account.name, account.is_read_by)
    except ActiveCampaignError as error:
        raise failure(error, context) from None


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
        _tell_if_moved(context, warehouse, account.name)
        outcomes = sync(
            source,
            request,
            client=client,
            warehouse=warehouse.warehouse,
            log=context.log,
            tell_begun=run_events.begun,
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


def _tell_if_moved(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, account: str
) -> None:
    """Say so if this run goes on for one whose unfinished reads lie on another host."""
    place = warehouse.location
    is_retry = context.op_execution_context.retry_number > 0 or context.run.parent_run_id
    if place.is_shared and is_retry and not any(place.folder("staging").glob(f"{account}/*/")):
        context.log.info(
            "This host has no unfinished reads of an earlier attempt: what is not landed is read "
            "from the beginning."
        )


def _as_established(
    configured: Source, warehouse: WarehouseResource
) -> tuple[Source, dict[str, datetime], Mapping[str, StreamState]]:
    """The source with the overlap that the account's facts allow, where reads begin, and states."""
    with warehouse.get_connection() as db:
        migrate.prepare(db, configured)
        source = with_known_overlap(configured, db)
        states = ledger.states(db, source.name)
    marks = ledger.watermarks(source, states)
    return source, {stream: mark - source.overlap for stream, mark in marks.items()}, states
