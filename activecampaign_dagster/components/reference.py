"""What is generated of pages: settings from their schema, streams from declarations.

`python -m activecampaign_dagster.components.reference` brings docs/configuration.md, README.md and
the dbt project's sources up to date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
from activecampaign_dagster.streams.declaration import Family, Stream
from activecampaign_dagster.streams.registry import STREAMS

_ROOT = Path(__file__).parents[2]
PAGE = _ROOT / "docs" / "configuration.md"
README = _ROOT / "README.md"
SOURCES = _ROOT / "dbt_project" / "models" / "staging" / "activecampaign" / "_sources.yml"
_BEGIN, _END = "<!-- generated: begin -->", "<!-- generated: end -->"
_PARTS = {
    "An account": Settings,
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
    lines = [f"### {title}", "", (model.__doc__ or "").strip(), ""]
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
    """A table of each family's streams, in Markdown that can be folded."""
    return "\n\n".join("\n".join(_of_family(family)) for family in Family)


def _of_family(family: Family) -> Iterator[str]:
    found = [stream for stream in STREAMS.values() if stream.family is family]
    off = sum(not stream.default for stream in found)
    count = f"{len(found)} streams{f', {off} of them off' if off else ''}"
    yield f"<details><summary><code>{family}</code>: {count}</summary>"
    yield ""
    yield "| stream | one row per | sync type | comes with | default |"
    yield "| --- | --- | --- | --- | --- |"
    yield from map(_row, found)
    yield ""
    yield "</details>"


def _row(stream: Stream) -> str:
    first = re.split(r"(?<=\.)\s+(?=[A-Z`])", stream.description)[0]
    about = first.removeprefix("One row per ").removesuffix(".").replace("|", r"\|")
    parent = f"`{stream.parent}`" if stream.parent else ""
    state = "on" if stream.default else "off"
    return f"| `{stream.name}` | {about} | {stream.sync_type} | {parent} | {state} |"


PAGES: dict[Path, Callable[[], str]] = {PAGE: reference, README: streams, SOURCES: sources}


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
