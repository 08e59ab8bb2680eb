"""The house stands: imports run downward only (docs and DESIGN name the storeys)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "activecampaign_dagster"
NAME = PACKAGE.name

# what each part may import besides itself
BELOW = {
    "api": set(),
    "streams": set(),
    "sync": {"api", "streams"},
    "report": set(),
    "orchestration": {"api", "streams", "sync", "report"},
    "components": {"api", "streams", "sync", "orchestration"},
    "defs": {"components", "orchestration"},
    "definitions": {"components", "defs"},
    "cli": {"api", "streams", "sync", "orchestration", "components"},
    "sandbox": set(),
}
STRANGERS = {
    "api": {"dagster", "duckdb", "dbt"},
    "streams": {"dagster", "duckdb", "requests", "dbt"},
    "sync": {"dagster", "dbt"},
    "sandbox": {"dagster", "duckdb", "requests", "dbt"},
}


def imports(path: Path) -> set[str]:
    """The modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            found.add(str(node.module))
    return found


def files(part: str) -> list[Path]:
    folder = PACKAGE / part
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


@pytest.mark.parametrize("part", BELOW)
def test_a_part_imports_only_what_lies_below_it(part: str) -> None:
    for path in files(part):
        own = {i.split(".")[1] for i in imports(path) if i.startswith(f"{NAME}.")}
        assert own <= BELOW[part] | {part}, path


@pytest.mark.parametrize("part", STRANGERS)
def test_a_part_knows_nothing_of_libraries_above_it(part: str) -> None:
    for path in files(part):
        roots = {i.split(".")[0] for i in imports(path)}
        assert not {r for r in roots for stranger in STRANGERS[part] if r.startswith(stranger)}, (
            path
        )


def test_every_part_of_the_package_has_its_place() -> None:
    parts = {p.stem for p in PACKAGE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    free = {"__init__", "demo"}  # the demo plays with everything
    assert parts - set(BELOW) <= free
