"""One GET done right: authenticated, paced, retried, checked, and never a secret in an error."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from requests import Response
from urllib3.exceptions import HTTPError

from activecampaign_dagster.api import address, retry
from activecampaign_dagster.api.advice import PROBE, typed_error
from activecampaign_dagster.api.answers import UnusableError, classify, parse
from activecampaign_dagster.api.budget import Budget
from activecampaign_dagster.api.connection_errors import why
from activecampaign_dagster.api.errors import ApiError, TransientError
from activecampaign_dagster.api.headers import date, integer
from activecampaign_dagster.api.paced import PacedAdapter
from activecampaign_dagster.api.retry import Failure
from activecampaign_dagster.api.secrets import hide_in_logs, redact
from activecampaign_dagster.api.stamps import is_proper

Params = Mapping[str, str | int]

PAGE_SIZE = 100  # the API's maximum; more is an error or capped, depending on the path
_MOST_IN_FLIGHT = 16
_PAGES_PER_SECOND = 25  # what this process digests: its limit where the account sets none
_SLACK = 1.5  # answers take longer now and then
# bytes; between chunks other threads may take the interpreter, and in a larger one the time that
# urllib3 takes for many compressed parts grows by the square
_CHUNK = 1 << 16
_BEYOND_COUNTING = 10**18  # no collection has as many records
# seconds
_CONNECT_TIMEOUT, _READ_TIMEOUT, _ANSWER_TIMEOUT = 4.0, 120.0, 300.0
# decoded bytes; a page of contacts has 0.3 to 1 MB
_MOST_OF_A_PAGE, _MOST_OF_AN_ERROR = 64 << 20, 1 << 20
_MOST_AROUND_A_PAGE = 1 << 20  # bytes of headers, and of the lengths of chunks


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


class Client:
    """Reads one account. Thread-safe; use as a context manager.

    url: the account's URL in any form that `address.base_url` accepts; key: the API key.
    per_second: requests that may begin per second, None for no limit. read_timeout: seconds until
    the next piece of an answer has come; answer_timeout: until all of them have. max_bytes: how
    large the decoded body of an answer may be.
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
        max_bytes: int = _MOST_OF_A_PAGE,
    ) -> None:
        self.base_url = address.base_url(url)
        self._key = address.api_key(key)
        self._hide = partial(redact, secrets=[self._key])
        hide_in_logs(self._key)
        self._budget = Budget(per_second)
        self._max_bytes = max_bytes
        self._timeout = (_CONNECT_TIMEOUT, read_timeout)
        self._stopped = threading.Event()
        self._session = _Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers.update(
            {
                "Api-Token": self._key,
                "Accept": "application/json",
                "Accept-Encoding": "gzip, deflate",  # whatever else this environment could decode
            }
        )
        self._adapter = PacedAdapter(
            self._budget,
            connections=_MOST_IN_FLIGHT,
            answer_timeout=answer_timeout,
            most_bytes=max_bytes + _MOST_AROUND_A_PAGE,
        )
        self._session.mount(self.base_url, self._adapter)
        # looked up once: requests would look for proxies and certificates with every page
        self._environment = self._session.merge_environment_settings(
            self.base_url, {}, stream=True, verify=None, cert=None
        )
        if address.is_loopback(urlsplit(self.base_url).hostname or ""):
            self._environment["proxies"] = {}  # whatever NO_PROXY says or does not say
        self._session.trust_env = False
        self._lock = threading.Lock()
        self._key_works = False  # as far as anybody has asked
        self.executor = ThreadPoolExecutor(_MOST_IN_FLIGHT, thread_name_prefix="activecampaign")
        self.statuses: Counter[int | None] = Counter()  # by HTTP status; None: no answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stop(self) -> None:
        """End the requests under way and begin no more: all raise TransientError at once."""
        self._stopped.set()
        self._budget.stop()
        self._adapter.stop()

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
                raise UnusableError(Failure.BROKEN, f"the list {collection!r} is {found}", 200)

        body, at = self._read(path, params, check)
        return Page(body[collection], body, at)

    def first(self, path: str, collection: str, params: Params) -> Page:
        """One record of `collection`, for the sake of the total beside it."""
        return self.page(path, collection, {**params, "limit": 1})

    def single(self, path: str, key: str, params: Params) -> Page:
        """The one record at a path as a page; of no record where there is none."""
        body, at = self._read(path, params, lambda _: None)
        record = body.get(key)
        return Page([record] if isinstance(record, dict) and record else [], body, at)

    def get(self, path: str, params: Params | None = None) -> dict[str, Any]:
        """The JSON object at `path` (relative to /api/3). Raises the errors of `errors.py`."""
        return self._read(path, params, lambda _: None)[0]

    def _read(
        self, path: str, params: Params | None, check: Callable[[dict[str, Any]], None]
    ) -> tuple[dict[str, Any], datetime | None]:
        """The JSON object at `path`, and when it was sent."""
        failures: Counter[Failure] = Counter()
        while True:
            try:
                body, at = self._once(path, params)
                check(body)
            except UnusableError as error:
                unusable = error
            else:
                return body, at
            # raised out here, an error has no context, in which a server might echo the key
            failures[unusable.failure] += 1
            self._wait_or_raise(path, unusable, failures[unusable.failure])

    def _wait_or_raise(self, path: str, unusable: UnusableError, tries: int) -> None:
        """Wait until the next try; the typed error if there is to be none."""
        self._raise_if_stopped(path)
        if not retry.should_retry(unusable.failure, tries):
            raise self._error(path, unusable, tries)
        delay = retry.wait(tries, unusable.retry_after)
        if unusable.failure is Failure.THROTTLED:
            self._budget.refused(delay)
        self._stopped.wait(delay)

    def _raise_if_stopped(self, path: str) -> None:
        if self._stopped.is_set():
            raise TransientError(f"GET {path} was stopped.", path=path)

    def _once(self, path: str, params: Params | None) -> tuple[dict[str, Any], datetime | None]:
        self._raise_if_stopped(path)
        request = requests.Request("GET", f"{self.base_url}/{path}", params=params)
        try:
            with self._session.send(
                self._session.prepare_request(request),
                timeout=self._timeout,
                allow_redirects=False,
                **self._environment,
            ) as response:
                content = self._content(response)
        except (OSError, ValueError, HTTPException, HTTPError) as error:
            self._count(None)
            answered = self.requests > self.statuses[None]
            raise UnusableError(*why(error, known=answered)) from None
        status, headers = response.status_code, response.headers
        self._count(status)
        if unusable := classify(status, headers, content, self._hide):
            raise unusable
        limits = (integer(headers.get(f"RateLimit-{name}")) for name in ("Limit", "Remaining"))
        self._budget.accepted(*limits)
        at = date(headers.get("Date"))
        return parse(content, status), at if at and is_proper(at) else None

    def _content(self, response: Response) -> bytearray:
        """The decoded body; of an error as much as is worth a look."""
        is_page = 200 <= response.status_code < 300
        most = self._max_bytes if is_page else _MOST_OF_AN_ERROR
        content = bytearray()
        for chunk in response.iter_content(_CHUNK):
            content += chunk
            if len(content) > most:
                break
        if is_page and len(content) > most:
            self._count(response.status_code)
            detail = f"more than {most:,} bytes, the limit of one response"
            raise UnusableError(Failure.TOO_LARGE, detail, response.status_code)
        return content

    def _count(self, status: int | None) -> None:
        with self._lock:
            self.statuses[status] += 1

    def _error(self, path: str, unusable: UnusableError, tries: int) -> ApiError:
        """The typed error for an answer that retries did not mend."""
        host = self.base_url.split("/")[2]
        what = f"GET {path} on {host} {unusable.failure.value} ({self._hide(unusable.detail)}"
        what += f", {tries} tries)." if tries > 1 else ")."
        return typed_error(what, path, unusable, self._try_key)

    def _try_key(self) -> None:
        """Read what whoever has a key may read, once; raises ApiError if that fails."""
        if not self._key_works:
            self.get(PROBE)
            self._key_works = True
