"""The pipeline report as an asset: one HTML page, made of the marts."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import duckdb
import yaml  # type: ignore[import-untyped]

from activecampaign_dagster.orchestration.account import ALL_MODELS, JOB_TAG, MODE_TAG
from activecampaign_dagster.orchestration.dagster_internals import silent_output
from activecampaign_dagster.orchestration.failures import StepError, failure
from activecampaign_dagster.orchestration.resources import WAREHOUSE_KEY, WarehouseResource
from activecampaign_dagster.report.page import Report, Synced, render
from activecampaign_dagster.report.preview import preview
from activecampaign_dagster.warehouse import builds, ledger
from activecampaign_dagster.warehouse.location import Location, LocationError
from activecampaign_dagster.warehouse.private import make_folder, write_private
from activecampaign_dagster.warehouse.warehouse import WarehouseError

FOLDER_VARIABLE = "ACTIVECAMPAIGN_REPORTS"


def marts_read(project: Path) -> tuple[str, ...]:
    """The marts that the report reads, as its exposure in a dbt project lists them; () without."""
    file = project / "models" / "semantics" / "exposures.yml"
    if not file.exists():
        return ()
    exposures = yaml.safe_load(file.read_text("utf-8"))["exposures"]
    found = [each["depends_on"] for each in exposures if each["name"] == "pipeline_report"]
    return tuple(ref.split("'")[1] for refs in found for ref in refs)


def report_path(location: Location) -> Path:
    """The path of the report on a warehouse, in the folder that ACTIVECAMPAIGN_REPORTS names.

    Without one it lies beside a file, else among this host's own folders.
    """
    name = f"{location.stem.stem}_report.html"
    folder = os.environ.get(FOLDER_VARIABLE, "").strip()
    if folder:
        return Path(folder).expanduser().absolute() / name
    return location.stem.with_name(name)


def pipeline_report(
    marts: Mapping[str, dg.AssetKey], owners: Sequence[str] = ()
) -> dg.AssetsDefinition:
    """The report's asset. marts: the name of each mart that it reads → its asset."""

    @dg.asset(  # type: ignore[call-overload]
        name="pipeline_report",
        deps=[*marts.values(), ALL_MODELS],
        dagster_type=dg.Nothing,
        group_name="sales",
        kinds={"html"},
        tags={JOB_TAG: ""},
        owners=list(owners),
        required_resource_keys={WAREHOUSE_KEY},
        description="One self-contained HTML page for the weekly sales meeting: money by currency, "
        "what to discuss, recent changes, who won, and marketing. It is beside the database or in "
        f"the folder that {FOLDER_VARIABLE} names.",
    )
    def report(context: dg.AssetExecutionContext) -> Iterator[Any]:
        warehouse: WarehouseResource = getattr(context.resources, WAREHOUSE_KEY)
        yield from _made(context, warehouse, marts)

    return report  # type: ignore[no-any-return]


def _made(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, marts: Collection[str]
) -> Iterator[Any]:
    """Render the report and preview its figures and the deals to talk about.

    A run of a job leaves it as it is if none of its marts was built since.
    """
    try:
        path = report_path(warehouse.location)
        with warehouse.warehouse.connect(read_only=True) as db:
            if MODE_TAG in context.run.tags and not context.run.asset_selection:
                built = builds.last_built(db, marts)
                if built and path.exists() and path.stat().st_mtime > built.timestamp():
                    yield silent_output("result")
                    return
            report = _rendered(db)
    except (WarehouseError, LocationError) as error:
        raise failure(error, context) from None
    except (duckdb.CatalogException, duckdb.BinderException):
        raise StepError(
            f"The marts that the report is made of are not all in {warehouse.location.label}: "
            "build the models first, for instance with a full refresh.",
            is_permanent=True,
        ) from None
    _write(path, report.html)
    context.log.info("The pipeline report is at %s", path)
    yield dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(path),
            "preview": dg.MetadataValue.md(preview(report)),
        }
    )


def _write(path: Path, html: str) -> None:
    """Write the report, which appears at once and whole; raises StepError."""
    # of this process alone: two hosts may write into one folder
    partial = path.with_name(f"{path.name}.{uuid4().hex[:8]}.partial")
    try:
        make_folder(path.parent)
        write_private(partial, html)
        partial.replace(path)
    except OSError as error:
        raise StepError(
            f"The report {path} cannot be written ({error.strerror}): check the folder's "
            f"permissions and room, or set {FOLDER_VARIABLE} to another one.",
            is_permanent=True,
        ) from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _rendered(db: duckdb.DuckDBPyConnection) -> Report:
    at = ledger.last_sync(db) or datetime.now(UTC)
    return render(db, Synced(at, ledger.streams_read(db), ledger.values_of(db, ledger.ADDRESS)))
