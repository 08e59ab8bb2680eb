"""Cheap questions to an account: whose key, how many records, what changed, how filters behave."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode

from activecampaign_dagster.api.client import PAGE_SIZE, Client, Page, Params
from activecampaign_dagster.api.stamps import CHICAGO, first_stamp, parse_stamp, write_stamp
from activecampaign_dagster.streams.declaration import ById, Stream

_FAR_EAST = timezone(timedelta(hours=14))  # 19 to 20 hours ahead of Chicago
_AROUND = timedelta(minutes=1)
_MOST_PAGES = 5  # of changed records looked at; stubs come with every answer
_MOST_DEALS = 50  # ids that fit into one URL


def whose_key(client: Client) -> dict[str, Any]:
    """The user that the key belongs to. Raises CredentialsError and the like."""
    user = client.get("users/me").get("user")
    return user if isinstance(user, dict) else {}


def total(client: Client, stream: Stream) -> int | None:
    """How many records the account has of a stream; None if it does not say. One request."""
    return client.page(stream.endpoint.path, stream.endpoint.collection, {"limit": 1}).total


def changes(client: Client, stream: Stream, since: datetime) -> set[str]:
    """The stamps of records changed after `since`. One request for each 100, up to five."""
    stamps: set[str] = set()
    for page in range(_MOST_PAGES):
        params: dict[str, str | int] = {
            "filters[updated_after]": write_stamp(since),
            "limit": PAGE_SIZE,
        }
        if page:
            params["offset"] = page * PAGE_SIZE
        found = client.page(stream.endpoint.path, stream.endpoint.collection, params)
        moments = (_stamp(record, stream) for record in found.records)
        stamps |= {moment.isoformat() for moment in moments if moment and moment > since}
        if len(found.records) < PAGE_SIZE:
            break
    return stamps


def hidden_pipelines(client: Client, deals: Sequence[int], user: str) -> list[str]:
    """Names of the pipelines of `deals` that a user may not manage, where the API tells.

    Deleted pipelines are not among them. One request.
    """
    query = urlencode([*(("dealIds[]", i) for i in deals[:_MOST_DEALS]), ("userId", user)])
    body = client.get(f"dealGroup/get_inaccessible_deal_groups?{query}")
    groups = body.get("dealGroups")
    if not isinstance(groups, list):
        return []
    return sorted({str(g.get("title") or g.get("id")) for g in groups if isinstance(g, dict)})


def honours_offsets(client: Client, stream: Stream, page: Page) -> str:
    """Whether a date filter reads time-zone offsets: yes, no or unknown. Two requests.

    page: records of the stream, one of which is looked for: through a filter that is right only
    if its offset counts, and through one that is right only if its offset is dropped.
    """
    records = (record for record in page.records if isinstance(record, dict))
    stamped = ((record, parse_stamp(record.get(stream.replication_key))) for record in records)
    record, stamp = next(((r, s) for r, s in stamped if s), (None, None))
    if record is None or stamp is None:
        return "unknown"
    by_offset = _finds(client, stream, record, _window(stamp))
    digits = stamp.astimezone(CHICAGO).replace(tzinfo=_FAR_EAST)
    by_digits = _finds(client, stream, record, _window(digits))
    if by_offset and not by_digits:
        return "yes"
    return "no" if by_digits and not by_offset else "unknown"


def _window(middle: datetime) -> Params:
    """A filter for what was changed around a moment, its digits far from those of Chicago."""
    start, end = (moment.astimezone(_FAR_EAST) for moment in (middle - _AROUND, middle + _AROUND))
    return {
        "filters[updated_after]": start.isoformat(timespec="seconds"),
        "filters[updated_before]": end.isoformat(timespec="seconds"),
    }


def _finds(client: Client, stream: Stream, record: dict[str, Any], params: Params) -> bool:
    wanted = str(record["id"])
    pinned: dict[str, str | int] = {**params, "limit": PAGE_SIZE}
    if isinstance(stream.walk, ById):
        pinned |= {stream.walk.order: "ASC", stream.walk.after: int(wanted) - 1}
    found = client.page(stream.endpoint.path, stream.endpoint.collection, pinned)
    return any(isinstance(r, dict) and str(r.get("id")) == wanted for r in found.records)


def includes(page: Page, collection: str) -> str:
    """Whether a page that was asked to include a collection has it: yes, no or unknown."""
    if not page.records:
        return "unknown"
    return "yes" if isinstance(page.body.get(collection), list) else "no"


def _stamp(record: Any, stream: Stream) -> datetime | None:
    """When a record was last changed, or created where that is null."""
    if not isinstance(record, dict):
        return None
    return first_stamp(record, stream.stamps)
