"""The settings of an account: names, types, defaults and descriptions.

The reference in docs/configuration.md is generated from these models.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

import dagster as dg
from pydantic import BeforeValidator, Discriminator, Field, Tag, create_model

from activecampaign_dagster.orchestration.checks import CHECKS
from activecampaign_dagster.orchestration.triggers import DAYS
from activecampaign_dagster.orchestration.wording import enumerated
from activecampaign_dagster.streams.declaration import Family
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.sync.axis import axis_of


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


def _day(value: Any) -> Any:
    """A weekday in full, which may be shortened: Mon, tues."""
    name = _lower(value)
    if not isinstance(name, str) or len(name) < 3:
        return value
    return next((day for day in DAYS if day.startswith(name)), value)


def _listed(value: Any) -> Any:
    return value if value is None or isinstance(value, list | dict) else [value]


# YAML reads the words on and off as booleans, so that neither is used here.
Severity = Annotated[Literal["warn", "error", "ignore"], BeforeValidator(_lower)]
Day = Annotated[
    Literal["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"],
    BeforeValidator(_day),
]
Texts = Annotated[list[str], BeforeValidator(_listed, json_schema_input_type=str | list[str])]
Days = Annotated[list[Day], BeforeValidator(_listed, json_schema_input_type=Day | list[Day])]
SyncTypeName = Annotated[Literal["INCREMENTAL", "FULL_TABLE"], BeforeValidator(_upper)]

RESERVED = {"intermediate", "marts", "seeds", "snapshots", "staging"}  # first in dbt's asset keys
SEARCHED = [stream.name for stream in STREAMS.values() if axis_of(stream)]
TELL_OF_CHANGES = [stream.name for stream in STREAMS.values() if stream.can_filter]
MAY_BE_STUBS = {stream.name: stream.stub for stream in STREAMS.values() if stream.stub}
_STUB_FIELDS = {enumerated(stub.fields, "and") for stub in MAY_BE_STUBS.values()}
_HIDERS = {stub.hidden_by.name for stub in MAY_BE_STUBS.values() if stub.hidden_by}
_PIVOTED = next(f"`{s.pivot.column}`" for s in STREAMS.values() if s.pivot)
_PIVOTS = [f"`{s.name}.{s.pivot.column}`" for s in STREAMS.values() if s.pivot]

# the name of one in the environment; a key, which is all digits and a to f, is none
_VARIABLE = "^(?:[A-Za-z_][A-Za-z0-9_]{0,31}|[A-Za-z_][A-Za-z0-9_]*[G-Zg-z_][A-Za-z0-9_]*)$"


class Clock(dg.Model):
    """When full syncs start: one of `cron`, `every` and `at`."""

    cron: str | list[str] | None = Field(
        default=None,
        description="A cron expression or a list of them, in the account's `timezone`.",
    )
    every: str | None = Field(
        default=None,
        description="An interval that divides the day evenly, such as 30 minutes, 2 hours, 1 day.",
    )
    at: Texts | None = Field(
        default=None,
        description='Times of the day in the account\'s `timezone`: ["08:00", "17:30"].',
    )
    days: Days | None = Field(
        default=None,
        description="With `at`: the weekdays, such as [Mon, Fri]; without it, every day.",
    )


class TriggerSettings(Clock):
    """When incremental syncs start: one of `cron`, `every`, `at` and `on_change`."""

    on_change: str | None = Field(
        default=None,
        description=f"How often to ask whether {enumerated(TELL_OF_CHANGES, 'or')} changed, with "
        "one request for each; a sync starts only if they did. Such as 10 seconds, 1 minute.",
    )


class RereadSettings(dg.Model):
    """How often incremental syncs read the whole stream."""

    every: str = Field(
        description="The shortest time between two such reads, such as 30 minutes, 6 hours, 1 day."
    )


def _kind(value: Any) -> str:
    return "word" if isinstance(value, str) else "settings"


Reread = Annotated[
    Annotated[Literal["always", "never"], Tag("word")] | Annotated[RereadSettings, Tag("settings")],
    Discriminator(_kind),
]


class StreamSettings(dg.Model):
    """The settings of one stream."""

    name: str = Field(description="The stream's name; `activecampaign streams` lists all.")
    enabled: bool = Field(
        default=True,
        description="Whether the stream is read. An entry also turns on a stream that is off by "
        "default.",
    )
    table: str | None = Field(
        default=None, description="The table's name, without prefix. Default: the stream's name."
    )
    sync_type: SyncTypeName | None = Field(
        default=None,
        description="INCREMENTAL: incremental syncs read what changed. FULL_TABLE: they read "
        "everything. Default: the stream's own.",
    )
    fields: Texts | None = Field(
        default=None,
        description="The only fields to store. Ids and timestamps that a sync needs are always "
        "stored. Fields that hold secrets are stored only if they are listed here.",
    )
    exclude_fields: Texts | None = Field(
        default=None, description="Fields not to store; all other declared fields are stored."
    )
    access: Annotated[Literal["full", "partial"], BeforeValidator(_lower)] | None = Field(
        default=None,
        description=f"{enumerated(MAY_BE_STUBS, 'and')} only. full: the key's user may manage "
        f"the {enumerated(_HIDERS, 'and')}. partial: it may not; records then have only "
        f"{enumerated(_STUB_FIELDS, 'or')}, and are read as FULL_TABLE.",
    )
    reread: Reread | None = Field(
        default=None,
        description="How often incremental syncs read the whole stream: `{every: 6 hours}`, "
        "`always` (each time) or `never`. Full syncs always do. Default: every hour for FULL_TABLE "
        "streams, but `always` if `sync_type` here made them so; for streams that come with "
        "another one, what `activecampaign streams NAME` shows, mostly every day; otherwise "
        "never.",
    )


_Severities = create_model(
    "_Severities",
    __base__=dg.Model,
    **{c.name: (Severity, Field(default="warn", description=c.description)) for c in CHECKS},  # type: ignore[call-overload]
)


class CheckSettings(_Severities):  # type: ignore[misc, valid-type]
    """The severity of each check's findings: `warn` or `error`. `ignore` removes the check."""


class DriftSettings(dg.Model):
    """Compares the account's totals with the tables' live rows, and starts full syncs."""

    every: str = Field(default="1 hour", description="How often totals are requested.")
    tolerance: float = Field(
        default=0.01, ge=0, le=1, description="The share of rows by which the two may differ."
    )
    at_most_every: str = Field(
        default="1 day", description="The shortest time between two such full syncs of a stream."
    )


class AlertSettings(dg.Model):
    """Where messages about failed runs are sent."""

    urls_variable: str = Field(
        pattern=_VARIABLE,
        description="Environment variable that holds the Apprise URLs to send them to, separated "
        "by spaces: webhooks, e-mail, chat.",
    )
    ui_url: str = Field(
        default="http://localhost:3000",
        description="Address of Dagster's UI, for the link to the run.",
    )


Entry = Annotated[
    Annotated[str, Tag("word")] | Annotated[StreamSettings, Tag("settings")],
    Discriminator(_kind),
]
Streams = Annotated[
    Annotated[str, Tag("word")] | Annotated[list[Entry], Tag("settings")],
    Discriminator(_kind),
]
When = Annotated[
    Annotated[Literal["manual", "on_change"], Tag("word")]
    | Annotated[TriggerSettings, Tag("settings")],
    Discriminator(_kind),
]
WhenFull = Annotated[
    Annotated[Literal["never"], Tag("word")] | Annotated[Clock, Tag("settings")],
    Discriminator(_kind),
]
Drift = Annotated[
    Annotated[Literal["never"], Tag("word")] | Annotated[DriftSettings, Tag("settings")],
    Discriminator(_kind),
]


class Settings(dg.Model):
    """One ActiveCampaign account."""

    name: str = Field(
        default="activecampaign",
        pattern="^[a-z][a-z0-9_]*$",
        description="The account's name: the first part of its asset keys, jobs and schedules.",
    )
    description: str = Field(
        default="", max_length=140, description="Shown in the UI; at most 140 characters."
    )
    url_variable: str = Field(
        default="ACTIVECAMPAIGN_URL",
        pattern=_VARIABLE,
        description="Environment variable that holds the account's URL.",
    )
    api_key_variable: str = Field(
        default="ACTIVECAMPAIGN_API_KEY",
        pattern=_VARIABLE,
        description="Environment variable that holds the API key.",
    )
    streams: Streams = Field(
        default="all",
        description="What is read: names of streams, names of families "
        f"({enumerated((f'`{family}`' for family in Family), 'and')}), `all` or `core`, one or a "
        "list of them. Families and `all` include the streams that are on by default, `core` those "
        "that the main models need. An entry of the list can also be a stream's settings, which "
        "also apply to a stream that a family includes.",
    )
    table_prefix: str = Field(
        default="",
        description="Prefix of the names of all tables, so that accounts do not share tables.",
    )
    extract_contact_custom_fields: bool = Field(
        default=True,
        description="Read the values of custom fields together with the records that have them, "
        f"and keep them in {enumerated(_PIVOTS, 'and')} too.",
    )
    hash_fields: Texts = Field(
        default_factory=list,
        description="Fields of which only a keyed hash is stored, in every stream that has them, "
        f"such as email and phone, or {_PIVOTED} for all values of custom fields. "
        "The key is the environment variable ACTIVECAMPAIGN_HASH_KEY.",
    )
    purge_deleted_after: str | None = Field(
        default=None,
        description="How long rows of deleted records are kept, such as 30 days. Default: forever.",
    )
    trigger: When = Field(
        default_factory=lambda: TriggerSettings(every="1 hour"),
        description="When incremental syncs start: `manual`, `on_change`, or settings. "
        "Default: every hour.",
    )
    full_sync: WhenFull | None = Field(
        default=None,
        description="When full syncs start, which also find deletions: `never`, or settings. "
        "Default: Sundays at 03:00; never if the trigger is manual.",
    )
    deletions: Annotated[Literal["search", "full_sync_only"], BeforeValidator(_lower)] = Field(
        default="search",
        description="How deletions are found between full syncs. search: incremental syncs compare "
        f"row counts of {enumerated(SEARCHED, 'and')} with the account's totals and look for the "
        "records that are gone, with no more requests than a full read. full_sync_only: only full "
        "syncs find them.",
    )
    timezone: str = Field(
        default="UTC",
        description="IANA time zone of schedules and partitions, such as Europe/Berlin, and of "
        "days and months in the models unless dbt's variable `reporting_timezone` is set.",
    )
    start_date: date = Field(
        default=date(2020, 1, 1),
        description="Any day of the first partition, from 1970-01-01 to today.",
    )
    partition: Annotated[Literal["month", "week", "day"], BeforeValidator(_lower)] = Field(
        default="month",
        description="The length of a partition. Dagster writes an event for each partition that a "
        f"full sync of {enumerated(TELL_OF_CHANGES, 'or')} covers for the first time, so `day` is "
        "slow if there are many years.",
    )
    owners: Texts = Field(
        default_factory=list,
        description="Owners of the account's assets and of the models: e-mail addresses, or teams "
        "as team:name.",
    )
    requests_per_second: int = Field(
        default=5,
        ge=0,
        description="Requests that may start per second; ActiveCampaign allows 5. "
        "0: no limit, only for the simulated account.",
    )
    checks: CheckSettings = Field(
        default_factory=CheckSettings,
        description="The severity of each check's findings: warn, error or ignore.",
    )
    drift: Drift = Field(
        default_factory=DriftSettings,
        description="Starts a full sync of a stream when its row count has drifted from the "
        "account's total: `never`, or settings.",
    )
    alerts: AlertSettings | None = Field(
        default=None, description="Where messages about failed runs are sent. Default: nowhere."
    )
