"""Which models and tests a run has to build: those whose ground has changed since they last were.

A node's signature is a digest of all that it is made of: the project's code, the settings of the
accounts, the rows of the streams below it and, where its SQL asks for it, the day. A build records
the signatures of what succeeded. So whatever went wrong before, a build that failed, was killed or
never took place, leaves nothing behind that could count as built.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from activecampaign_dagster.warehouse.builds import digest

Nodes = Mapping[str, Any]
_BUILT = {"model", "seed", "snapshot"}
_OF_DBT = {"dbt", "dbt_duckdb"}
_OF_THE_DAY = re.compile(
    r"\b(current_date|current_timestamp|localtimestamp|now\(|today\(|get_current_timestamp|"
    r"run_started_at|modules\.datetime)|'(now|today)'",
    re.IGNORECASE,
)
# by which SQL depends on rows already when it is made
_OF_ROWS = re.compile(r"\b(run_query|statement|load_result|dbt_utils)\b")
_OF_TABLES = "account_tables"  # asks for tables and time zones, which are in `Ground.forms`


@dataclass(frozen=True, slots=True)
class Ground:
    """What models are made of, apart from each other.

    common: what concerns all of them, code and settings. streams: source's table → a digest of its
    rows in all accounts. forms: the same → a digest of its tables' names and columns, and of the
    accounts' time zones. day: the date up to which ages are measured.
    """

    common: str
    streams: Mapping[str, str]
    forms: Mapping[str, str]
    day: str


@dataclass(frozen=True)
class Project:
    """The nodes of a dbt project's manifest that a build runs: models, seeds, snapshots, tests."""

    manifest: Mapping[str, Any]

    @cached_property
    def nodes(self) -> Nodes:
        """Unique id → node, parents first."""
        found: dict[str, Any] = {}
        all_nodes = self.manifest["nodes"]

        def add(unique_id: str) -> None:
            if unique_id in found or unique_id not in all_nodes:
                return
            for parent in parents(all_nodes[unique_id]):
                add(parent)
            found[unique_id] = all_nodes[unique_id]

        for unique_id, node in all_nodes.items():
            if node["resource_type"] in {*_BUILT, "test"}:
                add(unique_id)
        return found

    @cached_property
    def runnable(self) -> set[str]:
        """The nodes that dbt runs; an ephemeral model is part of others' SQL."""
        return {
            unique_id
            for unique_id, node in self.nodes.items()
            if node["config"]["materialized"] != "ephemeral"
        }

    @cached_property
    def tables(self) -> dict[str, tuple[str, str]]:
        """Model, seed or snapshot → its schema and name in the database."""
        return {
            unique_id: (node["schema"], node["alias"])
            for unique_id, node in self.nodes.items()
            if node["resource_type"] in _BUILT and unique_id in self.runnable
        }

    @cached_property
    def fixed(self) -> set[str]:
        """Seeds, and views of what keeps its columns: they hold no rows that a build could change.

        A table without a contract may get other columns, after which DuckDB refuses its views.
        """
        found: set[str] = set()
        for unique_id, node in self.nodes.items():
            made_of = parents(node) & self.nodes.keys()
            if node["resource_type"] == "seed" or (
                node["config"]["materialized"] == "view"
                and not self._asks_for_rows(node)
                and all(parent in found or self._keeps_columns(parent) for parent in made_of)
            ):
                found.add(unique_id)
        return found & self.runnable

    def _keeps_columns(self, unique_id: str) -> bool:
        config = self.nodes[unique_id]["config"]
        return (
            self.nodes[unique_id]["resource_type"] in {"seed", "snapshot"}
            or config["materialized"] == "incremental"
            or bool((config.get("contract") or {}).get("enforced"))
        )

    def signatures(self, ground: Ground) -> dict[str, str]:
        """Node → the signature that a build on this ground gives it."""
        contents: dict[str, str] = {}
        forms: dict[str, str] = {}
        for unique_id, node in self.nodes.items():
            made_of = sorted(parents(node))
            day = ground.day if self._asks_for_the_day(node) else ""
            for found, of_streams in ((contents, ground.streams), (forms, ground.forms)):
                below = [
                    found.get(parent) or of_streams.get(parent.rpartition(".")[2], "")
                    for parent in made_of
                ]
                found[unique_id] = digest(unique_id, ground.common, day, *below)
        return {name: (forms if name in self.fixed else contents)[name] for name in self.nodes}

    def current(
        self,
        signatures: Mapping[str, str],
        recorded: Mapping[str, str],
        present: Collection[tuple[str, str]],
    ) -> set[str]:
        """The nodes that are as a build would make them, apart from those that they are made of.

        recorded: see `warehouse.builds`. present: the database's relations.
        """
        return {
            unique_id
            for unique_id in self.nodes
            if unique_id not in self.runnable
            or (
                (unique_id not in self.tables or self.tables[unique_id] in present)
                and recorded.get(unique_id) == signatures[unique_id]
            )
        }

    def due(self, current: Collection[str]) -> set[str]:
        """The nodes to run, of what is not current and what is made of it."""
        changed: set[str] = set()
        for unique_id, node in self.nodes.items():
            if unique_id not in current or not changed.isdisjoint(parents(node)):
                changed.add(unique_id)
        return changed & self.runnable - self.standing(current)

    def standing(self, current: Collection[str]) -> set[str]:
        """The views and seeds that are in the database as they would be made again."""
        return self.fixed & set(current)

    def built(
        self,
        succeeded: Collection[str],
        signatures: Mapping[str, str],
        recorded: Mapping[str, str],
    ) -> dict[str, str]:
        """The signatures to record after a run: of what succeeded and is made of what is current.

        A model that was built by itself on others that are out of date is so, too.
        """
        known = {name for name, signature in recorded.items() if signatures.get(name) == signature}
        found: dict[str, str] = {}
        for unique_id, node in self.nodes.items():
            made_of = parents(node) & self.nodes.keys()
            is_passed_through = unique_id not in self.runnable or (
                unique_id in self.fixed and unique_id in known
            )
            if unique_id in succeeded or is_passed_through:
                if made_of <= known:
                    known.add(unique_id)
                    found[unique_id] = signatures[unique_id]
                else:
                    known.discard(unique_id)
        return {name: found[name] for name in found.keys() & set(succeeded)}

    def _asks_for_the_day(self, node: Mapping[str, Any]) -> bool:
        if _OF_THE_DAY.search(node.get("raw_code") or ""):
            return True
        return any(_OF_THE_DAY.search(macro["macro_sql"]) for macro in self._macros(node))

    def _asks_for_rows(self, node: Mapping[str, Any]) -> bool:
        if _OF_ROWS.search(node.get("raw_code") or ""):
            return True
        return any(
            _OF_ROWS.search(macro["macro_sql"])
            for macro in self._macros(node)
            if macro["name"] != _OF_TABLES
        )

    def _macros(self, node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """The macros, without dbt's own, that a node calls, directly or through others."""
        waiting, seen = list(node["depends_on"]["macros"]), set[str]()
        while waiting:
            name = waiting.pop()
            macro = self.manifest["macros"].get(name)
            if name in seen or macro is None or macro["package_name"] in _OF_DBT:
                continue
            seen.add(name)
            waiting += macro["depends_on"]["macros"]
            yield macro


def parents(node: Mapping[str, Any]) -> set[str]:
    """The nodes and sources that a node is made of."""
    return set(node["depends_on"].get("nodes", ()))
