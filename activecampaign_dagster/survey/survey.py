"""What `activecampaign check` finds out about an account, in about twenty requests."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from activecampaign_dagster.api.client import PAGE_SIZE, Client, Page
from activecampaign_dagster.api.errors import (
    ActiveCampaignError,
    AddressError,
    CredentialsError,
    PermanentError,
)
from activecampaign_dagster.streams.declaration import ByOffset
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.streams.source import Source, StreamTable
from activecampaign_dagster.survey import probes
from activecampaign_dagster.sync.plan import Read, plan
from activecampaign_dagster.sync.request import Mode, SyncRequest
from activecampaign_dagster.warehouse.ledger import OFFSETS_HONOURED

INCLUDE_WORKS = "include_field_values"


@dataclass(frozen=True, slots=True)
class Access:
    """One stream: how many rows the account says it has, or why it cannot be read."""

    stream: str
    table: str
    sync_type: str
    enabled: bool
    rows: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Effort:
    """What a sync costs; None: an account that does not tell its totals."""

    requests: int | None
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """An account as its key's user sees it.

    hidden_deals: how many of the deals looked at (`deals_seen`) are stubs. facts: what
    `_account_facts` keeps. Syncs go by `offsets_honoured:<stream>`; `include_field_values` is
    there to be read by people, since a sync sees for itself whether values come.
    """

    account: str
    url: str
    user: str
    streams: tuple[Access, ...]
    first_full_sync: Effort
    quiet_incremental_sync: Effort
    deals_seen: int = 0
    hidden_deals: int = 0
    hidden_pipelines: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    requests: int = 0

    @property
    def is_readable(self) -> bool:
        """Whether every enabled stream can be read."""
        return not any(access.error for access in self.streams if access.enabled)


def survey(client: Client, source: Source) -> Survey:
    """Look at an account; raises the errors of `api` if nothing can be read at all."""
    user = probes.whose_key(client)
    seen, pages = [], dict[str, Page]()
    for stream_table in source.stream_tables:
        access, page = _look(client, source, stream_table)
        seen.append(access)
        if page:
            pages[stream_table.name] = page
    totals = {access.stream: access.rows for access in seen}
    deals = pages["deals"].records if "deals" in pages else []
    stubs = [r["id"] for r in deals if isinstance(r, dict) and r.get("isDisabled") in (True, 1)]
    found = Survey(
        account=source.name,
        url=client.base_url.removesuffix("/api/3"),
        user=_name(user),
        streams=tuple(seen),
        first_full_sync=_effort(client, source, totals, Mode.FULL),
        quiet_incremental_sync=_effort(client, source, totals, Mode.INCREMENTAL),
        deals_seen=len(deals),
        hidden_deals=len(stubs),
        hidden_pipelines=_hidden(client, stubs, str(user.get("id"))) if stubs else (),
        facts=_facts(client, pages),
    )
    return replace(found, requests=client.requests)


def _look(client: Client, source: Source, stream_table: StreamTable) -> tuple[Access, Page | None]:
    """One stream's total, and a page that the probes can use."""
    stream = stream_table.stream
    access = Access(
        stream.name, stream_table.table, str(stream_table.sync_type), stream.name in source.enabled
    )
    limit = PAGE_SIZE if stream.name == "deals" else 20
    params: dict[str, str | int] = {"limit": limit}
    if stream.name == "contacts":
        params["include"] = "fieldValues"
    try:
        page = client.page(stream.endpoint.path, stream.endpoint.collection, params)
    except (CredentialsError, AddressError):
        raise
    except ActiveCampaignError as error:
        return replace(access, error=str(error)), None
    rows = page.total
    if rows is None and len(page.records) < limit:
        rows = len(page.records)
    return replace(access, rows=rows), page


def _hidden(client: Client, stubs: list[str], user: str) -> tuple[str, ...]:
    try:
        return tuple(probes.hidden_pipelines(client, [int(i) for i in stubs], user))
    except ActiveCampaignError:
        return ()


def _facts(client: Client, pages: Mapping[str, Page]) -> dict[str, str]:
    facts = {}
    for name, page in pages.items():
        stream = STREAMS[name]
        if not stream.can_filter:
            continue
        try:
            facts[f"{OFFSETS_HONOURED}:{name}"] = probes.honours_offsets(client, stream, page)
        except PermanentError:
            facts[f"{OFFSETS_HONOURED}:{name}"] = "unknown"
    if "contacts" in pages:
        facts[INCLUDE_WORKS] = probes.includes(pages["contacts"], "fieldValues")
    return facts


def _effort(client: Client, source: Source, totals: Mapping[str, int | None], mode: Mode) -> Effort:
    """What a sync in a mode would cost, if nothing had changed where it goes by changes."""
    now = datetime.now(UTC)
    marks = dict.fromkeys(STREAMS, now) if mode is Mode.INCREMENTAL else {}
    request = SyncRequest(streams=frozenset(STREAMS), mode=mode, sync_id="")
    requests = 0
    for read in plan(source, request, marks):
        pages = _pages(read, totals.get(read.stream.name))
        if pages is None:
            return Effort(None, None)
        requests += pages
    pace = client.per_second
    return Effort(requests, math.ceil(requests / pace) if pace else None)


def _pages(read: Read, total: int | None) -> int | None:
    if not read.is_full:
        return 1
    if total is None:
        return None
    # offset pages overlap by a row; the others end with a page that is not full
    overlap = 1 if isinstance(read.stream.walk, ByOffset) else 0
    return 1 + max(total - overlap, 0) // (PAGE_SIZE - overlap)


def _name(user: Mapping[str, object]) -> str:
    names = [str(user.get(key) or "") for key in ("firstName", "lastName")]
    shown = " ".join(filter(None, names)) or str(user.get("username") or "unknown")
    return f"{shown} <{user['email']}>" if user.get("email") else shown
