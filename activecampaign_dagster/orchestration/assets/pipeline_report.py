"""The pipeline report as an asset: one HTML page, made of the marts."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

from activecampaign_dagster.orchestration.account import MODE_TAG
from activecampaign_dagster.orchestration.dagster_internals import silent_output
from activecampaign_dagster.orchestration.failures import StepError, failure
from activecampaign_dagster.orchestration.resources import WarehouseResource
from activecampaign_dagster.report.page import render
from activecampaign_dagster.warehouse import builds
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.warehouse import WarehouseError

_MARTS = ("deals", "pipelines", "pipeline_stages", "sales_funnel", "win_rates")
_READ = (*_MARTS, "campaign_performance")


def report_path(database: Path) -> Path:
    """The path of the report on a database, beside it."""
    return database.with_name(f"{database.stem}_report.html")


@dg.asset(  # type: ignore[call-overload]
    deps=[dg.AssetKey(["marts", mart]) for mart in _READ],
    dagster_type=dg.Nothing,
    group_name="sales",
    kinds={"plotly", "html"},
    owners=["team:data"],
    description="One self-contained HTML page: funnel, open pipeline by stage, win rate over "
    "time, sales cycle and top campaigns. It lies beside the database.",
)
def pipeline_report(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> Iterator[Any]:
    """Render the report beside the database and preview its headline figures.

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
            report = render(db, datetime.now(UTC))
    except WarehouseError as error:
        raise failure(error, context) from None
    except duckdb.CatalogException:
        raise StepError(
            f"The marts that the report is made of are not all in {warehouse.path}: build the "
            "models first, for instance with the job full_refresh.",
            is_permanent=True,
        ) from None
    partial = path.with_suffix(".partial")
    partial.write_text(report.html, encoding="utf-8")
    partial.replace(path)
    context.log.info("The pipeline report is at %s", path)
    table = "".join(f"| {meaning} | {value} |\n" for value, meaning in report.headlines)
    yield dg.MaterializeResult(
        metadata={
            "report": dg.MetadataValue.url(path.as_uri()),
            "path": dg.MetadataValue.path(path),
            "preview": dg.MetadataValue.md(f"| figure | value |\n| --- | --- |\n{table}"),
        }
    )
