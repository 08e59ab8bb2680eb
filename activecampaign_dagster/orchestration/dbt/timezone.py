"""The time zone whose days and months the models use, where Dagster builds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.failures import StepError

_VARIABLE = "reporting_timezone"
_PACKAGE = "activecampaign"  # for which a project may set the variable alone


def timezone_options(
    project_dir: Path,
    args: Sequence[str],
    accounts: Sequence[Account],
    manifest: Mapping[str, Any],
) -> list[str]:
    """Options of dbt that set the variable to the accounts' time zone.

    None if dbt's arguments or the project set it, or if the project has no use for it. Raises
    StepError if the accounts' zones differ.
    """
    is_asked_for = any(macro["name"] == _VARIABLE for macro in manifest["macros"].values())
    if not is_asked_for or not accounts or configured_timezone(project_dir, args):
        return []
    zones = {account.name: account.partitions.timezone for account in accounts}
    if len(set(zones.values())) > 1:
        each = ", ".join(f"{name}: {zone}" for name, zone in zones.items())
        raise StepError(
            f"The accounts have different time zones ({each}): set the variable {_VARIABLE} in "
            "dbt_project.yml to the one whose days and months the models are to use.",
            is_permanent=True,
        )
    [zone] = set(zones.values())
    # dbt takes the last --vars alone
    return ["--vars", yaml.safe_dump({**_variables(args), _VARIABLE: zone})]


def configured_timezone(project_dir: Path, args: Sequence[str]) -> str:
    """The time zone that dbt's arguments or the project set; empty if neither does."""
    if _VARIABLE in (told := _variables(args)):
        return str(told[_VARIABLE] or "")
    with suppress(OSError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        found = yaml.safe_load((project_dir / "dbt_project.yml").read_text("utf-8"))["vars"]
        return str((found.get(_PACKAGE) or {}).get(_VARIABLE) or found.get(_VARIABLE) or "")
    return ""


def _variables(args: Sequence[str]) -> Mapping[str, Any]:
    """The variables that arguments of dbt set; none if they cannot be read, which dbt will say."""
    written = ""
    for place, arg in enumerate(args):
        name, _, value = arg.partition("=")
        if name == "--vars":
            written = value or "".join(args[place + 1 : place + 2])
    with suppress(yaml.YAMLError):
        found = yaml.safe_load(written)
        return found if isinstance(found, dict) else {}
    return {}
