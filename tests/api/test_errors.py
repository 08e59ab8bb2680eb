"""Errors form one tree, and each says whether trying again can help."""

from __future__ import annotations

import pytest

from activecampaign_dagster.api import errors
from activecampaign_dagster.api.errors import ActiveCampaignError, ApiError, TransientError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_the_one_base(kind: type[Exception]) -> None:
    assert issubclass(kind, ActiveCampaignError)


@pytest.mark.parametrize("kind", [k for k in KINDS if issubclass(k, ApiError) and k != ApiError])
def test_an_error_of_the_api_is_permanent_unless_a_later_run_may_succeed(
    kind: type[ApiError],
) -> None:
    assert kind("text").is_permanent == (not issubclass(kind, TransientError))
