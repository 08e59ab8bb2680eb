"""The errors of this project, one class per meaning.

    ActiveCampaignError               is_permanent: whether trying again cannot help
    └── ApiError                      between us and the API; path, status, said
        ├── PermanentError            somebody has to change something first
        │   ├── AddressError          the URL is not an account's, or cannot prove to be
        │   ├── CredentialsError      the key is missing or not accepted
        │   ├── PermissionDeniedError the key works, but its user may not read this path
        │   ├── RequestError          the API refused the request as such (400, 404, 422, …)
        │   ├── LoopError             a walk makes no progress
        │   └── OrderError            a collection came in another order than asked for
        └── TransientError            no proper answer after all retries; a later run may succeed

The packages above `api` put their own errors under ActiveCampaignError. Every message says what
happened, where, and what to do, in one or two sentences. No message holds the API key.
"""

from __future__ import annotations


class ActiveCampaignError(Exception):
    """The base of all errors that this project raises on purpose.

    `is_permanent`: trying again cannot help, since somebody has to change something first. A class
    says so for all its errors, or an error for itself.
    """

    is_permanent: bool = False


class ApiError(ActiveCampaignError):
    """The base of all errors between us and the API.

    `path` is the API path that was read (None before any request), `status` the HTTP status of
    the last answer (None if there was none), `said` the server's own words in it, without secrets
    ("" if there were none): by these two a caller tells that a plan lacks a feature.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        status: int | None = None,
        said: str = "",
    ) -> None:
        super().__init__(message)
        self.path = path
        self.status = status
        self.said = said


class PermanentError(ApiError):
    """Trying again cannot help: somebody has to change something first."""

    is_permanent = True


class TransientError(ApiError):
    """The API did not answer properly, after all retries; a later run may succeed."""

    is_permanent = False


class AddressError(PermanentError):
    """The URL is not the address of an account's API, or what is there cannot prove to be it."""


class CredentialsError(PermanentError):
    """The API key is missing or is refused."""


class PermissionDeniedError(PermanentError):
    """The key works, but its user may not read this path."""


class RequestError(PermanentError):
    """The API refused the request as such (400, 404, 422, …)."""


class LoopError(PermanentError):
    """A walk over a collection makes no progress: the API repeats itself."""


class OrderError(PermanentError):
    """A collection did not come in the order that was asked for, so no cursor is safe."""
