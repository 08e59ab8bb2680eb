"""Every error says whether a retry can help, and Dagster goes by that."""

from __future__ import annotations

import pytest

from activecampaign_dagster.api.errors import (
    ActiveCampaignError,
    CredentialsError,
    PermissionDeniedError,
    TransientError,
)
from activecampaign_dagster.components.errors import ConfigurationError
from activecampaign_dagster.orchestration.automation.alerts import AlertError
from activecampaign_dagster.orchestration.dbt.build import ProjectError
from activecampaign_dagster.orchestration.failures import StepError
from activecampaign_dagster.orchestration.partitions import PartitionError
from activecampaign_dagster.sync.outcomes import SyncError
from activecampaign_dagster.warehouse.warehouse import WarehouseBusyError, WarehouseError

PERMANENT = [
    ConfigurationError(["line 1"]),
    CredentialsError("no"),
    PartitionError("no"),
    PermissionDeniedError("no"),
    ProjectError("no"),
    StepError("no", is_permanent=True),
    SyncError({"a": CredentialsError("no"), "b": PermissionDeniedError("no")}),
    WarehouseError("no"),
]
TRANSIENT = [
    AlertError("no"),
    StepError("no", is_permanent=False),
    SyncError({"a": CredentialsError("no"), "b": TransientError("no")}),
    TransientError("no"),
    WarehouseBusyError("no"),
]


@pytest.mark.parametrize("error", PERMANENT, ids=lambda error: type(error).__name__)
def test_a_permanent_error_is_not_tried_again(error: Exception) -> None:
    assert error.is_permanent


@pytest.mark.parametrize("error", TRANSIENT, ids=lambda error: type(error).__name__)
def test_a_transient_error_is_tried_again(error: Exception) -> None:
    assert not error.is_permanent


@pytest.mark.parametrize(
    "kind", [AlertError, ConfigurationError, PartitionError, ProjectError, StepError]
)
def test_all_errors_have_one_base(kind: type[Exception]) -> None:
    assert issubclass(kind, ActiveCampaignError)
