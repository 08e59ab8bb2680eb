"""The typed error for an answer that retries did not mend, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable

from activecampaign_dagster.api.answers import UnusableError
from activecampaign_dagster.api.errors import (
    AddressError,
    ApiError,
    CredentialsError,
    PermissionDeniedError,
    RequestError,
    TransientError,
)
from activecampaign_dagster.api.retry import Failure

_PROBE = "users/me"  # everybody with a key may read it
Probe = Callable[[], object]
"""Reads the path that everybody with a key may read; raises ApiError if that fails."""


def typed_error(what: str, path: str, unusable: UnusableError, probe: Probe) -> ApiError:
    """The error that `unusable` ends in, with what to do about it.

    what: the sentence that says what happened. path: what was read.
    """
    status = unusable.status
    match unusable.failure:
        case Failure.REFUSED if status == 404 and _is_account(path, probe):
            return RequestError(
                f"{what} The account has no {path}, perhaps since its plan has none: leave the "
                "stream out.",
                path=path,
                status=status,
            )
        case Failure.NO_HOST | Failure.REFUSED if not status or status < 400 or status == 404:
            return AddressError(
                f"{what} Check that the URL is the one under Settings → Developer.",
                path=path,
                status=status,
            )
        case Failure.REFUSED:
            return RequestError(
                f"{what} This looks like a change in the API or a bug in this project.",
                path=path,
                status=status,
            )
        case Failure.FORBIDDEN:
            return _denied(what, path, probe)
        case Failure.UNTRUSTED:
            return AddressError(
                f"{what} Check the URL; if this network inspects encrypted connections, set "
                "REQUESTS_CA_BUNDLE to a file with its certificates.",
                path=path,
            )
        case Failure.NO_ANSWER:
            advice = "Check the URL and the network, then run again."
        case Failure.BROKEN:
            advice = "If it stays so, check that the URL is an ActiveCampaign account's."
        case Failure.THROTTLED:
            advice = "Other integrations use up this account's limit; run again later."
        case Failure.SERVER:
            advice = "Run again later; status.activecampaign.com shows known outages."
    return TransientError(f"{what} {advice}", path=path, status=status)


def _is_account(path: str, probe: Probe) -> bool:
    """Whether the URL is right though there is nothing at `path`."""
    if path == _PROBE:
        return False
    try:
        probe()
    except ApiError:
        return False
    return True


def _denied(what: str, path: str, probe: Probe) -> ApiError:
    """403 stands for a bad key and for a missing permission: the probe tells which."""
    if path != _PROBE:
        try:
            probe()
        except CredentialsError as error:
            return error
        except TransientError as error:
            return TransientError(
                f"{what} Whether the key or a permission is to blame could not be told, since "
                f"/{_PROBE} fails as well: run again later.",
                path=path,
                status=error.status,
            )
        except ApiError:
            pass
        else:
            return PermissionDeniedError(
                f"{what} The key works, but its user may not read {path}: give the user's "
                "group that permission in ActiveCampaign, or leave the stream out.",
                path=path,
                status=403,
            )
    return CredentialsError(
        f"{what} The API key is not accepted by this account: copy it again from "
        "Settings → Developer.",
        path=path,
        status=403,
    )
