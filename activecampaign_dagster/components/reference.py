"""What is generated of pages: settings from their schema, streams from declarations.

`python -m activecampaign_dagster.components.reference` brings docs/configuration.md,
docs/streams.md and the dbt project's sources up to date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any

from activecampaign_dagster.components.accounts import AccountsSettings
from activecampaign_dagster.components.dbt_sources import sources
from activecampaign_dagster.components.settings import (
    AlertSettings,
    CheckSettings,
    Clock,
    DriftSettings,
    Settings,
    StreamSettings,
    TriggerSettings,
)
from activecampaign_dagster.streams.declaration import (
    ByCreation,
    ById,
    ByOffset,
    ByPage,
    Family,
    NewestFirst,
    Stream,
)
from activecampaign_dagster.streams.registry import STREAMS

_ROOT = Path(__file__).parents[2]
PAGE = _ROOT / "docs" / "configuration.md"
CATALOGUE = _ROOT / "docs" / "streams.md"
SOURCES = _ROOT / "dbt_project" / "models" / "staging" / "activecampaign" / "_sources.yml"
_BEGIN, _END = "<!-- generated: begin -->", "<!-- generated: end -->"
_WALKS = {
    ById: "cursor",
    ByCreation: "cursor",
    ByOffset: "overlapping pages",
    ByPage: "numbered pages",
    NewestFirst: "newest first",
}
_PARTS = {
    "An account": Settings,
    "Several accounts": AccountsSettings,
    "`streams`: an entry": StreamSettings,
    "`trigger`": TriggerSettings,
    "`full_sync`": Clock,
    "`checks`": CheckSettings,
    "`drift`": DriftSettings,
    "`alerts`": AlertSettings,
}


def reference() -> str:
    """A table for each group of settings, in Markdown."""
    return "\n\n".join(_table(title, model) for title, model in _PARTS.items())


def _table(title: str, model: Any) -> str:
    lines = [f"### {title}", "", cleandoc(model.__doc__ or ""), ""]
    lines += ["| setting | default | meaning |", "|---|---|---|"]
    schema = model.model_json_schema()
    for name, setting in schema["properties"].items():
        default = "required" if name in schema.get("required", ()) else _default(setting)
        lines.append(f"| `{name}` | {default} | {setting['description']} |")
    return "\n".join(lines)


def _default(setting: dict[str, Any]) -> str:
    value = setting.get("default")
    if value in (None, "") or isinstance(value, dict):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def streams() -> str:
    """A section for each family with a table of its streams, in Markdown."""
    return "\n\n".join("\n".join(_of_family(family)) for family in Family)


def _of_family(family: Family) -> Iterator[str]:
    found = [stream for stream in STREAMS.values() if stream.family is family]
    off = sum(not stream.default for stream in found)
    yield f"### {family}"
    yield ""
    yield f"{len(found)} streams{f', {off} of them off by default' if off else ''}."
    yield ""
    yield "| stream and table | one row per | key | how it is read | columns | default |"
    yield "| --- | --- | --- | --- | ---: | --- |"
    yield from map(_row, found)


def _row(stream: Stream) -> str:
    first = re.split(r"(?<=\.)\s+(?=[A-Z`])", stream.description)[0]
    about = first.removeprefix("One row per ").removesuffix(".").replace("|", r"\|")
    key = ", ".join(f"`{name}`" for name in stream.key)
    state = "on" if stream.default else "off"
    cells = (f"`{stream.name}`", about, key, _how_read(stream), str(len(stream.fields)), state)
    return f"| {' | '.join(cells)} |"


def _how_read(stream: Stream) -> str:
    """The sync type, and how its requests are made: INCREMENTAL by `udate`, with `contacts`."""
    by = f" by `{stream.replication_key}`" if stream.replication_key else ""
    if stream.parent:
        return f"{stream.sync_type}{by}, with `{stream.parent}`"
    if stream.each:
        return f"{stream.sync_type}{by}, requests for each row of `{stream.each.stream}`"
    return f"{stream.sync_type}{by}, {_WALKS[type(stream.walk)]}"


PAGES: dict[Path, Callable[[], str]] = {PAGE: reference, CATALOGUE: streams, SOURCES: sources}


def updated(page: Path) -> str:
    """The text of a page with what is generated as it is now; without a mark, all of it is."""
    if _BEGIN not in page.read_text(encoding="utf-8"):
        return PAGES[page]()
    before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{PAGES[page]()}\n{_END}{after}"


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(updated(page), encoding="utf-8")
