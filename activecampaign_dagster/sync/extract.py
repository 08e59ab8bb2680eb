"""From the account to staging: one read, checked, filtered and counted record by record."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from activecampaign_dagster.api.client import Client, Page, Params
from activecampaign_dagster.api.ranges import CreatedWalk, IdWalk
from activecampaign_dagster.api.walks import OffsetWalk, State, Walk, read
from activecampaign_dagster.streams.declaration import Stream
from activecampaign_dagster.streams.declaration import Walk as WalkKind
from activecampaign_dagster.sync.plan import Read
from activecampaign_dagster.sync.source import Target
from activecampaign_dagster.sync.stage import Staging

_REPORT_SECONDS = 10.0


class Extraction:
    """One read under way: takes pages and stages what they hold.

    `tags` maps the ids of custom fields to personalisation tags, for `customFields`.
    The facts that outlive a kill are kept in `staging.facts`.
    """

    def __init__(
        self,
        read: Read,
        client: Client,
        staging: Staging,
        log: logging.Logger,
        tags: Callable[[], Mapping[str, str]],
    ) -> None:
        self.read = read
        self._client = client
        self._staging = staging
        self._log = log
        self._tags = tags
        self._shapes: dict[str, set[tuple[str, ...]]] = {}
        self._began = self._reported = time.monotonic()
        self._total: int | None = None
        self.requests = 0
        self.fields: list[Any] = []  # records kept in memory, of /fields only
        facts = staging.facts
        facts.setdefault("rows", 0)
        facts.setdefault("pages", 0)
        facts.setdefault("stubs", 0)
        facts.setdefault("watermark", None)
        facts.setdefault("extras", {})
        facts.setdefault("notes", [])
        facts.setdefault("include", None)  # None: not known yet

    @property
    def facts(self) -> dict[str, Any]:
        """What was learnt about the records, as JSON."""
        return self._staging.facts

    def run(self) -> None:
        """Read to the end, from where an earlier process stopped. Raises the errors of `api`."""
        resumed = self._staging.resumed
        if resumed:
            self._log.info("%s: going on after %s rows", self.read.name, self.facts["rows"])
        walk = _walk_for(self.read, self._staging.walk, self._note)
        self._walk(walk, walk.state)
        if resumed and self.read.stream.date_filters:
            # what changed behind the part that was read before the kill
            changed = self.read.changed_since(self._staging.began - self.read.margin)
            self._walk(_walk_for(changed, None, self._note), walk.state)
        self._report()

    def _walk(self, walk: Walk, state: Callable[[], State]) -> None:
        """Take every page of `walk`; `state` is where a later process goes on."""

        def fetch(params: Params) -> Page:
            self.requests += 1
            return self._client.page(self.read.stream.path, self.read.stream.collection, params)

        pages = read(walk, fetch, self._client.executor, lambda: self._client.in_flight)
        try:
            for page in pages:
                self._take(page)
                if self._staging.segment_is_full:
                    self._staging.close_segment(state())
                if time.monotonic() - self._reported > _REPORT_SECONDS:
                    self._report()
        finally:
            self._staging.close_segment(state())

    def _note(self, text: str) -> None:
        if text not in self.facts["notes"]:
            self.facts["notes"].append(text)
            self._log.warning("%s: %s", self.read.name, text)

    def _take(self, page: Page) -> None:
        self._total = page.total if page.total is not None else self._total
        self.facts["pages"] += 1
        self.facts["rows"] += len(page.records)
        _attach_side_loads(self.read.stream, page)
        records = [record for record in page.records if self._counts(record)]
        if self.read.include and page.records:
            self._take_side(page, records)
        if self.read.main:
            self._stage(self.read.main, records)
        if self.read.stream.name == "custom_fields":
            self.fields.extend(records)

    def _counts(self, record: Any) -> bool:
        """Whether a record is within the read's span; also moves the watermark on."""
        stream = self.read.stream
        if not isinstance(record, dict) or not stream.replication_key:
            return True
        stamp = _moment(record.get(stream.replication_key)) or _moment(
            record.get(stream.created_key or "")
        )
        if stamp is None:
            self.facts["stubs"] += bool(stream.stub_flag and record.get(stream.stub_flag))
            return True
        since, until = self.read.since, self.read.until
        if (since and stamp < since) or (until and stamp >= until):
            # how the API reads offsets is not known: up to a day off is no wonder
            slack = self.read.margin + timedelta(days=1)
            if (since and stamp < since - slack) or (until and stamp > until + slack):
                self._note("The API returned records outside the date filter; they were left out.")
            return False
        # a stamp in the future would keep later changes from being read
        stamp = min(stamp, self._staging.began)
        seen = self.facts["watermark"]
        if seen is None or stamp > datetime.fromisoformat(seen):
            self.facts["watermark"] = stamp.isoformat()
        return True

    def _take_side(self, page: Page, records: list[Any]) -> None:
        """The side-loaded records of the parents that count."""
        include = str(self.read.include)
        values = page.body.get(include)
        if self.facts["include"] is None:
            self.facts["include"] = isinstance(values, list)
            if not self.facts["include"]:
                self._note(
                    f"The API ignored include={include}; custom field values are read "
                    f"from /{include} instead."
                )
        if not self.facts["include"]:
            return
        parents = {str(r["id"]): r for r in records if isinstance(r, dict) and "id" in r}
        of_parents = [v for v in values or () if str(v.get("contact")) in parents]
        listed = sum(len(r.get(include) or ()) for r in parents.values())
        if listed != len(of_parents):
            self.facts["include"] = False
            self._note(f"include={include} left records out; they are read from /{include} too.")
        if self.read.side:
            self._stage(self.read.side, of_parents)
        if self.read.custom_fields:
            tags = self._tags()
            found: dict[str, dict[str, Any]] = {contact: {} for contact in parents}
            for value in of_parents:
                field = str(value.get("field"))
                found[str(value["contact"])][tags.get(field, field)] = value.get("value")
            for contact, record in parents.items():
                record["customFields"] = dict(sorted(found[contact].items()))

    def _stage(self, target: Target, records: list[Any]) -> None:
        """Write records of a target, noticing fields that nobody declared."""
        if target.keep is not None:
            kept = target.keep
            records = [
                {key: r[key] for key in r if key in kept} if isinstance(r, dict) else r
                for r in records
            ]
        shapes = self._shapes.setdefault(target.name, set())
        for record in records:
            if isinstance(record, dict) and (shape := tuple(record)) not in shapes:
                shapes.add(shape)
                extras = self.facts["extras"].setdefault(target.name, [])
                declared = {field.name for field in target.stream.fields}
                extras += [key for key in shape if key not in declared and key not in extras]
        self._staging.add(target.name, records)

    def _report(self) -> None:
        """One line on how far the read is."""
        self._reported = time.monotonic()
        seconds = self._reported - self._began
        rows, total = self.facts["rows"], self._total
        share = f" of {total} ({rows / total:.0%})" if total and total >= rows else ""
        pace = self.requests / seconds if seconds else 0.0
        left = (total - rows) * seconds / rows if total and 0 < rows < total else 0.0
        self._log.info(
            "%s: %s rows%s, %s pages, %.1f requests/s, %.0f s, %.0f s left",
            self.read.name,
            rows,
            share,
            self.facts["pages"],
            pace,
            seconds,
            left,
        )


def _walk_for(read_: Read, state: State | None, warn: Callable[[str], None]) -> Walk:
    match read_.stream.walk:
        case WalkKind.ID:
            return IdWalk(read_.filters, state=state)
        case WalkKind.CREATED:
            return CreatedWalk(read_.filters, state=state, warn=warn)
        case WalkKind.OFFSET:
            return OffsetWalk(read_.filters, state=state)


def _moment(text: Any) -> datetime | None:
    """An ISO stamp with an offset; None for anything else, zero dates included."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _attach_side_loads(stream: Stream, page: Page) -> None:
    """Put side-loaded records in place of the ids that their parents list."""
    for array, field in stream.side_loads:
        records = page.body.get(array)
        by_id = {str(r.get("id")): r for r in records or () if isinstance(r, dict)}
        for record in page.records:
            if isinstance(record, dict) and isinstance(ids := record.get(field), list):
                record[field] = [by_id.get(str(i), i) for i in ids]


def personalisation_tags(fields: Iterable[Any]) -> dict[str, str]:
    """Custom field id → personalisation tag; a tag that two fields share gets the id of the later.

    fields: records of /fields.
    """
    tags: dict[str, str] = {}
    known = [f for f in fields if isinstance(f, dict) and "id" in f]
    for field in sorted(known, key=lambda f: (len(str(f["id"])), str(f["id"]))):
        field_id, tag = str(field["id"]), str(field.get("perstag") or field["id"])
        tags[field_id] = f"{tag}_{field_id}" if tag in tags.values() else tag
    return tags
