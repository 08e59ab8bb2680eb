"""The sandbox account on loopback over HTTP."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC
from email.utils import format_datetime
from random import Random
from typing import Self
from urllib.parse import parse_qsl, unquote

import orjson

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.faults import Fault, HangUp, Request, Rule
from activecampaign_dagster.sandbox.limits import WINDOW, RateLimit
from activecampaign_dagster.sandbox.wire import Call, Listener, Reply

_API = "/api/3/"
_JSON = "application/json"
_FORBIDDEN = b'{"message":"Forbidden"}'
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Sandbox:
    """Serves an account until the end of a block; a context manager.

    `requests_per_second` None: no limit. `latency` is in seconds and comes before every answer;
    a request arrives up to `jitter` seconds after it was sent, as through a network.
    `requests` holds every request below `/api/3/`; `faults` may be changed at any time, its rules
    are asked about every request that passes key and limit. `rate_limit_headers`: whether
    the documented, never recorded `RateLimit-*` headers are sent.

    Below `/sandbox/` there are `GET stats`, `POST reset-stats`, `POST churn?changes=N` and
    `POST hide-pipeline?id=N` for other processes; they need no key and count nowhere.
    """

    def __init__(
        self,
        account: Account,
        port: int = 0,
        api_key: str = "sandbox-key",
        requests_per_second: int | None = 5,
        latency: float = 0.0,
        faults: Iterable[Rule] = (),
        *,
        host: str = "127.0.0.1",
        jitter: float = 0.0,
        rate_limit_headers: bool = False,
        seed: int = 1,
    ) -> None:
        if host not in _LOOPBACK:
            raise ValueError(f"the sandbox listens on loopback only, not on {host}")
        self.account = account
        self.api_key = api_key
        self.latency = latency
        self.jitter = jitter
        self.faults: list[Rule] = list(faults)
        self.requests: list[Request] = []
        self.limit = RateLimit(requests_per_second)
        self.rate_limit_headers = rate_limit_headers
        self._random = Random(seed)
        self._count = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._listener = Listener(host, port, self._answer)
        self.port = self._listener.port
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.port}"

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._listener.close()

    def spend(self, count: int) -> None:
        """Use up `count` requests of the rate limit now, as another integration would."""
        self.limit.spend(count)

    def stats(self) -> dict[str, object]:
        """Report what was asked for since the start or the last reset."""
        with self._lock:
            seen = list(self.requests)
        return {
            "requests": len(seen),
            "rate_limited": sum(request.status == 429 for request in seen),
            "max_requests_in_a_second": _busiest([request.time for request in seen]),
            "max_admitted_in_a_second": _busiest(
                [request.time for request in seen if request.status != 429]
            ),
            "seconds": round(seen[-1].time - seen[0].time, 3) if seen else 0.0,
            "statuses": dict(Counter(str(request.status) for request in seen)),
            "paths": dict(Counter(request.path for request in seen)),
            "records": self.account.counts(),
        }

    def reset_stats(self) -> None:
        """Forget the requests seen so far."""
        with self._lock:
            self.requests.clear()

    def _answer(self, call: Call) -> Reply:
        path, _, text = call.target.partition("?")
        path = unquote(path)
        if path.startswith(_API):
            return self._api(call, path[len(_API) :].strip("/"), text)
        if path.startswith("/sandbox/"):
            return self._control(call, path, text)
        return Reply(404, b'{"message":"Not Found"}', _JSON)

    def _api(self, call: Call, path: str, text: str) -> Reply:
        if self.jitter:
            self._closing.wait(self._random.random() * self.jitter)
        now = time.monotonic()
        params = parse_qsl(text, keep_blank_values=True)
        request = Request(now, path, params, call.headers)
        with self._lock:
            self._count += 1
            number = self._count
            self.requests.append(request)
        reply = self._decide(call, request, number)
        if self.latency:
            self._closing.wait(self.latency)
        request.status = 0 if reply.hang_up is HangUp.BEFORE_ANSWER else reply.status
        date = format_datetime(self.account.clock().astimezone(UTC), usegmt=True)
        return replace(reply, headers=tuple(({"Date": date} | dict(reply.headers)).items()))

    def _decide(self, call: Call, request: Request, number: int) -> Reply:
        if call.headers.get("api-token") != self.api_key:
            return Reply(403, _FORBIDDEN, _JSON)
        if call.method != "GET":
            return Reply(405, b'{"message":"Method Not Allowed"}', _JSON)
        wait = self.limit.admit(request.time)
        headers = self._limit_headers(request.time)
        if wait is not None:
            return Reply(429, b"", _JSON, (*headers, ("Retry-After", str(wait))))
        rules = list(self.faults)
        fault = next((found for rule in rules if (found := rule(request, number))), None)
        if fault is None:
            status, body = self.account.respond(request.path, request.params)
            return Reply(status, body, _JSON, headers)
        return self._fail(fault, request, headers)

    def _fail(self, fault: Fault, request: Request, headers: tuple[tuple[str, str], ...]) -> Reply:
        if fault.delay:
            self._closing.wait(fault.delay)
        status, body = fault.apply(*self.account.respond(request.path, request.params))
        headers += fault.headers
        if fault.compress:
            headers += (("Content-Encoding", "gzip"),)
        return Reply(status, body, fault.content_type or _JSON, headers, fault.hang_up, fault.drip)

    def _limit_headers(self, now: float) -> tuple[tuple[str, str], ...]:
        if not self.rate_limit_headers or self.limit.rate is None:
            return ()
        return (
            ("RateLimit-Limit", str(self.limit.rate)),
            ("RateLimit-Remaining", str(self.limit.left(now))),
        )

    def _control(self, call: Call, path: str, text: str) -> Reply:
        parameters = dict(parse_qsl(text))
        if call.method == "POST" and "origin" in call.headers:
            return Reply(403, b'{"message":"pages of other origins may not change it"}', _JSON)
        answer: dict[str, object] = {}
        try:
            match call.method, path:
                case "GET", "/sandbox/stats":
                    answer = self.stats()
                case "POST", "/sandbox/reset-stats":
                    self.reset_stats()
                case "POST", "/sandbox/churn":
                    answer = {"changes": self._churn(parameters.get("changes", "1"))}
                case "POST", "/sandbox/hide-pipeline":
                    self._hide_pipeline(parameters.get("id", ""))
                case _:
                    return Reply(404, b'{"message":"Not Found"}', _JSON)
        except ValueError as error:
            return Reply(400, orjson.dumps({"message": str(error)}), _JSON)
        return Reply(200, orjson.dumps(answer), _JSON)

    def _churn(self, changes: str) -> list[str]:
        if not changes.isdecimal() or int(changes) > 1_000_000:
            raise ValueError("changes must be a number")
        return self.account.churn(self._random, int(changes))

    def _hide_pipeline(self, pipeline: str) -> None:
        if not pipeline.isdecimal() or int(pipeline) not in self.account.visible_ids("dealGroups"):
            raise ValueError("id must be that of a pipeline")
        self.account.hide_pipeline(int(pipeline))


def _busiest(times: list[float]) -> int:
    """The most moments in any window of a second."""
    ordered = sorted(times)
    most, first = 0, 0
    for last, moment in enumerate(ordered):
        while ordered[first] <= moment - WINDOW:
            first += 1
        most = max(most, last - first + 1)
    return most
