"""Mistakes in a source file: all of them at once, each with its place and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import dagster as dg
import yaml  # type: ignore[import-untyped]
from pydantic import BaseModel, ValidationError

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.orchestration.dagster_internals import (
    BrokenInvariantError,
    ComponentFile,
    FilePositions,
    MessageOnlyError,
    TemplateError,
    UnknownSymbolError,
)

KeyPath = tuple[str | int, ...]
_DATE = "is no date: write it as 2024-01-31"
_SETTINGS = "is not possible here: write settings, indented below"
_TRUTH = "is neither true nor false"
_WHOLE = "is no whole number"
_NUMBER = "is no number: write it as 0.01"
# pydantic's type of error → what is said of the value
_IS_NO = {
    "bool_parsing": _TRUTH,
    "bool_type": _TRUTH,
    "date_from_datetime_inexact": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_parsing": _DATE,
    "date_type": _DATE,
    "dict_type": _SETTINGS,
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "int_from_float": _WHOLE,
    "int_parsing": _WHOLE,
    "int_type": _WHOLE,
    "list_type": "is no list: write it in brackets, as [one, another], or each entry on a line of "
    "its own after a dash",
    "model_attributes_type": _SETTINGS,
    "model_type": _SETTINGS,
    "string_type": "is no text: put it in quotes, without which YAML takes words like 17:30, 5 and "
    "yes for numbers and the like",
}
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with the setting at a path of the file's attributes, and the remedy."""

    path: KeyPath
    text: str


class ConfigurationError(ActiveCampaignError, MessageOnlyError, click.ClickException):
    """Source files hold mistakes. Dagster's commands and UI show it as its message alone.

    Those that load the definitions themselves do so with any error of click's, those that leave it
    to a code server with one that they believe to have been reported by another process.
    """

    is_permanent = True
    exit_code = 2

    def __init__(self, lines: Sequence[str]) -> None:
        count = "a mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
        message = "\n  ".join([f"The configuration holds {count}:", *lines])
        click.ClickException.__init__(self, message)
        self.show_message(message, type(self).__name__)

    def __str__(self) -> str:
        return self.message


@contextmanager
def plainly() -> Iterator[None]:
    """Raise a ConfigurationError as it is, without what Dagster says around it."""
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
    """What is wrong with a file as a whole, so that no component can be made of it."""
    match error:
        case yaml.MarkedYAMLError():
            mark = error.problem_mark
            place = f"{mark.name}:{mark.line + 1}" if mark else "a file"
            return [f"{place}: no YAML: {error.problem}"]
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
    mistake = _mistake(ComponentFile, {setting: detail["input"]}, {**detail, "loc": (setting,)})
    return f"{place}: {setting}: {mistake.text}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an account's attributes stand in a file; no positions: not in a file."""

    positions: FilePositions | None = None

    def lines(self, account: str, mistakes: Iterable[Mistake]) -> list[str]:
        """One line for each mistake: file:line, setting, what is wrong, what to do."""
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


def resolved(
    value: Any, context: dg.ResolutionContext, path: KeyPath = ()
) -> tuple[Any, list[Mistake]]:
    """Attributes with their templates filled in, None for those that are wrong, and the mistakes.

    Other texts stay as they are: Dagster would read a quoted "5" as a number.
    """
    if isinstance(value, Mapping | list):
        keys = list(value) if isinstance(value, Mapping) else range(len(value))
        made = {key: resolved(value[key], context, (*path, key)) for key in keys}
        whole = {key: part for key, (part, _) in made.items()}
        return (
            whole if isinstance(value, Mapping) else list(whole.values()),
            [mistake for _, found in made.values() for mistake in found],
        )
    if not (isinstance(value, str) and ("{{" in value or "{%" in value)):
        return value, []
    try:
        return context.resolve_value(value), []
    except TemplateError as error:
        reason = str(error).strip().splitlines()[-1].rstrip(".")
        return None, [Mistake(path, f"{value!r} cannot be filled in: {reason}")]


def parsed(model: type[M], data: Mapping[str, Any]) -> tuple[M, list[Mistake]]:
    """The settings in `data`, those that are wrong left at their defaults, and the mistakes."""
    rest = deepcopy(dict(data))
    found: dict[KeyPath, Mistake] = {}
    for _ in range(100):
        try:
            return model.model_validate(rest), list(found.values())
        except ValidationError as error:
            for detail in error.errors():
                mistake = _mistake(model, rest, detail)
                # what was left out as wrong is not missing
                if (*mistake.path, detail["loc"][-1]) not in found:
                    found.setdefault(mistake.path, mistake)
            for detail in error.errors():
                _remove(rest, _path(rest, detail["loc"]))
    raise AssertionError("leaving settings out does not make them valid")


def _path(data: Any, loc: Iterable[str | int]) -> KeyPath:
    """The part of pydantic's location that is a path in the data; the rest tells of unions."""
    path: list[str | int] = []
    for part in loc:
        if (isinstance(data, Mapping) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        ):
            path.append(part)
            data = data[part]  # type: ignore[index]
    return tuple(path)


def _remove(data: Any, path: KeyPath) -> None:
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
        case "missing":
            text = f"the setting {detail['loc'][-1]!r} is missing"
        case _ if detail["input"] is None:
            text = "is empty: give it a value, or leave the line out"
        case "extra_forbidden":
            known = _known(model, path)
            text = f"there is no setting {name!r}{suggestion(name, known)}"
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
            if detail["loc"][-1] == "word":
                other = "a list" if name == "streams" else "settings, indented below"
                text = f"{text}: write that, or {other}"
        case kind if kind in _IS_NO:
            text = f"{detail['input']!r} {_IS_NO[kind]}"
        case _:
            text = detail["msg"][:1].lower() + detail["msg"][1:]
    return Mistake(path, text)


def _known(model: type[BaseModel], path: KeyPath) -> list[str]:
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
