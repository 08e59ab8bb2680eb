"""Never more than the account's limit in any second, as the server sees it."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activecampaign_dagster.api.budget import Budget
from activecampaign_dagster.api.client import Client
from activecampaign_dagster.sandbox.faults import error, times
from activecampaign_dagster.sandbox.server import Sandbox
from tests.helpers import serving


class Simulation:
    """A budget whose time passes only while somebody waits for it.

    It takes the place of the budget's clock and of its condition variable. Requests are under way
    side by side: each takes its own time, in which the server sees it at some moment.
    """

    def __init__(self, per_second: int = 5, seed: int = 0) -> None:
        self.now = 1000.0
        self.budget = Budget(per_second, clock=lambda: self.now)
        self.budget._changed = self  # type: ignore[assignment]
        self.events: list[tuple[float, int, Callable[[], object]]] = []
        self.began: list[float] = []
        self.seen: list[float] = []
        self.rng = random.Random(seed)

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def notify_all(self) -> None: ...

    def wait(self, delay: float | None) -> None:
        """Let time pass until something has happened, or `delay` is over."""
        due = min(self.events, default=None)
        if due and (delay is None or due[0] <= self.now + delay):
            self.events.remove(due)
            self.now = max(self.now, due[0])
            due[2]()
        else:
            assert delay is not None, "nobody would ever wake up"
            self.now += delay

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        self.events.append((self.now + seconds, len(self.began), act))

    def send(self, seconds: float = 0.0) -> float:
        """Begin a request as soon as the budget allows; returns how long that took.

        seconds: how long its sending takes, in which the server sees it at some moment.
        """
        asked = self.now
        slot = self.budget.slot()
        taken = slot.__enter__()
        self.began.append(self.now)
        self.seen.append(self.now + self.rng.random() * seconds)

        def sent() -> None:
            slot.__exit__(None, None, None)
            self.budget.answered(taken)

        self.after(seconds, sent)
        return self.now - asked

    def ask(self, there: float, work: float, back: float = 0.02) -> None:
        """Send a request at once that takes its time on its way, and have it answered."""
        with self.budget.slot() as slot:
            self.began.append(self.now)
            self.seen.append(self.now + there)
        self.after(there + work + back, lambda: self.budget.answered(slot))

    def rest(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.wait(until - self.now)


def busiest(moments: list[float]) -> int:
    """The most moments within any second."""
    ordered = sorted(moments)
    return max(sum(m - first < 1 for m in ordered[i:]) for i, first in enumerate(ordered))


short = st.floats(0, 2, allow_nan=False)
requests = st.lists(st.tuples(st.sampled_from(["send", "rest"]), short), min_size=1, max_size=60)


@given(requests, st.integers(1, 9), st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_no_second_sees_more_than_the_limit(
    steps: list[tuple[str, float]], per_second: int, seed: int
) -> None:
    simulation = Simulation(per_second, seed)
    simulation.send()
    for step, seconds in steps:
        getattr(simulation, step)(seconds)
    assert busiest(simulation.seen) <= per_second
    assert busiest(simulation.began) <= per_second


jitter = st.floats(0, 0.1, allow_nan=False)


@given(
    st.lists(st.tuples(jitter, st.floats(0, 0.3), jitter), min_size=6, max_size=80),
    st.floats(0.001, 0.1),
    st.floats(0.001, 0.3),
)
@settings(max_examples=300, deadline=None)
def test_a_jittery_network_does_not_make_the_server_see_more_than_the_limit(
    trips: list[tuple[float, float, float]], distance: float, least_work: float
) -> None:
    simulation = Simulation()
    simulation.ask(distance, least_work, distance)  # the quickest trip is known
    simulation.rest(1.5)
    for there, work, back in trips:
        simulation.ask(distance + there, least_work + work, distance + back)
    assert busiest(simulation.seen) <= 5


def test_an_even_latency_costs_no_pace_and_a_jittery_one_only_its_jitter() -> None:
    rng = random.Random(1)
    for jitter, most in ((0.0, 1.015), (0.04, 1.055)):
        for latency in (0.0, 0.15, 2.0):
            simulation = Simulation()
            for _ in range(500):
                simulation.ask(rng.uniform(0, jitter), latency)
            assert (simulation.began[-1] - 1000) / (495 / 5) <= most


steps = st.lists(
    st.tuples(
        st.sampled_from(["send", "send", "send", "rest", "refused", "accepted"]),
        short,
        st.integers(0, 12),
    ),
    min_size=1,
    max_size=60,
)


@given(steps, st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_whatever_the_server_answers_the_limit_holds_and_the_pace_recovers(
    history: list[tuple[str, float, int]], seed: int
) -> None:
    simulation = Simulation(5, seed)
    simulation.send()
    paused_until = 0.0
    for step, seconds, number in history:
        if step == "refused":
            simulation.budget.refused(seconds)
            paused_until = max(paused_until, simulation.now + seconds)
        elif step == "accepted":
            simulation.budget.accepted(number, max(number - 3, 0))
        elif step == "rest":
            simulation.rest(seconds)
        else:
            simulation.send(seconds)
            assert simulation.began[-1] >= paused_until
    assert busiest(simulation.seen) <= 5
    for _ in range(250):
        simulation.budget.accepted(5, None)
    for _ in range(10):  # the quickest trip is known
        simulation.send()
    simulation.rest(10)
    before = simulation.now
    for _ in range(50):
        simulation.send()
    assert simulation.now - before == pytest.approx(9 * 1.01, abs=0.01)


def test_the_whole_limit_is_used() -> None:
    simulation = Simulation()
    for _ in range(501):
        simulation.send(0.002)
    assert simulation.now - 1000 <= 100 * 1.03


def test_a_lower_limit_of_the_server_is_adopted_and_given_up_again() -> None:
    simulation = Simulation()
    simulation.budget.accepted(2, None)
    for _ in range(9):
        simulation.send()
    assert busiest(simulation.began) == 2
    simulation.budget.accepted(100, None)
    simulation.rest(3)
    simulation.began.clear()
    for _ in range(20):
        simulation.send()
    assert busiest(simulation.began) == 5  # never more than was agreed on


def test_what_others_have_used_up_is_not_sent_on_top() -> None:
    simulation = Simulation()
    simulation.send()
    simulation.rest(0.1)
    simulation.budget.accepted(5, 1)  # four are gone and only one was ours
    assert simulation.send() == 0
    assert simulation.send() == pytest.approx(1.01, abs=0.01)


def test_a_refusal_pauses_everyone_and_then_slows_the_pace_until_it_recovers() -> None:
    simulation = Simulation()
    simulation.budget.refused(7)
    simulation.budget.refused(3)  # of the same burst: neither shorter nor slower
    assert simulation.send() == 7
    began = simulation.now
    for _ in range(10):
        simulation.send()
    assert simulation.now - began == pytest.approx(2 * 1.515, abs=0.01)
    for _ in range(21):
        simulation.budget.accepted(None, None)
    began = simulation.now
    for _ in range(50):
        simulation.send()
    assert simulation.now - began < 11


def test_without_a_limit_nothing_waits() -> None:
    budget = Budget(None)
    budget.accepted(5, 0)
    for _ in range(1000):
        with budget.slot():
            pass


def read(sandbox: Sandbox, count: int, threads: int = 8, **options: Any) -> Client:
    """`count` requests, many at a time."""
    with Client(sandbox.url, sandbox.api_key, **options) as client:
        gate = threading.Semaphore(threads)

        def one(number: int) -> None:
            with gate:
                client.page("users", "users", {"limit": 1, "offset": number})

        for future in [client.executor.submit(one, number) for number in range(count)]:
            future.result()
    return client


@pytest.mark.parametrize(("latency", "jitter"), [(0.0, 0.0), (0.15, 0.0), (0.05, 0.08)])
def test_the_server_never_sees_more_than_five_in_a_second(latency: float, jitter: float) -> None:
    with serving(requests_per_second=5, latency=latency, jitter=jitter) as sandbox:
        read(sandbox, 18)
        stats = sandbox.stats()
    assert stats["max_requests_in_a_second"] == 5
    assert stats["rate_limited"] == 0


def test_others_who_spend_the_limit_are_yielded_to() -> None:
    with serving(requests_per_second=5) as sandbox:
        spent = threading.Event()

        def spend() -> None:
            for _ in range(2):
                sandbox.spend(5)
                if spent.wait(0.7):
                    return

        other = threading.Thread(target=spend)
        other.start()
        client = read(sandbox, 8)
        spent.set()
        other.join()
    assert client.statuses[200] == 8
    assert 1 <= client.statuses[429] <= 8


def test_headers_make_room_for_others_without_a_refusal() -> None:
    with serving(requests_per_second=5, rate_limit_headers=True) as sandbox:
        with Client(sandbox.url, sandbox.api_key) as client:
            for number in range(8):
                if number == 2:
                    sandbox.spend(2)
                client.page("users", "users", {"limit": 1})
        assert sandbox.stats()["rate_limited"] == 0


def test_a_refusal_holds_back_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(requests_per_second=None) as sandbox:
        sandbox.faults.append(times(1, error(429, Retry_After="1")))
        read(sandbox, 12)
        seen = [request.time for request in sandbox.requests]
    pause = max(after - before for before, after in itertools.pairwise(seen))
    assert pause >= 0.9
    assert len([s for s in seen if s - seen[0] < 0.9]) <= 5
