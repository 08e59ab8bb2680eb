"""Cheap questions to an account: whose key, how many records, what changed, how filters behave."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode

from activecampaign_dagster.api.client import PAGE_SIZE, Client, Page, Params
from activecampaign_dagster.api.stamps import first_stamp, parse_stamp, write_stamp
from activecampaign_dagster.streams.declaration import ByCreation, ById, HiddenBy, Stream
from activecampaign_dagster.sync.axis import axis_of

_FAR_EAST = timezone(timedelta(hours=14))  # 19 to 20 hours ahead of Chicago
_FIRST_RECORDS = 20  # stubs among them
_AROUND = timedelta(minutes=1)
_MOST_PAGES = 5  # of changed records looked at; stubs come with every answer
_FEWEST_RECORDS, _A_FEW = 20, 3
_MOST_STUBS = 50  # ids that fit into one URL


def whose_key(client: Client) -> dict[str, Any]:
    """The user that the key belongs to. Raises CredentialsError and the like."""
    user = client.get("users/me").get("user")
    return user if isinstance(user, dict) else {}


def total(client: Client, stream: Stream) -> int | None:
    """The account's number of records of a stream; None if it does not say. One request."""
    endpoint = stream.endpoint
    return client.first(endpoint.path, endpoint.collection, endpoint.params).total


def changes(client: Client, stream: Stream, since: datetime) -> set[str]:
    """The stamps of records changed after `since`. One request for each 100, up to five.

    Raises ValueError for a stream without such a filter.
    """
    after = stream.changes and stream.changes.after
    if not after:
        raise ValueError(f"{stream.name} cannot be selected by when its records changed")
    stamps: set[str] = set()
    for page in range(_MOST_PAGES):
        params: dict[str, str | int] = {**stream.endpoint.params, "limit": PAGE_SIZE}
        params[after] = write_stamp(since)
        if page:
            params["offset"] = page * PAGE_SIZE
        found = client.page(stream.endpoint.path, stream.endpoint.collection, params)
        moments = (_stamp(record, stream) for record in found.records)
        stamps |= {moment.isoformat() for moment in moments if moment and moment > since}
        if len(found.records) < PAGE_SIZE:
            break
    return stamps


def first_created(client: Client, stream: Stream) -> datetime | None:
    """When the oldest record of a stream was made; None if that cannot be told. One request.

    Ids are given in the order of creation, and a stub does not show its stamp.
    """
    walk, created = stream.walk, stream.changes and stream.changes.created
    if not created or not isinstance(walk, ById | ByCreation):
        return None
    endpoint = stream.endpoint
    params: dict[str, str | int] = {**endpoint.params, walk.order: "ASC", "limit": _FIRST_RECORDS}
    records = client.page(endpoint.path, endpoint.collection, params).records
    stamps = [stamp for record in records if (stamp := first_stamp(record, (created,)))]
    # where the order is ignored, the oldest may be anywhere
    return min(stamps) if stamps and stamps == sorted(stamps) else None


def hidden_by(client: Client, hiding: HiddenBy, stubs: Sequence[str], user: str) -> list[str]:
    """Names of what hides stubs from a user, such as pipelines that the user may not manage.

    Deleted ones are not among them. stubs: their keys. One request.
    """
    query = urlencode([*((hiding.ids, key) for key in stubs[:_MOST_STUBS]), (hiding.user, user)])
    found = client.get(f"{hiding.path}?{query}").get(hiding.collection)
    if not isinstance(found, list):
        return []
    hiders = [hider for hider in found if isinstance(hider, dict)]
    return sorted({str(hider.get(hiding.title) or hider.get("id")) for hider in hiders})


def honours_offsets(client: Client, stream: Stream, page: Page) -> str:
    """Whether a date filter reads time-zone offsets: yes, no or unknown. Two requests.

    page: records of the stream, one of which is looked for: through a filter that is right only
    if its offset counts, and through one that is right only if its offset is dropped. Only a span
    with two ends tells them apart.
    """
    changes = stream.changes
    if changes is None or changes.after is None or changes.before is None:
        return "unknown"
    ends = (changes.after, changes.before)
    records = (record for record in page.records if stream.key_of(record))
    stamped = ((record, parse_stamp(record.get(stream.replication_key))) for record in records)
    record, stamp = next(((r, s) for r, s in stamped if s), (None, None))
    if record is None or stamp is None:
        return "unknown"
    by_offset = _finds(client, stream, record, _span(stamp, *ends))
    digits = stamp.replace(tzinfo=_FAR_EAST)  # as the account wrote them
    by_digits = _finds(client, stream, record, _span(digits, *ends))
    if by_offset and not by_digits:
        return "yes"
    return "no" if by_digits and not by_offset else "unknown"


def totals_follow_filters(client: Client, stream: Stream, page: Page) -> str:
    """Whether the totals of two parts of a collection add up: yes, no or unknown. Two requests.

    page: records of the stream, one of which is where it is cut.
    """
    axis, endpoint = axis_of(stream), stream.endpoint
    found = sorted(p for p in map(axis.position, page.records) if p) if axis else []
    later = [position for position in found if position > found[0]]
    middle = later[len(later) // 2] if later else None
    if axis is None or middle is None or not page.total or page.total < _FEWEST_RECORDS:
        return "unknown"

    def count(low: int | None, high: int | None) -> int | None:
        params = {**endpoint.params, **axis.between(low, high)}
        return client.first(endpoint.path, endpoint.collection, params).total

    before, after = count(None, middle), count(middle, None)
    if before is None or after is None:
        return "no"
    # a few records may come or go between two requests
    adds_up = abs(before + after - page.total) <= _A_FEW
    return "yes" if adds_up and after < page.total else "no"


def _span(middle: datetime, after: str, before: str) -> Params:
    """A filter for what was changed around a moment, in digits of the far east."""
    start, end = (moment.astimezone(_FAR_EAST) for moment in (middle - _AROUND, middle + _AROUND))
    return {
        after: start.isoformat(timespec="seconds"),
        before: end.isoformat(timespec="seconds"),
    }


def _finds(client: Client, stream: Stream, record: dict[str, Any], params: Params) -> bool:
    wanted = stream.key_of(record)
    pinned: dict[str, str | int] = {**stream.endpoint.params, **params, "limit": PAGE_SIZE}
    if isinstance(stream.walk, ById):
        pinned |= {stream.walk.order: "ASC", stream.walk.after: int(wanted or 0) - 1}
    found = client.page(stream.endpoint.path, stream.endpoint.collection, pinned)
    return any(stream.key_of(other) == wanted for other in found.records)


def includes(page: Page, array: str) -> str:
    """Whether a page that was asked to include an array has it: yes, no or unknown."""
    if not page.records:
        return "unknown"
    return "yes" if isinstance(page.body.get(array), list) else "no"


def _stamp(record: Any, stream: Stream) -> datetime | None:
    """The time of a record's last change, or of its creation where that is null."""
    if not isinstance(record, dict):
        return None
    return first_stamp(record, stream.stamps)
