"""Looks at an account for `activecampaign check`, in little more than a request per stream."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from activecampaign_dagster.api.client import PAGE_SIZE, Client, Page
from activecampaign_dagster.api.errors import (
    AddressError,
    ApiError,
    CredentialsError,
    PermanentError,
    PermissionDeniedError,
)
from activecampaign_dagster.api.printable import one_line
from activecampaign_dagster.streams.declaration import Beside, Stream
from activecampaign_dagster.streams.registry import CORE
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.survey import effort, probes
from activecampaign_dagster.survey.effort import Count, Reread
from activecampaign_dagster.sync.axis import axis_of
from activecampaign_dagster.sync.unavailable import lacking
from activecampaign_dagster.warehouse.clock import offsets_in
from activecampaign_dagster.warehouse.ledger import OFFSETS_HONOURED, TOTALS_FOLLOW_FILTERS

INCLUDE_WORKS = "include_works"  # per child: whether its records come beside its parent's
_SEEN = 20  # records of each stream that are looked at; more of those that may be stubs


@dataclass(frozen=True, slots=True)
class Access:
    """One stream: how many rows the account says it has, or why it cannot be read.

    comes_with: the stream with whose pages it comes. unavailable: the feature that the account
    lacks. is_optional: syncs go on without it, as its feature is not there, or as the key may not
    read it and the user neither listed it by name nor needs it for the models.
    """

    stream: str
    table: str
    sync_type: str
    enabled: bool
    rows: int | None = None
    error: str | None = None
    comes_with: str | None = None
    unavailable: str | None = None
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class Hidden:
    """The number of stubs among the records of a stream that were looked at.

    hiders: the plural noun for what hides them. by: the names of those, where the API tells.
    """

    stream: str
    seen: int = 0
    stubs: int = 0
    hiders: str = ""
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Effort:
    """The cost of a sync.

    seconds: None without a limit of requests. at_least: the account does not report all totals.
    """

    requests: int
    seconds: float | None
    at_least: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """An account as its key's user sees it.

    quiet_incremental_sync: when nothing changed. rereads: what incremental syncs read besides.
    facts: what `_account_facts` keeps. Syncs go by `offsets_honoured:<stream>`
    and `totals_follow_filters:<stream>`;
    `include_works:<child>` is there to be read by people, since a sync sees for itself whether a
    child comes beside its parent (older databases may have `include_field_values` for one child).
    began: when the first record was made, of the streams whose path can be asked for spans of time.
    offsets: what the stamps of records show of the account's clock (see `warehouse.clock`).
    """

    account: str
    url: str
    user: str
    streams: tuple[Access, ...]
    first_full_sync: Effort
    quiet_incremental_sync: Effort
    rereads: tuple[Reread, ...] = ()
    hidden: tuple[Hidden, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    began: datetime | None = None
    offsets: frozenset[datetime] = frozenset()
    requests: int = 0

    @property
    def is_readable(self) -> bool:
        """Whether every enabled stream can be read, but for those that syncs go on without."""
        failed = (access for access in self.streams if access.error and not access.is_optional)
        return not any(access.enabled for access in failed)


def survey(client: Client, source: Source) -> Survey:
    """Look at an account; raises the errors of `api` if nothing can be read at all."""
    user = probes.whose_key(client)
    look = partial(_look, client, source)
    looked = list(client.executor.map(look, source.stream_tables))
    seen = [access for access, _ in looked]
    pages = {access.stream: page for access, page in looked if page}
    # what cannot be read costs no more than the attempt
    totals = {access.stream: 0 if access.error else access.rows for access in seen}
    costs = effort.costs(source, totals)
    found = Survey(
        account=source.name,
        url=client.base_url.removesuffix("/api/3"),
        user=_name(user),
        streams=tuple(seen),
        first_full_sync=_effort(client, (cost.full for cost in costs)),
        quiet_incremental_sync=_effort(client, (cost.incremental for cost in costs)),
        rereads=tuple(cost.reread for cost in costs if cost.reread),
        hidden=tuple(
            _hidden(client, stream_table.stream, pages.get(stream_table.name), str(user.get("id")))
            for stream_table in source.stream_tables
            if stream_table.stream.stub
        ),
        facts=_facts(client, source, pages),
        began=_began(client, source, pages),
        offsets=frozenset().union(
            *(
                offsets_in(stream_table.stream, pages[stream_table.name].records)
                for stream_table in source.stream_tables
                if stream_table.name in pages
            )
        ),
    )
    return replace(found, requests=client.requests)


def _look(client: Client, source: Source, stream_table: StreamTable) -> tuple[Access, Page | None]:
    """One stream's total, and a page that the probes can use."""
    stream = stream_table.stream
    access = Access(
        stream.name,
        stream_table.table,
        str(stream_table.sync_type),
        stream.name in source.enabled,
        comes_with=stream.parent,
    )
    if stream.each or (stream.beside and not stream.beside.has_own):  # no path lists all of it
        return access, None
    limit = PAGE_SIZE if stream.stub else _SEEN
    params: dict[str, str | int] = {**stream.endpoint.params, "limit": limit}
    if children := _children(stream, source):
        params["include"] = ",".join(dict.fromkeys(beside.include for beside in children.values()))
    try:
        page = client.page(stream.endpoint.path, stream.endpoint.collection, params)
    except (CredentialsError, AddressError):
        raise
    except ApiError as error:
        unavailable = lacking(stream, error)
        is_asked_for = stream_table.is_named or stream.name in CORE
        is_refused = isinstance(error, PermissionDeniedError) and not is_asked_for
        return replace(
            access,
            error=str(error),
            unavailable=unavailable,
            is_optional=unavailable is not None or is_refused,
        ), None
    rows = page.total
    if rows is None and len(page.records) < limit:
        rows = len(page.records)
    return replace(access, rows=rows), page


def _children(stream: Stream, source: Source) -> dict[str, Beside]:
    """Child → how it comes beside a stream's pages, for those that a sync may ask for there."""
    pivoted = stream.pivot.child if stream.pivot else None
    return {
        child.name: child.beside
        for child in (stream_table.stream for stream_table in source.stream_tables)
        if child.beside
        and child.beside.parent == stream.name
        and (child.name in source.enabled or child.name == pivoted)
    }


def _hidden(client: Client, stream: Stream, page: Page | None, user: str) -> Hidden:
    stub = stream.stub
    hiding = stub and stub.hidden_by
    found = Hidden(stream.name, hiders=hiding.name if hiding else "")
    if page is None or stub is None:
        return found
    records = [record for record in page.records if isinstance(record, dict)]
    stubs = [stream.key_of(record) for record in records if record.get(stub.flag) in (True, 1)]
    found = replace(found, seen=len(page.records), stubs=len(stubs))
    if not stubs or not hiding:
        return found
    try:
        by = probes.hidden_by(client, hiding, list(filter(None, stubs)), user)
    except ApiError:
        return found
    return replace(found, by=tuple(map(one_line, by)))


def _facts(client: Client, source: Source, pages: Mapping[str, Page]) -> dict[str, str]:
    facts = {}
    for stream in (stream_table.stream for stream_table in source.stream_tables):
        name, page = stream.name, pages.get(stream.name)
        if page is None:
            continue
        for child, beside in _children(stream, source).items():
            facts[f"{INCLUDE_WORKS}:{child}"] = probes.includes(page, beside.array)
        if axis_of(stream):
            try:
                follow = probes.totals_follow_filters(client, stream, page)
            except PermanentError:
                follow = "no"
            facts[f"{TOTALS_FOLLOW_FILTERS}:{name}"] = follow
        if not stream.can_filter:
            continue
        try:
            facts[f"{OFFSETS_HONOURED}:{name}"] = probes.honours_offsets(client, stream, page)
        except PermanentError:
            facts[f"{OFFSETS_HONOURED}:{name}"] = "unknown"
    return facts


def _began(client: Client, source: Source, pages: Mapping[str, Page]) -> datetime | None:
    found = []
    for stream in (t.stream for t in source.stream_tables if t.name in source.enabled):
        if stream.can_filter and stream.name in pages:
            try:
                found.append(probes.first_created(client, stream))
            except ApiError:
                return None
    stamps = [stamp for stamp in found if stamp]
    return min(stamps) if stamps and len(stamps) == len(found) else None


def _effort(client: Client, counts: Iterable[Count]) -> Effort:
    count = effort.total(counts)
    pace = client.per_second
    seconds = math.ceil(count.requests / pace) if pace else None
    return Effort(count.requests, seconds, count.at_least)


def _name(user: Mapping[str, object]) -> str:
    names = [str(user.get(key) or "") for key in ("firstName", "lastName")]
    shown = " ".join(filter(None, names)) or str(user.get("username") or "unknown")
    return one_line(f"{shown} <{user['email']}>" if user.get("email") else shown)
