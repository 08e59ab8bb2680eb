"""A Dagster component: several ActiveCampaign accounts that share settings."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import dagster as dg
from pydantic import BaseModel, Field

from activecampaign_dagster.components.errors import Mistake, Place
from activecampaign_dagster.components.repeats import repeats
from activecampaign_dagster.components.scaffold import AccountsScaffolder
from activecampaign_dagster.components.settings import Settings
from activecampaign_dagster.components.source import (
    ActiveCampaignSource,
    AsWritten,
    HasAccounts,
    accounts,
)
from activecampaign_dagster.components.validation import parsed, resolved
from activecampaign_dagster.components.wording import suggestion
from activecampaign_dagster.orchestration.dagster_internals import FilePositions, file_positions

_OF_ONE = ("name", "url_variable", "api_key_variable", "table_prefix")
# what a table's cell cannot hold
_NESTED = ("owners", "hash_fields", "checks", "drift", "alerts")
_COLUMNS = [name for name in Settings.model_fields if name not in _NESTED]


class AccountsSettings(dg.Model):
    """Several accounts in one file, of the type `activecampaign_dagster.ActiveCampaignAccounts`.

    Beside `accounts`, the file can have all settings of an account except `name` and
    `table_prefix`. They apply to every account that does not set them itself. By default, an
    account's `url_variable` is `<NAME>_URL`, its `api_key_variable` `<NAME>_API_KEY` and its
    `table_prefix` `<name>_`. To create such a file:
    `dg scaffold defs activecampaign_dagster.ActiveCampaignAccounts agencies`.
    """

    accounts: list[Settings] | str = Field(
        default_factory=list,
        description="A list with the `name` of each account and its own settings, or the path of a "
        "CSV file beside this one. The CSV file has a row for each account and a column for each "
        "setting; a cell holds one word, and empty cells are not set.",
    )


class _Schema(AccountsSettings, AsWritten):
    """The settings of one account, for all of them, and the accounts."""


# not as a word of ours: a stream has the name, too
[_ACCOUNTS] = _Schema.model_fields.keys() - Settings.model_fields.keys()


@dg.scaffold_with(AccountsScaffolder)
class ActiveCampaignAccounts(HasAccounts):
    """Several ActiveCampaign accounts with shared settings: a list, or the rows of a CSV file.

    Each account has a `name`. By default, its URL and key are in the environment variables
    `<NAME>_URL` and `<NAME>_API_KEY`, and its tables begin with `<name>_`.
    """

    def __init__(self, sources: Sequence[ActiveCampaignSource], lines: Sequence[str]) -> None:
        self._sources, self._lines = sources, lines

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The attributes' schema; `load` finds all mistakes in them at once."""
        return _Schema

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """The accounts in a YAML file. Mistakes are kept, to be reported with those of others."""
        written = attributes.written if isinstance(attributes, AsWritten) else {}
        positions = file_positions(context.resolution_context)
        settings, mistakes = resolved(written, context.resolution_context)
        mistakes += repeats(positions)
        listed = settings.pop(_ACCOUNTS, None)
        made = _Made(settings, positions, context.path)
        for name in ("name", "table_prefix"):
            if name in settings:
                text = "is each account's own: write it into the list of accounts"
                mistakes.append(Mistake((name,), text))
        if isinstance(listed, str):
            made.read_table(context.path / listed, mistakes)
        elif isinstance(listed, list) and listed:
            made.read_list(listed, mistakes)
        else:
            text = "list the accounts, or write the path of a CSV file with a row for each"
            mistakes.append(Mistake((_ACCOUNTS,), text))
        return cls(made.sources, Place(positions).lines(_ACCOUNTS, mistakes))

    @property
    def sources(self) -> Sequence[ActiveCampaignSource]:
        """The accounts, as they are listed."""
        return self._sources

    @property
    def lines_of_file(self) -> Sequence[str]:
        """Mistakes that are not about one account, with their places."""
        return self._lines

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions of the accounts; raises ConfigurationError for mistakes in any."""
        among = accounts(context)
        served = [one for one in self._sources if any(one is other for other in among)]
        return dg.Definitions.merge(*(one.build_defs(context) for one in served))


class _Made:
    """Accounts in the making. settings: those that all have. folder: the component's."""

    def __init__(
        self, settings: Mapping[str, Any], positions: FilePositions | None, folder: Path
    ) -> None:
        self._settings, self._positions, self._folder = settings, positions, folder
        self.sources: list[ActiveCampaignSource] = []

    def read_list(self, listed: Sequence[Any], mistakes: list[Mistake]) -> None:
        """Make the accounts of a list."""
        for index, entry in enumerate(listed):
            path = (_ACCOUNTS, index)
            if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
                text = "an account needs a name: write for example {name: shop}"
                mistakes.append(Mistake(path, text))
                continue
            self._add(entry, Place(self._positions, own=entry.keys(), under=path))

    def read_table(self, file: Path, mistakes: list[Mistake]) -> None:
        """Make the accounts of a CSV file's rows; empty cells are not set."""
        try:
            with file.open(encoding="utf-8-sig", newline="") as lines:
                table = csv.DictReader(lines, strict=True)
                unknown = [name for name in table.fieldnames or () if name not in _COLUMNS]
                if unknown:
                    more = suggestion(unknown[0], _COLUMNS)
                    text = (
                        f"{file.name} has a column {unknown[0]!r}, which is not a setting of one "
                    )
                    mistakes.append(Mistake((_ACCOUNTS,), f"{text}word{more}"))
                    return
                rows = [(table.line_num, row) for row in table]
        except (OSError, ValueError, csv.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            mistakes.append(Mistake((_ACCOUNTS,), f"{file} cannot be read: {reason}"))
            return
        if not rows:
            mistakes.append(Mistake((_ACCOUNTS,), f"{file.name} has no rows"))
        mistakes += self._add_rows(file, rows)

    def _add_rows(
        self, file: Path, rows: Sequence[tuple[int, dict[str, Any]]]
    ) -> Iterator[Mistake]:
        for number, row in rows:
            if None in row or None in row.values():
                text = f"line {number} of {file.name} does not have as many cells as the first line"
                yield Mistake((_ACCOUNTS,), text)
                continue
            cells = {name: cell.strip() for name, cell in row.items() if cell.strip()}
            if "name" not in cells:
                yield Mistake((_ACCOUNTS,), f"line {number} of {file.name} has no name")
                continue
            self._add(cells, Place(self._positions, own=cells.keys(), row=(file, number)))

    def _add(self, own: Mapping[str, Any], place: Place) -> None:
        name = own["name"]
        apart = (name, f"{name.upper()}_URL", f"{name.upper()}_API_KEY", f"{name}_")
        derived = dict(zip(_OF_ONE, apart, strict=True))
        component, mistakes = parsed(ActiveCampaignSource, {**derived, **self._settings, **own})
        if any(mistake.path == ("name",) for mistake in mistakes):
            # what is derived from an invalid name is invalid, too
            component, mistakes = parsed(
                ActiveCampaignSource, {**self._settings, **own, "name": name}
            )
        component.keep(mistakes, place, self._folder)
        self.sources.append(component)
