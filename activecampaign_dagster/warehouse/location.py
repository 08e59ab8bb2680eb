"""Where the tables live, as the setting ACTIVECAMPAIGN_DATABASE says; nothing is opened here."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.warehouse.sql import quoted

DATABASE_VARIABLE = "ACTIVECAMPAIGN_DATABASE"
SCRATCH_VARIABLE = "ACTIVECAMPAIGN_SCRATCH"
LAKE_FILES_VARIABLE = "ACTIVECAMPAIGN_LAKE_FILES"
_SPILL_VARIABLE = "ACTIVECAMPAIGN_SPILL"  # for dbt's profile
_LAKE_DATABASE_VARIABLE = "PGDATABASE"
LAKE = "ducklake:postgres"
_MOTHERDUCK = "md:"
# at least two letters, as one is a drive; a path with a colon has a slash or a dot before it
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+._-]+) ?:")
_NO_FILE = re.compile(
    r"(ducklake|postgres|postgresql|md|motherduck)|.*\b(host|dbname|password) ?=.*", re.IGNORECASE
)
_PLAIN = re.compile("[a-z_][a-z0-9_]*")  # a name that needs no quotes
_FORMS = (
    f"a path, {LAKE} or {_MOTHERDUCK}NAME; a file whose name has a colon is written with its "
    "folder, as in ./NAME"
)


class LocationError(ActiveCampaignError):
    """The setting names no warehouse; the message says why."""

    is_permanent = True


class Engine(StrEnum):
    """What keeps the tables."""

    FILE = "file"
    LAKE = "ducklake"
    MOTHERDUCK = "motherduck"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where the tables live.

    setting: what ACTIVECAMPAIGN_DATABASE is for programs that are started from here, a file's
    absolute path. label: its name in messages and run keys, the same on every host and never a
    secret. catalogue: what DuckDB calls it for readers. stem: what the names of the folders begin
    with in which this host keeps what is on its way. files: where a lake keeps its rows;
    database: PostgreSQL's, which keeps its catalogue.
    """

    engine: Engine
    setting: str
    label: str
    catalogue: str
    stem: Path
    files: str = ""
    database: str = ""

    @property
    def is_shared(self) -> bool:
        """Whether several hosts write to it at a time."""
        return self.engine is not Engine.FILE

    @property
    def path(self) -> Path:
        """The database's file; LocationError if it is none."""
        if self.engine is not Engine.FILE:
            raise LocationError(f"{self.label} is not a file.")
        return Path(self.setting)

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which programs that are started from here find it."""
        found = {DATABASE_VARIABLE: self.setting, _SPILL_VARIABLE: str(self.folder("tmp"))}
        if self.engine is Engine.LAKE:
            found |= {LAKE_FILES_VARIABLE: self.files, _LAKE_DATABASE_VARIABLE: self.database}
        return found

    def table(self, schema: str, name: str) -> str:
        """A table as a query names it that somebody writes: with the catalogue if it is needed."""
        # DuckDB takes a schema that is called like the catalogue for either
        is_attached = self.engine is not Engine.FILE
        catalogue = [self.catalogue] if is_attached or schema == self.catalogue else []
        parts = [*catalogue, schema, name]
        return ".".join(part if _PLAIN.fullmatch(part) else quoted(part) for part in parts)

    def folder(self, purpose: str) -> Path:
        """This host's own folder for a purpose: `staging`, `tmp` or `dbt`."""
        return self.stem.with_name(f"{self.stem.name}.{purpose}")


def locate(setting: str, default: Path, environ: Mapping[str, str] | None = None) -> Location:
    """The location that a setting names; default: the file that is meant if it is empty.

    Raises LocationError if the setting has a form that is unknown, or another one is missing.
    """
    environ = os.environ if environ is None else environ
    setting = setting.strip()
    scratch = environ.get(SCRATCH_VARIABLE, "").strip()
    scheme = _SCHEME.match(setting)
    if not scheme:
        try:
            path = (Path(setting).expanduser() if setting else default).absolute()
        except RuntimeError as error:
            raise LocationError(
                f"{DATABASE_VARIABLE} begins with ~ and the name of no user: set it to {_FORMS}."
            ) from error
        if _NO_FILE.fullmatch(setting) or path.name in {"", ".."}:
            raise LocationError(
                f"{DATABASE_VARIABLE} is not the path of a file: set it to {_FORMS}."
            )
        return Location(
            engine=Engine.FILE,
            setting=str(path),
            label=str(path),
            catalogue=path.name.split(".")[0],
            stem=_stem(scratch, path.parent, path.name),
        )
    if setting == LAKE:
        return _lake(scratch, default.parent.absolute(), environ)
    if setting.startswith(_MOTHERDUCK) and (name := setting.removeprefix(_MOTHERDUCK)):
        return _motherduck(name, scratch, default.parent.absolute())
    if setting.startswith("ducklake:"):
        raise LocationError(
            f"{DATABASE_VARIABLE} begins with ducklake: but is not {LAKE}: write only that, and "
            f"set PGHOST, PGUSER, PGPASSWORD and PGDATABASE: an address must not contain a "
            f"password."
        )
    # what comes after the scheme may hold a password
    raise LocationError(
        f"{DATABASE_VARIABLE} begins with {scheme[1]}:, which is unknown: set it to {_FORMS}."
    )


def _lake(scratch: str, folder: Path, environ: Mapping[str, str]) -> Location:
    values = {}
    for name, what in (
        (_LAKE_DATABASE_VARIABLE, "the name of a PostgreSQL database of the lake's own"),
        (LAKE_FILES_VARIABLE, "the folder or bucket that all hosts share, for the lake's files"),
    ):
        values[name] = environ.get(name, "").strip()
        if not values[name]:
            raise LocationError(
                f"{DATABASE_VARIABLE} is {LAKE}, but {name} is not: set it to {what}."
            )
    database, files = values.values()
    if re.search(r"[=:/\s]", database):
        raise LocationError(
            f"{DATABASE_VARIABLE} is {LAKE}, and {_LAKE_DATABASE_VARIABLE} must be the name of a "
            "database and nothing else: set the host, the user and the password by PGHOST, PGUSER "
            "and PGPASSWORD."
        )
    if "://" not in files:
        files = str(Path(files).expanduser().absolute())
    return Location(
        engine=Engine.LAKE,
        setting=LAKE,
        label=f"{LAKE} ({database})",
        catalogue="warehouse",
        stem=_stem(scratch, folder, f"lake_{database}"),
        files=files,
        database=database,
    )


def _motherduck(name: str, scratch: str, folder: Path) -> Location:
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) or name.casefold() == "activecampaign":
        raise LocationError(
            f"{DATABASE_VARIABLE} does not name a MotherDuck database: write letters, digits and _ "
            f"after {_MOTHERDUCK}, and not activecampaign, which is the schema's name."
        )
    return Location(
        engine=Engine.MOTHERDUCK,
        setting=f"{_MOTHERDUCK}{name}",
        label=f"{_MOTHERDUCK}{name}",
        catalogue=name,
        stem=_stem(scratch, folder, f"md_{name}"),
    )


def _stem(scratch: str, folder: Path, name: str) -> Path:
    return (Path(scratch).expanduser().absolute() if scratch else folder) / name
