"""A small HTTP/1.1 server: threads, keep-alive, no logging.

The standard library's handler spends more time on parsing headers than the account on a page.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from activecampaign_dagster.sandbox.faults import HangUp

_MAX_HEAD = 1 << 20


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP response. drip: seconds from one byte of the body to the next."""

    status: int
    body: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...] = ()
    hang_up: HangUp | None = None
    drip: float = 0.0


Answer = Callable[[Call], Reply]


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    answer: Answer
    open_connections: set[socket.socket]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""

    def shutdown_request(self, request: object) -> None:
        """Close at once: an orderly shutdown first would turn a reset into an empty answer."""
        self.close_request(request)  # type: ignore[arg-type]


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.open_connections.add(self.connection)

    def finish(self) -> None:
        self.server.open_connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while self._one():
                pass

    def _one(self) -> bool:
        """Serve one request; False when the connection is to be closed."""
        call = self._read()
        if call is None:
            return False
        reply = self.server.answer(call)
        if reply.hang_up is HangUp.BEFORE_ANSWER:
            # linger 0: the client sees a reset, not an orderly end
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        keep = call.headers.get("connection", "").lower() != "close"
        body = reply.body
        if reply.hang_up is HangUp.MIDWAY:
            body, keep = body[: len(body) // 2], False
        head = _head(reply, keep=keep)
        if call.method == "HEAD":
            body = b""
        if reply.drip:
            self._drip(head, body, reply.drip)
        else:
            self.connection.sendall(head + body)
        return keep

    def _drip(self, head: bytes, body: bytes, seconds: float) -> None:
        self.connection.sendall(head)
        for byte in body:
            time.sleep(seconds)
            self.connection.sendall(bytes([byte]))

    def _read(self) -> Call | None:
        first = self.rfile.readline(_MAX_HEAD)
        if not first.endswith(b"\r\n"):
            return None
        parts = first.decode("latin-1").split()
        if len(parts) != 3:
            return None
        headers: dict[str, str] = {}
        while (line := self.rfile.readline(_MAX_HEAD)) not in {b"\r\n", b""}:
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        length = headers.get("content-length", "0")
        if length.isdecimal():
            self.rfile.read(int(length))
        return Call(parts[0], parts[1], headers)


def _head(reply: Reply, *, keep: bool) -> bytes:
    try:
        phrase = HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [
        f"HTTP/1.1 {reply.status} {phrase}",
        f"Content-Type: {reply.content_type}",
        f"Content-Length: {len(reply.body)}",
        f"Connection: {'keep-alive' if keep else 'close'}",
        *(f"{name}: {value}" for name, value in reply.headers),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Listener:
    """Answers calls on a port (0: any free one) once started. OSError when it is taken."""

    def __init__(self, host: str, port: int, answer: Answer) -> None:
        kind = _Server6 if ":" in host else _Server
        self._server = kind((host, port), _Handler)
        self._server.answer = answer
        self._server.open_connections = set()
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="sandbox", daemon=True
        )

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening and cut every connection."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        for connection in list(self._server.open_connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
