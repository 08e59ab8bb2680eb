"""From settings to triggers, with the mistakes in them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from zoneinfo import available_timezones

from activecampaign_dagster.components.errors import Mistake
from activecampaign_dagster.components.settings import Clock, DriftSettings, Settings
from activecampaign_dagster.components.wording import KeyPath, suggestion
from activecampaign_dagster.orchestration import triggers
from activecampaign_dagster.orchestration.account import Drift
from activecampaign_dagster.orchestration.triggers import MANUAL, Trigger

_SHORTEST_POLL = 5  # seconds, which is how often Dagster's daemon looks at sensors
_WEEKLY = (3, 240)  # of Sundays: the hour, and the minutes over which several accounts are spread
# Long before any account began. Dagster cannot count partitions from the first years on.
_EARLIEST = date(1970, 1, 1)


def trigger(settings: Settings, share: float = 0.0) -> tuple[Trigger, list[Mistake]]:
    """The trigger of incremental syncs, and the mistakes in it.

    share: see `triggers.every`; times and cron expressions are what the user wrote.
    """
    wanted = settings.trigger
    if wanted == "manual":
        return MANUAL, []
    if wanted == "on_change":
        return Trigger(poll_seconds=60), []
    assert isinstance(wanted, Clock)  # noqa: S101
    return _read(wanted, ("trigger",), settings.timezone, share)


def full_sync(settings: Settings, share: float = 0.0) -> tuple[Trigger, list[Mistake]]:
    """The trigger of full syncs, and the mistakes in it. share: as for `trigger`."""
    wanted = settings.full_sync
    is_manual = settings.trigger == "manual"
    if wanted == "never" or (wanted is None and is_manual):
        return MANUAL, []
    if wanted is None:
        hour, within = _WEEKLY
        later, minute = divmod(int(within * share), 60)
        return Trigger(crons=(f"{minute} {hour + later} * * 0",), timezone=settings.timezone), []
    if is_manual:
        text = (
            "full_sync cannot be scheduled if trigger is manual: leave full_sync out, or set "
            "another trigger"
        )
        return MANUAL, [Mistake(("full_sync",), text)]
    assert isinstance(wanted, Clock)  # noqa: S101
    return _read(wanted, ("full_sync",), settings.timezone, share)


def drift(settings: Settings) -> tuple[Drift | None, list[Mistake]]:
    """The watch over row counts; none for a source that is started by hand only."""
    wanted = settings.drift
    if not isinstance(wanted, DriftSettings):
        return None, []
    spans, mistakes = {}, []
    for name in ("every", "at_most_every"):
        try:
            spans[name] = triggers.span(getattr(wanted, name))
        except ValueError as error:
            mistakes.append(Mistake(("drift", name), str(error)))
    if mistakes:
        return None, mistakes
    return Drift(tolerance=wanted.tolerance, **spans), []


def zone_mistakes(settings: Settings) -> Iterator[Mistake]:
    """A time zone that does not exist, or a first day that is too early or in the future."""
    zone = settings.timezone
    if not triggers.zone_exists(zone):
        hint = suggestion(zone, sorted(available_timezones())) or "; write it like Europe/Berlin"
        yield Mistake(("timezone",), f"there is no time zone {zone!r}{hint}")
    if settings.start_date < _EARLIEST:
        yield Mistake(
            ("start_date",),
            f"{settings.start_date} is before {_EARLIEST.year}: choose a day from which the "
            "account has records",
        )
    if settings.start_date > datetime.now(UTC).date():
        yield Mistake(
            ("start_date",),
            f"{settings.start_date} is in the future: choose a day from which the account has "
            "records",
        )


def _read(wanted: Clock, path: KeyPath, zone: str, share: float) -> tuple[Trigger, list[Mistake]]:
    ways = ("cron", "every", "at", "on_change")
    given = [way for way in ways if getattr(wanted, way, None) is not None]
    if not given and wanted.days is not None:
        text = 'days needs `at`, the times of the day: add for example at: ["08:00"]'
        return MANUAL, [Mistake((*path, "days"), text)]
    if len(given) != 1:
        usable = [way for way in ways if hasattr(wanted, way)]
        reason = f"{' and '.join(given)} cannot be combined" if given else "it is empty"
        return MANUAL, [Mistake(path, f"{reason}: write one of {', '.join(usable)}")]
    way = given[0]
    mistakes = []
    if wanted.days is not None and way != "at":
        text = (
            f"days can be combined with `at` only, not with {way}: write `at`, or a cron expression"
        )
        mistakes.append(Mistake((*path, "days"), text))
    if way == "cron":
        return _crons(wanted, path, zone, mistakes)
    try:
        match way:
            case "every":
                crons = triggers.every(str(wanted.every), share)
                made = Trigger(crons=crons, interval=triggers.span(str(wanted.every)))
            case "at":
                made = Trigger(crons=triggers.at(wanted.at or (), wanted.days or ()), timezone=zone)
            case _:
                seconds = int(triggers.span(str(getattr(wanted, way))).total_seconds())
                if seconds < _SHORTEST_POLL:
                    text = (
                        f"{getattr(wanted, way)!r} is too short, because Dagster checks every "
                        f"{_SHORTEST_POLL} seconds: write at least {_SHORTEST_POLL} seconds"
                    )
                    mistakes.append(Mistake((*path, way), text))
                made = Trigger(poll_seconds=max(seconds, _SHORTEST_POLL))
    except ValueError as error:
        return MANUAL, [*mistakes, Mistake((*path, way), str(error))]
    return made, mistakes


def _crons(
    wanted: Clock, path: KeyPath, zone: str, mistakes: list[Mistake]
) -> tuple[Trigger, list[Mistake]]:
    crons = [wanted.cron] if isinstance(wanted.cron, str) else wanted.cron or []
    if not crons:
        mistakes.append(Mistake((*path, "cron"), "no cron expression is listed"))
    for index, cron in enumerate(crons):
        if text := triggers.cron_mistake(cron):
            where: KeyPath = (
                (*path, "cron") if isinstance(wanted.cron, str) else (*path, "cron", index)
            )
            mistakes.append(Mistake(where, text))
    if mistakes:
        return MANUAL, mistakes
    return Trigger(crons=tuple(crons), timezone=zone), []
