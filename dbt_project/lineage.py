"""Take unit tests out of dbt's docs: `python dbt_project/lineage.py TARGET`.

TARGET is the folder with manifest.json, as `dbt docs generate` leaves it, which has no option for
that. The lineage of a mart would show a dozen of them beside the models that it is made of.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def without_unit_tests(manifest: dict[str, Any]) -> dict[str, Any]:
    """dbt's manifest, in which nothing is or refers to a unit test."""
    unit_tests = manifest["unit_tests"]
    maps = {
        name: {
            node: [each for each in neighbours if each not in unit_tests]
            for node, neighbours in manifest[name].items()
            if node not in unit_tests
        }
        for name in ("parent_map", "child_map")
    }
    return {**manifest, **maps, "unit_tests": {}}


if __name__ == "__main__":
    path = Path(sys.argv[1]) / "manifest.json"
    path.write_text(json.dumps(without_unit_tests(json.loads(path.read_text()))))
