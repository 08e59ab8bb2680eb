"""Cheap questions to an account: whose key, how many records, what changed, how filters behave."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from activecampaign_dagster.api.client import PAGE_SIZE, Client, Page, Params
from activecampaign_dagster.api.stamps import as_moment
from activecampaign_dagster.streams.declaration import Stream, Walk

# The digits of every stamp that the API sends are Chicago's, so a filter written the same way is
# right whether its offset is honoured or dropped.
_CHICAGO = ZoneInfo("America/Chicago")
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
    return client.page(stream.path, stream.collection, {"limit": 1}).total


def changes(client: Client, stream: Stream, since: datetime) -> set[str]:
    """The stamps of records changed after `since`. One request for each 100, up to five."""
    stamps: set[str] = set()
    for page in range(_MOST_PAGES):
        params: dict[str, str | int] = {
            "filters[updated_after]": _written(since, _CHICAGO),
            "limit": PAGE_SIZE,
        }
        if page:
            params["offset"] = page * PAGE_SIZE
        found = client.page(stream.path, stream.collection, params)
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
    sample = next(
        ((r, s) for r in page.records if (s := _stamp(r, stream, strict=True)) is not None), None
    )
    if sample is None:
        return "unknown"
    record, stamp = sample
    by_offset = _finds(client, stream, record, _window(stamp, _FAR_EAST))
    digits = stamp.astimezone(_CHICAGO).replace(tzinfo=_FAR_EAST)
    by_digits = _finds(client, stream, record, _window(digits, _FAR_EAST))
    if by_offset and not by_digits:
        return "yes"
    return "no" if by_digits and not by_offset else "unknown"


def _window(middle: datetime, zone: tzinfo) -> Params:
    return {
        "filters[updated_after]": _written(middle - _AROUND, zone),
        "filters[updated_before]": _written(middle + _AROUND, zone),
    }


def _finds(client: Client, stream: Stream, record: dict[str, Any], params: Params) -> bool:
    wanted = str(record["id"])
    pinned: dict[str, str | int] = {**params, "limit": PAGE_SIZE}
    if stream.walk is Walk.ID:
        pinned |= {"orders[id]": "ASC", "id_greater": int(wanted) - 1}
    found = client.page(stream.path, stream.collection, pinned)
    return any(isinstance(r, dict) and str(r.get("id")) == wanted for r in found.records)


def includes(page: Page, collection: str) -> str:
    """Whether a page that was asked to include a collection has it: yes, no or unknown."""
    if not page.records:
        return "unknown"
    return "yes" if isinstance(page.body.get(collection), list) else "no"


def _written(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).isoformat(timespec="seconds")


def _stamp(record: Any, stream: Stream, *, strict: bool = False) -> datetime | None:
    """When a record was last changed, or created where that is null unless `strict`."""
    if not isinstance(record, dict):
        return None
    keys = (stream.replication_key, None if strict else stream.created_key)
    stamps = (as_moment(record.get(key)) for key in keys if key)
    return next((stamp for stamp in stamps if stamp), None)
