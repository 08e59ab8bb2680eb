from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPResponse
from typing import Any, Self
from urllib.parse import urlencode

import pytest

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.server import Sandbox

NOW = datetime(2026, 5, 28, 15, 0, tzinfo=UTC)

Params = Sequence[tuple[str, str]]


class Client:
    """One keep-alive connection to a sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.connection = HTTPConnection("127.0.0.1", sandbox.port, timeout=5)
        self.response: HTTPResponse

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def raw(self, path: str, params: Params = (), method: str = "GET", **headers: str) -> bytes:
        target = f"{path}?{urlencode(params)}" if params else path
        self.connection.request(method, target, headers=headers)
        self.response = self.connection.getresponse()
        return self.response.read()

    def get(self, path: str, *params: tuple[str, str]) -> Any:
        body = self.raw(f"/api/3/{path}", params, **{"Api-Token": self.sandbox.api_key})
        return json.loads(body) if body else None

    @property
    def status(self) -> int:
        return self.response.status


@pytest.fixture
def account() -> Account:
    return Account.generate(seed=7, now=NOW)


@pytest.fixture
def sandbox(account: Account) -> Iterator[Sandbox]:
    with Sandbox(account, requests_per_second=None) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    with Client(sandbox) as made:
        yield made
