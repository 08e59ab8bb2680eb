"""How commands print what they know: in text for people, or in JSON for machines."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import click

AS_JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object; see activecampaign --help."
)


def print_json(**content: Any) -> None:
    """Print one JSON object. Times are in ISO 8601 with an offset, and unknown values null."""
    click.echo(json.dumps(content, indent=2, default=_default))


def _default(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} has no form in JSON")
