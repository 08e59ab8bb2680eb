"""Finds runs whose process is gone, ends them and frees what they held.

Each run holds a lock in the instance's folder, which the kernel takes from a dead process: on the
same machine, a run whose lock is free has died, and one whose lock is held lives. Of a run on
another host only its silence tells: one that lives logs something every few minutes, so one that
has been silent for long is gone with its host.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.orchestration.account import MODE_TAG
from activecampaign_dagster.orchestration.storage_errors import StorageError
from activecampaign_dagster.sync.locks import has_living_holder, holder, remove
from activecampaign_dagster.warehouse.private import make_folder

SILENCE_VARIABLE = "ACTIVECAMPAIGN_RUN_SILENCE"
HOST_TAG = "activecampaign/host"  # on runs: the host whose process executes them
_DEFAULT_SILENCE = 900.0  # seconds
_SIGNS_OF_LIFE = 3  # in the time after which a run counts as dead
_PAGE = 500  # runs that may be under way at once


class SilenceError(ActiveCampaignError):
    """The setting is not a number of seconds."""

    is_permanent = True


def silence() -> float:
    """Seconds after which a run that has logged nothing is dead; raises SilenceError."""
    value = os.environ.get(SILENCE_VARIABLE, "").strip()
    try:
        seconds = float(value) if value else _DEFAULT_SILENCE
    except ValueError:
        seconds = math.nan
    if not 1 <= seconds < math.inf:
        raise SilenceError(
            f"{SILENCE_VARIABLE} is {value!r}: set it to a number of seconds, such as 900."
        )
    return seconds


def runs_folder(instance: dg.DagsterInstance) -> Path | None:
    """Where an instance's runs keep their locks; None if no other process shares it."""
    if instance.is_ephemeral:
        return None
    folder = Path(instance.root_directory) / "activecampaign_runs"
    try:
        make_folder(folder)
    except OSError:
        return None
    return folder


def lock_of(runs: Path, run_id: str) -> Path:
    """The lock that a run holds while it lives."""
    return runs / f"{run_id}.lock"


def end_dead_runs_of_this_machine(
    instance: dg.DagsterInstance, runs: Path, log: logging.Logger
) -> list[str]:
    """Mark runs whose process here has died as failed, and free their slots; returns their ids.

    runs: the folder with the locks of the runs.
    """
    found = []
    for path in sorted(runs.glob("*.lock")):
        if has_living_holder(path) is not False:
            continue
        run_id, who = path.stem, holder(path)
        run = instance.get_run_by_id(run_id)
        instance.event_log_storage.free_concurrency_slots_for_run(run_id)
        remove(path)
        found.append(run_id)
        if run is not None and not run.is_finished:
            _end(
                instance,
                run,
                f"The {who or 'process'} has died without ending the run {run_id[:8]} of "
                f"{run.job_name}: the run is marked as failed, and its pools are free.",
                log,
            )
    return found


def end_silent_run(
    instance: dg.DagsterInstance,
    run: dg.DagsterRun,
    runs: Path | None,
    log: logging.Logger,
    limit: float,
) -> bool:
    """Mark a started run as failed if it has been silent for long; returns whether it has.

    limit: what is long, in seconds.
    """
    if run.status is not dg.DagsterRunStatus.STARTED:
        return False
    if runs and has_living_holder(lock_of(runs, run.run_id)):
        return False  # a machine that was asleep wakes the watch before the run
    silent_for = _silent_for(instance, run)
    if silent_for is None or silent_for < limit:
        return False
    host = run.tags.get(HOST_TAG)
    _end(
        instance,
        run,
        f"The run {run.run_id[:8]} of {run.job_name} has logged nothing for {limit:.0f} s, so its "
        f"process{f' on {host}' if host else ''} must be gone. The run is marked as failed, and "
        f"its pools are free.",
        log,
    )
    return True


def end_dead_runs(instance: dg.DagsterInstance, log: logging.Logger) -> list[str]:
    """Look at this project's runs under way, of any account, job and host, and end the dead ones.

    Returns their ids. Raises SilenceError.
    """
    limit = silence()
    runs = runs_folder(instance)
    found = end_dead_runs_of_this_machine(instance, runs, log) if runs else []
    started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    for run in instance.get_runs(started, limit=_PAGE):
        # those of other projects give no signs of life
        is_own = HOST_TAG in run.tags or MODE_TAG in run.tags
        if is_own and run.run_id not in found and end_silent_run(instance, run, runs, log, limit):
            found.append(run.run_id)
    return found


@contextmanager
def signs_of_life(
    instance: dg.DagsterInstance, run: dg.DagsterRun, log: logging.Logger, limit: float
) -> Iterator[None]:
    """Note where a run is executed, and let it log now and then that it lives.

    limit: the seconds after which others take it for dead.
    """
    every = limit / _SIGNS_OF_LIFE
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(every):
            # whoever cannot write now may be able to later
            with suppress(SQLAlchemyError, StorageError):
                silent_for = _silent_for(instance, run)
                if silent_for is None or silent_for >= every:
                    log.info("The run is still in progress; it has logged nothing for a while.")

    instance.add_run_tags(run.run_id, {HOST_TAG: socket.gethostname()})
    thread = threading.Thread(target=tell, name="signs of life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=1.0)


def _silent_for(instance: dg.DagsterInstance, run: dg.DagsterRun) -> float | None:
    """Seconds since a run logged last; None if it has not yet."""
    records = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
    return time.time() - records[0].timestamp if records else None


def _end(instance: dg.DagsterInstance, run: dg.DagsterRun, text: str, log: logging.Logger) -> None:
    log.warning(text)
    instance.report_run_failed(run, text)
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
