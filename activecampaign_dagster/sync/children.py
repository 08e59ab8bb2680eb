"""What comes beside a parent's page: the records of its children, each child with its arrival."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from typing import Any

from activecampaign_dagster.api.client import Page
from activecampaign_dagster.streams.declaration import Stream
from activecampaign_dagster.sync.plan import Child
from activecampaign_dagster.sync.spool import Arrival, Progress, Spool

Records = list[dict[str, Any]]


def take_children(
    children: Sequence[Child],
    page: Page,
    parents: Mapping[str, dict[str, Any]],
    zone: tzinfo,
    progress: Progress,
    spool: Callable[[Child, Records], None],
) -> Mapping[str, list[str]]:
    """Spool the records beside a page that belong to `parents`, as long as all of them come.

    parents: by key. zone: the account's. progress: is told how each child arrived. Returns child →
    the parents that do not list their children, so that nobody can tell which of those are gone.
    """
    unlisted = {}
    for child in children:
        arrived, found = _of_parents(child, page, parents, zone)
        before = progress.arrivals.get(child.name, arrived)
        progress.arrivals[child.name] = arrived if arrived == before else Arrival.INCOMPLETE
        if progress.arrivals[child.name] is Arrival.WHOLE:
            if found:
                progress.children[child.name] = progress.children.get(child.name, 0) + len(found)
            spool(child, found)
            listed = child.beside.listed
            unlisted[child.name] = [
                key
                for key, parent in parents.items()
                if listed is None or not isinstance(parent.get(listed), list)
            ]
    return unlisted


def _of_parents(
    child: Child, page: Page, parents: Mapping[str, dict[str, Any]], zone: tzinfo
) -> tuple[Arrival, Records]:
    """How a child came beside a page, and its records that belong to `parents`."""
    beside = child.beside
    records = page.body.get(beside.array)
    if not isinstance(records, list):
        return Arrival.IGNORED, []
    listed: set[str] = set()
    if beside.listed:
        lists = (parent.get(beside.listed) for parent in parents.values())
        listed = {_text(i) for ids in lists if isinstance(ids, list) for i in ids}
    found = []
    for record in records:
        if isinstance(record, dict):
            declared = beside.shape.declared(record, zone) if beside.shape else record
            if _text(record.get("id")) in listed or _text(declared.get(beside.owner)) in parents:
                found.append(declared)
    whole = listed <= {_text(record.get("id")) for record in found}
    return Arrival.WHOLE if whole else Arrival.INCOMPLETE, found


def _text(value: Any) -> str:
    """An id as text; what is none, however deeply it is nested, is no text."""
    return str(value) if isinstance(value, str | int) else ""


def nest(stream: Stream, page: Page) -> None:
    """Put the records of a page's other arrays in place of the ids that the page's records list."""
    for field in stream.fields:
        if field.nested_from is None:
            continue
        found = page.body.get(field.nested_from)
        records = found if isinstance(found, list) else ()
        by_id = {_text(r.get("id")): r for r in records if isinstance(r, dict) and r.get("id")}
        for record in page.records:
            if isinstance(record, dict) and isinstance(ids := record.get(field.name), list):
                record[field.name] = [by_id.get(_text(i), i) for i in ids]


def owner_name(stream: Stream) -> str:
    """The name under which keys of parents are spooled."""
    return f"{stream.name}.keys"


def unlisted_name(child: Child) -> str:
    """The name under which the keys of parents are spooled that do not list a child's records."""
    return f"{child.name}.unlisted"


def spool_keys(spool: Spool, name: str, keys: Sequence[str]) -> None:
    """Spool keys of parents, as records with nothing but a `key`."""
    if keys:
        spool.add(name, [{"key": key} for key in keys], lambda record: str(record["key"]))
