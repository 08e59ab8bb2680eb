"""ActiveCampaign accounts in DuckDB, kept current by Dagster and modelled by dbt.

The components that YAML files name, and the resources that code of one's own can use. They are
imported when they are asked for: the simulated account, for one, does without Dagster.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from activecampaign_dagster.components import (
        ActiveCampaignAccounts,
        ActiveCampaignResource,
        ActiveCampaignSource,
        DbtModels,
        WarehouseResource,
    )

    __version__: str

__all__ = [
    "ActiveCampaignAccounts",
    "ActiveCampaignResource",
    "ActiveCampaignSource",
    "DbtModels",
    "WarehouseResource",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("activecampaign_dagster.components"), name)
    if name == "__version__":
        return version("activecampaign-dagster")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})  # by which Dagster finds the components
