"""The pipeline report, made after the models."""

import dagster as dg

from activecampaign_dagster.components.source import accounts
from activecampaign_dagster.orchestration.assets.pipeline_report import pipeline_report
from activecampaign_dagster.orchestration.freshness import freshness_policy


@dg.definitions
def report(context: dg.ComponentLoadContext) -> dg.Definitions:
    """The report, as fresh as the accounts it is made of."""
    policy = freshness_policy(*(one.account() for one in accounts(context)))
    asset = pipeline_report.map_asset_specs(
        lambda spec: spec.replace_attributes(freshness_policy=policy)
    )
    return dg.Definitions(assets=[asset])
