"""The sentences about mistakes in source files, each with its remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

KeyPath = tuple[str | int, ...]
_SPANS = ("every", "at_most_every", "on_change", "purge_deleted_after")  # are times with a unit
_DATE = "is not a date: write it as 2024-01-31"
_SETTINGS = "is not valid here: write settings, indented below"
_TRUTH = "is invalid: it must be true or false"
_WHOLE = "is not a whole number"
_NUMBER = "is not a number: write it as 0.01"
# pydantic's type of error → the predicate of a sentence about the value
_PREDICATES = {
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
    "list_type": "is not a list: write it in brackets, as [one, another], or one entry per line "
    "after a dash",
    "model_attributes_type": _SETTINGS,
    "model_type": _SETTINGS,
    "string_type": "must be quoted: without quotes YAML reads values such as 17:30, 5 and yes as "
    "numbers or booleans",
}


def about_value(model: type[BaseModel], path: KeyPath, detail: Mapping[str, Any]) -> str:
    """A sentence about a setting that pydantic does not accept.

    model: the settings. path: of the setting in them. detail: pydantic's own description.
    """
    context = detail.get("ctx", {})
    name = str(path[-1]) if path else ""
    match detail["type"]:
        case "missing":
            text = f"the setting {detail['loc'][-1]!r} is missing"
        case _ if detail["input"] is None:
            text = (
                "is empty: give it a value, or leave the line out; if it is written as "
                "{{ env.NAME }}, set that environment variable"
            )
        case "extra_forbidden":
            possible = suggestion(name, _settings_beside(model, path))
            text = f"unknown setting {name!r}{possible}"
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
                f"{detail['input']!r} is an invalid name: begin with a lower-case letter, followed "
                "by lower-case letters, digits and underscores"
            )
        case "literal_error":
            possible = f"one of {context['expected']}"
            if detail["loc"][-1] == "word":
                other = "a list" if name == "streams" else "settings, indented below"
                possible = f"{context['expected'].replace(' or ', ', ')} or {other}"
            text = f"{detail['input']!r} is invalid: it must be {possible}"
        case "string_type" if name in _SPANS:
            text = (
                f"{detail['input']!r} is not a time span: write a number and a unit, for example "
                "30 minutes or 30 days"
            )
        case kind if kind in _PREDICATES:
            text = f"{detail['input']!r} {_PREDICATES[kind]}"
        case _:
            text = detail["msg"][:1].lower() + detail["msg"][1:]
    return text


def _settings_beside(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The settings that can stand next to the one at `path`."""
    schema = model.model_json_schema()
    if len(path) == 1:
        return list(schema["properties"])
    branches = [schema["properties"].get(str(path[0]), {})]
    found: list[str] = []
    while branches:
        branch = branches.pop()
        branches += branch.get("oneOf", []) + branch.get("anyOf", [])
        branches += [branch["items"]] if "items" in branch else []
        if reference := branch.get("$ref"):
            found += schema["$defs"][reference.rpartition("/")[2]]["properties"]
    return found


def suggestion(name: str, possible: Iterable[str]) -> str:
    """The end of a remedy: the name that was probably meant, or all possible ones."""
    names = list(possible)
    if near := nearest(name, names):
        return f"; did you mean {near}?"
    return f"; there are {', '.join(names)}" if len(names) < 40 else ""


def nearest(name: str, possible: Iterable[str]) -> str | None:
    """The name that was probably meant; None if all are too far from it."""
    folded = {each.casefold(): each for each in possible}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.8)
    longer = (each for each in folded if each.startswith(f"{name.casefold()}_"))
    found = near[0] if near else next(longer, None)
    return folded[found] if found else None
