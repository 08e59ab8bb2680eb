"""Each layer of the sandbox imports only the ones before it: there is no circle."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from activecampaign_dagster import sandbox

HERE = Path(str(sandbox.__file__)).parent
PACKAGE = sandbox.__name__

# in the order in which they may import one another
MODULES = (
    # stored
    "stamps",
    "words",
    "calendar",
    "templates",
    "store",
    # existing
    "catalogue",
    "values",
    "children",
    # stories
    "pipelines",
    "contacts",
    "deals",
    "campaigns",
    "custom_fields",
    "deal_history",
    "stories",
    "family",
    "settings",
    "logbook",
    "state",
    "generation",
    # changing
    "relations",
    "operations",
    "activity",
    # answering
    "query",
    "selection",
    "listing",
    "includes",
    "pages",
    "answers",
    "account",
    # HTTP
    "live",
    "limits",
    "faults",
    "wire",
    "server",
    "__main__",
)


def imported(module: str) -> set[str]:
    """The sandbox's modules that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse((HERE / f"{module}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith(f"{PACKAGE}."):
            found.add(str(node.module).removeprefix(f"{PACKAGE}."))
    return found


def test_every_module_has_its_place() -> None:
    assert {path.stem for path in HERE.glob("*.py")} == {*MODULES, "__init__"}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_comes_before_it(module: str) -> None:
    assert imported(module) <= set(MODULES[: MODULES.index(module)])
