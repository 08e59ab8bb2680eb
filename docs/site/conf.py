"""The documentation as a site: `make docs` builds it in build/site with Sphinx, without a network.

Pages keep their paths of the repository, so that links work on the forge and in the site alike.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[2]
MARTS = "dbt_project/models/marts/"
NAVIGATION = {
    "Use": ("configuration", "operations", "deployment", "lake", "personal-data"),
    "Data": ("streams", "models", "data-model", "questions", "/dbt_project/README"),
    "Facts": ("api-facts", "comparison", "/benchmarks/RESULTS", "/benchmarks/HOSTILE"),
    "Contribute": (
        "/CONTRIBUTING",
        "contributing/stream",
        "contributing/model",
        "contributing/check",
        "/ARCHITECTURE",
        "/CHANGELOG",
        "/SECURITY",
    ),
}
_DOCS_BLOCK = re.compile(r"^\{%-? (?:end)?docs.*%\}\n?", re.MULTILINE)

project = "activecampaign-dagster"
html_title = project
root_doc = "README"
include_patterns = [
    "*.md",
    "docs/**.md",
    "benchmarks/*.md",
    "dbt_project/README.md",
    f"{MARTS}**.md",
]
exclude_patterns = [".*", "build", "data", "dbt_project/target", "dbt_project/dbt_packages"]
extensions = ["myst_parser"]
myst_heading_anchors = 4  # the forge's anchors
myst_fence_as_directive = ["mermaid"]
highlight_language = "text"
suppress_warnings = ["misc.highlighting_failure"]  # … stands for what is left out
html_theme = "furo"
html_static_path = [str(files("mermaidx") / "assets" / "mermaid.js"), "wide.css"]
html_additional_pages = {"index": "redirect.html"}
templates_path = [str(Path(__file__).parent)]
html_show_sphinx = html_copy_source = html_show_copyright = False


class Mermaid(SphinxDirective):
    """A diagram, drawn in the reader's browser by a script of the site itself."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The diagram's text, for the script to find."""
        self.env.metadata[self.env.docname]["diagram"] = "yes"
        text = nodes.unescape("\n".join(self.content))
        escaped = text.replace("&", "&amp;").replace("<", "&lt;")
        return [nodes.raw("", f'<pre class="mermaid">{escaped}</pre>', format="html")]


def complete(app: Sphinx, docname: str, source: list[str]) -> None:
    """Give the first page its navigation, and a mart's page its title and columns."""
    if docname == root_doc:
        source[0] += "".join(map(_toctree, NAVIGATION, NAVIGATION.values()))
    if docname.startswith(MARTS):
        title = f"---\norphan: true\n---\n# {docname.removeprefix(MARTS).partition('/')[2]}"
        text = _DOCS_BLOCK.sub("", source[0])
        source[0] = f"{title}\n\n{text}\n\n## Columns\n\n{_columns(ROOT / f'{docname}.yml')}\n"


def draw(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Load the script that draws diagrams on pages that have one."""
    if app.env.metadata.get(page, {}).get("diagram"):
        app.add_js_file("mermaid.js")
        app.add_js_file(None, body="mermaid.initialize({ er: { useMaxWidth: false } })")
        app.add_css_file("wide.css")


def _toctree(caption: str, pages: tuple[str, ...]) -> str:
    paths = "\n".join(page if page[0] == "/" else f"/docs/{page}" for page in pages)
    return f"\n```{{toctree}}\n:caption: {caption}\n:hidden:\n:maxdepth: 1\n\n{paths}\n```\n"


def _columns(declared: Path) -> str:
    [model] = yaml.safe_load(declared.read_text(encoding="utf-8"))["models"]
    cells = (
        (
            f"`{column['name']}`",
            column.get("data_type", ""),
            " ".join(column["description"].split()),
        )
        for column in model["columns"]
    )
    rows = ("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in cells)
    return "\n".join(["| column | type | meaning |", "| --- | --- | --- |", *rows])


def setup(app: Sphinx) -> None:
    """Register all of it."""
    app.add_directive("mermaid", Mermaid)
    app.connect("source-read", complete)
    app.connect("html-page-context", draw)
