"""A small account on loopback that misbehaves in one stream: in its records, or on the wire."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, TypeAlias
from urllib.parse import parse_qs, urlsplit

from activecampaign_dagster.streams.registry import CORE, STREAMS

KEY = "kE7qW2zRt9YbXc4VnMa8LsPd6FgHj3Qu5oTiUe1ykB0wZxNv"
PATHS = {name: STREAMS[name].endpoint.path for name in CORE}
ROWS = {name: 105 if name in {"contacts", "deals", "custom_field_values"} else 7 for name in PATHS}
Records: TypeAlias = list[Any]
Body: TypeAlias = dict[str, Any]


def raw(text: str) -> str:
    """A text that the server writes as it is, not as a JSON string."""
    return f"\ue000{text}\ue001"


def written(value: Any) -> bytes:
    """The JSON of a body, raw texts included."""
    text = json.dumps(value, ensure_ascii=False)
    text = re.sub(r'"\ue000(.*?)\ue001"', lambda m: str(json.loads(f'"{m[1]}"')), text)
    return text.encode("utf-8", "surrogatepass")


@dataclass(frozen=True)
class Scenario:
    """One way to misbehave: with records, with a whole body, or with what is sent instead."""

    name: str
    kind: str
    stream: str
    records: Records | None = None
    body: Callable[[Body], None] | None = None
    wire: Callable[[Handler, bytes], None] | None = None
    slow: bool = False


def record(_: str, number: int) -> Body:
    """A well-formed record."""
    at = (datetime(2024, 1, 1) + timedelta(hours=number)).isoformat() + "-06:00"
    made: Body = {"id": str(number), "cdate": at, "udate": at, "mdate": at, "title": f"t{number}"}
    made |= {"contact": str(number), "field": "1", "value": "7", "group": "1", "stage": "1"}
    return {
        **made,
        "email": f"{number}@example.org",
        "perstag": f"TAG{number}",
        "isDisabled": False,
    }


class Handler(BaseHTTPRequestHandler):
    """Answers as the API does, but for the path of the scenario's stream."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        """One page, or what the scenario makes of it."""
        url, scenario = urlsplit(self.path), self.server.scenario
        path = url.path.removeprefix("/api/3/")
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        name = next((n for n, p in PATHS.items() if p == path), "")
        is_hostile = name == scenario.stream
        if not name:
            body: Body = {"user": record("users", 1)} if path == "users/me" else {"message": "none"}
        else:
            body = self._page(name, query)
            if is_hostile and scenario.body:
                scenario.body(body)
        content = written(body)
        with contextlib.suppress(OSError):
            if is_hostile and scenario.wire:
                self.server.seen.set()
                self.close_connection = True
                scenario.wire(self, content)
            else:
                self.answer(content, 200 if name or path == "users/me" else 404)

    def _page(self, name: str, query: Mapping[str, str]) -> Body:
        rows, hostile = [record(name, n) for n in range(1, ROWS[name] + 1)], self.server.scenario
        above, below = int(query.get("id_greater", 0)), int(query.get("id_less", 10**20))
        since = query.get("filters[created_after]") or query.get("filters[updated_after]")
        rows = [r for r in rows if above < int(r["id"]) < below]
        if since and since[:2] == "20":
            moment = datetime.fromisoformat(since)
            rows = [r for r in rows if datetime.fromisoformat(r["cdate"]) >= moment]
        if "DESC" in query.values():
            rows.reverse()
        first, limit = int(query.get("offset", 0)), min(int(query.get("limit", 20)), 100)
        page: Records = rows[first : first + limit]
        odd = (hostile.records or []) if above <= ROWS["contacts"] else []
        values = [record("custom_field_values", int(r["id"])) for r in page]
        if name == "contacts" and query.get("include"):
            page = [{**r, "fieldValues": [r["id"]]} for r in page]
            odd_values = odd if hostile.stream == "custom_field_values" else []
            beside = {"fieldValues": values + odd_values if len(rows) <= limit else values}
        else:
            beside = {}
        total = str(len(rows) + (len(odd) if name == hostile.stream else 0))
        if name == hostile.stream and first <= len(rows) <= first + limit:
            page = [*page, *odd]
        return {PATHS[name]: page, **beside, "meta": {"total": total}}

    def answer(self, content: bytes, status: int = 200, **headers: str) -> None:
        """A whole answer with a right length."""
        self.send_response_only(status)
        given = {"Content_Type": "application/json", "Content_Length": str(len(content))}
        for header, value in {"Date": self.date_time_string(), **given, **headers}.items():
            self.send_header(header.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def drip(self, pieces: Iterator[bytes], every: float) -> None:
        """Send piece after piece as long as somebody listens."""
        for piece in pieces:
            self.wfile.write(piece)
            self.server.ended.wait(every)


class Server(ThreadingHTTPServer):
    """The server of one scenario."""

    daemon_threads, request_queue_size = True, 64

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.scenario = scenario
        self.seen, self.ended = threading.Event(), threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: clients go away."""


class Hostile:
    """A server for as long as a block lasts."""

    def __init__(self, scenario: Scenario) -> None:
        self._server = Server(scenario)
        self.seen, self.url = self._server.seen, f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.ended.set()
        self._server.shutdown()
        self._server.server_close()
