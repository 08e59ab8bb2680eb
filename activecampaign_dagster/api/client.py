"""One GET done right: authenticated, paced, retried, checked, and never a secret in an error."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Self

import orjson
import requests

from activecampaign_dagster.api import address, retry
from activecampaign_dagster.api.budget import Budget
from activecampaign_dagster.api.errors import (
    ActiveCampaignError,
    AddressError,
    CredentialsError,
    PermissionDeniedError,
    RequestError,
    TransientError,
)
from activecampaign_dagster.api.paced import PacedAdapter
from activecampaign_dagster.api.retry import Failure
from activecampaign_dagster.api.unanswered import why

Params = Mapping[str, str | int]

PAGE_SIZE = 100  # the API's maximum; more is an error or capped, depending on the path
_MOST_IN_FLIGHT = 16
_PAGES_PER_SECOND = 25  # what this process digests: its limit where the account sets none
_SLACK = 1.5  # answers take longer now and then
_CHUNK = 1 << 20  # bytes; between chunks other threads may take the interpreter
_LONGEST_INTEGER = 20  # characters, in 64 bits
_BEYOND_COUNTING = 10**18  # no collection has as many records
_CONNECT_TIMEOUT, _READ_TIMEOUT, _ANSWER_TIMEOUT = 10.0, 120.0, 300.0  # seconds


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a collection: its raw records, and the body they came in.

    `total` is meta.total where the response has one; it is a hint, never a stop sign.
    `at`: when it was sent, by the account's clock, where the response says so.
    """

    records: list[Any]
    body: dict[str, Any]
    at: datetime | None = None

    @property
    def total(self) -> int | None:
        """meta.total, sent as a string or an int, missing on some paths and null on others.

        None, too, for what is no number of records.
        """
        meta = self.body.get("meta")
        total = meta.get("total") if isinstance(meta, dict) else None
        try:
            number = int(total) if total is not None else -1
        except (TypeError, ValueError, OverflowError):
            return None
        return number if 0 <= number < _BEYOND_COUNTING else None


class _Session(requests.Session):
    """Redirects are not followed; requests would look where they lead all the same."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere."""


class _UnusableError(Exception):
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


class Client:
    """Reads one account. Thread-safe; use as a context manager.

    url: the account's URL in any form that `address.base_url` accepts; key: the API key.
    per_second: requests that may begin per second, None for no limit. read_timeout: seconds until
    the next piece of an answer has come; answer_timeout: until all of them have.
    Raises AddressError or CredentialsError at once if either cannot be right.
    """

    def __init__(
        self,
        url: str | None,
        key: str | None,
        *,
        per_second: int | None = 5,
        read_timeout: float = _READ_TIMEOUT,
        answer_timeout: float = _ANSWER_TIMEOUT,
    ) -> None:
        self.base_url = address.base_url(url)
        self._key = address.api_key(key)
        self._budget = Budget(per_second)
        self._timeout = (_CONNECT_TIMEOUT, read_timeout)
        self._stopped = threading.Event()
        self._session = _Session()
        self._session.headers.update(
            {
                "Api-Token": self._key,
                "Accept": "application/json",
                "Accept-Encoding": "gzip, deflate",  # whatever else this environment could decode
            }
        )
        adapter = PacedAdapter(
            self._budget, connections=_MOST_IN_FLIGHT, answer_timeout=answer_timeout
        )
        self._session.mount(self.base_url, adapter)
        # looked up once: requests would look for proxies and certificates with every page
        self._environment = self._session.merge_environment_settings(
            self.base_url, {}, stream=True, verify=None, cert=None
        )
        self._session.trust_env = False
        self._lock = threading.Lock()
        self.executor = ThreadPoolExecutor(_MOST_IN_FLIGHT, thread_name_prefix="activecampaign")
        self.statuses: Counter[int | None] = Counter()  # by HTTP status; None: no answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stop(self) -> None:
        """Let requests under way end and begin no more: those waiting raise TransientError."""
        self._stopped.set()

    def close(self) -> None:
        """Stop the workers and close the connections."""
        self.stop()
        self.executor.shutdown(wait=True, cancel_futures=True)
        self._session.close()

    @property
    def requests(self) -> int:
        """Requests sent so far, retries included."""
        return sum(self.statuses.values())

    @property
    def per_second(self) -> int | None:
        """Requests that may begin per second; None: no limit."""
        return self._budget.per_second

    @property
    def in_flight(self) -> int:
        """How many requests should be under way to use the whole budget at today's latency."""
        per_second = self._budget.per_second or _PAGES_PER_SECOND
        return min(int(per_second * self._budget.latency * _SLACK) + 2, _MOST_IN_FLIGHT)

    def page(self, path: str, collection: str, params: Params) -> Page:
        """One page of `collection`; a body without that list is retried, then a TransientError."""

        def check(body: dict[str, Any]) -> None:
            if not isinstance(body.get(collection), list):
                found = "null" if collection in body else "missing"
                raise _UnusableError(Failure.BROKEN, f"the list {collection!r} is {found}", 200)

        body, at = self._read(path, params, check)
        return Page(body[collection], body, at)

    def get(self, path: str, params: Params | None = None) -> dict[str, Any]:
        """The JSON object at `path` (relative to /api/3). Raises the errors of `errors.py`."""
        return self._read(path, params, lambda _: None)[0]

    def _read(
        self, path: str, params: Params | None, check: Callable[[dict[str, Any]], None]
    ) -> tuple[dict[str, Any], datetime | None]:
        """The JSON object at `path`, and when it was sent."""
        failures: Counter[Failure] = Counter()
        while True:
            if self._stopped.is_set():
                raise TransientError(f"GET {path} was stopped.", path=path)
            try:
                body, at = self._once(path, params)
                check(body)
            except _UnusableError as unusable:
                failures[unusable.failure] += 1
                tries = failures[unusable.failure]
                if not retry.should_retry(unusable.failure, tries):
                    raise self._error(path, unusable, tries) from unusable.__cause__
                delay = retry.wait(tries, unusable.retry_after)
                if unusable.failure is Failure.THROTTLED:
                    self._budget.refused(delay)
                if self._stopped.wait(delay):
                    raise self._error(path, unusable, tries) from unusable.__cause__
            else:
                return body, at

    def _once(self, path: str, params: Params | None) -> tuple[dict[str, Any], datetime | None]:
        request = requests.Request("GET", f"{self.base_url}/{path}", params=params)
        try:
            response = self._session.send(
                self._session.prepare_request(request),
                timeout=self._timeout,
                allow_redirects=False,
                **self._environment,
            )
            content = b"".join(response.iter_content(_CHUNK))
        except (OSError, ValueError) as error:
            self._count(None)
            answered = self.requests > self.statuses[None]
            raise _UnusableError(*why(error, known=answered)) from error
        self._count(response.status_code)
        unusable = _classify(response, content)
        if unusable:
            raise unusable
        limits = (_integer(response.headers.get(f"RateLimit-{x}")) for x in ("Limit", "Remaining"))
        self._budget.accepted(*limits)
        return _parse(content, response.status_code), _date(response.headers.get("Date"))

    def _count(self, status: int | None) -> None:
        with self._lock:
            self.statuses[status] += 1

    def _error(self, path: str, unusable: _UnusableError, tries: int) -> ActiveCampaignError:
        """The typed error for an answer that retries did not mend."""
        status, detail = unusable.status, unusable.detail.replace(self._key, "…")
        host = self.base_url.split("/")[2]
        what = f"GET {path} on {host} {unusable.failure.value} ({detail}"
        what += f", {tries} tries)." if tries > 1 else ")."
        match unusable.failure:
            case Failure.REFUSED if status == 404 and self._is_account(path):
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
                return self._denied(what, path)
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

    def _is_account(self, path: str) -> bool:
        """Whether the URL is right though there is nothing at `path`: /users/me tells."""
        if path == "users/me":
            return False
        try:
            self.get("users/me")
        except ActiveCampaignError:
            return False
        return True

    def _denied(self, what: str, path: str) -> ActiveCampaignError:
        """403 stands for a bad key and for a missing permission: /users/me tells which."""
        if path != "users/me":
            try:
                self.get("users/me")
            except CredentialsError as error:
                return error
            except TransientError as error:
                return TransientError(
                    f"{what} Whether the key or a permission is to blame could not be told, since "
                    "/users/me fails as well: run again later.",
                    path=path,
                    status=error.status,
                )
            except ActiveCampaignError:
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


def _classify(response: requests.Response, content: bytes) -> _UnusableError | None:
    """What is wrong with an answer, by its status; None for 2xx."""
    status = response.status_code
    if 200 <= status < 300:
        return None
    after = retry.retry_after(response.headers.get("Retry-After"))
    if status == 429:
        return _UnusableError(Failure.THROTTLED, "429", status, after)
    if status >= 500 or status == 408:
        return _UnusableError(Failure.SERVER, f"{status}", status, after)
    detail = f"{status} {_message(status, content)}".strip()
    failure = Failure.FORBIDDEN if status == 403 else Failure.REFUSED
    return _UnusableError(failure, detail, status)


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


def _parse(content: bytes, status: int) -> dict[str, Any]:
    """The body as a JSON object, whatever its Content-Type says."""
    if not content.strip():
        raise _UnusableError(Failure.BROKEN, f"{status} with an empty body", status)
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        try:  # lone surrogates are valid JSON escapes, but orjson refuses them
            body = json.loads(content, parse_int=_number)
        except (ValueError, RecursionError) as error:
            kind = "HTML" if content.lstrip()[:1] == b"<" else "a broken document"
            raise _UnusableError(Failure.BROKEN, f"{status} with {kind}", status) from error
        body = json.loads(json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))
    if not isinstance(body, dict):
        raise _UnusableError(Failure.BROKEN, f"{status} with {type(body).__name__}", status)
    return body


def _number(digits: str) -> int | float:
    """An integer as orjson reads it: a float beyond 64 bits, which it could not write either."""
    if len(digits) <= _LONGEST_INTEGER and -(2**63) <= (number := int(digits)) < 2**64:
        return number
    return float(digits)


def _date(text: str | None) -> datetime | None:
    """The moment in a Date header; None if there is none."""
    try:
        moment = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else None


def _integer(text: str | None) -> int | None:
    """A number in a header; None if there is none, or one too large to be meant."""
    fits = text and len(text) < _LONGEST_INTEGER and text.isascii() and text.isdigit()
    return int(text) if text and fits else None
