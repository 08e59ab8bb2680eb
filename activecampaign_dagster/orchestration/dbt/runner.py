"""dbt as it is run here: in this process, by what it is told and nothing else.

Another dbt on the PATH, the settings of another project in DBT_* variables, and a project folder
that cannot be written make no difference. To import dbt takes 0.6 s, so this module is imported
where dbt runs.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from dagster_dbt import DbtProject
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from dbt.parser.manifest import extended_mashumaro_encoder, extended_mashumuro_decoder
from dbt_common.events.base_types import EventMsg
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]

from activecampaign_dagster.orchestration.dbt.artefacts import (
    MANIFEST,
    MERGED,
    OF,
    READ,
    ProjectError,
)
from activecampaign_dagster.orchestration.dbt.merged import merge_tests
from activecampaign_dagster.warehouse.private import SharingError, make_folder, private_files

_READING = {"--vars", "--target", "-t", "--profile"}  # options that change what dbt reads
_RESULTS = {"LogSeedResult", "LogModelResult", "LogSnapshotResult", "LogTestResult"}
_SHOWN = {"info", "warn", "error"}
_TRACES = {"MainEncounteredError", "MainStackTrace", "LogDebugStackTrace"}
_changing_environment = threading.Lock()


def parse(project: DbtProject, of: str) -> None:
    """Make the manifest anew; what is made of it appears at once and whole.

    of: a signature of what is read. Raises ProjectError if dbt cannot read the project, or if there
    is no room for the manifest.
    """
    folder = project.target_path
    place = folder / f"parse-{uuid4().hex[:8]}"
    try:
        make_folder(place)
    except SharingError as error:
        raise ProjectError(str(error)) from error
    except OSError as error:
        raise ProjectError(
            f"The folder {folder} for dbt's artefacts cannot be written ({error.strerror}): set "
            "ACTIVECAMPAIGN_DATABASE to a path in a folder that can be written."
        ) from error
    try:
        with private_files():
            with suppress(OSError):  # from which dbt reads what has not changed
                shutil.copyfile(folder / READ, place / READ)
            found = _read(project, [], place)
            (place / MERGED).write_bytes(found.to_msgpack(extended_mashumaro_encoder))
            found.write(str(place / MANIFEST))  # type: ignore[no-untyped-call]
            (place / OF).write_text(of)
        for name in (READ, MERGED, MANIFEST, OF):
            (place / name).replace(folder / name)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def manifest(project: DbtProject, args: Sequence[str]) -> Manifest:
    """The project as `parse` has left it, or read anew if the arguments could make it another one.

    Raises ProjectError.
    """
    options = _values_of(args, _READING)
    if options:
        with TemporaryDirectory(dir=project.target_path) as place:
            return _read(project, options, Path(place))
    packed = (project.target_path / MERGED).read_bytes()
    found: Manifest = Manifest.from_msgpack(packed, decoder=extended_mashumuro_decoder)
    found.build_flat_graph()  # type: ignore[no-untyped-call]
    return found


def _read(project: DbtProject, options: Sequence[str], place: Path) -> Manifest:
    """The project as dbt reads it, its tests merged. Raises ProjectError."""
    ran = run(project, ["parse", *options], place, prints=False)
    if not isinstance(ran.result, Manifest):
        reasons = "\n    ".join(ran.reasons)
        raise ProjectError(f"{project.project_dir}: dbt cannot read the project.\n    {reasons}")
    merge_tests(ran.result)
    return ran.result


def _values_of(args: Sequence[str], options: Collection[str]) -> list[str]:
    """Some options of a command, with their values."""
    found: list[str] = []
    takes = False
    for arg in args:
        if arg.startswith("-"):
            takes = arg.partition("=")[0] in options
        if takes:
            found.append(arg)
    return found


@dataclass(slots=True)
class Ran:
    """What became of a command of dbt.

    result: what dbt gives back. results: the messages, as dictionaries, that tell of each node that
    ended. reasons: the lines in which dbt told of errors.
    """

    is_success: bool = False
    result: Any = None
    results: list[dict[str, Any]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


def run(
    project: DbtProject,
    args: Sequence[str],
    artefacts: Path,
    about: Manifest | None = None,
    *,
    prints: bool = True,
) -> Ran:
    """Run a command of dbt in this process, which has dbt and the project in memory already.

    A process of its own would begin with an interpreter, imports and reading the project. All that
    dbt tells is kept in `dbt.log`. What it writes, the database's WAL included, is the owner's
    alone. SIGTERM and Ctrl-C end the query that runs, and raise KeyboardInterrupt. The database is
    closed in the end, which gives back the memory that DuckDB took.

    about: the project, for commands that do not read it. prints: whether to print what dbt tells.
    """
    ran = Ran()

    def take(event: EventMsg) -> None:
        info: Any = event.info
        if info.name in _TRACES:
            return
        if prints and info.level in _SHOWN and info.msg.strip() and not _is_of_passed_test(event):
            print(info.msg)  # which Dagster keeps as the step's output
        if info.level == "error" and info.name not in _RESULTS:
            ran.reasons += [line.rstrip() for line in info.msg.splitlines() if line.strip()]
        if info.name in _RESULTS:
            ran.results.append(MessageToDict(event, preserving_proto_field_name=True))

    options = {
        "project-dir": project.project_dir,
        "profiles-dir": project.profiles_dir,
        "target-path": artefacts,
        "log-path": artefacts,
        "log-level": "none",
        "log-level-file": "debug",
    }
    if project.profile:
        options["profile"] = project.profile
    if project.target:
        options["target"] = project.target
    command = [*args, *(f"--{name}={value}" for name, value in options.items()), "--no-use-colors"]
    runner = dbtRunner(manifest=about, callbacks=[take])
    with private_files(), _without_dbt_variables(), _interrupted_by_signals():
        try:
            ended = runner.invoke(command)
        finally:
            DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
            _close_log()
    if isinstance(ended.exception, KeyboardInterrupt):
        raise KeyboardInterrupt
    if ended.exception and not ran.reasons:
        ran.reasons = [line for line in str(ended.exception).splitlines() if line.strip()]
    ran.is_success, ran.result = ended.success, ended.result
    return ran


def _is_of_passed_test(event: EventMsg) -> bool:
    """Whether dbt tells that a test began, or that it passed: it has more tests than models."""
    began = event.info.name == "LogStartLine" and event.data.node_info.resource_type == "test"
    return began or (event.info.name == "LogTestResult" and event.info.level == "info")


def _close_log() -> None:
    """dbt leaves its log open, in a folder that may be removed."""
    log = logging.getLogger("file_log")
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Let signals be what dbt stops for; Dagster has errors of its own for them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def _without_dbt_variables() -> Iterator[None]:
    """Put the DBT_* variables aside, which may be another project's, perhaps in this process."""
    with _changing_environment:
        theirs = {
            name: os.environ.pop(name) for name in list(os.environ) if name.startswith("DBT_")
        }
        try:
            yield
        finally:
            os.environ.update(theirs)
