"""A refusal is told by what came: who refused, why, and whether it can pass."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.api.errors import (
    AddressError,
    ApiError,
    CredentialsError,
    PermissionDeniedError,
    RequestError,
    TransientError,
)
from activecampaign_dagster.sandbox.faults import Fault, always, error, html, times
from activecampaign_dagster.sandbox.server import Sandbox
from tests.api.wire import answering
from tests.helpers import serving

pytestmark = pytest.mark.usefixtures("no_waits")

JSON = b'{"message":"Forbidden"}'


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with serving() as server:
        yield server


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    with Client(sandbox.url, sandbox.api_key, per_second=None) as opened:
        yield opened


def refused(client: Client, sandbox: Sandbox, fault: Fault, path: str | None = None) -> ApiError:
    sandbox.faults[:] = [always(fault, path)]
    with pytest.raises(ApiError) as caught:
        client.get("deals")
    return caught.value


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    "fault",
    [
        html(),
        Fault(body=b"Access denied"),
        Fault(body=b"<html>", headers=(("Server", "cloudflare"),)),
        Fault(body=b"", headers=(("Server", "cloudflare"),)),
        Fault(body=JSON, headers=(("cf-mitigated", "challenge"),)),
        Fault(body=b"", headers=(("CF-RAY", "8f"),)),
    ],
    ids=["HTML", "text", "cloudflare", "cloudflare without a body", "mitigated", "ray"],
)
def test_what_stands_in_front_of_the_api_is_not_taken_for_a_wrong_key(
    client: Client, sandbox: Sandbox, fault: Fault, status: int
) -> None:
    blocked = Fault(status=status, body=fault.body, headers=fault.headers)
    found = refused(client, sandbox, blocked)
    assert isinstance(found, TransientError)
    assert "in front of the API" in str(found)
    assert "wrong" not in str(found)
    sandbox.faults[:] = [times(3, blocked)]
    assert client.get("users/me"), "it may pass"


@pytest.mark.parametrize("status", [401, 403])
def test_the_api_itself_refuses_a_key_in_json(
    client: Client, sandbox: Sandbox, status: int
) -> None:
    signed = (("Server", "cloudflare"),)
    found = refused(client, sandbox, Fault(status=status, body=JSON, headers=signed))
    assert isinstance(found, CredentialsError)
    assert (found.status, found.said) == (status, "Forbidden")


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("raw", ["\n", "\t", "\0", "\x1b[31m", "\x7f"])
def test_control_characters_in_its_words_make_it_no_stranger(
    client: Client, sandbox: Sandbox, status: int, raw: str
) -> None:
    body = f'{{"message":"Not{raw} you"}}'.encode()
    found = refused(client, sandbox, Fault(status=status, body=body))
    assert isinstance(found, CredentialsError)
    assert re.fullmatch(r"Not\W*(\[31m)? you", found.said)
    key = raw.join(sandbox.api_key)
    body = f'{{"message":"Not {key}"}}'.encode()
    found = refused(client, sandbox, Fault(status=status, body=body))
    assert sandbox.api_key[:8] not in re.sub(r"\W|31m", "", f"{found} {found.said}")


@pytest.mark.parametrize("status", [401, 403])
def test_a_feature_that_the_plan_lacks_is_told_by_status_and_words(
    client: Client, sandbox: Sandbox, status: int
) -> None:
    said = "Upgrade your account to use this feature."
    body = f'{{"errors":[{{"title":"T","detail":"{said}"}}]}}'.encode()
    found = refused(client, sandbox, error(status, body), "deals")
    assert isinstance(found, PermissionDeniedError)
    assert (found.path, found.status, found.said) == ("deals", status, said)


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_request_error_has_status_and_words(
    client: Client, sandbox: Sandbox, status: int
) -> None:
    found = refused(client, sandbox, error(status, b'{"message":"No such thing"}'), "deals")
    assert isinstance(found, RequestError)
    assert (found.status, found.said) == (status, "No such thing")


def test_an_unpaid_account_is_no_bug(client: Client, sandbox: Sandbox) -> None:
    found = refused(client, sandbox, error(402, b'{"message":"Payment required"}'))
    assert isinstance(found, RequestError)
    assert "paid" in str(found)
    assert "bug" not in str(found)
    assert client.requests == 1


def test_a_proxy_that_wants_a_log_in_is_told_as_such(client: Client, sandbox: Sandbox) -> None:
    found = refused(client, sandbox, error(407))
    assert isinstance(found, AddressError)
    assert "HTTPS_PROXY" in str(found)
    assert client.requests == 1


def test_a_tunnel_that_wants_a_log_in_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    with answering(ask) as proxy:
        monkeypatch.setenv("https_proxy", proxy)
        with (
            Client("https://acme.api-us1.com", "secret-key", per_second=None) as client,
            pytest.raises(AddressError, match="asks for a log-in"),
        ):
            client.get("users/me")
    assert client.requests == 1


def test_an_error_nested_too_deeply_for_a_text_is_told_without_it(
    client: Client, sandbox: Sandbox
) -> None:
    body = b'{"message": ' + b"[" * 990 + b"]" * 990 + b"}"
    found = refused(client, sandbox, error(422, body))
    assert isinstance(found, RequestError)
