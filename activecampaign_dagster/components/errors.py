"""Mistakes in source files as users see them: all at once, each with its file and line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import dagster as dg
import yaml  # type: ignore[import-untyped]
from pydantic import ValidationError

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.components.wording import KeyPath, about_value
from activecampaign_dagster.orchestration.dagster_internals import (
    BrokenInvariantError,
    ComponentFile,
    FilePositions,
    MessageOnlyError,
    UnknownSymbolError,
)


@dataclass(frozen=True, slots=True)
class Mistake:
    """A sentence about the setting at a path of the file's attributes, with the remedy."""

    path: KeyPath
    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """The place of an account's attributes in a file; no positions: not in a file."""

    positions: FilePositions | None = None

    def lines(self, account: str, mistakes: Iterable[Mistake]) -> list[str]:
        """One line for each mistake: file:line, setting, the sentence about it."""
        placed = [(self._line_number(mistake), mistake) for mistake in mistakes]
        return [
            f"{self._name(account, number)}: {'.'.join(map(str, mistake.path)) or 'attributes'}: "
            f"{mistake.text}{'' if mistake.text.endswith('?') else '.'}"
            for number, mistake in sorted(placed, key=lambda pair: pair[0])
        ]

    def _line_number(self, mistake: Mistake) -> int:
        return self.positions.line(["attributes", *mistake.path]) if self.positions else 0

    def _name(self, account: str, number: int) -> str:
        if self.positions is None:
            return f"account {account}"
        file = self.positions.file
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
        count = "1 error" if len(lines) == 1 else f"{len(lines)} errors"
        message = "\n  ".join([f"{count} in the configuration:", *lines])
        click.ClickException.__init__(self, message)
        self.show_message(message, type(self).__name__)

    def __str__(self) -> str:
        return self.message


@contextmanager
def configuration_errors() -> Iterator[None]:
    """Turn what Dagster raises for mistakes in files into a ConfigurationError alone."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ConfigurationError):
                raise cause from None
            if lines := _about_file(cause):
                raise ConfigurationError(lines) from None
            cause = cause.__cause__
        raise


def _about_file(error: BaseException) -> list[str]:
    """Describe what keeps a file as a whole from becoming a component; [] for other errors."""
    match error:
        case yaml.MarkedYAMLError():
            mark = error.problem_mark
            place = f"{mark.name}:{mark.line + 1}" if mark else "a file"
            return [f"{place}: invalid YAML: {error.problem}"]
        case ValidationError() if error.title == ComponentFile.__name__:
            return [_about_setting(detail) for detail in error.errors()]
        case UnknownSymbolError():
            return [f"a file's type is wrong: {error} `dg check yaml` shows the file."]
        case dg.DagsterInvalidDefinitionError() if str(error).startswith("Component type "):
            return [f"a file's type is wrong: {error}. `dg check yaml` shows the file."]
        case BrokenInvariantError() if "No components found in YAML file" in str(error):
            return ["a defs.yaml is empty: write an account's settings into it, or remove it."]
    return []


def _about_setting(detail: Mapping[str, Any]) -> str:
    # Dagster writes setting and place in one: `attribute at /defs/shop/defs.yaml:3`
    setting, _, place = str(detail["loc"][-1]).strip("`").rpartition("at ")
    setting = setting.strip() or "file"
    text = about_value(ComponentFile, (setting,), {**detail, "loc": (setting,)})
    return f"{place}: {setting}: {text}"
