"""The clock of an account: the time zone in which its stamps without an offset are read.

Stamps that come with an offset show it. The days and offsets that it rests on are kept with it, so
that what one sync sees in winter and another one in summer count together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

import duckdb

from activecampaign_dagster.api.stamps import parse_stamp
from activecampaign_dagster.streams.declaration import Stream
from activecampaign_dagster.warehouse import ledger
from activecampaign_dagster.warehouse.warehouse import Connect, commit

TIME_ZONE = "time_zone"  # fact: an IANA name
OFFSETS_SEEN = "offsets_seen"  # fact: the last day of a month with each offset that it had
# Where several agree with what was seen, the first counts: those where most accounts are come
# before others with the same offsets. The names are known to DuckDB, too.
ZONES = (
    *("America/Chicago", "America/New_York", "America/Los_Angeles", "America/Denver"),
    *("Europe/London", "Europe/Berlin", "Europe/Athens", "Europe/Moscow", "Europe/Istanbul"),
    *("Australia/Sydney", "Australia/Brisbane", "Australia/Adelaide", "Australia/Darwin"),
    *("Pacific/Auckland", "America/Sao_Paulo", "America/Argentina/Buenos_Aires"),
    *("America/Mexico_City", "America/Bogota", "America/Puerto_Rico", "America/Santiago"),
    *("America/Phoenix", "America/Anchorage", "Pacific/Honolulu", "America/Halifax"),
    *("America/St_Johns", "America/Havana", "America/Asuncion", "America/Regina"),
    *("Asia/Kolkata", "Asia/Shanghai", "Asia/Singapore", "Australia/Perth", "Asia/Tokyo"),
    *("Asia/Bangkok", "Asia/Jakarta", "Asia/Dhaka", "Asia/Karachi", "Asia/Dubai", "Asia/Riyadh"),
    *("Asia/Jerusalem", "Asia/Beirut", "Asia/Tehran", "Asia/Kabul", "Asia/Almaty"),
    *("Asia/Kathmandu", "Asia/Yangon", "Africa/Johannesburg", "Africa/Cairo", "Africa/Lagos"),
    *("Africa/Nairobi", "Africa/Casablanca", "UTC", "Atlantic/Azores", "Atlantic/Cape_Verde"),
    *("America/Noronha", "America/Nuuk", "Australia/Lord_Howe", "Australia/Eucla"),
    *("Pacific/Guadalcanal", "Pacific/Norfolk", "Pacific/Fiji", "Pacific/Chatham"),
    *("Pacific/Tongatapu", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Pacific/Marquesas"),
    *("Pacific/Gambier", "Pacific/Pitcairn", "Pacific/Easter"),
)
UNLESS_KNOWN = ZONES[0]
_LOOKED_AT = 10  # records of a page
_KEPT = 24  # days: some two years
_DAY = timedelta(days=1)
_FIRST_YEAR = 1970
_FORM = "%Y-%m-%d %z"


@dataclass(frozen=True, slots=True)
class Clock:
    """What is known of an account's clock.

    zone: None if it is not established. days: midnights, with the offset that was seen.
    """

    zone: str | None = None
    days: frozenset[datetime] = frozenset()

    @classmethod
    def noted(cls, facts: Mapping[str, str]) -> Self:
        """The clock in the facts about an account."""
        days = filter(None, facts.get(OFFSETS_SEEN, "").split(", "))
        return cls(facts.get(TIME_ZONE), frozenset(datetime.strptime(d, _FORM) for d in days))

    @property
    def read_in(self) -> str:
        """The zone in which stamps without an offset are read."""
        return self.zone or UNLESS_KNOWN

    @property
    def facts(self) -> dict[str, str]:
        """The facts that note it."""
        days = ", ".join(f"{day:{_FORM}}" for day in sorted(self.days))
        found = {TIME_ZONE: self.zone or "", OFFSETS_SEEN: days}
        return {fact: value for fact, value in found.items() if value}

    def after(self, seen: Set[datetime]) -> Clock:
        """The clock once more was seen: what agrees with all of it, or with the latest at least.

        If no zone does, a known one stays.
        """
        if not seen:
            return self
        for days in (_thinned(self.days | seen), _thinned(seen)):
            agreeing = (zone for zone in (self.zone, *ZONES) if zone and _agrees(zone, days))
            if zone := next(agreeing, None):
                return Clock(zone, frozenset(days[-_KEPT:]))
        return self if self.zone else Clock(None, frozenset(_thinned(seen)[-_KEPT:]))

    def agrees(self, seen: Set[datetime]) -> bool:
        """Whether the zone that stamps are read in has the offsets that were seen."""
        return _agrees(self.read_in, seen)


def offsets_in(stream: Stream, records: Sequence[Any]) -> set[datetime]:
    """The days of stamps, as midnights with their offset; a few records tell enough.

    Only streams that can be selected by their stamps tell: some of the others write theirs in UTC,
    whatever the account's zone is. So does a Z. Before the first year zones had other offsets.
    """
    values = [
        record.get(name)
        for record in (records[:_LOOKED_AT] if stream.can_filter else ())
        if isinstance(record, dict)
        for name in stream.stamps
    ]
    stamps = (parse_stamp(value) for value in values if not str(value).endswith("Z"))
    return {
        stamp.replace(hour=0, minute=0, second=0, microsecond=0)
        for stamp in stamps
        if stamp and stamp.year >= _FIRST_YEAR
    }


def note(db: duckdb.DuckDBPyConnection, account: str, clock: Clock) -> None:
    """Replace what is known of an account's clock, in the transaction that is open."""
    known = clock.facts
    for fact in (TIME_ZONE, OFFSETS_SEEN):
        if fact in known:
            ledger.note_fact(db, account, fact, known[fact])
        else:
            ledger.forget_fact(db, account, fact)


def learn(open_database: Connect, account: str, seen: Set[datetime]) -> Clock:
    """Note what was seen of an account's clock; raises WarehouseError."""
    with open_database() as db:
        ledger.create(db)
        found = Clock.noted(ledger.facts(db, account)).after(seen)
        commit(db, lambda: note(db, account, found))
    return found


def zones(db: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Account → its zone, where it is established."""
    return ledger.values_of(db, TIME_ZONE)


def _thinned(days: Iterable[datetime]) -> list[datetime]:
    """The last day of each month and offset, in their order."""
    found = {(day.year, day.month, day.utcoffset()): day for day in sorted(days)}
    return sorted(found.values())


def _agrees(zone: str, days: Iterable[datetime]) -> bool:
    """Whether clocks of a zone had the offsets of days, or had them a day before or after.

    Some stamps have the offset of a neighbouring hour: the API writes digits of UTC into them.
    """
    there = ZoneInfo(zone)
    return all(
        day.utcoffset() in ((day + shift).astimezone(there).utcoffset() for shift in (-_DAY, _DAY))
        for day in days
    )
