"""What an answer is: a page of data, or one of the kinds of failure that `retry` knows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from activecampaign_dagster.api import literals, retry
from activecampaign_dagster.api.printable import one_line
from activecampaign_dagster.api.retry import Failure

_MOST_VALUES = (
    1_000_000  # of a page, each of which takes 60 bytes and more; one of contacts: 30,000
)
_LONGEST_RAW = 20_000  # characters that are worth a look for the detail
_FRONTS = ("cloudflare", "akamai", "cloudfront", "imperva", "incapsula", "sucuri", "fastly")


class UnusableError(Exception):
    """An answer that is not what was asked for. said: the server's own words on it."""

    def __init__(
        self,
        failure: Failure,
        detail: str,
        status: int | None = None,
        *,
        retry_after: float | None = None,
        said: str = "",
    ) -> None:
        super().__init__(detail)
        self.failure = failure
        self.detail = detail
        self.status = status
        self.retry_after = retry_after
        self.said = said


def classify(
    status: int, headers: Mapping[str, str], content: bytes | bytearray, hide: Callable[[str], str]
) -> UnusableError | None:
    """What is wrong with an answer, by its status; None for 2xx. hide: takes secrets out."""
    if 200 <= status < 300:
        return None
    after = retry.retry_after(headers.get("Retry-After"))
    body = _body_of_error(content) if status < 300 or status >= 400 else None
    said = one_line(hide(_message(body)))
    failure, detail = _kind(status, headers, content, is_json=body is not None), f"{status}"
    if failure in {Failure.REFUSED, Failure.FORBIDDEN, Failure.UNPAID, Failure.NO_PROXY}:
        detail = f"{status} {'redirect' if status < 400 else said}".strip()
    elif failure is Failure.BLOCKED:
        detail += f" by {front}" if (front := _front(headers)) else " without JSON"
    return UnusableError(failure, detail, status, retry_after=after, said=said)


def _body_of_error(content: bytes | bytearray) -> Any:
    """The JSON of an error, also with control characters in its texts; None if it is no JSON."""
    try:
        return literals.loads(content)
    except ValueError:
        pass
    try:
        return json.loads(content, strict=False, parse_int=str)
    except (ValueError, RecursionError):
        return None


def _kind(
    status: int, headers: Mapping[str, str], content: bytes | bytearray, *, is_json: bool
) -> Failure:
    match status:
        case 429:
            return Failure.THROTTLED
        case 402:
            return Failure.UNPAID
        case 407:
            return Failure.NO_PROXY
        case 401 | 403:
            # the API answers in JSON, also to a wrong key
            is_foreign = bool(content.strip() or _front(headers)) and not is_json
            is_blocked = is_foreign or "cf-mitigated" in headers
            return Failure.BLOCKED if is_blocked else Failure.FORBIDDEN
        case _:
            return Failure.SERVER if status >= 500 or status == 408 else Failure.REFUSED


def _front(headers: Mapping[str, str]) -> str | None:
    """The name of what stands in front of the API, where it signs answers."""
    signed = f"{headers.get('Server', '')} {headers.get('Via', '')}".lower()
    if "cf-mitigated" in headers or "cf-ray" in headers:
        return "cloudflare"
    return next((front for front in _FRONTS if front in signed), None)


def _message(body: object) -> str:
    """The beginning of an answer's error text, in any shape that the API uses; "" if none."""
    try:
        return _error_text(body)[:_LONGEST_RAW]
    except RecursionError:
        return ""  # nested too deeply to be a text


def _error_text(body: object) -> str:
    if not isinstance(body, dict):
        return "" if body is None else str(body)
    errors = body.get("errors") or body.get("message") or body.get("error") or ""
    if isinstance(errors, list):
        errors = "; ".join(
            str(e.get("detail") or e.get("title") or e) if isinstance(e, dict) else str(e)
            for e in errors
        )
    return str(errors)


def parse(content: bytes | bytearray, status: int) -> dict[str, Any]:
    """The body as a JSON object, whatever its Content-Type says."""
    if not content.strip():
        raise UnusableError(Failure.BROKEN, f"{status} with an empty body", status)
    if content.count(b",") > _MOST_VALUES:
        raise UnusableError(Failure.TOO_LARGE, f"more than {_MOST_VALUES:,} values", status)
    try:
        body = literals.loads(content)
    except ValueError:
        kind = "HTML" if content.lstrip()[:1] == b"<" else "a broken document"
        raise UnusableError(Failure.BROKEN, f"{status} with {kind}", status) from None
    if not isinstance(body, dict):
        raise UnusableError(Failure.BROKEN, f"{status} with {type(body).__name__}", status)
    return body
