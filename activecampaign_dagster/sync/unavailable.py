"""Tells a feature that an account does not have, or may not show, from a failure."""

from __future__ import annotations

import re

from activecampaign_dagster.api.errors import ApiError, PermissionDeniedError, RequestError
from activecampaign_dagster.sync.plan import Read

# the words with which the API offers a larger plan
_OFFER = re.compile("upgrade|plan|enable|feature|subscri|add-?on|not available", re.IGNORECASE)


def why_unavailable(read: Read, error: BaseException) -> str | None:
    """Why a stream is not there to be read, in a sentence; None if that is a failure.

    A missing permission is one only for streams that the user listed by name.
    """
    missing = read.stream.missing
    status = error.status if isinstance(error, ApiError) else None
    if missing and status in missing.statuses:
        is_offer = isinstance(error, PermissionDeniedError) and _OFFER.search(error.said)
        if is_offer or isinstance(error, RequestError):
            return f"Not on this account's plan: {missing.says}."
    if isinstance(error, PermissionDeniedError) and not any(t.is_named for t in read.stream_tables):
        return str(error)
    return None
