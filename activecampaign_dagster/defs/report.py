"""The pipeline report, made after the models."""

import dagster as dg

from activecampaign_dagster.orchestration.assets.pipeline_report import pipeline_report


@dg.definitions
def report() -> dg.Definitions:
    """The report."""
    return dg.Definitions(assets=[pipeline_report])
