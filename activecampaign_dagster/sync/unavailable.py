"""Tells a feature that an account does not have, or may not show, from a failure."""

from __future__ import annotations

import re

from activecampaign_dagster.api.errors import ApiError, PermissionDeniedError, RequestError
from activecampaign_dagster.streams.declaration import Stream
from activecampaign_dagster.streams.registry import CORE
from activecampaign_dagster.sync.plan import Read

_NOT_THERE = frozenset({402, 404, 410})  # not paid for, not there, there no more
# the words with which the API offers a larger plan
_OFFER = re.compile("upgrade|plan|enable|feature|subscri|add-?on|not available", re.IGNORECASE)


def lacking(stream: Stream, error: BaseException) -> str | None:
    """The feature that an account lacks if this is how it answers; None if it is something else.

    A 403 without the words of an offer is a missing permission.
    """
    missing = stream.missing
    if missing is None or not isinstance(error, ApiError) or error.status not in missing.statuses:
        return None
    is_offer = isinstance(error, PermissionDeniedError) and _OFFER.search(error.said)
    return missing.says if is_offer or isinstance(error, RequestError) else None


def why_unavailable(read: Read, error: BaseException) -> str | None:
    """Why a stream is not there to be read, in a sentence; None if that is a failure.

    A missing permission is one only for streams that the user listed by name.
    """
    if feature := lacking(read.stream, error):
        return not_on_plan(feature)
    if any(t.is_named for t in read.stream_tables):
        return None
    if isinstance(error, PermissionDeniedError):
        return str(error)
    is_gone = isinstance(error, RequestError) and error.status in _NOT_THERE
    if is_gone and read.stream.missing:
        return not_on_plan(read.stream.missing.says)
    if is_gone and read.stream.name not in CORE:
        return f"The account has no /{read.stream.endpoint.path}."
    return None


def not_on_plan(feature: str) -> str:
    """A sentence about a feature that the account lacks."""
    return f"Not on this account's plan: {feature}."
