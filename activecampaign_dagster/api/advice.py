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

PROBE = "users/me"  # whoever has a key may read it

_ADVICE: dict[Failure, tuple[type[ApiError], str]] = {
    Failure.NO_HOST: (
        AddressError,
        "Check that the URL is the one under Settings → Developer.",
    ),
    Failure.UNTRUSTED: (
        AddressError,
        "Check the URL; if this network inspects encrypted connections, set REQUESTS_CA_BUNDLE to "
        "a file with its certificates.",
    ),
    Failure.NO_PROXY: (
        AddressError,
        "A proxy between this machine and the account asks for a log-in: put its user and password "
        "into HTTPS_PROXY, or the account's host into NO_PROXY.",
    ),
    Failure.UNPAID: (
        RequestError,
        "The account, or a plan with this feature, has to be paid for: see Settings → Billing.",
    ),
    Failure.REFUSED: (
        RequestError,
        "This looks like a change in the API or a bug in this project.",
    ),
    Failure.BLOCKED: (
        TransientError,
        "Something in front of the API, such as a firewall, refused the request, so the key may "
        "still be valid. Run again later, or ask for this machine's address to be allowed.",
    ),
    Failure.NO_ANSWER: (
        TransientError,
        "Check the URL and the network, then run again.",
    ),
    Failure.BROKEN: (
        TransientError,
        "If this continues, check that the URL is an ActiveCampaign account's.",
    ),
    Failure.TOO_LARGE: (
        TransientError,
        "Run again later; if this continues, check that the URL is an ActiveCampaign account's.",
    ),
    Failure.THROTTLED: (
        TransientError,
        "Other integrations use up this account's limit; run again later.",
    ),
    Failure.SERVER: (
        TransientError,
        "Run again later; status.activecampaign.com shows known outages.",
    ),
}


def typed_error(
    what: str, path: str, unusable: UnusableError, probe: Callable[[], object]
) -> ApiError:
    """The error that `unusable` ends in, with what to do about it.

    what: the sentence that says what happened. path: what was read. probe: reads PROBE, and raises
    ApiError if that fails.
    """
    status = unusable.status
    kind, advice = _ADVICE.get(unusable.failure, (TransientError, ""))
    if unusable.failure is Failure.FORBIDDEN:
        kind, advice = _denied(path, probe)
    elif (status == 404 or (status and 300 <= status < 400)) and _works(path, probe):
        advice = (
            f"The account has no {path}, perhaps because its plan does not include it: leave the "
            f"stream out."
        )
    elif status and (300 <= status < 400 or status == 404):
        kind, advice = _ADVICE[Failure.NO_HOST]
    return kind(f"{what} {advice}", path=path, status=status, said=unusable.said)


def _works(path: str, probe: Callable[[], object]) -> bool:
    """Whether URL and key are right though `path` cannot be read."""
    if path == PROBE:
        return False
    try:
        probe()
    except ApiError:
        return False
    return True


def _denied(path: str, probe: Callable[[], object]) -> tuple[type[ApiError], str]:
    """A bad key and a missing permission are answered alike: the probe tells which it is."""
    if path != PROBE:
        try:
            probe()
        except TransientError:
            return TransientError, (
                f"Either the key is wrong or a permission is missing, and /{PROBE} fails as well, "
                "so it is unclear which: run again later."
            )
        except ApiError:
            pass
        else:
            return PermissionDeniedError, (
                f"The key works, but its user may not read {path}: give the user's group that "
                "permission in ActiveCampaign, or leave the stream out."
            )
    return CredentialsError, (
        "The API key is not accepted by this account: copy it again from Settings → Developer."
    )
