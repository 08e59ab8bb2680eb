"""What an answer is: a page of data, or one of the kinds of failure that `retry` knows."""

from __future__ import annotations

import json
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
import requests

from activecampaign_dagster.api import retry
from activecampaign_dagster.api.retry import Failure

_LONGEST_INTEGER = 20  # characters, in 64 bits


class UnusableError(Exception):
    """An answer that is not what was asked for."""

    def __init__(
        self,
        failure: Failure,
        detail: str,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.failure = failure
        self.detail = detail
        self.status = status
        self.retry_after = retry_after


def classify(response: requests.Response, content: bytes) -> UnusableError | None:
    """What is wrong with an answer, by its status; None for 2xx."""
    status = response.status_code
    if 200 <= status < 300:
        return None
    after = retry.retry_after(response.headers.get("Retry-After"))
    if status == 429:
        return UnusableError(Failure.THROTTLED, "429", status, after)
    if status >= 500 or status == 408:
        return UnusableError(Failure.SERVER, f"{status}", status, after)
    detail = f"{status} {_message(status, content)}".strip()
    failure = Failure.FORBIDDEN if status == 403 else Failure.REFUSED
    return UnusableError(failure, detail, status)


def _message(status: int, content: bytes) -> str:
    """The error text of an answer, in any of the shapes that the API uses; "" if none."""
    if 300 <= status < 400:
        return "redirect"
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(body, dict):
        return _line(str(body))
    errors = body.get("errors") or body.get("message") or body.get("error") or ""
    if isinstance(errors, list):
        errors = "; ".join(
            str(e.get("detail") or e.get("title") or e) if isinstance(e, dict) else str(e)
            for e in errors
        )
    return _line(str(errors))


def _line(text: str) -> str:
    """A text as one line of bearable length."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]


def parse(content: bytes, status: int) -> dict[str, Any]:
    """The body as a JSON object, whatever its Content-Type says."""
    if not content.strip():
        raise UnusableError(Failure.BROKEN, f"{status} with an empty body", status)
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        try:  # lone surrogates are valid JSON escapes, but orjson refuses them
            body = json.loads(content, parse_int=_number)
        except (ValueError, RecursionError) as error:
            kind = "HTML" if content.lstrip()[:1] == b"<" else "a broken document"
            raise UnusableError(Failure.BROKEN, f"{status} with {kind}", status) from error
        body = json.loads(json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))
    if not isinstance(body, dict):
        raise UnusableError(Failure.BROKEN, f"{status} with {type(body).__name__}", status)
    return body


def _number(digits: str) -> int | float:
    """An integer as orjson reads it: a float beyond 64 bits, which it could not write either."""
    if len(digits) <= _LONGEST_INTEGER and -(2**63) <= (number := int(digits)) < 2**64:
        return number
    return float(digits)


def date(text: str | None) -> datetime | None:
    """The moment in a Date header; None if there is none."""
    try:
        moment = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else None


def integer(text: str | None) -> int | None:
    """A number in a header; None if there is none, or one too large to be meant."""
    fits = text and len(text) < _LONGEST_INTEGER and text.isascii() and text.isdigit()
    return int(text) if text and fits else None
