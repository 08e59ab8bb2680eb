"""Connections that spend the request budget at the moment they send.

Taking the slot here, after the connection is open, keeps name resolution, TCP and TLS handshakes
out of the pace: what the server sees is what the budget counted.

Answers must have come whole after a while. The read time-out counts from one piece of an answer to
the next, and urllib3's total time-out ends where the body begins: an answer that comes byte by
byte would be read without end. So would one that goes on without becoming any data, as headers and
empty compressed parts do: what comes over the wire is bounded, too.
"""

from __future__ import annotations

import io
import socket
import time
from contextlib import ExitStack
from http.client import HTTPResponse, parse_headers
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from activecampaign_dagster.api.budget import Budget, Slot
from activecampaign_dagster.api.sockets import Sockets

_HANDSHAKE_TIMEOUT = 10.0  # seconds


class OverlongError(OSError):
    """More bytes have come than an answer may have, however they are encoded."""


class _Bounded(io.RawIOBase):
    """A stream that can be read until a moment, by the monotonic clock, and up to a length."""

    def __init__(self, raw: io.RawIOBase, end: float, most: int) -> None:
        self._raw = raw
        self._end = end
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        if time.monotonic() > self._end:
            raise TimeoutError
        if self._left < 0:
            raise OverlongError
        found = self._raw.readinto(buffer)
        self._left -= found or 0
        return found

    def close(self) -> None:
        self._raw.close()
        super().close()


class PacedAdapter(HTTPAdapter):
    """A requests adapter whose connections wait for `budget` before they send a request.

    answer_timeout: seconds from there until the last byte of the answer. most_bytes: how many bytes
    it may have as it is sent; one that goes on raises OverlongError.
    """

    def __init__(
        self, budget: Budget, *, connections: int, answer_timeout: float, most_bytes: int
    ) -> None:
        self._budget = budget
        self._bounds = (answer_timeout, most_bytes)
        self._sockets = Sockets()
        super().__init__(pool_connections=1, pool_maxsize=connections, max_retries=0)

    def stop(self) -> None:
        """End all requests that are under way."""
        self._sockets.stop()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Let the pools open paced connections."""
        super().init_poolmanager(*args, **kwargs)
        budget, bounds, sockets = self._budget, self._bounds, self._sockets

        class Timed(HTTPResponse):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                self.fp = _within(*bounds, self.fp)

            def _read_status(self) -> tuple[str, int, str]:
                # the standard library takes early hints (103) for the answer, and what follows
                # for the answer to the next request
                while 102 <= (found := super()._read_status())[1] < 200:  # type: ignore[misc]
                    parse_headers(self.fp)
                return found  # type: ignore[no-any-return]

        class Paced(HTTPConnection):
            _head: HTTPResponse | None = None
            _slot = Slot()
            _shaking_hands: ExitStack | None = None

            def _new_conn(self) -> socket.socket:
                opened = sockets.opened_by(super()._new_conn)
                opened.settimeout(_HANDSHAKE_TIMEOUT)
                if self._shaking_hands is not None:
                    self._shaking_hands.enter_context(sockets.handshake(opened))
                return opened

            def connect(self) -> None:
                with ExitStack() as self._shaking_hands:
                    super().connect()
                    sockets.add(self.sock)

            def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
                if self.sock is None:
                    self.connect()
                with budget.slot(url.partition("?")[0]) as self._slot:
                    super().request(method, url, *args, **kwargs)

            def response_class(  # type: ignore[override]
                self, *args: Any, **kwargs: Any
            ) -> HTTPResponse:
                self._head = Timed(*args, **kwargs)
                return self._head

            def getresponse(self) -> BaseHTTPResponse:  # type: ignore[override]
                try:
                    response = super().getresponse()
                except HTTPError:
                    if self._head:  # urllib3 refuses what it says, and forgets to close it
                        self._head.close()
                    raise
                finally:
                    self._head = None
                budget.answered(self._slot)
                return response

        class PacedTls(Paced, HTTPSConnection):
            pass

        class HttpPool(HTTPConnectionPool):
            ConnectionCls = Paced

        class HttpsPool(HTTPSConnectionPool):
            ConnectionCls = PacedTls

        self._pools = {"http": HttpPool, "https": HttpsPool}
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> ProxyManager:
        """Let connections through a proxy, as the environment may ask for, be paced as well."""
        manager: ProxyManager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _within(seconds: float, most: int, stream: io.BufferedReader) -> io.BufferedReader:
    """`stream`, for so many seconds from now and so many bytes; reading on after that raises."""
    return io.BufferedReader(_Bounded(stream.detach(), time.monotonic() + seconds, most))
