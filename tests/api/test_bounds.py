"""No answer takes more memory than is set, and none leaves a cookie behind."""

from __future__ import annotations

import gzip
import itertools
import resource
import socket
import sys
import time
import zlib
from collections.abc import Callable

import pytest

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.api.errors import ApiError, RequestError, TransientError
from activecampaign_dagster.sandbox.faults import Fault, always
from tests.api.wire import always_answering, answering
from tests.helpers import serving

pytestmark = pytest.mark.usefixtures("no_waits")

MB = 1 << 20
OK = b"HTTP/1.1 200 OK\r\n"


def memory() -> float:
    """The most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        MB if sys.platform == "darwin" else 1024
    )


def bomb(wrap: int = zlib.MAX_WBITS | 16, layers: int = 1) -> bytes:
    """400 MB of blanks, compressed."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, wrap)
    body = b"".join(squeeze.compress(b" " * MB) for _ in range(400)) + squeeze.flush()
    for _ in range(layers - 1):
        body = gzip.compress(body)
    return body


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (b"gzip", bomb()),
        (b"deflate", bomb(zlib.MAX_WBITS)),
        (b"gzip, gzip", bomb(layers=2)),
    ],
    ids=["gzip", "deflate", "gzip in gzip"],
)
@pytest.mark.parametrize("status", [200, 400, 503])
def test_a_small_answer_does_not_become_a_large_one(
    status: int, encoding: bytes, body: bytes
) -> None:
    head = b"HTTP/1.1 %d X\r\nContent-Encoding: %s\r\n" % (status, encoding)
    before = memory()
    with (
        always_answering(head, body) as url,
        Client(url, "secret-key", per_second=None, max_bytes=8 * MB) as client,
        pytest.raises(ApiError) as caught,
    ):
        client.get("deals")
    assert caught.value.status == status
    assert memory() - before < 100


def endless(head: bytes, piece: bytes) -> Callable[[socket.socket], None]:
    def send(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(head + b"\r\n")
        while True:
            connection.sendall(piece)

    return send


@pytest.mark.parametrize(
    "serve",
    [
        endless(OK + b"Connection: close\r\n", b'{"a": ' * 10_000),
        endless(OK + b"Transfer-Encoding: chunked\r\n", b"10000\r\n" + b" " * 65_536 + b"\r\n"),
        endless(OK + b"Content-Length: 99999999999999\r\n", b" " * 65_536),
    ],
    ids=["to the end", "chunked", "by length"],
)
def test_an_answer_without_end_is_read_up_to_the_bound(
    serve: Callable[[socket.socket], None],
) -> None:
    with (
        answering(serve) as url,
        Client(url, "secret-key", per_second=None, max_bytes=8 * MB) as client,
        pytest.raises(TransientError, match=r"sent too much \(more than 8,388,608 bytes.*2 tries"),
    ):
        client.page("deals", "deals", {})


@pytest.mark.parametrize("content", [b"", b" "], ids=["empty", "blank"])
def test_many_compressed_parts_of_nothing_are_soon_found_to_be_nothing(content: bytes) -> None:
    part = zlib.compress(content, wbits=zlib.MAX_WBITS | 16)
    began = time.monotonic()
    with (
        always_answering(OK + b"Content-Encoding: gzip\r\n", part * 300_000) as url,
        Client(url, "secret-key", per_second=None) as client,
        pytest.raises(TransientError, match="an empty body"),
    ):
        client.get("deals")
    assert time.monotonic() - began < 12


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (OK + b"Connection: close\r\nContent-Encoding: gzip\r\n", gzip.compress(b"") * 3000),
        (b"HTTP/1.1 103 Early Hints\r\n", b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" * 1000),
    ],
    ids=["empty parts", "hints"],
)
def test_what_goes_on_without_becoming_an_answer_is_read_up_to_the_bound(
    head: bytes, piece: bytes
) -> None:
    with (
        answering(endless(head, piece)) as url,
        Client(url, "secret-key", per_second=None, max_bytes=2 * MB) as client,
        pytest.raises(TransientError, match=r"sent too much \(it exceeded the size limit.*2 tries"),
    ):
        client.page("deals", "deals", {})


def test_an_error_without_end_is_told_by_its_status() -> None:
    head = b"HTTP/1.1 422 X\r\nConnection: close\r\n"
    with (
        answering(endless(head, b"x" * 65_536)) as url,
        Client(url, "secret-key", per_second=None) as client,
        pytest.raises(RequestError, match="422"),
    ):
        client.get("deals")


def test_a_page_twenty_times_as_large_as_any_is_read() -> None:
    with serving() as sandbox:
        sandbox.faults.append(always(Fault(body=b'{"users": ["' + b"x" * 20 * MB + b'"]}')))
        with Client(sandbox.url, sandbox.api_key, per_second=None) as client:
            (record,) = client.page("users", "users", {}).records
    assert len(record) == 20 * MB


def test_cookies_are_neither_kept_nor_sent() -> None:
    asked: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        for number in itertools.count():
            asked.append(connection.recv(1 << 16))
            if not asked[-1]:
                return
            cookie = b"Set-Cookie: session=%d; Path=/\r\n" % number
            connection.sendall(OK + cookie + b"Content-Length: 2\r\n\r\n{}")

    with answering(answer) as url, Client(url, "secret-key", per_second=None) as client:
        for _ in range(3):
            client.get("users/me")
        assert len(client._session.cookies) == 0
    assert len(asked) >= 3
    assert b"cookie" not in b"".join(asked).lower()
