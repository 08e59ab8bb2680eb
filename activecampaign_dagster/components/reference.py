"""The reference of a source file's settings, generated from their schema into the docs.

`python -m activecampaign_dagster.components.reference` brings docs/configuration.md up to date.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from activecampaign_dagster.components.settings import (
    AlertSettings,
    CheckSettings,
    Clock,
    DriftSettings,
    Settings,
    StreamSettings,
    TriggerSettings,
)

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
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


def updated(page: str) -> str:
    """The page with the reference as it is now."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{reference()}\n{_END}{after}"


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
