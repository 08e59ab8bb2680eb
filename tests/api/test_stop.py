"""A client that is stopped ends at once, whatever the server does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.api.errors import TransientError
from activecampaign_dagster.sandbox.faults import always, error
from tests.api.wire import answering
from tests.helpers import serving

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def silent(connection: socket.socket) -> None:
    connection.recv(1 << 16)
    time.sleep(60)


def dripping(head: bytes) -> Callable[[socket.socket], None]:
    def drip(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(head)
        while True:
            connection.sendall(b" ")
            time.sleep(0.05)

    return drip


def endless_hints(connection: socket.socket) -> None:
    connection.recv(1 << 16)
    while True:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        time.sleep(0.05)


SERVERS = {
    "silent": silent,
    "status by bytes": dripping(b"HTTP/1.1 200 "),
    "header by bytes": dripping(HEAD + b"X-Odd: "),
    "body by bytes": dripping(HEAD + b"Content-Length: 1000000\r\n\r\n"),
    "body to the end of the connection": dripping(HEAD + b"Connection: close\r\n\r\n"),
    "chunk by bytes": dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n"),
    "hints": endless_hints,
}


def stopped(client: Client, *, requests: int = 4) -> float:
    """Seconds from the stop until all requests under way have ended and the client is closed."""
    futures = [client.executor.submit(client.get, "users/me") for _ in range(requests)]
    time.sleep(0.4)
    assert not any(future.done() for future in futures)
    began = time.monotonic()
    client.stop()
    client.close()
    for future in futures:
        with suppress(Exception):
            future.result(0)
    seconds = time.monotonic() - began
    for future in futures:
        assert future.cancelled() or isinstance(future.exception(), TransientError)
        assert future.cancelled() or "stopped" in str(future.exception())
    return seconds


@pytest.mark.parametrize("serve", SERVERS.values(), ids=SERVERS)
def test_requests_under_way_end_at_once(serve: Callable[[socket.socket], None]) -> None:
    with answering(serve) as url:
        assert stopped(Client(url, "secret-key", per_second=None)) < 1


def test_a_handshake_that_is_not_answered_ends_at_once() -> None:
    with answering(silent) as url:
        client = Client(url.replace("http:", "https:"), "secret-key", per_second=None)
        assert stopped(client) < 1


def test_a_wait_that_the_server_asked_for_ends_at_once() -> None:
    with serving() as sandbox:
        sandbox.faults.append(always(error(429, Retry_After="100")))
        assert stopped(Client(sandbox.url, sandbox.api_key)) < 1


def test_requests_that_wait_for_the_budget_end_at_once() -> None:
    with answering(silent) as url:
        assert stopped(Client(url, "secret-key", per_second=1), requests=16) < 1


def test_a_request_that_begins_while_the_client_is_stopped_ends_too() -> None:
    with answering(silent) as url:
        for _ in range(20):
            client = Client(url, "secret-key", per_second=None)
            futures = [client.executor.submit(client.get, "users/me") for _ in range(4)]
            client.stop()
            began = time.monotonic()
            client.close()
            assert time.monotonic() - began < 1
            assert all(future.cancelled() or future.exception() for future in futures)


def test_a_stop_during_the_probe_after_a_refusal_is_told_as_a_stop() -> None:
    with serving() as sandbox:
        client = Client(sandbox.url, sandbox.api_key, per_second=None)
        threading.Timer(0.2, client.stop).start()
        sandbox.faults.append(always(error(503, Retry_After="60")))
        with client, pytest.raises(TransientError, match="was stopped"):
            client.get("deals")


def looked_up_slowly(*_: object) -> list[object]:
    time.sleep(30)
    return []


@contextmanager
def deaf() -> Iterator[str]:
    """The URL of a port of three addresses, which answers no attempt to connect."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        address = listener.getsockname()
        for _ in range(4):  # what the kernel takes in by itself
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}"


def test_a_name_that_is_looked_up_for_long_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client("https://acme.api-us1.com", "secret-key", per_second=None)
    monkeypatch.setattr(socket, "getaddrinfo", looked_up_slowly)
    assert stopped(client) < 1


def test_connecting_to_addresses_that_do_not_answer_ends_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda *about: look_up(*about) * 3)
    with deaf() as url:
        assert stopped(Client(url, "secret-key", per_second=None)) < 1
