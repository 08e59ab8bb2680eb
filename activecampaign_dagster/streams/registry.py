"""All streams by name, in the order in which they are offered and read."""

from activecampaign_dagster.streams.account import USERS
from activecampaign_dagster.streams.consistency import registry
from activecampaign_dagster.streams.contacts import CONTACTS, CUSTOM_FIELD_VALUES, CUSTOM_FIELDS
from activecampaign_dagster.streams.deals import DEAL_GROUPS, DEAL_STAGES, DEALS
from activecampaign_dagster.streams.declaration import Stream
from activecampaign_dagster.streams.marketing import CAMPAIGNS

_CORE = (
    DEALS,
    CONTACTS,
    DEAL_GROUPS,
    DEAL_STAGES,
    CAMPAIGNS,
    CUSTOM_FIELDS,
    CUSTOM_FIELD_VALUES,
    USERS,
)
STREAMS: dict[str, Stream] = registry((*_CORE,))
CORE = tuple(stream.name for stream in _CORE)  # what the marts are made of: always a table


def stream(name: str) -> Stream:
    """The stream called `name`; ValueError, naming those there are, if there is none."""
    try:
        return STREAMS[name]
    except KeyError:
        known = ", ".join(STREAMS)
        raise ValueError(f"unknown stream {name!r}; the streams are {known}") from None
