"""The order of the tests, what one leaves to the next, and retries without their waits."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from activecampaign_dagster.api import retry


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The slow ones begin first, so that in the end no core waits for another's last test.

    Of tests that run over file and lake, the lake gets the first case alone: the cases differ in
    what the API answers and not in what is done to tables, and each lake takes seconds.
    """
    items.sort(key=lambda item: "slow" not in item.keywords)
    seen: set[str] = set()
    left = [item for item in items if _is_another_case_on_a_lake(item, seen)]
    items[:] = [item for item in items if item not in left]
    config.hook.pytest_deselected(items=left)


def _is_another_case_on_a_lake(item: pytest.Item, seen: set[str]) -> bool:
    name, _, case = item.nodeid.partition("[")
    if "lake" not in case.rstrip("]").split("-"):
        return False
    is_another = name in seen
    seen.add(name)
    return is_another


@pytest.fixture(autouse=True)
def kept_umask() -> Iterator[None]:
    """Commands run in this process narrow the umask for the rest of it."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come at once; only time is shortened, whatever else happens is real."""
    monkeypatch.setattr(retry, "_FIRST_WAIT", 0.001)
    monkeypatch.setattr(retry, "_LONGEST_WAIT", 0.01)
    monkeypatch.setattr(retry, "_LONGEST_RETRY_AFTER", 0.02)
    monkeypatch.setattr(retry, "jitter", lambda: 0.01)
