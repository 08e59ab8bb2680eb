"""Which stream tells of persons, and by what in its records a person is known."""

from __future__ import annotations

from activecampaign_dagster.streams.contacts import CONTACTS
from activecampaign_dagster.streams.declaration import Stream, Type
from activecampaign_dagster.streams.registry import STREAMS

PERSON = CONTACTS
ADDRESS = "email"
# what models call the person's id, and how the tables begin whose rows are about a person
ID_COLUMNS = frozenset({"contact", "contact_id", "contactid"})
TABLE_PREFIX = "contact"


def personal_texts() -> tuple[str, ...]:
    """The fields of a person's record whose texts may turn up in rows about something else."""
    return tuple(f.name for f in PERSON.fields if f.personal and f.type is Type.VARCHAR)


def columns_of_person(stream: Stream) -> frozenset[str]:
    """The fields of a stream that hold a person's id."""
    references = {f.name for f in stream.fields if f.references == PERSON.name}
    if stream.name == PERSON.name:
        references.add(PERSON.key[0])
    if stream.each and stream.each.stream == PERSON.name:
        references.add(stream.each.parameter)
    return frozenset(references)


def tells_of_persons(stream: Stream) -> bool:
    """Whether a stream's rows are about a person each, and are nothing without that person."""
    belongs = {stream.parent, stream.each.stream if stream.each else None}
    return stream.name == PERSON.name or PERSON.name in belongs


def streams_of_persons() -> frozenset[str]:
    """The names of the streams whose rows are about a person each."""
    return frozenset(name for name, stream in STREAMS.items() if tells_of_persons(stream))
