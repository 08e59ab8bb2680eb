"""A sensor over several accounts: each is asked by itself, and the answers are told together.

The runs and the ledger are read once for all of them. Accounts are asked side by side, and one that
is slow or fails holds up no other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.automation.conditions import not_now
from activecampaign_dagster.orchestration.dagster_internals import AssetJob
from activecampaign_dagster.orchestration.resources import warehouse
from activecampaign_dagster.orchestration.runs import Runs
from activecampaign_dagster.orchestration.wording import enumerated
from activecampaign_dagster.warehouse.ledger import StreamState, stream_states

Jobs = Mapping[str, AssetJob]

_SIDE_BY_SIDE = 8
_PATIENCE = 40.0  # seconds; Dagster gives up a tick after 60
_LEEWAY = timedelta(seconds=5)  # by which a tick may come early
_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is known when an account is asked.

    states: its streams that have been synced. kept: what the last answer asked to keep. has_failed:
    whether the run that read it last did.
    """

    account: Account
    states: Mapping[str, StreamState]
    kept: Mapping[str, Any]
    has_failed: bool
    context: dg.SensorEvaluationContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A run to start, or the reason why there is none; kept: for the next time, None as it is."""

    request: dg.RunRequest | None = None
    reason: str = ""
    kept: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A sensor to be made.

    purpose: its name, after the account's if it is for one alone. mode: of the jobs that it starts.
    every: seconds between two questions to an account.
    """

    purpose: str
    mode: str
    description: str
    every: Callable[[Account], int]
    ask: Callable[[Question], Answer]


@dataclass(slots=True)
class _Cursor:
    """By account, when it was asked last and what was kept."""

    asked: dict[str, str] = field(default_factory=dict)
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | None, accounts: Sequence[Account]) -> _Cursor:
        found = json.loads(text or "{}")
        if found.keys() <= {"asked", "kept"}:
            return cls(**found)
        return cls(kept={accounts[0].name: found})  # a release that knew one account a sensor

    def write(self) -> str:
        return json.dumps({"asked": self.asked, "kept": self.kept})


def sensor(accounts: Sequence[Account], jobs: Jobs, to_make: Round) -> dg.SensorDefinition:
    """The sensor of a round over accounts. jobs: of all accounts, by name."""
    own = f"{accounts[0].name}__{to_make.purpose}"
    shortest = min(map(to_make.every, accounts))
    asking: dict[str, Future[Answer]] = {}

    @dg.sensor(
        name=own if len(accounts) == 1 else to_make.purpose,
        jobs=[jobs[account.job(to_make.mode)] for account in accounts],
        minimum_interval_seconds=shortest,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=to_make.description,
    )
    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        cursor = _Cursor.read(context.cursor, accounts)
        runs, now = Runs(context.instance), datetime.now(UTC)
        due = [
            account
            for account in accounts
            if (every := to_make.every(account)) == shortest
            or _is_due(cursor.asked.get(account.name), every, now)
        ]
        reasons = {account.name: not_now(account, runs) for account in due}
        ready = [account for account in due if not reasons[account.name]]
        try:
            states = stream_states(warehouse()) if ready else {}
        except ActiveCampaignError as error:
            return dg.SkipReason(str(error))
        questions = [
            Question(
                account=account,
                states=states.get(account.name, {}),
                kept=cursor.kept.get(account.name, {}),
                has_failed=_has_failed(runs.last(account)),
                context=context,
            )
            # whoever was asked longest ago comes first, as a slow round may not reach all
            for account in sorted(ready, key=lambda account: cursor.asked.get(account.name, ""))
        ]
        answers = _answers(to_make.ask, questions, asking)
        requests = []
        for name, answer in answers.items():
            cursor.asked[name] = now.isoformat()
            if answer.kept is not None:
                cursor.kept[name] = dict(answer.kept)
            if answer.request:
                requests.append(answer.request)
            reasons[name] = answer.reason
        said = _together(reasons, are_named=len(accounts) > 1)
        if requests and said:
            context.log.info("%s", said)
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else dg.SkipReason(said),
            cursor=cursor.write(),
        )

    return tick


def _is_due(asked: str | None, every: int, now: datetime) -> bool:
    return not asked or now - datetime.fromisoformat(asked) >= timedelta(seconds=every) - _LEEWAY


def _has_failed(last: dg.RunRecord | None) -> bool:
    return last is not None and last.dagster_run.status is dg.DagsterRunStatus.FAILURE


def _answers(
    ask: Callable[[Question], Answer],
    questions: Sequence[Question],
    asking: dict[str, Future[Answer]],
) -> dict[str, Answer]:
    """Account → answer. asking: what earlier rounds still wait for; those are not asked again."""
    pool = ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="round")
    for question in questions:
        earlier = asking.get(question.account.name)
        if earlier is None or earlier.done():
            asking[question.account.name] = pool.submit(ask, question)
    names = [question.account.name for question in questions]
    wait([asking[name] for name in names], timeout=_PATIENCE)
    pool.shutdown(wait=False, cancel_futures=True)
    return {q.account.name: _answer(asking[q.account.name], q) for q in questions}


def _answer(future: Future[Answer], question: Question) -> Answer:
    if not future.done() or future.cancelled():
        return Answer(reason="The account has not answered yet.")
    try:
        return future.result()
    except ActiveCampaignError as error:
        return Answer(reason=str(error))
    except Exception as error:  # a mistake of ours holds up no other account
        question.context.log.exception("%s could not be asked", question.account.name)
        return Answer(reason=f"It could not be asked: {error!r}.")


def _together(reasons: Mapping[str, str | None], *, are_named: bool) -> str:
    """The reasons, each with the accounts that it holds for where they are named."""
    found: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        if reason:
            found.setdefault(reason, []).append(name)
    if not are_named:
        return next(iter(found), "")
    return "\n".join(f"{_names(names)}: {reason}" for reason, names in found.items())


def _names(names: Sequence[str]) -> str:
    more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return enumerated([*names[:_NAMED], *more], "and")
