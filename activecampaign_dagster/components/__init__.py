"""The components that YAML files name, and the resources that code of one's own can use.

Nothing else of this package is public.
"""

from activecampaign_dagster.components.accounts import ActiveCampaignAccounts
from activecampaign_dagster.components.dbt_models import DbtModels
from activecampaign_dagster.components.source import ActiveCampaignSource
from activecampaign_dagster.orchestration.resources import (
    ActiveCampaignResource,
    WarehouseResource,
)

__all__ = [
    "ActiveCampaignAccounts",
    "ActiveCampaignResource",
    "ActiveCampaignSource",
    "DbtModels",
    "WarehouseResource",
]
