"""Every fault of the API, through real HTTP: it is mended, or ends in one typed error."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from activecampaign_dagster.api import retry
from activecampaign_dagster.api.client import Client
from activecampaign_dagster.api.errors import (
    ActiveCampaignError,
    AddressError,
    CredentialsError,
    PermanentError,
    PermissionDeniedError,
    RequestError,
    TransientError,
)
from activecampaign_dagster.sandbox import faults
from activecampaign_dagster.sandbox.faults import Fault, always, error, html, nth, times
from activecampaign_dagster.sandbox.server import Sandbox
from tests.api.wire import answering
from tests.helpers import SELF_SIGNED, encrypted, serving, unresolved

pytestmark = pytest.mark.usefixtures("no_waits")

RAW = Fault  # a fault with only `body` answers 200 with these bytes


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with serving() as server:
        yield server


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    with Client(
        sandbox.url, sandbox.api_key, per_second=None, read_timeout=0.3, answer_timeout=0.6
    ) as opened:
        yield opened


def users(client: Client) -> int:
    return len(client.page("users", "users", {"limit": 100}).records)


MENDED = {
    "reset": faults.RESET,
    "cut off in the middle": faults.TRUNCATED,
    "half of the JSON": faults.CUT_JSON,
    "chunk of negative size": RAW(headers=(("Transfer-Encoding", "chunked"),), body=b"-5\r\n{}"),
    "empty body": faults.EMPTY_BODY,
    "blank body": RAW(body=b" \n"),
    "two documents": faults.GLUED,
    "a list": RAW(body=b"[]"),
    "too deep to read": RAW(body=b'{"users": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "HTML with 200": RAW(body=b"<html>hello</html>"),
    "broken gzip": Fault(headers=(("Content-Encoding", "gzip"),)),
    "not UTF-8": RAW(body=b'{"users": ["\xff\xfe"]}'),
    "collection missing": faults.without("users"),
    "collection null": faults.null("users"),
    "collection an object": faults.changed(lambda body: body | {"users": {}}),
    "read time-out": faults.late(0.6),
    "byte by byte": faults.dripping(0.02),
    "429": error(429),
    "429 with seconds": error(429, Retry_After="1"),
    "429 with a negative wait": error(429, Retry_After="-5"),
    "429 with an absurd wait": error(429, Retry_After="1e9"),
    "429 with a strange wait": error(429, Retry_After="soon"),
    "429 with an absurd date": error(
        429, Retry_After="Fri, 01 Jan 2021 00:00:00 +99999999999999999"
    ),
    "429 with a date": error(429, Retry_After="Fri, 01 Jan 2021 00:00:00 GMT"),
    "408": error(408),
    "500": error(500),
    "502": html(502),
    "503": html(503),
    "503 with a wait": error(503, Retry_After="1"),
    "504": html(504),
    "403": error(403, b'{"message":"Forbidden"}'),
}


@pytest.mark.parametrize("fault", MENDED.values(), ids=MENDED.keys())
def test_what_goes_wrong_twice_is_mended(client: Client, sandbox: Sandbox, fault: Fault) -> None:
    sandbox.faults.append(times(2, fault))
    assert users(client) == 8
    assert client.requests == len(sandbox.requests) == 3


@pytest.mark.parametrize("fault", MENDED.values(), ids=MENDED.keys())
def test_what_stays_wrong_ends_in_an_error_with_path_and_remedy(
    client: Client, sandbox: Sandbox, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "_TRIES", {**retry._TRIES, retry.Failure.NO_ANSWER: 3})
    sandbox.faults.append(always(fault, "users"))
    with pytest.raises(ActiveCampaignError) as caught:
        users(client)
    text = str(caught.value)
    assert caught.value.path == "users"
    assert text.startswith("GET users on 127.0.0.1:")
    assert text.count(". ") >= 1, "a remedy follows what happened"
    assert "\n" not in text
    assert sandbox.api_key not in text
    if fault.status == 403:
        assert isinstance(caught.value, PermissionDeniedError)
    else:
        assert isinstance(caught.value, TransientError)


@pytest.mark.parametrize(
    ("fault", "meaning"),
    [
        (faults.RESET, "connection (reset|closed)"),
        (faults.TRUNCATED, "the body was cut off"),
        (faults.EMPTY_BODY, "200 with an empty body"),
        (faults.CUT_JSON, "200 with a broken document"),
        (RAW(body=b"<html>"), "200 with HTML"),
        (faults.late(0.6), "read time-out"),
        (faults.dripping(0.02), "read time-out"),
        (faults.null("users"), "the list 'users' is null"),
        (faults.without("users"), "the list 'users' is missing"),
        (html(503), "failed \\(503, 6 tries\\)"),
        (error(429), "Other integrations"),
    ],
)
def test_an_error_says_what_happened(
    client: Client, sandbox: Sandbox, fault: Fault, meaning: str
) -> None:
    sandbox.faults.append(always(fault))
    with pytest.raises(TransientError, match=meaning):
        users(client)


ODD = {
    "JSON as text/html": faults.HTML_HEADER,
    "gzip": faults.GZIPPED,
    "meta missing": faults.without("meta"),
    "meta null": faults.null("meta"),
    "total missing": faults.changed(lambda body: body | {"meta": {}}),
    "total a word": faults.total("many"),
    "total a list": faults.total([]),
    "limit of 5000 digits": Fault(headers=(("RateLimit-Limit", "9" * 5000),)),
    "status 201": Fault(status=201, edit=lambda _: b'{"users": [1, 2, 3, 4, 5, 6, 7, 8]}'),
}


@pytest.mark.parametrize("fault", ODD.values(), ids=ODD.keys())
def test_what_is_merely_odd_is_taken_as_it_is(
    client: Client, sandbox: Sandbox, fault: Fault
) -> None:
    sandbox.faults.append(always(fault))
    assert users(client) == 8
    assert client.requests == 1


def test_a_head_without_end_is_not_read_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_TRIES", {**retry._TRIES, retry.Failure.NO_ANSWER: 1})

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 ")
        while True:
            connection.sendall(b"O")
            time.sleep(0.01)

    with (
        answering(drip) as url,
        Client(url, "key", per_second=None, answer_timeout=0.2) as client,
        pytest.raises(TransientError, match="read time-out"),
    ):
        client.get("users/me")


def test_early_hints_are_not_taken_for_the_answer() -> None:
    def hint(connection: socket.socket) -> None:
        for number in itertools.count(1):
            connection.recv(1 << 16)
            body = b'{"number": %d}' % number
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with answering(hint) as url, Client(url, "key", per_second=None) as client:
        assert [client.get("users/me")["number"] for _ in range(3)] == [1, 2, 3]


def test_strange_text_and_large_values_arrive_whole(client: Client, sandbox: Sandbox) -> None:
    sandbox.faults.append(nth({1}, faults.odd_text("users", "firstName")))
    sandbox.faults.append(nth({1}, faults.huge("users", "signature")))
    first = client.page("users", "users", {}).records[0]
    assert first["firstName"] == "a\x00b?c\u202e\U0001f984\u05d0\u2028\ufeff"
    second = client.page("users", "users", {}).records[0]
    assert len(second["signature"]) == 5_000_000


def test_nobody_listening_is_a_refused_connection() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        Client(f"http://127.0.0.1:{port}", "key", per_second=None) as client,
        pytest.raises(TransientError, match=r"connection refused.*Check the URL and the network"),
    ):
        client.get("users/me")


@pytest.mark.parametrize("code", ["EAI_NONAME", "EAI_NODATA"])
def test_a_host_that_does_not_exist_is_an_address_error_after_a_few_tries(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = unresolved(monkeypatch, getattr(socket, code, socket.EAI_NONAME))
    with (
        Client("https://acmee.api-us1.com", "key", per_second=None) as client,
        pytest.raises(
            AddressError,
            match=r"users/me on acmee.api-us1.com .*is not known.*Settings → Developer",
        ),
    ):
        client.get("users/me")
    assert asked == ["acmee.api-us1.com"] * 3


def test_name_servers_that_cannot_tell_for_now_are_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = unresolved(monkeypatch, socket.EAI_AGAIN)
    with (
        Client("https://acme.api-us1.com", "key", per_second=None) as client,
        pytest.raises(TransientError, match=r"could not be looked up, 6 tries.*the network"),
    ):
        client.get("users/me")
    assert len(asked) == 6


def test_a_host_that_has_answered_before_is_no_typing_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving() as sandbox:
        client = Client(sandbox.url, sandbox.api_key, per_second=None)
        users(client)
    unresolved(monkeypatch, socket.EAI_NONAME)
    with client, pytest.raises(TransientError, match="could not be looked up"):
        users(client)


@pytest.mark.parametrize(
    ("bundle", "said"),
    [
        (None, "self-signed certificate"),
        (SELF_SIGNED, "not valid for '127.0.0.1'"),
        ("/no/such.pem", "invalid path: /no/such.pem"),
    ],
)
def test_a_certificate_that_proves_nothing_is_an_address_error_at_once(
    bundle: object, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if bundle:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with (
        encrypted() as url,
        Client(url.replace("localhost", "127.0.0.1"), "key", per_second=None) as client,
        pytest.raises(AddressError, match=rf"users/me on 127.*{said}.*REQUESTS_CA_BUNDLE"),
    ):
        client.get("users/me")
    assert client.requests == 1


def test_what_hinders_a_proxy_is_not_said_of_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.acme.com:3128")
    unresolved(monkeypatch, socket.EAI_NONAME)
    with (
        Client("https://acme.api-us1.com", "key", per_second=None) as client,
        pytest.raises(
            TransientError, match=r"the proxy of this machine: .* could not be looked up"
        ),
    ):
        client.get("users/me")


def test_a_connection_that_the_server_closed_meanwhile_is_no_failure(
    client: Client, sandbox: Sandbox
) -> None:
    users(client)
    for connection in list(sandbox._listener._server.open_connections):
        connection.shutdown(socket.SHUT_RDWR)
    assert users(client) == 8


def test_a_bad_key_is_told_apart_from_a_missing_permission(sandbox: Sandbox) -> None:
    with Client(sandbox.url, "wrong-key", per_second=None) as client:
        with pytest.raises(CredentialsError, match="not accepted"):
            client.get("deals")
        with pytest.raises(CredentialsError):
            client.get("users/me")


def test_a_refusal_during_an_outage_blames_neither_the_key_nor_a_permission(
    client: Client, sandbox: Sandbox
) -> None:
    sandbox.faults += [always(error(403), "deals"), always(html(502), "users/me")]
    with pytest.raises(TransientError, match=r"GET deals .*unclear.*run again") as caught:
        client.get("deals")
    assert caught.value.path == "deals"


def test_a_missing_permission_names_the_path_that_may_not_be_read(
    client: Client, sandbox: Sandbox
) -> None:
    body = (
        b'{"errors":[{"status":403,"title":"Forbidden","detail":"No permission to view lists."}]}'
    )
    sandbox.faults.append(always(error(403, body), "deals"))
    with pytest.raises(PermissionDeniedError, match=r"No permission to view lists.*read deals"):
        client.get("deals")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"message":"No Result found"}', "No Result found"),
        (b'{"errors":[{"title":"T","detail":"D"}]}', "D"),
        (b'{"errors":["one","two"]}', "one; two"),
        (b'{"errors":"text"}', "text"),
        (b'{"error":"text"}', "text"),
        (b'"quoted"', "quoted"),
        (b'{"message":"two\\nlines \\u001b[31m in red"}', r"422 two lines \[31m in red"),
        (b"{}", "422"),
        (b"", "422"),
        (b"<html>", "422"),
    ],
)
def test_a_refused_request_is_not_repeated_and_tells_why(
    client: Client, sandbox: Sandbox, body: bytes, text: str
) -> None:
    sandbox.faults.append(always(error(422, body)))
    with pytest.raises(RequestError, match=text):
        client.get("deals")
    assert client.requests == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_so_the_key_goes_nowhere_else(
    client: Client, sandbox: Sandbox, status: int
) -> None:
    with serving() as elsewhere:
        sandbox.faults.append(always(error(status, Location=f"{elsewhere.url}/api/3/users")))
        with pytest.raises(AddressError, match="redirect"):
            users(client)
        assert elsewhere.requests == []
    assert [request.path for request in sandbox.requests] == ["users", "users/me"]


def test_a_redirect_on_one_path_says_nothing_of_the_others(
    client: Client, sandbox: Sandbox
) -> None:
    sandbox.faults.append(always(error(302, Location="/elsewhere"), "users"))
    with pytest.raises(RequestError, match="The account has no users"):
        users(client)


@pytest.mark.parametrize("place", ["http://[half", "http://\xe9/", ""])
def test_a_redirect_to_no_address_is_a_redirect(
    client: Client, sandbox: Sandbox, place: str
) -> None:
    sandbox.faults.append(always(error(302, Location=place)))
    with pytest.raises(AddressError, match="redirect"):
        users(client)


def test_a_host_that_is_no_account_is_an_address_error(client: Client, sandbox: Sandbox) -> None:
    sandbox.faults.append(always(html(404)))
    with pytest.raises(AddressError, match="Settings → Developer"):
        users(client)


def test_the_key_is_in_no_error_even_if_the_server_echoes_it(
    client: Client, sandbox: Sandbox
) -> None:
    echo = f'{{"message":"the key {sandbox.api_key} is odd"}}'.encode()
    for status in (400, 403, 422):
        sandbox.faults[:] = [always(error(status, echo))]
        with pytest.raises(PermanentError, match="the key … is odd") as caught:
            client.get("deals")
        assert sandbox.api_key not in str(caught.value)


def test_a_stopped_client_begins_no_more_requests(client: Client, sandbox: Sandbox) -> None:
    client.stop()
    with pytest.raises(TransientError, match="stopped"):
        users(client)
    assert sandbox.requests == []


def test_a_connection_through_a_proxy_is_paced_too(client: Client) -> None:
    adapter = client._session.get_adapter(client.base_url)
    direct = adapter.poolmanager.pool_classes_by_scheme
    assert adapter.proxy_manager_for("http://127.0.0.1:9").pool_classes_by_scheme == direct


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    def refuse(connection: socket.socket) -> None:
        asked.append(connection.recv(1 << 16))
        connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

    with answering(refuse) as proxy:
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("https_proxy", proxy)
        with (
            Client("https://acme.api-us1.com", "secret-key", per_second=None) as client,
            pytest.raises(TransientError, match="the proxy of this machine"),
        ):
            client.get("users/me")
    assert asked[0].startswith(b"CONNECT acme.api-us1.com:443")
    assert b"secret-key" not in b"".join(asked)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "localhost."])
@pytest.mark.parametrize("excepted", ["", "acme.com", "*"])
def test_this_machine_is_asked_without_a_proxy_whatever_the_environment_says(
    host: str, excepted: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:  # it accepts, and never answers
        proxy = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy)
            monkeypatch.setenv(name.upper(), proxy)
        monkeypatch.setenv("no_proxy", excepted)
        monkeypatch.setenv("NO_PROXY", excepted)
        url = f"http://{host}:{sandbox.port}"
        with Client(url, sandbox.api_key, per_second=None, read_timeout=1) as client:
            assert users(client) == 8


def test_a_page_tells_when_it_was_sent_by_the_accounts_clock(
    client: Client, sandbox: Sandbox
) -> None:
    moment = datetime(2020, 2, 29, 23, 59, 59, tzinfo=UTC)
    sandbox.account.clock = lambda: moment
    assert client.page("users", "users", {}).at == moment


@pytest.mark.parametrize(
    "date",
    [
        *("", "soon", "Fri, 01 Jan 2021 00:00:00 -0000", "1" * 30),
        "Fri, 01 Jan 2021 00:00:00 +99999999999999999",
        "Fri, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Fri, 01 Jan 0101 00:00:00 GMT",
    ],
)
def test_a_date_that_is_none_leaves_the_page_without(
    client: Client, sandbox: Sandbox, date: str
) -> None:
    sandbox.faults.append(always(Fault(headers=(("Date", date),))))
    assert client.page("users", "users", {}).at is None


def test_compressed_answers_are_asked_for(client: Client, sandbox: Sandbox) -> None:
    users(client)
    assert "gzip" in sandbox.requests[0].headers["accept-encoding"]
