"""The spool: what was read is on disk before it is landed, so that a killed run can go on.

One folder per read holds segments (newline-delimited JSON, one record per line: its number in the
order of reading `n`, the record `r`, and once more as `x` if it has no proper key, and
as `_u` the texts of fields that no column can hold) and
`state.json`, which says how many segments are whole and where the walk goes on after them. Both
are replaced atomically; a segment that the state does not count is ignored. Segments are
compressed: a made-up contact with three values takes 250 bytes instead of 3,700.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson
from backports import zstd

from activecampaign_dagster.api.keys import KeyOf
from activecampaign_dagster.sync.deep_json import written
from activecampaign_dagster.warehouse.warehouse import WarehouseError

_SEGMENT_SECONDS = 10.0
_SEGMENT_BYTES = 6_000_000
_RESUME_WITHIN = timedelta(hours=24)
_NUL = b"\\u0000"  # as JSON writes it
_STATE, _SUFFIX = "state.json", "ndjson.zst"
_VERSION = 5  # of the folder's layout


class Arrival(StrEnum):
    """How a child's records came that were asked for beside a parent's pages."""

    WHOLE = "whole"
    IGNORED = "ignored"  # no page had any
    INCOMPLETE = "incomplete"  # some pages had none, or not all that their parents list


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a read has come and what it has learnt; it outlives a kill."""

    rows: int = 0
    pages: int = 0
    total: int = 0  # the largest that a page gave
    stubs: int = 0
    left_out: int = 0  # parents whose own path cannot be read
    newest: datetime | None = None  # stamp of the record that was changed last
    began: datetime | None = None  # when the first page was sent, by the account's clock
    ahead: float = 0.0  # seconds by which this machine's clock is ahead of the account's
    arrivals: dict[str, Arrival] = field(default_factory=dict)  # by child, once it is known
    children: dict[str, int] = field(default_factory=dict)  # by child, how many records came
    extras: dict[str, list[str]] = field(default_factory=dict)  # table → undeclared fields
    notes: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, saved: Mapping[str, Any]) -> Progress:
        """The progress in the JSON that orjson makes of it."""
        stamps = {
            name: datetime.fromisoformat(saved[name])
            for name in ("newest", "began")
            if saved.get(name)
        }
        arrivals = {name: Arrival(each) for name, each in saved.get("arrivals", {}).items()}
        return cls(**{**saved, **stamps, "arrivals": arrivals})


class Spool:
    """The spooled records of one read, resumed if an earlier process left them unfinished.

    fingerprint: what is read and how; only a folder with the same one is resumed.
    landed: when what it feeds was landed last; what an earlier process read before that, perhaps
    on another host, is left. progress: what was learnt on the way; saved with every segment.
    """

    def __init__(
        self,
        folder: Path,
        fingerprint: str,
        now: datetime,
        *,
        resumable: bool = True,
        landed: datetime | None = None,
    ) -> None:
        self.folder = folder
        self._landed = landed
        self.outdated = False  # whether there was something to go on from, but from before that
        self._fingerprint = f"{_VERSION}:{fingerprint}"
        saved = self._load(now) if resumable else None
        self.resumed = saved is not None
        if saved is None:
            shutil.rmtree(folder, ignore_errors=True)
            saved = {"began": now.isoformat(), "walk": None, "segments": 0, "rows": 0}
            saved |= {"longest": 0, "sizes": {}, "progress": {}}
        self.began = datetime.fromisoformat(saved["began"])
        self.walk: dict[str, Any] | None = saved["walk"]
        self.progress = Progress.load(saved["progress"])
        self._segments: int = saved["segments"]
        self._rows: int = saved["rows"]
        self.longest: int = saved["longest"]  # bytes of the longest line
        self.sizes: Counter[str] = Counter(saved["sizes"])  # bytes of JSON by name
        self._lines: dict[str, list[bytes]] = {}
        self._bytes = 0
        self._opened = time.monotonic()

    def _load(self, now: datetime) -> dict[str, Any] | None:
        try:
            saved: dict[str, Any] = orjson.loads((self.folder / _STATE).read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return None
        fresh = now - datetime.fromisoformat(saved["began"]) < _RESUME_WITHIN
        if not fresh or saved["fingerprint"] != self._fingerprint:
            return None
        began = datetime.fromisoformat(saved["began"])
        self.outdated = self._landed is not None and began < self._landed
        return None if self.outdated else saved

    def add(self, name: str, records: Iterable[Any], key_of: KeyOf) -> None:
        """Append records to the open segment, under a name that their files can be asked for by."""
        lines = [
            _line(number, record, has_key=key_of(record) is not None)
            for number, record in enumerate(records, self._rows + 1)
        ]
        lengths = [len(line) for line in lines]
        self._rows += len(lines)
        self._bytes += sum(lengths)
        self.longest = max([self.longest, *lengths])
        self._lines.setdefault(name, []).extend(lines)

    @property
    def segment_is_full(self) -> bool:
        """Whether the open segment has grown large or old enough to be closed."""
        age = time.monotonic() - self._opened
        return self._bytes > _SEGMENT_BYTES or age > _SEGMENT_SECONDS

    def close_segment(self, walk: dict[str, Any]) -> None:
        """Make all that was added so far, and where the walk goes on after it, permanent."""
        for name, lines in self._lines.items():
            if lines:
                self._segments += 1
                segment = b"".join(lines)
                self.sizes[name] += len(segment)
                self._write(f"{self._segments:06d}-{name}.{_SUFFIX}", zstd.compress(segment, 1))
        self._lines.clear()
        self._bytes = 0
        self._opened = time.monotonic()
        self.walk = walk
        state = {
            "fingerprint": self._fingerprint,
            "began": self.began.isoformat(),
            "walk": walk,
            "segments": self._segments,
            "rows": self._rows,
            "longest": self.longest,
            "sizes": self.sizes,
            "progress": self.progress,
        }
        self._write(_STATE, orjson.dumps(state))

    def _write(self, name: str, content: bytes) -> None:
        partial = self.folder / f"{name}.partial"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.folder / name)
        except OSError as error:
            raise WarehouseError(
                f"Records cannot be written to {self.folder} ({error.strerror}): make room "
                "there or set ACTIVECAMPAIGN_DATABASE to another disk; the next run resumes from "
                "here."
            ) from error

    def files(self, name: str) -> list[str]:
        """The whole segments of a name, in the order of reading."""
        found = sorted(self.folder.glob(f"*-{name}.{_SUFFIX}"))
        return [str(path) for path in found if int(path.name[:6]) <= self._segments]

    def remove(self) -> None:
        """Forget everything."""
        shutil.rmtree(self.folder, ignore_errors=True)


def forget(root: Path, stream_tables: set[str]) -> None:
    """Remove what is staged for tables below `root`: what was landed since supersedes it."""
    for folder in root.iterdir() if root.exists() else ():
        if stream_tables & set(folder.name.split("+")):
            shutil.rmtree(folder, ignore_errors=True)


def _line(number: int, record: Any, *, has_key: bool) -> bytes:
    try:
        text = orjson.dumps(record)
        is_odd = _NUL in text
    except TypeError:  # nested more deeply than orjson writes
        text, is_odd = b"", True
    if is_odd:
        record, unfit = _without_unfit(record)
        text = orjson.dumps(record)
        if unfit:
            text += b',"_u":' + orjson.dumps(unfit)
    if has_key:
        return b'{"n":%d,"r":%s}\n' % (number, text)
    if not isinstance(record, dict):
        return b'{"n":%d,"x":%s}\n' % (number, text)
    whole = orjson.dumps(record)
    return b'{"n":%d,"r":%s,"x":%s}\n' % (number, text, whole)


def _without_unfit(record: Any) -> tuple[Any, dict[str, str]]:
    """A record without the fields that no column can hold, and those as texts.

    That is what is nested too deeply, and what has a NUL in its name.
    """
    if not isinstance(record, dict):
        return written(record), {}
    kept, unfit = {}, {}
    for name, value in record.items():
        try:
            orjson.dumps({name: value})  # as deep as it is in the record
            fits = "\0" not in name
        except TypeError:
            fits = False
        if fits:
            kept[name] = value
        else:
            unfit[name.replace("\0", "\\u0000")] = written(value)
    return kept, unfit
