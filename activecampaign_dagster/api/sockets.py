"""The sockets of a client, so that whatever waits for a server can be ended at once."""

from __future__ import annotations

import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import contextmanager, suppress


class Sockets:
    """All that are open; `stop` shuts them down, and those that are opened later."""

    def __init__(self) -> None:
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._opening: set[Future[socket.socket]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def opened_by(self, connect: Callable[[], socket.socket]) -> socket.socket:
        """The socket that `connect` makes; raises ConnectionAbortedError at once when stopped.

        Nothing ends the look-up of a name, and a host may have many addresses, each of which is
        waited for. So another thread does it, which is left to itself when nobody waits for it.
        """
        future: Future[socket.socket] = Future()
        with self._lock:
            if self._stopped:
                raise ConnectionAbortedError
            self._opening.add(future)
        threading.Thread(target=_open, args=(connect, future), daemon=True).start()
        try:
            return future.result()
        except CancelledError:
            raise ConnectionAbortedError from None
        finally:
            future.cancel()
            with self._lock:
                self._opening.discard(future)

    def add(self, opened: socket.socket) -> None:
        """Take in a socket for as long as somebody uses it."""
        # a connection through an encrypted proxy wraps its socket once more
        opened = getattr(opened, "socket", opened)
        with self._lock:
            self._open.add(opened)
            if self._stopped:
                _shut_down(opened)

    @contextmanager
    def handshake(self, opened: socket.socket) -> Iterator[None]:
        """Take in a socket while TLS makes another object of it inside the block."""
        with opened.dup() as same:
            self.add(same)
            yield

    def stop(self) -> None:
        """End all that is sent or received; who waits for it sees the end of the connection."""
        with self._lock:
            self._stopped = True
            for opened in list(self._open):
                _shut_down(opened)
            for future in self._opening:
                future.cancel()


def _open(connect: Callable[[], socket.socket], future: Future[socket.socket]) -> None:
    try:
        opened = connect()
    except Exception as error:
        with suppress(InvalidStateError):
            future.set_exception(error)
    else:
        try:
            future.set_result(opened)
        except InvalidStateError:  # nobody waits for it any more
            opened.close()


def _shut_down(opened: socket.socket) -> None:
    with suppress(OSError):
        # an encrypted socket would first be parted from its encryption, under its reader's feet
        socket.socket.shutdown(opened, socket.SHUT_RDWR)
