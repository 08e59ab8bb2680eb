"""The file that `dg scaffold defs` writes for one more account."""

from __future__ import annotations

import re
from typing import Any

import dagster as dg


class SourceScaffolder(dg.Scaffolder[Any]):
    """Writes a file that keeps the account apart from others, by the name of its folder."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the file."""
        name = re.sub("[^a-z0-9]+", "_", request.target_path.name.lower())
        dg.scaffold_component(
            request,
            {
                "name": name,
                "url_variable": f"{name.upper()}_URL",
                "api_key_variable": f"{name.upper()}_API_KEY",
                "table_prefix": f"{name}_",
            },
        )
