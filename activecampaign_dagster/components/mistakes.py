"""Mistakes in a source file: all of them at once, each with its place and what to do."""

from __future__ import annotations

import difflib
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeVar

import click
import yaml  # type: ignore[import-untyped]
from dagster._core.errors import DagsterUserCodeProcessError
from dagster_shared.error import SerializableErrorInfo
from dagster_shared.yaml_utils.source_position import SourcePositionTree
from pydantic import BaseModel, ValidationError

Path = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with the setting at a path of the file's attributes, and the remedy."""

    path: Path
    text: str


class ConfigurationError(DagsterUserCodeProcessError, click.ClickException):
    """Source files hold mistakes. Dagster's commands and UI show it as its message alone.

    Those that load the definitions themselves do so with any error of click's, those that leave it
    to a code server with one that they believe to have been reported by another process.
    """

    exit_code = 2

    def __init__(self, lines: Sequence[str]) -> None:
        count = "a mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
        message = "\n  ".join([f"The configuration holds {count}:", *lines])
        click.ClickException.__init__(self, message)
        self.user_code_process_error_infos = [
            SerializableErrorInfo(message, [], type(self).__name__)
        ]

    def __str__(self) -> str:
        return self.message


@contextmanager
def plainly() -> Iterator[None]:
    """Raise a ConfigurationError as it is, without what Dagster says around it."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(
            cause, (ConfigurationError, yaml.MarkedYAMLError)
        ):
            cause = cause.__cause__
        if cause is None:
            raise
        if isinstance(cause, yaml.MarkedYAMLError):
            mark = cause.problem_mark
            place = f"{mark.name}:{mark.line + 1}" if mark else "a file"
            cause = ConfigurationError([f"{place}: no YAML: {cause.problem}"])
        raise cause from None


@dataclass(frozen=True, slots=True)
class Place:
    """Where an account's attributes stand in a file; no tree: not in a file."""

    tree: SourcePositionTree | None = None

    def lines(self, account: str, mistakes: Iterable[Mistake]) -> list[str]:
        """One line for each mistake: file:line, setting, what is wrong, what to do."""
        placed = [(self._line_number(mistake), mistake) for mistake in mistakes]
        return [
            f"{self._name(account, number)}: {'.'.join(map(str, mistake.path)) or 'attributes'}: "
            f"{mistake.text}{'' if mistake.text.endswith('?') else '.'}"
            for number, mistake in sorted(placed, key=lambda pair: pair[0])
        ]

    def _line_number(self, mistake: Mistake) -> int:
        if self.tree is None:
            return 0
        position, _ = self.tree.lookup_closest_and_path(["attributes", *mistake.path], None)
        return position.start.line

    def _name(self, account: str, number: int) -> str:
        if self.tree is None:
            return f"account {account}"
        file = pathlib.Path(self.tree.position.filename)
        shown = (
            file.relative_to(pathlib.Path.cwd())
            if file.is_relative_to(pathlib.Path.cwd())
            else file
        )
        return f"{shown}:{number}"


def parsed(model: type[M], data: Mapping[str, Any]) -> tuple[M, list[Mistake]]:
    """The settings in `data`, those that are wrong left at their defaults, and the mistakes."""
    rest = deepcopy(dict(data))
    found: dict[Path, Mistake] = {}
    for _ in range(100):
        try:
            return model.model_validate(rest), list(found.values())
        except ValidationError as error:
            for detail in error.errors():
                mistake = _mistake(model, rest, detail)
                found.setdefault(mistake.path, mistake)
            for detail in error.errors():
                _remove(rest, _path(rest, detail["loc"]))
    raise AssertionError("leaving settings out does not make them valid")


def _path(data: Any, loc: Iterable[str | int]) -> Path:
    """The part of pydantic's location that is a path in the data; the rest tells of unions."""
    path: list[str | int] = []
    for part in loc:
        if (isinstance(data, Mapping) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        ):
            path.append(part)
            data = data[part]  # type: ignore[index]
    return tuple(path)


def _remove(data: Any, path: Path) -> None:
    parents = [data]
    for part in path[:-1]:
        parents.append(parents[-1][part])
    if not path:
        data.clear()
    elif path[0] == "streams" and len(path) == 2:
        # later entries keep their places, so that their mistakes do as well
        parents[-1][path[1]] = "all"
    elif isinstance(parents[-1], list):
        parents[-2].pop(path[-2], None)
    else:
        parents[-1].pop(path[-1], None)


def _mistake(model: type[BaseModel], data: Mapping[str, Any], detail: Mapping[str, Any]) -> Mistake:
    path = _path(data, detail["loc"])
    context = detail.get("ctx", {})
    name = str(path[-1]) if path else ""
    match detail["type"]:
        case "extra_forbidden":
            known = _known(model, path)
            text = f"there is no setting {name!r}{suggestion(name, known)}"
        case "missing":
            text = f"the setting {detail['loc'][-1]!r} is missing"
        case "string_too_long":
            length, most = len(str(detail["input"])), context["max_length"]
            text = f"is {length} characters long: shorten it to at most {most}"
        case "string_pattern_mismatch" if name.endswith("_variable"):
            # the value may be the secret itself
            text = (
                "must be the name of an environment variable, such as "
                f"ACTIVECAMPAIGN_{name.removesuffix('_variable').upper()}, not the value itself"
            )
        case "string_pattern_mismatch":
            text = (
                f"{detail['input']!r} is no name: begin with a lower-case letter and go on with "
                "lower-case letters, digits and underscores"
            )
        case "literal_error":
            text = f"{detail['input']!r} is none of {context['expected']}"
        case "date_from_datetime_parsing" | "date_parsing" | "date_type":
            text = f"{detail['input']!r} is no date: write it as 2024-01-31"
        case "model_type" | "model_attributes_type" | "dict_type":
            text = f"{detail['input']!r} is not possible here: write settings, indented below"
        case _:
            text = detail["msg"][:1].lower() + detail["msg"][1:]
    return Mistake(path, text)


def _known(model: type[BaseModel], path: Path) -> list[str]:
    """The settings that can stand next to the one at `path`."""
    schema = model.model_json_schema()
    if len(path) == 1:
        return list(schema["properties"])
    branches = [schema["properties"].get(str(path[0]), {})]
    known: list[str] = []
    while branches:
        branch = branches.pop()
        branches += branch.get("oneOf", []) + branch.get("anyOf", [])
        branches += [branch["items"]] if "items" in branch else []
        if reference := branch.get("$ref"):
            known += schema["$defs"][reference.rpartition("/")[2]]["properties"]
    return known


def suggestion(name: str, known: Iterable[str]) -> str:
    """How a remedy ends: the name that was meant, or all there are."""
    known = list(known)
    folded = {k.casefold(): k for k in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.7)
    if near:
        return f"; did you mean {folded[near[0]]}?"
    return f"; there are {', '.join(known)}" if len(known) < 40 else ""
