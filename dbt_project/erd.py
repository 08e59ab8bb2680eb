"""Draw the data model: `python dbt_project/erd.py TARGET > docs/data-model.md`.

TARGET is the folder with manifest.json and catalog.json, as `dbt docs generate` leaves them. dbterd
finds the tables and, from the relationship tests, the references between them; of the columns only
those that identify a row or refer to another are drawn.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from pathlib import Path
from typing import Any

from dbterd.api import DbtErd

PAGE = """# Data model

Drawn by `dbt_project/erd.py` from dbt's artifacts; not edited by hand. Lines are the references
that tests check. In the models every reference is within one `account`, which is part of every key.

## Streams

What the sync lands, one table per stream, with the readable names that staging gives them.

```mermaid
{streams}
```

## Marts

What to query. Marts without a line stand on their own.

```mermaid
{marts}
```

## Copies

The database is one file. Copy it while no sync and no build is running, or attach it read-only
beside others. Tables and views work under any name:

```sql
attach 'copy.duckdb' as march (read_only);
select count(*) from march.staging.stg_activecampaign__deals;
```

Names of schemas (`activecampaign`, `staging`, `intermediate`, `marts`, `snapshots`, `seeds`) are
the exception: DuckDB cannot tell whether `staging.…` means the file or the schema. In a file that
is called like one of them, such as `activecampaign.duckdb`, views that read this schema name the
file: they work in it, but not in copies under other names until dbt builds them there. Tables
always work.
"""
COLUMN = re.compile(r"^    \S+ (?P<name>\S+)( PK)?$")
REFERENCE = re.compile(r'^  "(?P<child>\w+)" \S+ "(?P<parent>\w+)": (?P<to>\w+?)(--(?P<by>\w+))?$')


def diagram(target: Path, manifest: dict[str, Any], schema: str) -> str:
    """The Mermaid diagram of one schema, reduced to keys and references."""
    whole = DbtErd(
        artifacts_dir=str(target),
        target="mermaid",
        resource_type=["model"],
        select=[f"schema:{schema}"],
        entity_name_format="table",
    ).get_erd()
    lines = [
        re.sub(r'"\w+"', lambda name: name[0].lower(), line.rstrip())
        for line in str(whole).splitlines()
        if line.strip()
    ]
    keys = primary_keys(manifest)
    referring: set[tuple[str, str]] = set()
    for line in lines:
        if found := REFERENCE.match(line):
            referring |= {
                (found["parent"], found["to"]),
                (found["child"], found["by"] or found["to"]),
            }
    kept = []
    table = ""
    for line in lines:
        if opened := re.match(r'^  "(\w+)".*\{$', line):
            table = opened[1]
        column = COLUMN.match(line)
        is_key = column and column["name"] in keys.get(table, ["id"])
        if column is None or is_key or (table, column["name"]) in referring:
            kept.append(f"{line} PK" if is_key else line)
    # a record need not be referred to; a line is named by the column that refers
    drawn = "\n".join(kept).replace("}|--||", "}o--||")
    return re.sub(r": \w+--(\w+)$", r": \1", drawn, flags=re.MULTILINE)


def primary_keys(manifest: dict[str, Any]) -> dict[str, list[str]]:
    """Model → the columns of its key, as its test names them."""
    return {
        node["attached_node"].split(".")[-1]: node["test_metadata"]["kwargs"]["columns"]
        for node in manifest["nodes"].values()
        if (node.get("test_metadata") or {}).get("name") == "primary_key" and node["attached_node"]
    }


def page(target: Path) -> str:
    """The page with both diagrams."""
    manifest = json.loads((target / "manifest.json").read_text())
    streams = diagram(target, manifest, "staging").replace("stg_activecampaign__", "")
    return PAGE.format(streams=streams, marts=diagram(target, manifest, "marts"))


if __name__ == "__main__":
    logging.disable(logging.INFO)
    sys.stdout.write(page(Path(sys.argv[1])))
