"""Ways in which an answer can go wrong, for tests.

A fault rule is a callable `(request, n) -> Fault | None` in `Sandbox.faults`; the first rule that
returns a fault decides. `n` is the request's number since the sandbox started, from 1.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

Body = dict[str, Any]
Transform = Callable[[Body], Any]


class HangUp(StrEnum):
    """Moments at which a connection is closed too early."""

    BEFORE_ANSWER = "before_answer"
    MIDWAY = "midway"  # after half of the body that Content-Length announced


@dataclass(slots=True)
class Request:
    """One request below `/api/3/` as the server saw it.

    `time` is monotonic, when the request was read; `path` is relative to `/api/3/`; `params` are
    the decoded pairs as sent; `status` is 0 until answered and stays 0 when hung up on.
    """

    time: float
    path: str
    params: list[tuple[str, str]]
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    status: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """Tells in what one answer is different.

    Without `status` and `body` the account answers as ever; `transform` then changes the decoded
    body (in place, or by returning another) and `edit` the bytes. `delay` is in seconds, and so is
    `drip`, from one byte of the body to the next.
    """

    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str | None = None
    delay: float = 0.0
    drip: float = 0.0
    transform: Transform | None = None
    edit: Callable[[bytes], bytes] | None = None
    compress: bool = False
    hang_up: HangUp | None = None

    def apply(self, status: int, body: bytes) -> tuple[int, bytes]:
        """The answer as it goes wrong (but for delays, headers and hanging up)."""
        if self.body is not None:
            body = self.body
        elif self.status is not None:
            body = b""
        if self.transform is not None:
            decoded = orjson.loads(body)
            changed = self.transform(decoded)
            # the standard library writes lone surrogates and NUL as escapes
            body = json.dumps(decoded if changed is None else changed).encode()
        if self.edit is not None:
            body = self.edit(body)
        if self.compress:
            body = gzip.compress(body, 1)
        return self.status or status, body


Rule = Callable[[Request, int], Fault | None]

RESET = Fault(hang_up=HangUp.BEFORE_ANSWER)
TRUNCATED = Fault(hang_up=HangUp.MIDWAY)
CUT_JSON = Fault(edit=lambda body: body[: len(body) // 2])
EMPTY_BODY = Fault(edit=lambda _: b"")
GLUED = Fault(edit=lambda body: body + b'{"links": []}')
HTML_HEADER = Fault(content_type="text/html; charset=UTF-8")
GZIPPED = Fault(compress=True)


def error(status: int, body: bytes = b"", **headers: str) -> Fault:
    """A bare status; a header `Retry_After="3"` is sent as `Retry-After: 3`."""
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Fault(status=status, body=body, headers=named, content_type="application/json")


def html(status: int = 502) -> Fault:
    """An error page as a proxy in front of the account writes it."""
    page = b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body>502</body></html>"
    return Fault(status=status, body=page, content_type="text/html; charset=UTF-8")


def late(seconds: float) -> Fault:
    """The right answer, late."""
    return Fault(delay=seconds)


def dripping(seconds: float) -> Fault:
    """The right answer, byte by byte."""
    return Fault(drip=seconds)


def changed(transform: Transform) -> Fault:
    """The right answer with its decoded body changed."""
    return Fault(transform=transform)


def without(key: str) -> Fault:
    """A top-level key (`meta`, a collection) is missing."""
    return changed(lambda body: {name: value for name, value in body.items() if name != key})


def null(key: str) -> Fault:
    """A top-level key is null."""
    return changed(lambda body: body | {key: None})


def total(value: object) -> Fault:
    """`meta.total` says something else."""
    return changed(lambda body: body | {"meta": dict(body.get("meta") or {}) | {"total": value}})


def record(collection: str, **values: object) -> Fault:
    """The first record of a page has other values, such as `id="abc"`."""

    def change(body: Body) -> None:
        if body.get(collection):
            body[collection][0].update(values)

    return changed(change)


def record_without(collection: str, key: str) -> Fault:
    """The first record of a page lacks a key, such as `id`."""

    def change(body: Body) -> None:
        if body.get(collection):
            body[collection][0].pop(key, None)

    return changed(change)


def duplicated(collection: str) -> Fault:
    """The first record of a page is in it twice: the page is one longer."""

    def change(body: Body) -> None:
        body[collection] = body[collection][:1] + body[collection]

    return changed(change)


def huge(collection: str, key: str, size: int = 5_000_000) -> Fault:
    """A value of the first record is `size` characters long."""
    return record(collection, **{key: "x" * size})


def odd_text(collection: str, key: str) -> Fault:
    """A value of the first record holds NUL, a lone surrogate, emoji and right-to-left text."""
    return record(collection, **{key: "a\x00b\ud800c\u202e\U0001f984\u05d0\u2028\ufeff"})


def always(fault: Fault, path: str | None = None) -> Rule:
    """A rule: every request, or every one for a path."""
    return lambda request, _: fault if path in {None, request.path} else None


def times(count: int, fault: Fault, path: str | None = None) -> Rule:
    """A rule: the first `count` requests (for a path)."""
    left = [count]

    def rule(request: Request, _: int) -> Fault | None:
        if path not in {None, request.path} or not left[0]:
            return None
        left[0] -= 1
        return fault

    return rule


def nth(numbers: set[int], fault: Fault, path: str | None = None) -> Rule:
    """A rule: the requests (for a path) with these numbers, counted from 1."""
    seen = [0]

    def rule(request: Request, _: int) -> Fault | None:
        if path not in {None, request.path}:
            return None
        seen[0] += 1
        return fault if seen[0] in numbers else None

    return rule
