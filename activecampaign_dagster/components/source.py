"""A Dagster component: one ActiveCampaign account."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import dagster as dg
from pydantic import BaseModel, ModelWrapValidatorHandler, PrivateAttr, model_validator

from activecampaign_dagster.components import personal_data, stream_tables, timing
from activecampaign_dagster.components.errors import ConfigurationError, Mistake, Place
from activecampaign_dagster.components.repeats import repeats
from activecampaign_dagster.components.scaffold import SourceScaffolder
from activecampaign_dagster.components.selection import chosen
from activecampaign_dagster.components.served import is_divided, is_served
from activecampaign_dagster.components.settings import RESERVED, TELL_OF_CHANGES, Settings
from activecampaign_dagster.components.validation import parsed, resolved
from activecampaign_dagster.orchestration import triggers
from activecampaign_dagster.orchestration.account import JOBS, Account
from activecampaign_dagster.orchestration.assets.streams import account_asset, stream_assets
from activecampaign_dagster.orchestration.automation.alerts import Alerts, failure_sensor
from activecampaign_dagster.orchestration.automation.changes import watched
from activecampaign_dagster.orchestration.automation.conditions import schedule
from activecampaign_dagster.orchestration.automation.sensors import sensors_over
from activecampaign_dagster.orchestration.automation.watch import watch
from activecampaign_dagster.orchestration.dagster_internals import file_positions, is_valid_owner
from activecampaign_dagster.orchestration.jobs import account_job
from activecampaign_dagster.orchestration.old_runs import KeepRunsError, days_kept
from activecampaign_dagster.orchestration.partitions import partitions
from activecampaign_dagster.orchestration.resources import (
    WAREHOUSE,
    WAREHOUSE_KEY,
    ActiveCampaignResource,
    location,
    use_project,
)
from activecampaign_dagster.orchestration.wording import enumerated
from activecampaign_dagster.streams.source import Source, StreamTable

_OWN_DEFS = "activecampaign_dagster.defs"
_NAMED = 8  # shared tables that a mistake names


class AsWritten(Settings):
    """The settings' schema over attributes that have not been validated."""

    _attributes: Mapping[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _keep_as_written(cls, data: Any, _: ModelWrapValidatorHandler[Self]) -> Self:
        written = cls.model_construct()
        written._attributes = data
        return written

    @property
    def written(self) -> Mapping[str, Any]:
        """The attributes as they are in the file."""
        return self._attributes


class HasAccounts(dg.Component):
    """A component that brings accounts."""

    @property
    def sources(self) -> Sequence[ActiveCampaignSource]:
        """The accounts, in the order of the file."""
        raise NotImplementedError

    @property
    def lines_of_file(self) -> Sequence[str]:
        """Mistakes that are not about one account, with their places."""
        return ()

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions of the accounts; raises ConfigurationError for mistakes in any."""
        raise NotImplementedError


@dg.scaffold_with(SourceScaffolder)
class ActiveCampaignSource(HasAccounts, Settings):
    """One ActiveCampaign account: its streams as assets, with jobs, schedules and sensors."""

    _mistakes: Sequence[Mistake] = PrivateAttr(default=())
    _place: Place = PrivateAttr(default_factory=Place)
    _among: Sequence[ActiveCampaignSource] = PrivateAttr(default=())  # once all are checked
    _folder: Path = PrivateAttr(default_factory=Path)
    _is_of_package: bool = PrivateAttr(default=False)  # in a clone of this repository

    @property
    def sources(self) -> Sequence[ActiveCampaignSource]:
        """Itself."""
        return [self]

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The attributes' schema; `load` finds all mistakes in them at once."""
        return AsWritten

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """The account in a YAML file. Mistakes are kept, to be reported with those of others."""
        written = attributes.written if isinstance(attributes, AsWritten) else {}
        resolution = context.resolution_context
        attributes_, unresolved = resolved(written, resolution)
        component, mistakes = parsed(cls, attributes_)
        empty = {mistake.path for mistake in unresolved}
        positions = file_positions(resolution)
        found = [*repeats(positions), *unresolved, *(m for m in mistakes if m.path not in empty)]
        component.keep(found, Place(positions), context.path)
        return component

    def keep(self, mistakes: Sequence[Mistake], place: Place, folder: Path) -> None:
        """Keep what was wrong with the settings, where they stand, and the component's folder."""
        self._mistakes, self._place, self._folder = mistakes, place, folder

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The account's definitions; raises ConfigurationError for mistakes in any account."""
        use_project(context.project_root)
        if not is_served(context, self._folder):
            return dg.Definitions()
        check(context, self)
        own = self.definitions()
        if any(one is not self for one in self._among[:1]):
            return own
        # the first account of a project brings the watch over the runs of all
        return dg.Definitions.merge(own, dg.Definitions(sensors=[watch]))

    def definitions(self) -> dg.Definitions:
        """The account's assets and resources, and what lets runs begin.

        Of several accounts the first brings jobs, schedules and sensors for all: Dagster wants the
        jobs of a sensor in the same definitions.
        """
        account = self.account()
        own = dg.Definitions(
            assets=[account_asset(account), stream_assets(account)],
            resources={account.resource_key: account.api, WAREHOUSE_KEY: WAREHOUSE},
        )
        among = self._among or [self]
        return dg.Definitions.merge(own, _runs(among)) if among[0] is self else own

    def source(self) -> Source:
        """The part of the settings that a sync goes by."""
        made, _ = self._stream_tables
        asked, _ = chosen(self)
        return Source(
            name=self.name,
            stream_tables=made,
            enabled=frozenset(n for n, choice in asked.items() if choice.settings.enabled),
            pivots=self.extract_contact_custom_fields,
            purge_deleted_after=personal_data.purge_deleted_after(self)[0],
            searches=self.deletions == "search",
        )

    @cached_property
    def _stream_tables(self) -> tuple[tuple[StreamTable, ...], list[Mistake]]:
        return stream_tables.stream_tables(self)

    def account(self) -> Account:
        """The part of the settings that the definitions are made from."""
        return self._account

    @cached_property
    def _account(self) -> Account:
        is_alone = len(self._among) <= 1 and not is_divided()
        share = 0.0 if is_alone else triggers.share(self.name)
        return Account(
            source=self.source(),
            api=ActiveCampaignResource(
                url_variable=self.url_variable,
                api_key_variable=self.api_key_variable,
                requests_per_second=self.requests_per_second,
            ),
            partitions=partitions(self.partition, self.start_date.isoformat(), self.timezone),
            trigger=timing.trigger(self, share)[0],
            full_sync=timing.full_sync(self, share)[0],
            description=self.description,
            owners=self.owners,
            severities=self.checks.model_dump(),
            drift=timing.drift(self)[0],
            builds_models=is_alone and not location().is_shared,
            has_own_jobs=not (is_alone and self._is_of_package),
            is_alone=is_alone,
        )

    def mistakes(self) -> list[Mistake]:
        """The mistakes in this account by itself."""
        made = [*self._stream_tables[1]]
        for part in (timing.trigger, timing.full_sync, timing.drift):
            made += part(self)[1]
        made += [*timing.zone_mistakes(self), *_owner_mistakes(self.owners)]
        made += [*personal_data.hash_mistakes(self), *personal_data.purge_deleted_after(self)[1]]
        if self.name in RESERVED:
            text = (
                f"{self.name!r} is reserved for the asset keys of dbt models: choose another name"
            )
            made.append(Mistake(("name",), text))
        # a setting that was left out as wrong can look as if it were missing
        found = [
            *self._mistakes,
            *(m for m in made if not any(_contains(m, first) for first in self._mistakes)),
        ]
        if not found and timing.trigger(self)[0].poll_seconds and not watched(self.source()):
            tell = enumerated(TELL_OF_CHANGES, "and")
            text = (
                f"changes are only visible in {tell}: enable one of them, or choose another trigger"
            )
            found.append(Mistake(("trigger",), text))
        return found

    @property
    def has_no_name(self) -> bool:
        """Whether the name is invalid, so that the account goes by the default one meanwhile."""
        return any(mistake.path == ("name",) for mistake in self._mistakes)

    def lines(self, mistakes: Iterable[Mistake]) -> list[str]:
        """Mistakes with their places."""
        return self._place.lines(self.name, mistakes)


def _runs(sources: Sequence[ActiveCampaignSource]) -> dg.Definitions:
    """The jobs of accounts, and what starts them or tells of their failures."""
    accounts = [one.account() for one in sources]
    made = [account_job(account, mode) for account in accounts for mode in JOBS]
    jobs = {job.name: job for job in made}
    schedules = [
        schedule(account, mode, jobs[account.job(mode)])
        for account in accounts
        for mode, trigger in (("incremental", account.trigger), ("full", account.full_sync))
        if trigger.crons
    ]
    alerts = [
        failure_sensor(
            one.account(),
            Alerts(urls_variable=one.alerts.urls_variable, ui_url=one.alerts.ui_url),
        )
        for one in sources
        if one.alerts
    ]
    sensors = [*sensors_over(accounts, jobs), *alerts]
    return dg.Definitions(jobs=made, schedules=schedules, sensors=sensors)


def _owner_mistakes(owners: Sequence[str]) -> Iterator[Mistake]:
    for index, owner in enumerate(owners):
        if not is_valid_owner(owner):
            text = (
                f"{owner!r} is not a valid owner: write an e-mail address, or a team as team:name"
            )
            yield Mistake(("owners", index), text)


def _contains(outer: Mistake, inner: Mistake) -> bool:
    return inner.path[: len(outer.path)] == outer.path


def accounts(context: dg.ComponentLoadContext) -> Sequence[ActiveCampaignSource]:
    """All accounts that are served, by name; raises ConfigurationError for their mistakes."""
    groups = [
        group
        for group in context.component_tree.get_all_components(of_type=HasAccounts)
        if all(is_served(context, one._folder) for one in group.sources)
    ]
    found = [one for group in groups for one in group.sources]
    lines = [line for group in groups for line in group.lines_of_file]
    for one in found:
        one._is_of_package = context.defs_module_name == _OWN_DEFS
    if lines or not all(one._among for one in found):  # each of them asks for all
        lines += [
            line
            for one, between in zip(found, clashes(found), strict=True)
            for line in one.lines([*one.mistakes(), *between])
        ]
        try:
            days_kept()
        except KeepRunsError as error:
            lines.append(str(error))
        if lines:
            raise ConfigurationError(list(dict.fromkeys(lines)))  # some settings are of several
        together(found)
    return found[0]._among if found else []


def together(found: Sequence[ActiveCampaignSource]) -> None:
    """Let accounts know of each other, before anything is made of them."""
    for one in found:
        one._among = sorted(found, key=lambda one: one.name)


def check(context: dg.ComponentLoadContext, component: ActiveCampaignSource) -> None:
    """Raise ConfigurationError for mistakes in any account, `component` included."""
    if component._among:
        return
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
    if one.has_no_name:
        return []
    if names.setdefault(one.name, one) is not one:
        text = f"another account is also called {one.name!r}: give this one another name"
        return [Mistake(("name",), text)]
    landing = [stream_table.table for stream_table in one._stream_tables[0]]
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
