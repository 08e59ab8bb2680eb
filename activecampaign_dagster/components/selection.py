"""From settings to the streams that are read, with the mistakes in what is listed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from activecampaign_dagster.components.errors import Mistake
from activecampaign_dagster.components.settings import Settings, StreamSettings
from activecampaign_dagster.components.wording import KeyPath, nearest
from activecampaign_dagster.orchestration.wording import enumerated
from activecampaign_dagster.streams.declaration import Family
from activecampaign_dagster.streams.registry import CORE, STREAMS

# a word that stands for several streams → their names
GROUPS: dict[str, tuple[str, ...]] = {
    "all": tuple(name for name, stream in STREAMS.items() if stream.default),
    "core": CORE,
    **{
        str(family): tuple(s.name for s in STREAMS.values() if s.default and s.family is family)
        for family in Family
    },
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A stream as it was asked for, and where in the file.

    is_named: it is listed by its own name, not only brought by a family, `all` or `core`.
    """

    settings: StreamSettings
    path: KeyPath
    is_named: bool = False


def chosen(settings: Settings) -> tuple[dict[str, Chosen], list[Mistake]]:
    """Stream name → what was asked for, for the streams that are listed or brought by a group.

    A stream's own entry holds, wherever it stands beside the groups that bring it, too.
    """
    is_list = not isinstance(settings.streams, str)
    listed = settings.streams if not isinstance(settings.streams, str) else [settings.streams]
    named: dict[str, Chosen] = {}
    groups: dict[str, KeyPath] = {}
    mistakes: list[Mistake] = []
    for index, entry in enumerate(listed):
        path: KeyPath = ("streams", index) if is_list else ("streams",)
        wanted = StreamSettings(name=entry) if isinstance(entry, str) else entry
        where = path if isinstance(entry, str) else (*path, "name")
        if wanted.name in GROUPS and isinstance(entry, str):
            groups.setdefault(wanted.name, path)
        elif text := _mistake(wanted.name, named):
            mistakes.append(Mistake(where, text))
        else:
            named[wanted.name] = Chosen(wanted, path, is_named=True)
    brought = {name: path for group, path in groups.items() for name in GROUPS[group]}
    rest = {
        name: Chosen(StreamSettings(name=name), path)
        for name, path in brought.items()
        if name not in named
    }
    found = named | rest
    if not mistakes and not any(choice.settings.enabled for choice in found.values()):
        mistakes.append(Mistake(("streams",), "no stream is enabled: list one, or write all"))
    return found, mistakes


def _mistake(name: str, named: dict[str, Chosen]) -> str | None:
    """What is wrong with the name of an entry; None if nothing is."""
    if name in named:
        return f"{name} is listed twice: keep one of the two"
    if name in GROUPS:
        return (
            f"{name} stands for several streams and has no settings: list it as a word, and the "
            "streams that need settings beside it"
        )
    if name in STREAMS:
        return None
    near = nearest(name, [*GROUPS, *STREAMS]) or _of_rows(name)
    families = enumerated((f"`{family}`" for family in Family), "and")
    possible = (
        f"; did you mean {near}?"
        if near
        else f"; the families are {families}, and `activecampaign streams` lists the streams"
    )
    return f"there is no stream {name!r}{possible}"


def _of_rows(name: str) -> str | None:
    """The stream that is described as one row per what `name` is the plural of."""
    thing = f"{name[:-3]}y" if name.endswith("ies") else name.removesuffix("s")
    begin = re.compile(rf"One row per {re.escape(thing.replace('_', ' '))}\b", re.IGNORECASE)
    return next((each.name for each in STREAMS.values() if begin.match(each.description)), None)
