"""The recipes in CONTRIBUTING.md name files and tests that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^## (.+?)\n(.+?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))
SPANS = re.findall(r"`([^`\n]+)`", PAGE)
# a path that a recipe asks for is written with a placeholder, such as <name>
PATHS = [span for span in SPANS if re.fullmatch(r"[\w./]+/[\w./]*", span)]
TESTS = [span for span in SPANS if "::" in span]
MODULES = [module for span in SPANS for module in re.findall(r"python -m ([\w.]+)", span)]


def test_there_are_six_recipes() -> None:
    assert list(RECIPES) == [
        "A stream",
        "A child",
        "A check",
        "A mart",
        "A setting",
        "A warehouse",
    ]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_names_its_files_and_the_test_that_fails_first(recipe: str) -> None:
    assert re.search(r"^1\. .*?`[^`]+/", RECIPES[recipe], flags=re.MULTILINE | re.DOTALL)
    assert len(re.findall(r"^Fails first: `tests/[^`]+::test_\w+`$", RECIPES[recipe], re.M)) == 1


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_is_named_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("test", TESTS)
def test_a_test_that_is_named_exists(test: str) -> None:
    path, name = test.split("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("module", MODULES)
def test_a_command_that_is_named_exists(module: str) -> None:
    assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
