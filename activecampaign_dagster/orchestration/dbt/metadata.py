"""Describes a dbt model's asset after a run: its rows, its columns and their lineage.

dagster-dbt can find this out too, but asks the database model by model, keeps a whole core busy
while it waits for dbt to release the file, and cannot follow columns into tables that only the run
knows, which is how staging finds the accounts' streams.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import duckdb
from sqlglot import MappingSchema, exp, parse_one
from sqlglot.lineage import Node, lineage

from activecampaign_dagster.warehouse.sql import quoted

DIALECT = "duckdb"

Relation = tuple[str, str]  # schema and table
Columns = Mapping[str, str]  # name → type


def columns(db: duckdb.DuckDBPyConnection) -> dict[Relation, dict[str, str]]:
    """The columns of all tables and views, in their order."""
    found: dict[Relation, dict[str, str]] = {}
    rows = db.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns() "
        "order by schema_name, table_name, column_index"
    ).fetchall()
    for schema, table, column, type_ in rows:
        found.setdefault((schema, table), {})[column] = type_
    return found


@dataclass(frozen=True)
class Described:
    """Describes the tables that dbt has made.

    nodes: the manifest's. compiled: model → the SQL that ran. keys: relation → its asset.
    """

    nodes: Mapping[str, Any]
    compiled: Mapping[str, str | None]
    keys: Mapping[Relation, dg.AssetKey]
    db: duckdb.DuckDBPyConnection
    log: logging.Logger

    def events(self, events: Iterable[Any]) -> Iterable[Any]:
        """dbt's events, those of tables and views with their metadata."""
        tables = columns(self.db)
        for event in events:
            if isinstance(event, dg.Output | dg.AssetMaterialization):
                found = self._metadata(str(event.metadata["unique_id"].value), tables)
                yield event.with_metadata({**event.metadata, **found})
            else:
                yield event

    def _metadata(self, unique_id: str, tables: Mapping[Relation, Columns]) -> dict[str, Any]:
        node = self.nodes[unique_id]
        relation = (node["schema"], node["alias"])
        found: dict[str, Any] = {"dagster/column_schema": _schema(node, tables[relation])}
        if node["config"]["materialized"] != "view":
            table = ".".join(map(quoted, relation))
            [rows] = self.db.execute(f"select count(*) from {table}").fetchall()
            found["dagster/row_count"] = rows[0]
        lineage = self._lineage(node, relation, tables)
        if lineage:
            found["dagster/column_lineage"] = dg.TableColumnLineage(lineage)
            found["columns_from"] = _shown(lineage)
        return found

    def _lineage(
        self, node: Mapping[str, Any], relation: Relation, tables: Mapping[Relation, Columns]
    ) -> dict[str, list[dg.TableColumnDep]]:
        sql = self.compiled.get(node["unique_id"])
        if not sql or node["resource_type"] == "seed":
            return {}
        try:
            made_of = column_sources(sql, tables)
        except Exception as error:  # a run must not fail for its description
            self.log.debug("No column lineage for %s: %s", node["name"], error)
            return {}
        return {
            column: [
                dg.TableColumnDep(self.keys[table], name)
                for table, name in sorted(sources)
                # an incremental model reads itself to see what is new, not to get data from there
                if table in self.keys and table != relation
            ]
            for column, sources in made_of.items()
        }


def _schema(node: Mapping[str, Any], types: Columns) -> dg.TableSchema:
    about = {name.lower(): column["description"] for name, column in node["columns"].items()}
    return dg.TableSchema(
        [
            dg.TableColumn(name, type_, description=about.get(name.lower()))
            for name, type_ in types.items()
        ]
    )


def _shown(lineage: Mapping[str, Sequence[dg.TableColumnDep]]) -> dict[str, list[str]]:
    """The lineage to read: Dagster's own UI keeps it, but only Dagster+ draws it."""
    return {
        column: [f"{each.asset_key.to_user_string()}.{each.column_name}" for each in sources]
        for column, sources in lineage.items()
    }


def column_sources(
    sql: str, tables: Mapping[Relation, Columns]
) -> dict[str, set[tuple[Relation, str]]]:
    """Column of a query → the columns of tables that its values are made of.

    What only decides about rows (conditions of joins and filters, groups) is not among them.
    Raises what sqlglot raises when it cannot read the query.
    """
    query = parse_one(sql, dialect=DIALECT)
    made_of = lineage(
        None, query, _schema_of(query, tables), dialect=DIALECT, trim_selects=False, copy=False
    )
    spelled = {
        relation: {name.lower(): name for name in columns} for relation, columns in tables.items()
    }
    return {
        column: {
            (relation, spelled[relation][name])
            for relation, name in map(_leaf, node.walk())
            if name in spelled.get(relation, {})
        }
        for column, node in made_of.items()
    }


def _leaf(node: Node) -> tuple[Relation, str]:
    """The table's column that a node without a source stands for; nothing for other nodes."""
    table = node.expression
    if node.downstream or not isinstance(table, exp.Table):
        return ("", ""), ""
    return (table.db, table.name), exp.to_column(node.name, dialect=DIALECT).name.lower()


def _schema_of(query: exp.Expr, tables: Mapping[Relation, Columns]) -> MappingSchema:
    """The tables that a query reads.

    sqlglot follows a union by position. So that a union by name comes out the same, its tables are
    all given the same columns.
    """
    named: dict[str, str] = {}
    united = set()
    for union in query.find_all(exp.Union):
        if union.args.get("by_name"):
            for table in union.find_all(exp.Table):
                united.add((table.db, table.name))
                named |= tables.get((table.db, table.name), {})
    schema = MappingSchema(dialect=DIALECT)
    for table in query.find_all(exp.Table):
        relation = (table.db, table.name)
        present = named if relation in united else tables.get(relation)
        if present:
            schema.add_table(table, {quoted(name): type_ for name, type_ in present.items()})
    return schema
