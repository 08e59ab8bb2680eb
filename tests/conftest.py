"""The order of the tests."""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones begin first, so that in the end no core waits for another's last test."""
    items.sort(key=lambda item: "slow" not in item.keywords)
