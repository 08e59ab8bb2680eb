"""Why a request had no answer, and whether that is worth another try."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import requests

from activecampaign_dagster.api.paced import OverlongError
from activecampaign_dagster.api.retry import Failure

# What resolvers say of a name that nobody has, or that belongs to no machine. That they cannot tell
# for now is another error (EAI_AGAIN); only some systems know the second one.
_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


def why(error: Exception, *, known: bool) -> tuple[Failure, str]:
    """What kind of failure an error of `requests` is, and its cause, short enough for one line.

    known: the host has answered before, so that a name server that denies it now is to blame.
    """
    if isinstance(error, requests.exceptions.ProxyError):
        if "407" in str(error):
            return Failure.NO_PROXY, "407"
        return Failure.NO_ANSWER, f"the proxy of this machine: {_reason(error)}"
    if not isinstance(error, requests.RequestException):
        if "invalid path" in str(error):  # it found no file to check certificates with
            return Failure.UNTRUSTED, str(error)
        return Failure.NO_ANSWER, "the response is not HTTP"
    return _deeper(error, known=known)


def _deeper(error: requests.RequestException, *, known: bool) -> tuple[Failure, str]:
    """As `why`, of an error that other libraries raised first."""
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return (
                    Failure.UNTRUSTED,
                    f"its certificate was rejected: {cause.verify_message.rstrip('.')}",
                )
            case OverlongError():
                return Failure.TOO_LARGE, "it exceeded the size limit of one response"
            case socket.gaierror() if cause.errno in _NO_SUCH_NAME and not known:
                return Failure.NO_HOST, "the host name is not known"
    return Failure.NO_ANSWER, _reason(error)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or error.__context__


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.ReadTimeout):
        return "read time-out"
    if isinstance(error, requests.ConnectTimeout):
        return "connect time-out"
    text = str(error)
    for sign, meaning in (
        ("NameResolution", "the host name could not be looked up"),
        ("refused", "connection refused"),
        ("CERTIFICATE_VERIFY", "its certificate was rejected"),
        ("reset", "connection reset"),
        ("IncompleteRead", "the body was cut off"),
        ("timed out", "read time-out"),
        ("RemoteDisconnected", "connection closed"),
    ):
        if sign in text:
            return meaning
    return type(error).__name__
