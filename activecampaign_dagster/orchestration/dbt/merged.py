"""One test per model and severity, in place of one per rule.

dbt spends about 40 ms on each node that it runs, half of it beside the query; two of three nodes
were tests. So the generic tests of a model are put together to one that lists each rule which is
broken, with its number of rows. It asks the same and holds back the same models as the tests that
it replaces: those of which other models may or may not be in the way are put together apart.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import duckdb
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import GenericTestNode

_REFERENCE = re.compile(r"\s*(ref|source|var|env_var)\s*\(.+\)\s*", re.DOTALL)
_TEMPLATE = re.compile(r"\{[{%#]")
_MODEL = re.compile(r"\{\{(.*)\}\}", re.DOTALL)
# what dbt's own tests, which have no description of use here, say
_OF_DBT = {
    "not_null": "No value of the column is missing.",
    "unique": "No value of the column is there twice.",
    "accepted_values": "The column has no other values than these.",
    "relationships": "Every value of the column is found in the other table.",
}
_PART = re.compile(
    r"select (\d+) as number, '((?:[^']|'')*)' as rule, count\(\*\) as failures\nfrom \(\n"
    r"/\* \1 \*/\n(.*?)\n/\* \1 \*/\n",
    re.DOTALL,
)


def merge_tests(manifest: Manifest) -> None:
    """Put the generic tests of each model together, and describe those that stay alone."""
    groups: dict[tuple[str, str, frozenset[str]], list[GenericTestNode]] = defaultdict(list)
    above: dict[str, set[str]] = {}  # model → all that it is made of
    parents = {unique_id: set(node.depends_on_nodes) for unique_id, node in manifest.nodes.items()}
    for node in manifest.nodes.values():
        if isinstance(node, GenericTestNode):
            node.description = node.description or _about(manifest, node)
            model = node.attached_node or ""
            if model in manifest.nodes and _is_plain(node):
                severity = str(node.config.severity).lower()
                if model not in above:
                    above[model] = _ancestors(model, parents)
                others = parents[node.unique_id] - above[model] - {model}
                # a warning holds nothing back
                apart = frozenset(others if severity == "error" else ())
                groups[model, severity, apart].append(node)
    for (model, severity, apart), tests in groups.items():
        name = "_".join(
            [
                _name_of(model),
                "rules" if severity == "error" else "warnings",
                *(f"with_{_name_of(each)}" for each in sorted(apart)),
            ]
        )
        for test in tests:
            del manifest.nodes[test.unique_id]
        merged = _merged(name, tests)
        manifest.nodes[merged.unique_id] = merged
    manifest.build_flat_graph()  # type: ignore[no-untyped-call]


def broken_rules(
    db: duckdb.DuckDBPyConnection, compiled: str, database: str
) -> list[tuple[str, str, str]]:
    """The broken rules of a merged test: how many rows break it, what it says, SQL that shows them.

    compiled: the test's SQL as it ran, in which tables are named with the database. A rule whose
    SQL fails comes with the error in place of the number. Empty for a test that is no merged one.
    """
    found = []
    for _, rule, query in _PART.findall(compiled.replace(f'"{database}".', "")):
        try:
            [(rows,)] = db.execute(f"select count(*) from (\n{query}\n)").fetchall()
        except duckdb.Error as error:
            rows = str(error).splitlines()[0]
        if rows:
            count = f"{rows} row{'s' * (rows != 1)}" if isinstance(rows, int) else rows
            found.append((count, rule.replace("''", "'"), query.strip()))
    return found


def _name_of(unique_id: str) -> str:
    """What a node is called among others, with its version if it has one."""
    return unique_id.split(".", 2)[2].replace(".", "_")


def _ancestors(model: str, parents: Mapping[str, Iterable[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [model]
    while waiting:
        for parent in set(parents.get(waiting.pop(), ())) - found:
            found.add(parent)
            waiting.append(parent)
    return found


def _is_plain(test: GenericTestNode) -> bool:
    """Whether a test counts its rows, fails or warns if there is one, and is not selected apart.

    Templates in its arguments would be filled in another way.
    """
    config = test.config
    return (
        config.enabled
        and (config.warn_if, config.error_if, config.fail_calc) == ("!= 0", "!= 0", "count(*)")
        and not (config.limit or config.store_failures or config.tags or config.meta)
        and _is_literal([_arguments(test), config.where])
    )


def _is_literal(value: Any) -> bool:
    """Whether a value can be written for Jinja: no date, and no template of its own."""
    if isinstance(value, Mapping):
        return all(_is_literal(each) for pair in value.items() for each in pair)
    if isinstance(value, list):
        return all(map(_is_literal, value))
    if isinstance(value, str):
        return not _TEMPLATE.search(value)
    return value is None or isinstance(value, bool | int | float)


def _arguments(test: GenericTestNode) -> dict[str, Any]:
    """What a test is applied to, the column first."""
    given = sorted(test.test_metadata.kwargs.items(), key=lambda each: each[0] != "column_name")
    return {name: value for name, value in given if name != "model"}


def _merged(name: str, tests: Sequence[GenericTestNode]) -> GenericTestNode:
    merged = deepcopy(tests[0])
    package = merged.package_name
    merged.name = merged.alias = merged.config.alias = name
    merged.unique_id = f"test.{package}.{name}.merged"  # somebody may have a test of that name
    merged.fqn = [*merged.fqn[:-1], name]
    merged.path = f"{name}.sql"
    merged.column_name = None
    merged.test_metadata.name = "rules"
    merged.test_metadata.namespace = None
    merged.test_metadata.kwargs = {"model": merged.test_metadata.kwargs["model"]}
    merged.config.where = None
    merged.config.fail_calc = "coalesce(sum(failures), 0)"
    merged.description = "\n\n".join(test.description for test in tests)
    merged.raw_code = "\nunion all\n".join(map(_part, range(1, len(tests) + 1), tests))
    merged.refs = _distinct(tests, lambda test: test.refs)
    merged.sources = _distinct(tests, lambda test: test.sources)
    merged.depends_on.nodes = _distinct(tests, lambda test: test.depends_on.nodes)
    merged.depends_on.macros = _distinct(tests, lambda test: test.depends_on.macros)
    return merged


def _distinct(tests: Sequence[GenericTestNode], of: Any) -> list[Any]:
    found: list[Any] = []
    for test in tests:
        found += [each for each in of(test) if each not in found]
    return found


def _part(number: int, test: GenericTestNode) -> str:
    """The SQL of one rule: a row if it is broken."""
    # braces would be a template's
    rule = test.description.translate(str.maketrans("{}", "()")).replace("'", "''")
    return (
        f"select {number} as number, '{rule}' as rule, count(*) as failures\nfrom (\n"
        f"/* {number} */\n{_call(test)}\n/* {number} */\n) as broken\nhaving count(*) > 0"
    )


def _call(test: GenericTestNode) -> str:
    """The macro of a test, called."""
    about = test.test_metadata
    macro = f"test_{about.name}"
    if about.namespace:
        macro = f"{about.namespace}.{macro}"
    model = _MODEL.fullmatch(about.kwargs["model"].strip())
    given = {name: _literal(value) for name, value in _arguments(test).items()}
    given["model"] = model[1].strip() if model else repr(about.kwargs["model"])
    if test.config.where:
        relation = given["model"].removeprefix("get_where_subquery(").removesuffix(")")
        condition = test.config.where.replace("%", "%%")
        rows = f"(select * from %s where {condition}) as dbt_subquery"
        given["model"] = f"{rows!r} | format({relation})"
    return f"{{{{ {macro}({', '.join(f'{name}={value}' for name, value in given.items())}) }}}}"


def _literal(value: Any) -> str:
    """An argument as dbt reads it in a YAML file, written for Jinja."""
    if isinstance(value, str) and _REFERENCE.fullmatch(value):
        return value.strip()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {_literal(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return repr(value)


def _about(manifest: Manifest, test: GenericTestNode) -> str:
    """A sentence about a test: the generic test's own, and what it is applied to."""
    name = test.test_metadata.name
    macros = [manifest.macros[each] for each in test.depends_on.macros if each in manifest.macros]
    meaning = next((m.description for m in macros if m.name == f"test_{name}"), "")
    meaning = _OF_DBT.get(name) or meaning or f"{name.replace('_', ' ').capitalize()}."
    applied = [f"{argument}: {value}" for argument, value in _arguments(test).items()]
    return f"{meaning.strip()} {'; '.join(applied)}."
