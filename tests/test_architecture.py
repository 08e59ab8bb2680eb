"""The house stands: imports run downward only, between folders and inside them."""

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
    "warehouse": {"api", "streams"},
    "sync": {"api", "streams", "warehouse"},
    "survey": {"api", "streams", "warehouse", "sync"},
    "report": set(),
    "orchestration": {"api", "streams", "warehouse", "sync", "survey", "report"},
    "components": {"api", "streams", "warehouse", "sync", "survey", "orchestration"},
    "defs": {"components", "orchestration", "warehouse"},
    "definitions": {"components", "defs"},
    "commands": {"api", "orchestration", "streams", "survey", "sync", "warehouse"},
    "cli": {
        "commands",
        "api",
        "streams",
        "warehouse",
        "sync",
        "survey",
        "orchestration",
        "components",
    },
    "sandbox": set(),
}
# what a part takes of another, where it is not all
ONLY = {("survey", "sync"): {"axis", "plan", "request", "unavailable"}}
STRANGERS = {
    "api": {"dagster", "duckdb", "dbt"},
    "streams": {"dagster", "duckdb", "requests", "dbt"},
    "warehouse": {"dagster", "requests", "dbt"},
    "sync": {"dagster", "dbt"},
    "survey": {"dagster", "dbt"},
    "sandbox": {"dagster", "duckdb", "requests", "dbt"},
}
FOLDERS = {part for part in BELOW if (PACKAGE / part).is_dir()}
ROOMS = {"assets", "automation", "dbt"}  # of orchestration


def imports(path: Path) -> set[str]:
    """The modules that a file imports, wherever in it; names of a package count as modules."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            module = PACKAGE.parent.joinpath(*str(node.module).split("."))
            if module.is_dir():
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
            else:
                found.add(str(node.module))
    return found


def own(path: Path) -> set[tuple[str, ...]]:
    """The package's own modules that a file imports, as their parts below the package."""
    return {tuple(i.split(".")[1:]) for i in imports(path) if i.startswith(f"{NAME}.")}


def files(part: str) -> list[Path]:
    folder = PACKAGE / part
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


@pytest.mark.parametrize("part", BELOW)
def test_a_part_imports_only_what_lies_below_it(part: str) -> None:
    for path in files(part):
        assert {module[0] for module in own(path)} <= BELOW[part] | {part}, path


@pytest.mark.parametrize(("part", "other"), ONLY)
def test_a_part_takes_of_another_only_what_it_needs(part: str, other: str) -> None:
    for path in files(part):
        taken = {module[1] for module in own(path) if module[0] == other}
        assert taken <= ONLY[part, other], path


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


@pytest.mark.parametrize("part", sorted(FOLDERS))
def test_modules_of_a_part_import_each_other_in_one_direction_only(part: str) -> None:
    below = {
        path.relative_to(PACKAGE).with_suffix("").parts: {m for m in own(path) if m[0] == part}
        for path in files(part)
    }
    left = dict(below)
    while free := [module for module, needs in left.items() if not needs & left.keys() - {module}]:
        left = {module: needs for module, needs in left.items() if module not in free}
    assert not left, f"these import each other in a circle: {sorted(map('.'.join, left))}"


def test_rooms_of_orchestration_import_what_lies_at_its_root_never_the_other_way_round() -> None:
    for path in files("orchestration"):
        room = path.relative_to(PACKAGE).parts[1]
        taken = {m[1] for m in own(path) if m[0] == "orchestration"} & ROOMS
        if room in ROOMS:
            continue
        assert not taken, f"{path} imports a room: {taken}"
