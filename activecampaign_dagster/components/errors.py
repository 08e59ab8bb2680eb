"""Mistakes in source files as users see them: all at once, each with its file and line."""

from __future__ import annotations

import importlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import dagster as dg
import yaml  # type: ignore[import-untyped]
from pydantic import ValidationError

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.api.printable import counted
from activecampaign_dagster.components.wording import KeyPath, about_value, nearest
from activecampaign_dagster.orchestration.dagster_internals import (
    BrokenInvariantError,
    ComponentFile,
    FilePositions,
    MessageOnlyError,
    UnknownSymbolError,
)
from activecampaign_dagster.warehouse.location import LocationError

_TYPE = re.compile(r"""type:\s*["']?([^"'#\s]+)["']?\s*(?:#.*)?""")
_OURS = [
    f"activecampaign_dagster.{name}"
    for name in ("ActiveCampaignSource", "ActiveCampaignAccounts", "DbtModels")
]
_LISTED = "`dg list components` lists them"


@dataclass(frozen=True, slots=True)
class Mistake:
    """A sentence about the setting at a path of the file's attributes, with the remedy."""

    path: KeyPath
    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """The place of an account's attributes in a file; no positions: not in a file.

    own: the settings that stand `under` a path in it, or in the line of a table (`row`); the rest
    it has in common with others.
    """

    positions: FilePositions | None = None
    own: Collection[str] = ()
    under: KeyPath = ()
    row: tuple[Path, int] | None = None

    def lines(self, account: str, mistakes: Iterable[Mistake]) -> list[str]:
        """One line for each mistake: file:line, setting, the sentence about it."""
        placed = [(*self._where(mistake.path), mistake.text) for mistake in mistakes]
        return [
            f"{_shown(file, number) if file else f'account {account}'}: "
            f"{'.'.join(map(str, path)) or 'attributes'}: {text}{'' if text.endswith('?') else '.'}"
            for file, number, path, text in sorted(placed, key=lambda each: each[1])
        ]

    def _where(self, path: KeyPath) -> tuple[Path | None, int, KeyPath]:
        """(file, line, path in it) of a setting."""
        is_own = not path or path[0] in self.own
        if self.row and is_own:
            return *self.row, path
        if self.positions is None:
            return None, 0, path
        is_shared = self.positions.has(["attributes", *path[:1]])
        if self.row and not is_shared:
            return *self.row, path
        if self.under and (is_own or not is_shared):
            path = (*self.under, *path)
        return self.positions.file, self.positions.line(["attributes", *path]), path


def _shown(file: Path, number: int) -> str:
    shown = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return f"{shown}:{number}"


class ConfigurationError(ActiveCampaignError, MessageOnlyError, click.ClickException):
    """There are mistakes in source files. Dagster's commands and UI show it as its message alone.

    Those that load the definitions themselves do so with any error of click's, those that leave it
    to a code server with one that they believe to have been reported by another process.
    """

    is_permanent = True
    exit_code = 2

    def __init__(self, lines: Sequence[str]) -> None:
        count = counted(len(lines), "error")
        message = "\n  ".join([f"{count} in the configuration:", *lines])
        click.ClickException.__init__(self, message)
        self.show_message(message, type(self).__name__)

    def __str__(self) -> str:
        return self.message


@contextmanager
def configuration_errors(folder: Path | None = None) -> Iterator[None]:
    """Turn what Dagster raises for mistakes in files into a ConfigurationError alone.

    folder: where the files are, so that those can be named that Dagster does not name.
    """
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ConfigurationError):
                raise cause from None
            if isinstance(cause, LocationError):
                raise ConfigurationError([str(cause)]) from None
            if lines := _about_file(cause, folder):
                raise ConfigurationError(lines) from None
            cause = cause.__cause__
        raise


def _about_file(error: BaseException, folder: Path | None) -> list[str]:
    """Describe what keeps a file as a whole from becoming a component; [] for other errors."""
    match error:
        case yaml.MarkedYAMLError():
            mark = error.problem_mark
            place = f"{mark.name}:{mark.line + 1}" if mark else "a file"
            return [f"{place}: invalid YAML: {error.problem}"]
        case ValidationError() if error.title == ComponentFile.__name__:
            return [_about_setting(detail) for detail in error.errors()]
        case _ if _is_about_type(error):
            return _about_types(error, folder)
        case BrokenInvariantError() if "No components found in YAML file" in str(error):
            files = [_shown(file, 1) for file in _files(folder) if _is_empty(file)]
            text = "the file is empty: write a component's `type` and `attributes`, or remove it."
            return [f"{place}: {text}" for place in files or ["a defs.yaml"]]
    return []


def _files(folder: Path | None) -> list[Path]:
    return sorted(folder.rglob("defs.yaml") if folder else ())


def _is_empty(file: Path) -> bool:
    lines = file.read_text("utf-8", "replace").splitlines()
    return all(not line.strip() or line.lstrip().startswith(("#", "---")) for line in lines)


def _is_about_type(error: BaseException) -> bool:
    is_named = str(error).strip().startswith(("Component type ", "Invalid component type name"))
    return isinstance(error, UnknownSymbolError) or (
        is_named and isinstance(error, dg.DagsterInvalidDefinitionError | ValueError)
    )


def _about_types(error: BaseException, folder: Path | None) -> list[str]:
    """The types in files that are not those of components; Dagster's words if none is found."""
    wrong = [
        (file, number, found[1])
        for file in _files(folder)
        for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), 1)
        if (found := _TYPE.fullmatch(line)) and not _is_component(found[1])
    ]
    return [
        f"{_shown(file, number)}: type: there is no component {name!r}"
        + (f"; did you mean {near}?" if (near := nearest(name, _OURS)) else f"; {_LISTED}.")
        for file, number, name in wrong
    ] or [f"a file has an invalid type: {' '.join(str(error).split())}"]


def _is_component(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError):
        return False
    return isinstance(found, type) and issubclass(found, dg.Component)


def _about_setting(detail: Mapping[str, Any]) -> str:
    # Dagster writes setting and place in one: `attribute at /defs/shop/defs.yaml:3`
    setting, _, place = str(detail["loc"][-1]).strip("`").rpartition("at ")
    setting = setting.strip() or "file"
    text = about_value(ComponentFile, (setting,), {**detail, "loc": (setting,)})
    return f"{place}: {setting}: {text}"
