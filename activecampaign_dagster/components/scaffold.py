"""The files that `dg scaffold defs` writes."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import dagster as dg

from activecampaign_dagster.components.settings import RESERVED


class SourceScaffolder(dg.Scaffolder[Any]):
    """Writes an account's file, named after its folder; a further one is kept apart from the first.

    The first account of a project is that of ACTIVECAMPAIGN_URL and ACTIVECAMPAIGN_API_KEY.
    """

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the file."""
        name = _name(request)
        if name in RESERVED:
            with suppress(OSError):  # `dg` has made the folder, and would refuse it next time
                request.target_path.rmdir()
            raise click.ClickException(
                f"{name!r} is reserved for the asset keys of dbt models: choose another name."
            )
        attributes = {"name": name}
        if _has_accounts(request.target_path):
            attributes |= {
                "url_variable": f"{name.upper()}_URL",
                "api_key_variable": f"{name.upper()}_API_KEY",
                "table_prefix": f"{name}_",
            }
        dg.scaffold_component(request, attributes)


class AccountsScaffolder(dg.Scaffolder[Any]):
    """Writes a file with two accounts, named after its folder, to be renamed."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the file."""
        names = [f"{_name(request)}_{number}" for number in (1, 2)]
        # not as a word of ours: a stream has the name, too
        dg.scaffold_component(request, dict(accounts=[{"name": name} for name in names]))  # noqa: C408


class ModelsScaffolder(dg.Scaffolder[Any]):
    """Writes a file without attributes: all of them have defaults."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the file."""
        dg.scaffold_component(request, {})


def _name(request: dg.ScaffoldRequest[Any]) -> str:
    name = re.sub("[^a-z0-9]+", "_", request.target_path.name.lower())
    return name if name[:1].isalpha() else f"account_{name.strip('_')}"


def _has_accounts(target: Path) -> bool:
    defs = next((folder for folder in target.parents if folder.name == "defs"), target.parent)
    files = defs.rglob("defs.yaml")
    return any("ActiveCampaignSource" in file.read_text("utf-8", "replace") for file in files)
