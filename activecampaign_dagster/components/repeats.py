"""Settings that occur twice in a file, of which YAML silently uses the later one."""

from __future__ import annotations

from collections.abc import Iterator

import yaml  # type: ignore[import-untyped]

from activecampaign_dagster.components.errors import Mistake
from activecampaign_dagster.components.wording import KeyPath
from activecampaign_dagster.orchestration.dagster_internals import FilePositions


def repeats(positions: FilePositions | None) -> list[Mistake]:
    """The attributes that are written twice in the file, or its part, that `positions` are of."""
    if positions is None or not positions.file.is_file():
        return []
    parts = yaml.compose_all(positions.file.read_text("utf-8"), Loader=yaml.SafeLoader)
    return [
        Mistake(path[1:], f"is written twice, first on line {line}: leave one of them out")
        for part in parts
        if part and part.start_mark.line + 1 == positions.first_line
        for path, line in _repeats(part)
        if path[0] == "attributes"
    ]


def _repeats(node: yaml.Node, path: KeyPath = ()) -> Iterator[tuple[KeyPath, int]]:
    """(path, line where it stood first) of each key that comes again in its mapping."""
    if isinstance(node, yaml.SequenceNode):
        for index, entry in enumerate(node.value):
            yield from _repeats(entry, (*path, index))
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in lines:
                yield (*path, name), lines[name]
            lines.setdefault(name, key.start_mark.line + 1)
            yield from _repeats(value, (*path, name))
