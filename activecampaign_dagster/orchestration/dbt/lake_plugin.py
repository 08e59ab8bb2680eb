"""Lets dbt attach a DuckLake: its extensions come from where the sync takes them."""

from __future__ import annotations

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin

from activecampaign_dagster.warehouse.extensions import LAKE_EXTENSIONS, load_extension


class Plugin(BasePlugin):
    """What dbt-duckdb asks before it attaches what a target names."""

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Load the extensions; raises WarehouseError."""
        for name in LAKE_EXTENSIONS:
            load_extension(conn, name)
