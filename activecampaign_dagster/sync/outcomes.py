"""The outcome of a sync: what became of each stream, and why some could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.streams.source import StreamTable
from activecampaign_dagster.sync.plan import Read
from activecampaign_dagster.warehouse.delivery import Landed


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a sync did for one stream. requests and seconds are those of the read that fed it.

    at: the moment that its rows are stamped with. total: how many records the account counted;
    None if it was not asked or did not say. searched: the requests of the search for deletions that
    followed, which are among `requests`; 0 if there was none.
    """

    stream_table: StreamTable
    read: Read
    landed: Landed
    rows_read: int
    stubs: int
    pages: int
    requests: int
    seconds: float
    resumed: bool
    notes: tuple[str, ...]
    at: datetime
    total: int | None = None
    searched: int = 0


class UnforeseenError(ActiveCampaignError):
    """Something went wrong that nobody thought of; a later run may succeed."""

    def __init__(self, error: BaseException) -> None:
        lines = str(error).strip().splitlines()
        reason = f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
        super().__init__(f"An unexpected error ({reason}). Please report it.")


class SyncError(ActiveCampaignError):
    """Some streams could not be read; the others have been landed.

    failures: stream name → what went wrong. is_permanent: no retry can help.
    """

    def __init__(self, failures: Mapping[str, ActiveCampaignError]) -> None:
        self.failures = dict(failures)
        self.is_permanent = all(error.is_permanent for error in failures.values())
        alike: dict[str, list[str]] = {}
        for name, error in failures.items():
            alike.setdefault(_reason(error), []).append(name)
        super().__init__("\n".join(self._line(*each) for each in alike.items()))

    def _line(self, reason: str, names: list[str]) -> str:
        texts = {str(self.failures[name]) for name in names}
        return f"{', '.join(names)}: {texts.pop() if len(texts) == 1 else reason}"


def _reason(error: Exception) -> str:
    """What went wrong, the same for all streams that it happened to: an outage is one line."""
    path = getattr(error, "path", None)
    return str(error).replace(f"GET {path} on ", "GET … on ") if path else str(error)
