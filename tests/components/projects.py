"""A project folder made for a test, loaded the way Dagster loads one."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from textwrap import dedent, indent

import dagster as dg

from activecampaign_dagster.components.errors import configuration_errors

TYPE = "activecampaign_dagster.components.ActiveCampaignSource"
DBT = """
type: activecampaign_dagster.components.DbtModels
attributes:
  project: {}
  cli_args: [build, --exclude-resource-type, unit_test]
"""
_JOBS = """
from activecampaign_dagster.defs.jobs import warehouse
"""
_names = count(1)


@contextmanager
def project(
    root: Path, others: Mapping[str, str] | None = None, /, **accounts: str
) -> Iterator[Path]:
    """A project with a source file for each account: folder name → attributes in YAML.

    `others` are whole files of other components, by folder name.
    """
    name = f"project_{next(_names)}"
    defs = root / name / name / "defs"
    defs.mkdir(parents=True)
    (defs.parents[1] / "pyproject.toml").write_text(
        f'[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "{name}"\n'
    )
    for folder, attributes in accounts.items():
        (defs / folder).mkdir()
        body = indent(dedent(attributes).strip(), "  ")
        (defs / folder / "defs.yaml").write_text(f"type: {TYPE}\nattributes:\n{body}\n")
    for folder, whole in (others or {}).items():
        (defs / folder).mkdir()
        (defs / folder / "defs.yaml").write_text(whole)
    (defs / "jobs.py").write_text(_JOBS)
    (defs / "__init__.py").touch()
    (defs.parent / "__init__.py").touch()
    sys.path.insert(0, str(defs.parents[1]))
    try:
        yield defs.parent
    finally:
        sys.path.remove(str(defs.parents[1]))


def load(root: Path, others: Mapping[str, str] | None = None, /, **accounts: str) -> dg.Definitions:
    """The project's definitions."""
    with project(root, others, **accounts) as package, configuration_errors(package):
        return dg.load_from_defs_folder(path_within_project=package)
