"""From settings to what is hashed and purged, and what cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from activecampaign_dagster.components.errors import Mistake
from activecampaign_dagster.components.settings import Settings
from activecampaign_dagster.components.wording import suggestion
from activecampaign_dagster.orchestration import triggers
from activecampaign_dagster.streams.declaration import Stream, Type
from activecampaign_dagster.streams.registry import STREAMS


def hashed_fields(settings: Settings, stream: Stream) -> frozenset[str]:
    """The fields of a stream of which only a hash is stored.

    A field that is made of another stream's values is hashed together with them.
    """
    wanted = set(settings.hash_fields)
    made_of = {
        s.pivot.value for s in _with_pivot(wanted) if s.pivot and s.pivot.child == stream.name
    }
    own = {f.name for f in stream.fields if f.name in wanted and _can_be_hashed(stream, f.name)}
    return frozenset(own | made_of)


def _with_pivot(names: set[str]) -> list[Stream]:
    return [s for s in STREAMS.values() if s.pivot and s.pivot.column in names]


def _can_be_hashed(stream: Stream, name: str) -> bool:
    is_pivot = stream.pivot is not None and stream.pivot.column == name
    is_text = stream.field(name).type is Type.VARCHAR
    return (is_text or is_pivot) and name not in stream.required | stream.owners


def hash_mistakes(settings: Settings) -> Iterator[Mistake]:
    """Names in `hash_fields` that no stream has, or whose values no hash can stand for."""
    known = {f.name for stream in STREAMS.values() for f in stream.fields}
    for index, name in enumerate(settings.hash_fields):
        having = [s for s in STREAMS.values() if any(f.name == name for f in s.fields)]
        if not having:
            text = f"no stream has a field {name!r}{suggestion(name, sorted(known))}"
            yield Mistake(("hash_fields", index), text)
        elif not any(_can_be_hashed(stream, name) for stream in having):
            text = (
                f"{name} cannot be hashed: it is not a text, or a sync needs its value. Leave the "
                "field out with exclude_fields instead"
            )
            yield Mistake(("hash_fields", index), text)


def purge_deleted_after(settings: Settings) -> tuple[timedelta | None, list[Mistake]]:
    """How long rows of deleted records are kept; None: for ever."""
    if settings.purge_deleted_after is None:
        return None, []
    try:
        return triggers.span(settings.purge_deleted_after), []
    except ValueError as error:
        return None, [Mistake(("purge_deleted_after",), str(error))]
