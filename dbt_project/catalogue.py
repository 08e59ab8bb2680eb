"""Write the list of marts, docs/models.md, from their YAML: `python dbt_project/catalogue.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parent
MARTS = PROJECT / "models" / "marts"
PAGE = PROJECT.parent / "docs" / "models.md"
_BEGIN, _END = "<!-- generated: begin -->", "<!-- generated: end -->"
_GROUPS = {"sales": "Sales", "marketing": "Marketing", "shared": "Shared"}
DOCS = re.compile(r"\{% docs \w+ %\}\n(?P<text>.*?)\{% enddocs %\}", re.DOTALL)


def model(declared: Path) -> dict[str, Any]:
    """The one model that a YAML file declares."""
    [found] = yaml.safe_load(declared.read_text(encoding="utf-8"))["models"]
    return dict(found)


def about(declared: Path) -> str:
    """The text that describes a model: of the page beside its YAML, or in it."""
    page = declared.with_suffix(".md")
    if not page.exists():
        return str(model(declared)["description"])
    found = DOCS.search(page.read_text(encoding="utf-8"))
    return found["text"] if found else ""


def key(declared: Path) -> list[str]:
    """The columns that tell a mart's rows apart, as its test names them; [] without such a test."""
    for test in model(declared).get("data_tests", []):
        if isinstance(test, dict) and "primary_key" in test:
            return list(test["primary_key"]["arguments"]["columns"])
    return []


def marts() -> str:
    """A section for each group with a table of its marts, in Markdown."""
    return "\n\n".join("\n".join(_of_group(name)) for name in _GROUPS)


def _of_group(name: str) -> Iterator[str]:
    yield f"### {_GROUPS[name]}"
    yield ""
    yield "| mart | contents | key | columns |"
    yield "| --- | --- | --- | ---: |"
    for declared in sorted((MARTS / name).glob("*.yml")):
        page = declared.with_suffix(".md")
        label = f"`{declared.stem}`"
        if page.exists():
            label = f"[{label}](../{page.relative_to(PROJECT.parent).as_posix()})"
        keys = ", ".join(f"`{column}`" for column in key(declared))
        columns = len(model(declared)["columns"])
        yield f"| {label} | {_first_sentence(about(declared))} | {keys} | {columns} |"


def _first_sentence(text: str) -> str:
    first = re.split(r"(?<=\.)\s+(?=[A-Z`])", " ".join(text.split()))[0]
    return first.removesuffix(".").replace("|", r"\|")


def updated() -> str:
    """The text of the page with its generated part as it is now."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{marts()}\n{_END}{after}"


if __name__ == "__main__":
    PAGE.write_text(updated(), encoding="utf-8")
