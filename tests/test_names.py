"""Nothing outside `streams/` knows a stream, a path, a collection, a field or a parameter by its
name: all of that comes from declarations, so that a new stream needs no code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from activecampaign_dagster.streams.declaration import (
    ByCreation,
    ById,
    Stream,
)
from activecampaign_dagster.streams.registry import STREAMS

PACKAGE = Path(__file__).parents[1] / "activecampaign_dagster"
PARTS = ("sync", "warehouse", "survey", "orchestration", "components", "defs", "cli.py")

# Fields of some stream that are ordinary words of our own settings, tables and JSON, of dbt's or
# of Dagster's.
WORDS = {"account", "data", "deleted", "description", "error", "failed", "fields", "hidden", "html"}
WORDS |= {"address", "limit", "logs", "msg", "name", "notes", "parent", "rows", "segments", "type"}
WORDS |= {"currency", "url", "value"}
# Streams that are called by a word that sentences need as such.
IN_SENTENCES = {"accounts", "addresses", "lists", "messages", "webhooks"}
EXCEPTIONS = {
    # the user whose key it is comes from `users/me`, which is no stream
    "survey/probes.py": {"user", "users"},
    "survey/survey.py": {"email", "firstName", "lastName", "username"},
    # whom files may be read by
    "warehouse/private.py": {"group"},
    # the name of a test in dbt's own words
    "orchestration/dbt/merged.py": {"relationships"},
}


def names(stream: Stream) -> Iterator[str]:
    """Whatever a declaration names, but `id`."""
    yield from (stream.name, stream.endpoint.path, stream.endpoint.collection)
    yield from (declared.name for declared in stream.fields if declared.name != "id")
    yield from (declared.nested_from for declared in stream.fields if declared.nested_from)
    walk, changes, beside, stub = stream.walk, stream.changes, stream.beside, stream.stub
    if isinstance(walk, ById):
        yield from (walk.order, walk.after, walk.before)
    if isinstance(walk, ByCreation):
        yield from filter(None, (walk.order, walk.after, walk.before))
    if changes:
        yield from filter(None, (changes.after, changes.before))
    if beside:
        yield from (beside.include, beside.array)
    if stub and stub.hidden_by:
        yield from (stub.hidden_by.path, stub.hidden_by.ids, stub.hidden_by.collection)


NAMES = frozenset(name for stream in STREAMS.values() for name in names(stream)) - WORDS
IN_QUOTES = re.compile("['\"`.](" + "|".join(map(re.escape, NAMES)) + ")['\"`]")
IN_PROSE = re.compile(r"\b(" + "|".join(STREAMS) + r")\b")


def strings(tree: ast.AST) -> Iterator[ast.Constant]:
    """The string constants of a module, without its docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in docstrings:
            assert isinstance(node, ast.Constant)
            yield node


def found(part: str) -> list[str]:
    """Where the modules of a part write a declared name, or quote one within SQL or a sentence."""
    root = PACKAGE / part
    hits = []
    for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
        module = path.relative_to(PACKAGE).as_posix()
        for node in strings(ast.parse(path.read_text(encoding="utf-8"))):
            text = str(node.value)
            quoted = {match[1] for match in IN_QUOTES.finditer(text)}
            said = {match[1] for match in IN_PROSE.finditer(text)} - IN_SENTENCES
            named = NAMES & {text, *quoted, *said} - EXCEPTIONS.get(module, set())
            hits += [f"{module}:{node.lineno}: {name}" for name in sorted(named)]
    return sorted(hits)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_names_nothing_that_is_declared(part: str) -> None:
    assert found(part) == []


def test_the_exceptions_are_needed() -> None:
    for module, words in EXCEPTIONS.items():
        texts = {str(n.value) for n in strings(ast.parse((PACKAGE / module).read_text("utf-8")))}
        unused = {w for w in words if not any(re.search(rf"\b{w}\b", text) for text in texts)}
        assert not unused, f"{module} no longer needs {unused}"
