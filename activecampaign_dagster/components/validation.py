"""From the attributes of a source file to settings: what is wrong is left out and reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any, TypeVar

import dagster as dg
from pydantic import BaseModel, ValidationError

from activecampaign_dagster.components.errors import Mistake
from activecampaign_dagster.components.wording import KeyPath, about_value
from activecampaign_dagster.orchestration.dagster_internals import TemplateError

M = TypeVar("M", bound=BaseModel)


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
                path = _path(rest, detail["loc"])
                mistake = Mistake(path, about_value(model, path, detail))
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
