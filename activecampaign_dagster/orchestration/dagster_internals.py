"""Private names of Dagster that are borrowed, each behind a name of ours.

`tests/orchestration/test_dagster_internals.py` says what each is for, and fails where a release of
Dagster no longer has it.
"""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError, DagsterUserCodeProcessError
from dagster._core.execution.context_creation_job import create_context_free_log_manager
from dagster._core.execution.plan.active import ActiveExecution
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.executor import in_process, multiprocess
from dagster._utils.interrupts import pop_captured_interrupt
from dagster_shared.error import SerializableErrorInfo

ErrorInfo = SerializableErrorInfo
InterruptedRunError = DagsterExecutionInterruptedError
ReportedElsewhereError = DagsterUserCodeProcessError
PoolClaims = InstanceConcurrencyContext
RunningSteps = ActiveExecution
stop_was_asked_for = pop_captured_interrupt


def log_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterLogManager:
    """A run's log outside its steps: what is said there shows in the terminal and in the UI."""
    return create_context_free_log_manager(instance, run)


def seconds_until_ready(steps: RunningSteps) -> float:
    """How long a run has to wait before one of its steps may begin (again)."""
    seconds: float = steps.sleep_interval()  # type: ignore[no-untyped-call]
    return seconds


def wait_with(claims: type[PoolClaims], pause: Callable[[RunningSteps], None]) -> None:
    """Let runs in this process claim pools, and pause between their steps, in a way of ours.

    Dagster has no setting for either: its own claims wait for ever for a run that was killed, and
    its own pause hears no signal.
    """
    for module in (in_process, multiprocess):
        module.InstanceConcurrencyContext = claims  # type: ignore[attr-defined]
    ActiveExecution.sleep_til_ready = pause  # type: ignore[assignment,method-assign]
