"""Retries without their waits."""

from __future__ import annotations

import pytest

from activecampaign_dagster.api import retry


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come at once; only time is shortened, whatever else happens is real."""
    monkeypatch.setattr(retry, "_FIRST_WAIT", 0.001)
    monkeypatch.setattr(retry, "_LONGEST_WAIT", 0.01)
    monkeypatch.setattr(retry, "_LONGEST_RETRY_AFTER", 0.02)
    monkeypatch.setattr(retry, "jitter", lambda: 0.01)
