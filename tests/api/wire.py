"""A server on loopback that does with a connection whatever a test wants."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The URL of a server that leaves all it does with each connection to `answer`."""

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            answer(connection)

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread


@contextmanager
def always_answering(head: bytes, body: bytes = b"") -> Iterator[str]:
    """The URL of a server that answers each request with `head` (whole lines) and `body`."""

    def answer(connection: socket.socket) -> None:
        while connection.recv(1 << 16):
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    with answering(answer) as url:
        yield url
