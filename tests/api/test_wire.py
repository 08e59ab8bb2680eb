"""Whatever bytes come back, a client gives a JSON object or raises one typed error."""

from __future__ import annotations

import socket

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from activecampaign_dagster.api import retry
from activecampaign_dagster.api.client import Client
from activecampaign_dagster.api.errors import ApiError
from tests.api.wire import answering

pytestmark = pytest.mark.usefixtures("no_waits")

VALUES = [
    *("", "0", "-1", "1, 2", "1e400", "99999999999999999999", "\xff"),
    *("gzip", "deflate, gzip", "br", "zstd", "chunked", "identity"),
    *("Fri, 01 Jan 99999 00:00:00 GMT", "a=b; Path=/"),
]
NAMES = [
    *("Content-Length", "Content-Encoding", "Transfer-Encoding", "Content-Type", "Connection"),
    *("Date", "Server", "Retry-After", "RateLimit-Limit", "RateLimit-Remaining"),
    *("Set-Cookie", "Location"),
]
BODIES = [
    *(b"", b"{}", b"[]", b"{", b"\x00", b"\xff\xfe{\x00}\x00", b"\x1f\x8b\x08", b'{"a":1e400}'),
    *(b"5\r\n{}   \r\n0\r\n\r\n", b"-1\r\n", b"fffffffffffffffff\r\n{}"),
    b"[" * 300 + b"]" * 300,
]

statuses = st.sampled_from(["200", "204", "206", "304", "400", "403", "404", "429", "500", "999",
                            "100", "101", "000", "-1", "20", "abc"])  # fmt: skip
values = st.sampled_from(VALUES) | st.text(
    st.characters(max_codepoint=255, exclude_characters="\n"), max_size=20
)
headers = st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=4)
bodies = st.sampled_from(BODIES) | st.binary(max_size=100)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """An answer, more or less."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    head = f"HTTP/1.1 {draw(statuses)} X\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in draw(headers))
    return head.encode("latin-1") + b"\r\n" + draw(bodies)


@given(answers())
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n{}")
@example(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n{}")
@example(b"HTTP/1.1 429 X\r\nRetry-After: Fri, 01 Jan 2021 00:00:00 +9999999999999\r\n\r\n")
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_bytes_are_an_object_or_a_typed_error(
    monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(retry, "_TRIES", dict.fromkeys(retry.Failure, 1))

    def send(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(answer)

    with answering(send) as url, Client(url, "secret-key", per_second=5) as client:
        future = client.executor.submit(client.get, "users/me")
        error = future.exception()
    if error is None:
        assert isinstance(future.result(), dict)
    else:
        assert isinstance(error, ApiError)
        assert str(error).startswith("GET users/me on 127.0.0.1")
        assert "\n" not in str(error)
