"""How failures reach the operator: one sentence, and whether a retry can help."""

from __future__ import annotations

from typing import Any

import dagster as dg
from dagster._core.errors import DagsterUserCodeProcessError
from dagster_shared.error import SerializableErrorInfo

from activecampaign_dagster.api.errors import ActiveCampaignError, PermanentError
from activecampaign_dagster.sync.run import SyncError
from activecampaign_dagster.sync.warehouse import WarehouseError

EXPECTED = (ActiveCampaignError, SyncError, WarehouseError)


class SyncFailure(DagsterUserCodeProcessError, dg.Failure):  # noqa: N818
    """A failed sync, shown as its message alone.

    Dagster prints a stack trace with every failure, except for errors that it believes to have
    been reported by another process; a user's mistake deserves no stack trace either.
    """

    def __init__(self, message: str, *, permanent: bool, metadata: dict[str, Any]) -> None:
        dg.Failure.__init__(self, message, metadata, allow_retries=not permanent)
        self.user_code_process_error_infos = [SerializableErrorInfo(message, [], "SyncFailure")]


def failure(error: Exception) -> SyncFailure:
    """The failure for an expected error. Permanent ones stop Dagster's retries."""
    permanent = isinstance(error, PermanentError | WarehouseError) or (
        isinstance(error, SyncError) and error.is_permanent
    )
    metadata: dict[str, Any] = {"kind": "permanent" if permanent else "transient"}
    if isinstance(error, SyncError):
        metadata |= {stream: str(reason) for stream, reason in error.failures.items()}
    return SyncFailure(str(error), permanent=permanent, metadata=metadata)
