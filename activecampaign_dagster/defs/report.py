"""The pipeline report, made after the models."""

from activecampaign_dagster.orchestration.pipeline_report import pipeline_report

__all__ = ["pipeline_report"]
