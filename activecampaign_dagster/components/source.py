"""A Dagster component: one ActiveCampaign account."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import dagster as dg
from pydantic import BaseModel, ModelWrapValidatorHandler, PrivateAttr, model_validator

from activecampaign_dagster.components import personal_data, stream_tables, timing
from activecampaign_dagster.components.errors import ConfigurationError, Mistake, Place
from activecampaign_dagster.components.repeats import repeats
from activecampaign_dagster.components.scaffold import SourceScaffolder
from activecampaign_dagster.components.selection import chosen
from activecampaign_dagster.components.settings import TELL_OF_CHANGES, Settings
from activecampaign_dagster.components.validation import parsed, resolved
from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.assets.streams import stream_assets
from activecampaign_dagster.orchestration.automation.alerts import Alerts, failure_sensor
from activecampaign_dagster.orchestration.automation.changes import change_sensor, watched
from activecampaign_dagster.orchestration.automation.conditions import schedule
from activecampaign_dagster.orchestration.automation.drift import drift_sensor
from activecampaign_dagster.orchestration.automation.first_sync import first_sync_sensor
from activecampaign_dagster.orchestration.dagster_internals import file_positions, is_valid_owner
from activecampaign_dagster.orchestration.jobs import account_job
from activecampaign_dagster.orchestration.partitions import partitions
from activecampaign_dagster.orchestration.resources import ActiveCampaignResource
from activecampaign_dagster.orchestration.wording import enumerated
from activecampaign_dagster.streams.source import Source

_RESERVED = {"intermediate", "marts", "seeds", "snapshots", "staging"}  # first in dbt's asset keys
_NAMED = 8  # shared tables that a mistake names


class _AsWritten(Settings):
    """The settings' schema over attributes that have not been validated."""

    _attributes: Mapping[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _keep_as_written(cls, data: Any, _: ModelWrapValidatorHandler[Self]) -> Self:
        written = cls.model_construct()
        written._attributes = data
        return written


@dg.scaffold_with(SourceScaffolder)
class ActiveCampaignSource(dg.Component, Settings):
    """One ActiveCampaign account: its streams as assets, with jobs, schedules and sensors."""

    _mistakes: Sequence[Mistake] = PrivateAttr(default=())
    _place: Place = PrivateAttr(default_factory=Place)

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The attributes' schema; `load` finds all mistakes in them at once."""
        return _AsWritten

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """The account in a YAML file. Mistakes are kept, to be reported with those of others."""
        written = attributes._attributes if isinstance(attributes, _AsWritten) else {}
        resolution = context.resolution_context
        attributes_, unresolved = resolved(written, resolution)
        component, mistakes = parsed(cls, attributes_)
        empty = {mistake.path for mistake in unresolved}
        positions = file_positions(resolution)
        component._mistakes = [
            *repeats(positions),
            *unresolved,
            *(m for m in mistakes if m.path not in empty),
        ]
        component._place = Place(positions)
        return component

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The account's definitions; raises ConfigurationError for mistakes in any account."""
        check(context, self)
        return self.definitions()

    def definitions(self) -> dg.Definitions:
        """The account's assets, jobs, schedules, sensors and resource."""
        account = self.account()
        incremental, full = account_job(account, "incremental"), account_job(account, "full")
        schedules = []
        if account.trigger.crons:
            schedules.append(schedule(account, "incremental", incremental))
        if account.full_sync.crons:
            schedules.append(schedule(account, "full", full))
        return dg.Definitions(
            assets=[stream_assets(account)],
            jobs=[incremental, full],
            schedules=schedules,
            sensors=self._sensors(account, incremental, full),
            resources={account.resource_key: account.api},
        )

    def _sensors(self, account: Account, incremental: Any, full: Any) -> list[dg.SensorDefinition]:
        sensors = []
        if not account.trigger.is_manual:
            sensors.append(first_sync_sensor(account, full))
            if account.drift:
                sensors.append(drift_sensor(account, account.drift, full))
        if account.trigger.poll_seconds:
            sensors.append(change_sensor(account, incremental))
        if self.alerts:
            alerts = Alerts(urls_variable=self.alerts.urls_variable, ui_url=self.alerts.ui_url)
            sensors.append(failure_sensor(account, alerts))
        return sensors

    def source(self) -> Source:
        """The part of the settings that a sync goes by."""
        made, _ = stream_tables.stream_tables(self)
        asked, _ = chosen(self)
        return Source(
            name=self.name,
            stream_tables=made,
            enabled=frozenset(n for n, choice in asked.items() if choice.settings.enabled),
            pivots=self.extract_contact_custom_fields,
            purge_deleted_after=personal_data.purge_deleted_after(self)[0],
            searches=self.deletions == "search",
        )

    def account(self) -> Account:
        """The part of the settings that the definitions are made from."""
        return Account(
            source=self.source(),
            api=ActiveCampaignResource(
                url_variable=self.url_variable,
                api_key_variable=self.api_key_variable,
                requests_per_second=self.requests_per_second,
            ),
            partitions=partitions(self.partition, self.start_date.isoformat(), self.timezone),
            trigger=timing.trigger(self)[0],
            full_sync=timing.full_sync(self)[0],
            description=self.description,
            owners=self.owners,
            severities=self.checks.model_dump(),
            drift=timing.drift(self)[0],
        )

    def mistakes(self) -> list[Mistake]:
        """The mistakes in this account by itself."""
        parts = (stream_tables.stream_tables, timing.trigger, timing.full_sync, timing.drift)
        made = [mistake for part in parts for mistake in part(self)[1]]
        made += [*timing.zone_mistakes(self), *_owner_mistakes(self.owners)]
        made += [*personal_data.hash_mistakes(self), *personal_data.purge_deleted_after(self)[1]]
        if self.name in _RESERVED:
            text = f"{self.name!r} begins the keys of dbt's assets: choose another name"
            made.append(Mistake(("name",), text))
        # a setting that was left out as wrong can look as if it were missing
        found = [
            *self._mistakes,
            *(m for m in made if not any(_contains(m, first) for first in self._mistakes)),
        ]
        if not found and timing.trigger(self)[0].poll_seconds and not watched(self.source()):
            tell = enumerated(TELL_OF_CHANGES, "and")
            text = f"only {tell} tell of changes: enable one, or choose another trigger"
            found.append(Mistake(("trigger",), text))
        return found

    def lines(self, mistakes: Iterable[Mistake]) -> list[str]:
        """Mistakes with their places."""
        return self._place.lines(self.name, mistakes)


def _owner_mistakes(owners: Sequence[str]) -> Iterator[Mistake]:
    for index, owner in enumerate(owners):
        if not is_valid_owner(owner):
            text = (
                f"{owner!r} is not a valid owner: write an e-mail address, or a team as team:name"
            )
            yield Mistake(("owners", index), text)


def _contains(outer: Mistake, inner: Mistake) -> bool:
    return inner.path[: len(outer.path)] == outer.path


def accounts(context: dg.ComponentLoadContext) -> list[ActiveCampaignSource]:
    """All accounts of the project, by name; raises ConfigurationError for their mistakes."""
    found = context.component_tree.get_all_components(of_type=ActiveCampaignSource)
    lines = [
        line
        for one, between in zip(found, clashes(found), strict=True)
        for line in one.lines([*one.mistakes(), *between])
    ]
    if lines:
        raise ConfigurationError(lines)
    return sorted(found, key=lambda one: one.name)


def check(context: dg.ComponentLoadContext, component: ActiveCampaignSource) -> None:
    """Raise ConfigurationError for mistakes in any account, `component` included."""
    if not any(one is component for one in accounts(context)):  # made in Python
        lines = component.lines(component.mistakes())
        if lines:
            raise ConfigurationError(lines)


def clashes(found: Sequence[ActiveCampaignSource]) -> list[list[Mistake]]:
    """For each account, its mistakes that come from getting in an earlier one's way."""
    names: dict[str, ActiveCampaignSource] = {}
    tables: dict[str, ActiveCampaignSource] = {}
    return [_clashes(one, names, tables) for one in found]


def _clashes(
    one: ActiveCampaignSource,
    names: dict[str, ActiveCampaignSource],
    tables: dict[str, ActiveCampaignSource],
) -> list[Mistake]:
    if names.setdefault(one.name, one) is not one:
        text = f"another source is called {one.name!r} too: give this one another name"
        return [Mistake(("name",), text)]
    landing = [stream_table.table for stream_table in stream_tables.stream_tables(one)[0]]
    shared = [table for table in landing if table.casefold() in tables]
    others = {tables[table.casefold()].name for table in shared}
    tables.update({table.casefold(): one for table in landing})
    if not shared:
        return []
    named = [*shared[:_NAMED], *([f"{len(shared) - _NAMED} more"] if shared[_NAMED:] else [])]
    text = (
        f"this account would share the tables {enumerated(named, 'and')} with "
        f"{enumerated(sorted(others), 'and')}: give "
        f"one of them a table_prefix, such as {one.name}_"
    )
    return [Mistake(("table_prefix",), text)]
