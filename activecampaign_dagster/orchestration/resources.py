"""Dagster resources: the account's API and the warehouse file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import duckdb
from dagster_duckdb import DuckDBResource
from pydantic import Field

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.api.errors import AddressError, CredentialsError
from activecampaign_dagster.warehouse.file import connect

PROJECT_ROOT = Path(__file__).resolve().parents[2]
DATABASE_VARIABLE = "ACTIVECAMPAIGN_DATABASE"


def database_path() -> Path:
    """The warehouse file: ACTIVECAMPAIGN_DATABASE, or data/activecampaign.duckdb in the project."""
    configured = os.environ.get(DATABASE_VARIABLE, "").strip()
    if configured:
        return Path(configured).expanduser().absolute()
    return PROJECT_ROOT / "data" / "activecampaign.duckdb"


class ActiveCampaignResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """One ActiveCampaign account's REST API v3.

    The URL and the key are read from the environment when a run starts, so that neither is stored
    with the code, with a run's configuration or in the UI. In code of your own, `url` and
    `api_key` take a `dg.EnvVar`, to the same effect.
    """

    url: str = Field(default="", description="The account's URL; empty: from `url_variable`.")
    api_key: str = Field(
        default="",
        description="The API key, as a dg.EnvVar; empty: from `api_key_variable`.",
    )
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
        description="Requests that may begin per second; ActiveCampaign allows 5 per account. "
        "0 sets no limit, which is right for a sandbox only.",
        ge=0,
    )

    def client(self) -> Client:
        """A client to use as a context manager; AddressError or CredentialsError if unusable."""
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
            self.url or os.environ.get(self.url_variable),
            self.api_key or os.environ.get(self.api_key_variable),
            per_second=self.requests_per_second or None,
        )

    def missing(self) -> list[str]:
        """The environment variables that have to be set and are not."""
        needed = {self.url_variable: self.url, self.api_key_variable: self.api_key}
        return [
            variable
            for variable, value in needed.items()
            if not value and not os.environ.get(variable, "").strip()
        ]


class WarehouseResource(DuckDBResource):
    """The DuckDB file, opened for as short as possible.

    Unlike its base it closes the connection when the block raises, and it waits for a lock only;
    anything else that keeps the file from being opened is reported at once, in one sentence.
    """

    database: str = Field(
        default="",
        description="Path of the DuckDB file; empty: ACTIVECAMPAIGN_DATABASE, or "
        "data/activecampaign.duckdb in the project.",
    )

    @property
    def path(self) -> Path:
        """The file's absolute path."""
        return Path(self.database).expanduser().absolute() if self.database else database_path()

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that is closed at the end of the block; raises WarehouseError."""
        with connect(self.path) as connection:
            yield connection
