"""What can go wrong between us and the API: one class per meaning.

Every message says what happened, where, and what to do, in one or two sentences. No message holds
the API key.
"""

from __future__ import annotations


class ActiveCampaignError(Exception):
    """Base of all errors raised here.

    `path` is the API path that was read (None before any request), `status` the HTTP status of
    the last answer (None if there was none).
    """

    def __init__(self, message: str, *, path: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.status = status


class PermanentError(ActiveCampaignError):
    """Trying again cannot help: somebody has to change something first."""


class TransientError(ActiveCampaignError):
    """The API did not answer properly, after all retries; a later run may succeed."""


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
