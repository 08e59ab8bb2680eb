"""The order of the tests, and retries without their waits."""

from __future__ import annotations

import pytest

from activecampaign_dagster.api import retry


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones begin first, so that in the end no core waits for another's last test."""
    items.sort(key=lambda item: "slow" not in item.keywords)


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come at once; only time is shortened, whatever else happens is real."""
    monkeypatch.setattr(retry, "_FIRST_WAIT", 0.001)
    monkeypatch.setattr(retry, "_LONGEST_WAIT", 0.01)
    monkeypatch.setattr(retry, "_LONGEST_RETRY_AFTER", 0.02)
    monkeypatch.setattr(retry, "jitter", lambda: 0.01)
