"""A run waits for living runs only, says for whom, hears signals and gives up in time.

Dagster gives a pool's slot to a run in its database. The slot of a run that was killed stays taken
until a daemon notices, and where commands are run by cron there is none. So each run holds a lock
in the instance's folder, by which others know whether it lives (see `dead_runs`). One that could
not write to the database any more leaves its lock there, and passes for dead.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import dagster as dg

from activecampaign_dagster.orchestration.dagster_internals import (
    InterruptedRunError,
    PoolClaims,
    RunningSteps,
    log_of,
    seconds_until_ready,
    stop_was_asked_for,
    wait_with,
)
from activecampaign_dagster.orchestration.dead_runs import (
    SilenceError,
    end_dead_runs_of_this_machine,
    end_silent_run,
    lock_of,
    runs_folder,
    signs_of_life,
    silence,
)
from activecampaign_dagster.orchestration.failures import StepError
from activecampaign_dagster.orchestration.stopping import StoppedRun, stops_in_a_sentence
from activecampaign_dagster.orchestration.storage_errors import (
    StorageError,
    StorageLostError,
    outlast_restarts,
)
from activecampaign_dagster.sync.locks import (
    TIMEOUT_VARIABLE,
    LockTimeoutError,
    has_living_holder,
    held,
    holder,
    patience,
    remove,
)
from activecampaign_dagster.warehouse.warehouse import WarehouseError

_LOOK = 1.0  # seconds between two looks at who holds a pool
_REMINDER = 300.0  # seconds after which one that waits says so again
_BREATH = 0.05  # seconds; events of steps that run meanwhile come later by as much
_PAUSE = 0.2  # seconds, after which a signal is heard


def wait_for_living_runs_only() -> None:
    """Let every run of this process claim its pools as this module says."""
    wait_with(LivingRunsClaims, _pause)


class LivingRunsClaims(PoolClaims):
    """Claims slots of pools for a run, after those of dead runs have been freed."""

    def __init__(self, instance: dg.DagsterInstance, dagster_run: dg.DagsterRun) -> None:
        super().__init__(instance, dagster_run)
        outlast_restarts(instance)
        self._log = log_of(instance, dagster_run)
        self._run = dagster_run
        self._runs = runs_folder(instance)
        self._open = ExitStack()
        self._waits: dict[str, float] = {}  # pool → when the wait for it began
        self._looked = self._reminded = 0.0

    def __enter__(self) -> Self:
        try:
            self._silence = silence()
        except SilenceError as error:
            raise StepError(str(error), is_permanent=True) from None
        if self._runs:
            end_dead_runs_of_this_machine(self._instance, self._runs, self._log)
            self._open.enter_context(_alive(self._runs, self._run_id, self._log))
        self._open.enter_context(signs_of_life(self._instance, self._run, self._log, self._silence))
        super().__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        with self._open:
            super().__exit__(*raised)
            if self._runs and not isinstance(raised[1], StorageError | StorageLostError):
                remove(lock_of(self._runs, self._run_id))
        with stops_in_a_sentence("while its steps ran"):
            if isinstance(raised[1], InterruptedRunError):
                raise raised[1]

    def claim(self, concurrency_key: str, step_key: str, step_priority: int = 0) -> bool:
        """Claim a slot for a step; returns whether it has one. Raises StepError in the end."""
        if super().claim(concurrency_key, step_key, step_priority):
            self._waits.pop(concurrency_key, None)
            return True
        self._look(concurrency_key, step_key)
        if not self._claims:
            # with several processes, Dagster asks again without a pause: a core for nothing
            time.sleep(_BREATH)
        return False

    def _look(self, pool: str, step_key: str) -> None:
        """Free what the dead hold, and say for whom the run waits."""
        now = time.monotonic()
        began = self._waits.setdefault(pool, now)
        if now - self._looked < _LOOK:
            return
        self._looked = now
        if self._free(pool):
            self._pending_timeouts[step_key] = 0.0
            return
        others = self._others(pool)
        if now - began >= _patience() and not self._claims:
            raise StepError(
                f"Gave up after waiting {now - began:.0f} s for {others}: run again once it has "
                f"ended, or set {TIMEOUT_VARIABLE} to more seconds. If it is dead, free the pool "
                f"{pool!r} in Dagster's UI under Deployment → Concurrency.",
                is_permanent=True,
            )
        if not self._reminded or now - self._reminded >= _REMINDER:
            self._reminded = now
            self._log.warning("Waiting for %s, which holds the pool %r.", others, pool)

    def _free(self, pool: str) -> bool:
        """Free what dead and ended runs hold; returns whether there were any."""
        found = bool(
            self._runs and end_dead_runs_of_this_machine(self._instance, self._runs, self._log)
        )
        storage = self._instance.event_log_storage
        for run_id in _holders(self._instance, pool) - {self._run_id}:
            run = self._instance.get_run_by_id(run_id)
            alive = self._runs and has_living_holder(lock_of(self._runs, run_id))
            if (run is None or run.is_finished) and not alive:
                storage.free_concurrency_slots_for_run(run_id)
                found = True
            elif run and end_silent_run(self._instance, run, self._runs, self._log, self._silence):
                found = True
        return found

    def _others(self, pool: str) -> str:
        """The runs that hold a pool, in words."""
        described = []
        for run_id in sorted(_holders(self._instance, pool) - {self._run_id}):
            run = self._instance.get_run_by_id(run_id)
            who = self._runs and holder(lock_of(self._runs, run_id))
            job = f" of {run.job_name}" if run else ""
            where = f", {who}" if who else ""
            described.append(f"the run {run_id[:8]}{job}{where}")
        return " and ".join(described) or "a run that is first in the queue"


def _patience() -> float:
    try:
        return patience()
    except WarehouseError as error:
        raise StepError(str(error), is_permanent=True) from None


def _pause(steps: RunningSteps) -> None:
    """Wait until a step may be ready; raises StoppedRun on SIGTERM and Ctrl-C."""
    claims = steps._instance_concurrency_context
    until = time.monotonic() + seconds_until_ready(steps)
    if claims and claims.has_pending_claims():
        until = time.monotonic() + _PAUSE
    while True:
        if stop_was_asked_for():
            raise StoppedRun("while it waited for its next step")
        left = until - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, _PAUSE))


def _holders(instance: dg.DagsterInstance, pool: str) -> set[str]:
    """The runs that hold a slot of a pool, or to which one is assigned."""
    info = instance.event_log_storage.get_concurrency_info(pool)
    return {*info.active_run_ids, *info.assigned_run_ids}


@contextmanager
def _alive(runs: Path, run_id: str, log: logging.Logger) -> Iterator[None]:
    """Hold the lock that says that a run lives; without one, nobody can tell."""
    path = lock_of(runs, run_id)
    with ExitStack() as stack:
        try:
            stack.enter_context(held(path, log, purpose="which runs the same run", run=run_id))
        except LockTimeoutError:
            raise
        except WarehouseError as error:
            log.warning("%s If this run is killed, other runs cannot notice it.", error)
        yield
