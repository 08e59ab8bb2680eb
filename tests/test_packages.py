"""The wheel and the sdist hold what they should and nothing of whoever builds them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("activecampaign_dagster", "dbt_project", "README.md", "CHANGELOG.md", "LICENSE")
SOURCES = (*SOURCES, "pyproject.toml", "dagster.yaml", ".gitignore")
SUFFIXES = {"activecampaign_dagster": {".py", ".css", ".jinja"}}
SUFFIXES |= {"dbt_project": {".csv", ".md", ".sql", ".yml"}}
SINGLE = {"activecampaign_dagster/py.typed", "activecampaign_dagster/sandbox/recorded.txt"}
# of a builder who has used the folder
LEFTOVERS = (
    ".env",
    "activecampaign_dagster/.env",
    "activecampaign_dagster/defs/acme/defs.yaml",
    "activecampaign_dagster/defs/acme.py",
    "activecampaign_dagster/scratch.duckdb",
    "activecampaign_dagster/__pycache__/definitions.cpython-311.pyc",
    "data/activecampaign.duckdb",
    "dbt_project/.env",
    "dbt_project/.user.yml",
    "dbt_project/dbt_packages/other/models/other.sql",
    "dbt_project/logs/dbt.log",
    "dbt_project/target/compiled/deals.sql",
    "dbt_project/target/manifest.json",
    "tests/test_packages.py",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that is built of it."""
    folder = tmp_path_factory.mktemp("packages")
    root, dist = folder / "clone", folder / "dist"
    root.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, root / name)
    for name in LEFTOVERS:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("ACTIVECAMPAIGN_API_KEY=builders-own-key")
    build(root, dist, "sdist")
    [sdist] = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    build(folder / sdist.name.removesuffix(".tar.gz"), dist, "wheel")
    return dist


def build(root: Path, dist: Path, target: str) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(dist)]
    subprocess.run(command, cwd=root, check=True, capture_output=True, timeout=120)


def in_the_clone() -> set[str]:
    """The files of the package and of the dbt project that are anybody's."""
    found = set()
    for folder, suffixes in SUFFIXES.items():
        for path in (ROOT / folder).rglob("*"):
            name = path.relative_to(ROOT)
            is_made = {"defs", "target", "logs", "__pycache__"} & set(name.parts)
            if path.suffix in suffixes and not is_made and not path.name.startswith("."):
                found.add(str(PurePosixPath(name)))
    scripts = {name for name in found if name.startswith("dbt_project/") and name.endswith(".py")}
    return (found | SINGLE) - scripts - {"activecampaign_dagster/definitions.py"}


def test_the_sdist_holds_the_sources_and_nothing_else(built: Path) -> None:
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    beside = {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "dagster.yaml"}
    assert names == in_the_clone() | beside | {"PKG-INFO", ".gitignore"}


def test_the_wheel_holds_the_package_the_dbt_project_in_it_and_nothing_else(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    of_the_package = {name for name in names if ".dist-info/" not in name}
    inside = {
        name if name.startswith("activecampaign_dagster/") else f"activecampaign_dagster/{name}"
        for name in {*in_the_clone(), "dagster.yaml"}
    }
    assert of_the_package == inside
    assert {name.partition(".dist-info/")[2] for name in set(names) - of_the_package} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }


def test_neither_holds_anything_of_whoever_built_them(built: Path) -> None:
    for archive in built.iterdir():
        if archive.suffix == ".whl":
            opened = zipfile.ZipFile(archive)
            contents = [opened.read(name) for name in opened.namelist()]
        else:
            with tarfile.open(archive) as files:
                contents = [files.extractfile(each).read() for each in files if each.isfile()]
        assert len(contents) > 300
        assert not any(b"builders-own-key" in content for content in contents)
