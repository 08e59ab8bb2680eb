"""The documentation as a site, built as `make docs` does: strict, and without a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from dbt_project import catalogue

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
LOADED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"([^\"]+)\"|<link\b[^>]*\bhref=\"([^\"]+)\""
)
LINKED = re.compile(r"<a\b[^>]*\bhref=\"([^\"#]+)(?:#[^\"]*)?\"")
pytestmark = pytest.mark.slow


def build(source: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """What `make docs` runs, for the pages of another folder."""
    [command] = re.findall(r"^\t\$\(BIN\)/(sphinx-build .*) \. build/site$", MAKEFILE, flags=re.M)
    options = [ROOT / "docs/site" if each == "docs/site" else each for each in command.split()[1:]]
    sphinx = Path(sys.executable).with_name("sphinx-build")
    return subprocess.run(
        [sphinx, *options, source, site], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the repository's pages."""
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def pages(site: Path) -> Iterator[tuple[Path, str]]:
    for path in site.rglob("*.html"):
        yield path, path.read_text(encoding="utf-8")


def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    loaded = {
        link for _, html in pages(site) for found in LOADED.findall(html) for link in found if link
    }
    assert any(link.endswith("mermaid.js") or "mermaid.js?" in link for link in loaded)
    assert not {link for link in loaded if urlsplit(link).scheme or link.startswith("//")}
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert not re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", styles)


def test_every_link_within_the_site_leads_to_a_file(site: Path) -> None:
    missing = [
        (path.name, link)
        for path, html in pages(site)
        for link in LINKED.findall(html)
        if not urlsplit(link).scheme and not (path.parent / unquote(link)).exists()
    ]
    assert not missing


def test_every_mart_has_a_page_with_its_columns_and_questions(site: Path) -> None:
    declared = [path for path in catalogue.MARTS.rglob("*.yml") if path.with_suffix(".md").exists()]
    assert len(declared) > 30
    for path in declared:
        html = (site / path.relative_to(ROOT)).with_suffix(".html").read_text(encoding="utf-8")
        assert "{%" not in html
        for column in catalogue.model(path)["columns"]:
            assert f">{column['name']}</span>" in html, f"{path.stem}.{column['name']}"


def test_a_diagram_is_drawn_by_a_script_of_the_site(site: Path) -> None:
    drawn = {path.name for path, html in pages(site) if 'class="mermaid"' in html}
    assert drawn == {"README.html", "data-model.html"}
    assert drawn == {path.name for path, html in pages(site) if "mermaid.js" in html}


def test_links_that_lead_nowhere_are_named_and_fail_the_build(tmp_path: Path) -> None:
    links = {
        "missing.md": "missing.md",
        "no_such_file.toml": "no_such_file.toml",
        "docs/streams.md#no-such-heading": "no-such-heading",
    }
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/streams.md").write_text("# Streams\n")
    good = "[sound](docs/streams.md#streams)"
    bad = "\n\n".join(f"[broken]({link})" for link in links)
    (tmp_path / "README.md").write_text(f"# First\n\n{good}\n\n{bad}\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    assert "README.md:3:" not in done.stderr
    for line, said in zip((5, 7, 9), links.values(), strict=True):
        assert re.search(rf"README.md:{line}: .*{said}", done.stderr), done.stderr


def test_the_pictures_are_small_and_the_readme_shows_each() -> None:
    pictures = sorted((ROOT / "docs" / "images").glob("*.png"))
    assert len(pictures) == 5
    assert [path.name for path in pictures if path.stat().st_size > 150_000] == []
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]+\]\((docs/images/[^)]+)\)", readme)
    assert sorted(shown) == [path.relative_to(ROOT).as_posix() for path in pictures]


def test_without_a_browser_the_script_says_so_and_leaves_the_pictures(tmp_path: Path) -> None:
    script = ROOT / "docs" / "site" / "screenshots.py"
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("No browser was found (chromium, ")


def test_the_list_of_marts_is_current() -> None:
    written = catalogue.PAGE.read_text(encoding="utf-8")
    assert catalogue.updated() == written, "run python dbt_project/catalogue.py"
