"""The pipeline report as an asset: one HTML page, made of the marts."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import yaml  # type: ignore[import-untyped]

from activecampaign_dagster.orchestration.account import MODE_TAG
from activecampaign_dagster.orchestration.dagster_internals import silent_output
from activecampaign_dagster.orchestration.failures import StepError, failure
from activecampaign_dagster.orchestration.resources import PROJECT_ROOT, WarehouseResource
from activecampaign_dagster.report.page import Report, Synced, render
from activecampaign_dagster.report.preview import preview
from activecampaign_dagster.warehouse import builds, ledger
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.warehouse import WarehouseError

_EXPOSURES = PROJECT_ROOT / "dbt_project" / "models" / "semantics" / "exposures.yml"


def marts_read() -> tuple[str, ...]:
    """The marts that the report reads, as its exposure lists them; none without a dbt project."""
    if not _EXPOSURES.exists():
        return ()
    exposures = yaml.safe_load(_EXPOSURES.read_text("utf-8"))["exposures"]
    [own] = [each for each in exposures if each["name"] == "pipeline_report"]
    return tuple(ref.split("'")[1] for ref in own["depends_on"])


_READ = marts_read()


def report_path(database: Path) -> Path:
    """The path of the report on a database, beside it."""
    return database.with_name(f"{database.stem}_report.html")


@dg.asset(  # type: ignore[call-overload]
    deps=[dg.AssetKey(["marts", mart]) for mart in _READ],
    dagster_type=dg.Nothing,
    group_name="sales",
    kinds={"html"},
    owners=["team:data"],
    description="One self-contained HTML page for the weekly meeting: money by currency, what to "
    "do, what changed, who won, and marketing. It lies beside the database.",
)
def pipeline_report(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> Iterator[Any]:
    """Render the report beside the database and preview its figures and the deals to talk about.

    A run of a job leaves it as it is if none of its marts was built since.
    """
    path = report_path(warehouse.path)
    try:
        with connect(warehouse.path, read_only=True) as db:
            if MODE_TAG in context.run.tags and not context.run.asset_selection:
                built = builds.last_built(db, _READ)
                if built and path.exists() and path.stat().st_mtime > built.timestamp():
                    yield silent_output("result")
                    return
            report = _rendered(db)
    except WarehouseError as error:
        raise failure(error, context) from None
    except (duckdb.CatalogException, duckdb.BinderException):
        raise StepError(
            f"The marts that the report is made of are not all in {warehouse.path}: build the "
            "models first, for instance with the job full_refresh.",
            is_permanent=True,
        ) from None
    partial = path.with_suffix(".partial")
    partial.write_text(report.html, encoding="utf-8")
    partial.replace(path)
    context.log.info("The pipeline report is at %s", path)
    yield dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(path),
            "preview": dg.MetadataValue.md(preview(report)),
        }
    )


def _rendered(db: duckdb.DuckDBPyConnection) -> Report:
    at = builds.last_sync(db) or datetime.now(UTC)
    return render(db, Synced(at, ledger.streams_read(db), ledger.values_of(db, ledger.ADDRESS)))
