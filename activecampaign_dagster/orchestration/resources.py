"""Dagster resources: the account's API and the warehouse."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster_duckdb import DuckDBResource
from pydantic import Field

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.api.errors import AddressError, CredentialsError
from activecampaign_dagster.orchestration.dagster_internals import SetInCode
from activecampaign_dagster.warehouse.factory import warehouse_at
from activecampaign_dagster.warehouse.location import DATABASE_VARIABLE, Location, locate
from activecampaign_dagster.warehouse.warehouse import Warehouse

# a key, which is all digits and a to f, is no name
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]{0,31}|[A-Za-z_][A-Za-z0-9_]*[G-Zg-z_][A-Za-z0-9_]*")


_project: Path | None = None  # a process serves one project


def use_project(root: Path) -> None:
    """Keep the default database below this folder: the project whose definitions are loaded.

    Code that loads no project counts from the working folder.
    """
    global _project  # noqa: PLW0603
    _project = root.absolute()


def location(setting: str = "") -> Location:
    """Where the tables live: the setting, ACTIVECAMPAIGN_DATABASE, or a file in the project.

    Raises LocationError.
    """
    earlier = _earlier_default()
    default = earlier if earlier.exists() else earlier.with_name("warehouse.duckdb")
    return locate(setting or os.environ.get(DATABASE_VARIABLE, ""), default)


def about_earlier_default(place: Location) -> str | None:
    """A sentence about a database that has the default name of earlier versions, else None."""
    if place.label != str(_earlier_default()):
        return None
    return (
        f"The database is {place.label}, the default of earlier versions, and remains in use. "
        "The default of a new project is data/warehouse.duckdb."
    )


def _earlier_default() -> Path:
    return (_project or Path.cwd()) / "data" / "activecampaign.duckdb"


def warehouse() -> Warehouse:
    """The warehouse that the environment names; raises LocationError."""
    return warehouse_at(location())


class ActiveCampaignResource(SetInCode):
    """One ActiveCampaign account's REST API v3.

    The URL and the key are read from the environment when a run starts. Neither is stored in the
    code, in a run's configuration or in the UI, and launchpads have no field for them. In your own
    code, `url` and `api_key` take a `dg.EnvVar`, which has the same effect.
    """

    url_variable: str = Field(
        default="ACTIVECAMPAIGN_URL",
        description="Environment variable that holds the account's URL (Settings → Developer).",
    )
    api_key_variable: str = Field(
        default="ACTIVECAMPAIGN_API_KEY",
        description="Environment variable that holds the API key of a user of the account.",
    )
    requests_per_second: int = Field(
        default=5,
        description="Requests that may start per second; ActiveCampaign allows 5 per account. "
        "0: no limit, only for the simulated account.",
        ge=0,
    )

    def __init__(self, **settings: Any) -> None:
        for name in ("url", "api_key"):
            value = settings.pop(name, None)
            if isinstance(value, dg.EnvVar):
                settings[f"{name}_variable"] = value.env_var_name
            elif value:
                raise CredentialsError(
                    f"ActiveCampaignResource takes `{name}` as a dg.EnvVar only, so that it is "
                    f"stored nowhere: set an environment variable and name it in {name}_variable."
                )
        super().__init__(**settings)

    def client(self) -> Client:
        """A client to use as a context manager; AddressError or CredentialsError if unusable."""
        for setting in ("url_variable", "api_key_variable"):
            if not _VARIABLE.fullmatch(getattr(self, setting)):
                raise CredentialsError(
                    f"{setting} must be the name of an environment variable, not the value itself."
                )
        for variable in self.missing():
            if variable == self.url_variable:
                raise AddressError(
                    f"{variable} is not set: set it to the account's URL, from ActiveCampaign "
                    "under Settings → Developer."
                )
            raise CredentialsError(
                f"{variable} is not set: set it to the API key, from ActiveCampaign under "
                "Settings → Developer."
            )
        return Client(
            os.environ.get(self.url_variable),
            os.environ.get(self.api_key_variable),
            per_second=self.requests_per_second or None,
        )

    def missing(self) -> list[str]:
        """The environment variables that have to be set and are not."""
        needed = (self.url_variable, self.api_key_variable)
        return [variable for variable in needed if not os.environ.get(variable, "").strip()]


class WarehouseResource(SetInCode, DuckDBResource):
    """The warehouse: a DuckDB file, which is open only while it is used, or a shared database.

    Unlike its base class, it closes the connection when the block raises. It waits only for a
    lock; any other reason why the warehouse cannot be opened is reported at once, in one sentence.
    """

    database: str = Field(
        default="",
        description="Path of the DuckDB file, ducklake:postgres or md:NAME. Default: "
        "ACTIVECAMPAIGN_DATABASE, or data/warehouse.duckdb in the project.",
    )

    @property
    def location(self) -> Location:
        """Where the tables live; raises LocationError."""
        return location(self.database)

    @property
    def warehouse(self) -> Warehouse:
        """What is there; raises LocationError."""
        return warehouse_at(self.location)

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that is closed at the end of the block; raises WarehouseError."""
        with self.warehouse.connect() as connection:
            yield connection


WAREHOUSE_KEY = "activecampaign_warehouse"
# one object, as Dagster merges definitions of several accounts only if they share it
WAREHOUSE = WarehouseResource()
