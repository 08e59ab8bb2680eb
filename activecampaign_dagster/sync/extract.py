"""From the account to staging: one read, checked, filtered and counted record by record."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from activecampaign_dagster.api.client import PAGE_SIZE, Client, Page, Params
from activecampaign_dagster.api.ranges import CreatedWalk, IdWalk
from activecampaign_dagster.api.stamps import first_stamp
from activecampaign_dagster.api.walks import OffsetWalk, State, Walk, read, record_id
from activecampaign_dagster.streams.declaration import ByCreation, ById, Stream
from activecampaign_dagster.streams.source import StreamTable
from activecampaign_dagster.sync.plan import Read
from activecampaign_dagster.sync.request import Mode
from activecampaign_dagster.sync.spool import SideLoads, Staging

_REPORT_SECONDS = 10.0
_CLOCK_SKEW = timedelta(hours=1)  # how far this machine's clock may be ahead of the account's
_STAMP = timedelta(seconds=1)  # stamps and the account's clock are whole seconds


class Extraction:
    """One read under way: takes pages and stages what they hold.

    `tags` maps the ids of custom fields to personalisation tags, for `customFields`; None if
    they could not be read, now or ever. `has_values`: whether earlier syncs landed all custom
    field values.
    """

    def __init__(
        self,
        read: Read,
        client: Client,
        staging: Staging,
        log: logging.Logger,
        tags: Callable[[], Mapping[str, str] | None],
        *,
        has_values: bool,
    ) -> None:
        self.read = read
        self._client = client
        self._staging = staging
        self._log = log
        self._tags = tags
        self._has_values = has_values
        self._shapes: dict[str, set[tuple[str, ...]]] = {}
        self._began = self._reported = time.monotonic()
        self.requests = 0
        self.fields: list[Any] = []  # records kept in memory, of /fields only
        self.progress = staging.progress
        self._rows_before = staging.progress.rows
        self._announced: int | None = None  # the total beside the first page
        self._came: set[int | str] = set()  # of records, where they are to be counted

    @property
    def began(self) -> datetime:
        """When the read began: by the account's clock, which stamps what changes meanwhile."""
        return self.progress.began or self._staging.began

    @property
    def watermark(self) -> datetime | None:
        """The newest stamp, but none from which on changes may have been missed.

        That is what comes after the read began, where stamps in the future lie as well.
        """
        newest = self.progress.newest
        return newest and min(newest, self.began - _STAMP)

    def run(self) -> None:
        """Read to the end, from where an earlier process stopped. Raises the errors of `api`."""
        resumed = self._staging.resumed
        if resumed and self.progress.rows:
            self._log.info("%s: going on after %s rows", self.read.name, self.progress.rows)
        walk = _walk_for(self.read, self._staging.walk, self.note)
        self._walk(walk, walk.state)
        changed = self.read.changed_since(self.began - self.read.margin - _CLOCK_SKEW)
        if resumed and changed:
            # what changed behind the part that was read before the kill
            self._read_again(changed, walk.state)
        elif self._is_short:
            self._log.info("%s: fewer records came than were said to: again", self.read.name)
            self._read_again(self.read, walk.state)
        self._report()

    @property
    def _is_short(self) -> bool:
        """Whether fewer records came than the account said had changed.

        Then a page may have been short by mishap, and the watermark would pass over what it lacks.
        It may also be a record that was deleted meanwhile, or a total that counts others, too: so
        one more reading is all the total is trusted with.
        """
        is_incremental = self.read.mode is Mode.INCREMENTAL
        return is_incremental and len(self._came) < (self._announced or 0)

    def _read_again(self, read_: Read, state: Callable[[], State]) -> None:
        """Stage another reading behind the first; records that come twice are landed once."""
        again = Extraction(
            read_,
            self._client,
            self._staging,
            self._log,
            self._tags,
            has_values=self._has_values,
        )
        again._walk(_walk_for(read_, None, self.note), state)
        self.requests += again.requests

    def newest(self) -> Page:
        """One more page: the records added last, if the collection can be asked for them."""
        self.requests += 1
        stream = self.read.stream
        params: dict[str, str | int] = {"limit": PAGE_SIZE}
        if isinstance(stream.walk, ById | ByCreation):
            params[stream.walk.order] = "DESC"
        return self._client.page(stream.endpoint.path, stream.endpoint.collection, params)

    def _walk(self, walk: Walk, state: Callable[[], State]) -> None:
        """Take every page of `walk`; `state` is where a later process goes on."""

        endpoint = self.read.stream.endpoint

        def fetch(params: Params) -> Page:
            self.requests += 1
            return self._client.page(endpoint.path, endpoint.collection, params)

        pages = read(walk, fetch, self._client.executor, lambda: self._client.in_flight)
        staged = state()  # the walk counts a page before it is staged, which may fail
        try:
            for page in pages:
                self._take(page)
                staged = state()
                if self._staging.segment_is_full:
                    self._staging.close_segment(staged)
                if time.monotonic() - self._reported > _REPORT_SECONDS:
                    self._report()
            staged = state()
            self._note_side_loads()
        finally:
            self._staging.close_segment(staged)

    def note(self, text: str) -> None:
        """Say something about this read in the log and in its outcome, once."""
        if text not in self.progress.notes:
            self.progress.notes.append(text)
            self._log.warning("%s: %s", self.read.name, text)

    def _take(self, page: Page) -> None:
        if self.read.mode is Mode.INCREMENTAL:
            self._came.update(record_id(record) or str(record) for record in page.records)
        if self.progress.pages == 0:
            self._announced = page.total
        # a page behind a cursor may count only what lies behind it
        self.progress.total = max(self.progress.total, page.total or 0)
        if page.at:
            self.progress.began = min(page.at, self.progress.began or page.at)
        self.progress.pages += 1
        self.progress.rows += len(page.records)
        _attach_side_loads(self.read.stream, page)
        records = [record for record in page.records if self._counts(record)]
        if self.read.include and page.records:
            self._take_side(page, records)
        if self.read.include and not self.read.main:
            ids = [{"id": i} for record in records if (i := record_id(record))]
            self._staging.add(self.read.stream.name, ids)  # to be counted
        if self.read.main:
            self._stage(self.read.main, records)
        if self.read.stream.name == "custom_fields":
            self.fields.extend(records)

    def _counts(self, record: Any) -> bool:
        """Whether a record is within the read's span; also notes the newest stamp."""
        stream = self.read.stream
        if not isinstance(record, dict):
            return True
        stamp = first_stamp(record, stream.stamps)
        if stamp is None:
            self.progress.stubs += bool(stream.stub and record.get(stream.stub.flag))
            return True
        since, until = self.read.since, self.read.until
        if (since and stamp < since) or (until and stamp >= until):
            # how the API reads offsets is not known: up to a day off is no wonder
            slack = self.read.margin + timedelta(days=1)
            if (since and stamp < since - slack) or (until and stamp > until + slack):
                self.note("The API returned records outside the date filter; they were left out.")
            return False
        self.progress.newest = max(stamp, self.progress.newest or stamp)
        return True

    def _take_side(self, page: Page, records: list[Any]) -> None:
        """The side-loaded records of the parents that count, as long as all of them come."""
        include = str(self.read.include)
        values = page.body.get(include)
        parents = {str(r["id"]): r for r in records if isinstance(r, dict) and "id" in r}
        listed = {str(i) for r in parents.values() for i in _list(r.get(include))}
        of_parents = [
            value
            for value in _list(values)
            if isinstance(value, dict)
            and (str(value.get("id")) in listed or str(value.get("contact")) in parents)
        ]
        came = SideLoads.WHOLE
        if not isinstance(values, list):
            came = SideLoads.IGNORED
        elif not listed <= {str(value.get("id")) for value in of_parents}:
            came = SideLoads.INCOMPLETE
        if self.progress.side_loads not in {None, came}:
            came = SideLoads.INCOMPLETE
        self.progress.side_loads = came
        if came is not SideLoads.WHOLE:
            self.progress.has_custom_fields = False
            return
        if self.read.side:
            self._stage(self.read.side, of_parents)
        if self.read.custom_fields and self.progress.has_custom_fields:
            self._fill_custom_fields(parents, of_parents)

    def _fill_custom_fields(
        self, contacts: Mapping[str, dict[str, Any]], values: Iterable[dict[str, Any]]
    ) -> None:
        """Give each contact its values under their personalisation tags."""
        tags = self._tags()
        if tags is None:
            self.progress.has_custom_fields = False
            self.note(
                "The custom fields could not be read: customFields stay as they are until they can."
            )
            return
        found: dict[str, dict[str, Any]] = {contact: {} for contact in contacts}
        for value in values:
            field, contact = str(value.get("field")), str(value.get("contact"))
            found.setdefault(contact, {})[tags.get(field, field)] = value.get("value")
        for contact, record in contacts.items():
            record["customFields"] = dict(sorted(found[contact].items()))

    def _note_side_loads(self) -> None:
        """Say what comes of side-loads that did not come as they should."""
        include = self.read.include
        if not include or self.progress.side_loads in {None, SideLoads.WHOLE}:
            return
        ignored = self.progress.side_loads == SideLoads.IGNORED
        if self.read.side:
            remedy = f"custom field values are taken from /{include} instead."
        elif not ignored:
            when = "this window is read again" if self.read.until else "the next sync reads them"
            remedy = (
                f"customFields of these contacts stay as they are until {when}. If this comes "
                "again and again, enable custom_field_values."
            )
        elif self._has_values:
            remedy = "custom field values are taken from what earlier syncs landed instead."
        else:
            remedy = (
                "customFields stay as they are. Enable custom_field_values, and sync it in full, "
                "to have them filled."
            )
        reason = f"The API ignored include={include}"
        self.note(f"{reason if ignored else f'include={include} left records out'}; {remedy}")

    def _stage(self, stream_table: StreamTable, records: list[Any]) -> None:
        """Write records of a table, noticing fields that nobody declared."""
        if stream_table.keep is not None:
            kept = stream_table.keep
            records = [
                {key: r[key] for key in r if key in kept} if isinstance(r, dict) else r
                for r in records
            ]
        shapes = self._shapes.setdefault(stream_table.name, set())
        for record in records:
            if isinstance(record, dict) and (shape := tuple(record)) not in shapes:
                shapes.add(shape)
                extras = self.progress.extras.setdefault(stream_table.name, [])
                declared = {field.name for field in stream_table.stream.fields}
                extras += [key for key in shape if key not in declared and key not in extras]
        self._staging.add(stream_table.name, records)

    def _report(self) -> None:
        """One line on how far the read is."""
        self._reported = time.monotonic()
        seconds = self._reported - self._began
        rows, total = self.progress.rows, self.progress.total
        read_now = rows - self._rows_before
        share = left = ""
        if 0 < rows <= total:
            share = f" of {total} ({rows / total:.0%})"
        if rows < total and read_now:
            left = f", about {(total - rows) * seconds / read_now:.0f} s left"
        self._log.info(
            "%s: %s rows%s, %s pages, %.1f requests/s, %.0f s%s",
            self.read.name,
            rows,
            share,
            self.progress.pages,
            self.requests / seconds if seconds else 0.0,
            seconds,
            left,
        )


def _walk_for(read_: Read, state: State | None, warn: Callable[[str], None]) -> Walk:
    match read_.stream.walk:
        case ById():
            return IdWalk(read_.filters, state=state)
        case ByCreation():
            return CreatedWalk(read_.filters, state=state, warn=warn)
        case _:
            return OffsetWalk(read_.filters, state=state)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _attach_side_loads(stream: Stream, page: Page) -> None:
    """Put side-loaded records in place of the ids that their parents list."""
    for field, array in ((f.name, f.nested_from) for f in stream.fields if f.nested_from):
        records = page.body.get(array)
        by_id = {str(r.get("id")): r for r in records or () if isinstance(r, dict)}
        for record in page.records:
            if isinstance(record, dict) and isinstance(ids := record.get(field), list):
                record[field] = [by_id.get(str(i), i) for i in ids]
