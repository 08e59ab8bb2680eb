"""JSON of any depth: what the libraries write recursively ends with their stack."""

from __future__ import annotations

import json
from typing import Any


class _Verbatim(str):
    """Text that is written as it is."""


def written(value: Any) -> str:
    """The JSON of a parsed document, however deeply it is nested."""
    out: list[str] = []
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, _Verbatim):
            out.append(item)
        elif isinstance(item, dict):
            waiting.append(_Verbatim("}"))
            for place, (name, each) in reversed(list(enumerate(item.items()))):
                comma = "," if place else ""
                waiting += [each, _Verbatim(f"{comma}{json.dumps(name, ensure_ascii=False)}:")]
            out.append("{")
        elif isinstance(item, list):
            waiting.append(_Verbatim("]"))
            for place, each in reversed(list(enumerate(item))):
                waiting += [each, _Verbatim("," if place else "")]
            out.append("[")
        else:
            out.append(json.dumps(item, ensure_ascii=False))
    return "".join(out)
