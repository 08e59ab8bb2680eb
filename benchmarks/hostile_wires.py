"""What a server can do to whoever reads from it, short of an honest answer."""

from __future__ import annotations

import json
import socket
import time
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from email.utils import formatdate
from urllib.parse import quote

from benchmarks.hostile_server import Handler, Scenario

Wire = Callable[[Handler, bytes], None]


def head(status: str = "200 OK", *lines: str) -> bytes:
    """The head of an answer."""
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


def send(*pieces: bytes, every: float = 0.0, wait: float = 0.0) -> Wire:
    """Send bytes as they are, then stay silent for a while, then close."""

    def wire(handler: Handler, _: bytes) -> None:
        handler.drip(iter(pieces), every)
        handler.wfile.flush()
        if wait:
            handler.server.ended.wait(wait)
        handler.connection.shutdown(socket.SHUT_WR)

    return wire


def endless(head: bytes, piece: bytes, every: float = 0.0) -> Wire:
    """Send a piece over and over behind a head."""

    def wire(handler: Handler, _: bytes) -> None:
        handler.wfile.write(head)
        handler.drip(iter(lambda: piece, b""), every)

    return wire


def answer(status: int, content: bytes | None = None, **headers: str) -> Wire:
    """A whole answer; content: None for the page that was asked for."""
    return lambda handler, page: handler.answer(
        page if content is None else content, status, **headers
    )


def bomb(
    block: bytes, times: int, *, head: bytes = b"", tail: bytes = b"", bits: int = 31
) -> bytes:
    """A compressed stream that holds a block so many times; made at the cost of one."""
    packer = zlib.compressobj(9, wbits=bits)
    first = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    once = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + once * times + packer.compress(tail) + packer.flush()


def packed(content: bytes, encoding: str = "gzip") -> Wire:
    """An answer in some encoding."""
    return answer(200, content, Content_Encoding=encoding)


def echo(spell: Callable[[str], str], status: int) -> Wire:
    """An answer that tells the key it was sent, spelt in some way."""

    def wire(handler: Handler, _: bytes) -> None:
        said = f"The token {spell(handler.headers['Api-Token'])} may not do that"
        shapes = {"message": said}, {"errors": [{"title": said, "detail": said}]}
        content = json.dumps(shapes[status % 2]).encode()
        handler.answer(content, status, X_Token=said.encode("ascii", "replace").decode())

    return wire


def _silences() -> Iterator[tuple[str, Wire]]:
    json_head = head("200 OK", "Content-Type: application/json", "Content-Length: 1000")
    yield "silence after accept", send(wait=60)
    yield "silence in the status line", send(b"HTTP/1.", wait=60)
    yield "silence after headers", send(json_head, wait=60)
    yield "silence mid-body", send(json_head + b'{"deals":[', wait=60)
    yield "headers drip", endless(b"HTTP/1.1 200 OK\r\nX: ", b"x", 0.5)
    yield "body drips", endless(json_head.replace(b"1000", b"99999"), b" ", 0.5)
    yield "chunks drip", endless(head("200 OK", "Transfer-Encoding: chunked"), b"1\r\n \r\n", 0.5)
    yield "gzip drips", endless(head("200 OK", "Content-Encoding: gzip"), b"\0", 0.5)
    yield "error drips", endless(head("500 Oh"), b"x", 0.5)
    yield "hints without end", endless(b"", head("103 Early Hints", "Link: <x>"), 0.2)


def _endlesses() -> Iterator[tuple[str, Wire]]:
    block = b"[],{}," * 10_000
    yield "endless body", endless(head("200 OK") + b'{"deals":[', block)
    yield "endless blanks", endless(head("200 OK"), b" " * 65536)
    yield (
        "endless chunks",
        endless(head("200 OK", "Transfer-Encoding: chunked"), b"ea60\r\n" + block + b"\r\n"),
    )
    yield "endless error", endless(head("503 No"), b"x" * 65536)
    yield "endless header line", endless(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65536)
    yield "endless headers", endless(b"HTTP/1.1 200 OK\r\n", b"X: x\r\n" * 1000)
    yield "endless status line", endless(b"HTTP/1.1 200 ", b"O" * 65536)
    yield "endless hints", endless(b"", head("103 Early Hints", "Link: <x>") * 100)
    yield "endless chunk size", endless(head("200 OK", "Transfer-Encoding: chunked"), b"0" * 65536)
    yield (
        "endless trailers",
        endless(
            head("200 OK", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n", b"X: x\r\n" * 1000
        ),
    )


def _bombs() -> Iterator[tuple[str, Wire]]:
    plain = bomb(b" " * (1 << 20), 900)
    layers = [zlib.compress(plain, 9, wbits=31)]
    for _ in range(7):
        layers.append(zlib.compress(layers[-1], 9, wbits=31))
    yield "bomb of 900 MB", packed(plain)
    yield "bomb in two layers", packed(layers[0], "gzip, gzip")
    yield "bomb in an error", answer(503, plain, Content_Encoding="gzip")
    yield "bomb in a 403", answer(403, layers[0], Content_Encoding="gzip, gzip")
    yield "bomb with deflate", packed(bomb(b" " * (1 << 20), 900, bits=-15), "deflate")
    yield "bomb of five layers", packed(layers[3], ", ".join(["gzip"] * 5))
    yield "bomb of nine layers", packed(layers[7], ", ".join(["gzip"] * 9))
    yield "bomb of many members", packed(zlib.compress(b"", wbits=31) * 300_000)
    for name, piece in (("arrays", b"[],"), ("objects", b'{"":0},'), ("numbers", b"1.5,")):
        times = (60 << 20) // (len(piece) * 10_000)
        dense = bomb(piece * 10_000, times, head=b'{"deals":[', tail=b"0]}", bits=-15)
        yield f"bomb of many {name}", packed(dense, "deflate")


def _lengths() -> Iterator[tuple[str, Wire]]:
    def cut(handler: Handler, page: bytes) -> None:
        send(head("200 OK", f"Content-Length: {len(page)}") + page[: len(page) // 2])(handler, page)

    def cut_unsaid(handler: Handler, page: bytes) -> None:
        send(head("200 OK", "Connection: close") + page[:-2])(handler, page)

    def short(handler: Handler, page: bytes) -> None:
        handler.close_connection = False
        send(head("200 OK", f"Content-Length: {len(page) - 9}") + page)(handler, page)

    yield "truncated body", cut
    yield "truncated body without length", cut_unsaid
    yield "length too short", short
    for value in ("-1", "abc", "1e3", "99999999999999999999999", "5, 6", "0"):
        yield f"Content-Length {value}", answer(200, Content_Length=value)
    chunked = head("200 OK", "Transfer-Encoding: chunked")
    for size in (b"zz", b"-5", b"ffffffffffffffffff", b"", b"\0\0", b"5;x=\r\n\r\n"):
        yield f"chunk size {size!r}", send(chunked + size + b"\r\n{}\r\n0\r\n\r\n")
    yield "garbage", send(bytes(range(256)) * 40)
    yield "no bytes at all", send()
    yield "bad gzip", packed(b"\x1f\x8b" + b"garbage" * 50)
    yield "unknown encoding", packed(b"abc", "br, zstd, rot13")
    yield "HTTP/0.9", send(b'{"deals":[]}')
    yield "headers of no sense", send(head("200 OK", "no colon", ": x", "\xff\x00: \x01") + b"{}")
    yield "status 999", send(head("999 Odd") + b"{}")
    yield "status 099", send(head("099 Odd") + b"{}")
    yield "204 of nothing", send(head("204 None"))
    yield "206 of a part", answer(206, b"{}", Content_Range="bytes 0-1/999")
    yield (
        "nested 100,000 levels",
        answer(200, b'{"deals":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    )
    for depth in (250, 1000, 5000, 500_000):
        nested = b'{"message":' + b'{"a":[' * depth + b"1" + b"]}" * depth + b"}"
        yield f"error nested {depth} levels", answer(403, nested)


def _statuses() -> Iterator[tuple[str, Wire]]:
    html = b"<html><title>Just a moment...</title></html>"
    for status in (200, 403, 503):
        yield f"HTML with {status}", answer(status, html, Content_Type="text/html")
    yield "cf-mitigated", answer(403, b"{}", cf_mitigated="challenge")
    for status in (400, 401, 402, 403, 404, 407, 408, 418, 422, 500, 599):
        yield f"status {status}", answer(status, b'{"message":"\x1b[31mNo\\nno"}')
    far = "Fri, 31 Dec 99999 23:59:59 GMT"
    for after in (
        far,
        "Fri, 31 Dec 9999 23:59:59 +9999",
        "-5",
        "9" * 400,
        "1e400",
        "nan",
        "\xb2",
        "",
    ):
        yield f"429 until {after[:32]!r}", answer(429, b"", Retry_After=after)
    ahead = formatdate(time.time() + 365 * 86400, usegmt=True)
    for date in (
        "Mon, 01 Jan 0001 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", far, "garbage", "",
        "Mon, 01 Jan 0001 00:00:00 +2359", "Fri, 31 Dec 9999 23:59:59 -2359", ahead, "\xff" * 9,
    ):  # fmt: skip
        yield f"dated {date!r}", answer(200, Date=date)
    yield "limits of no sense", answer(200, RateLimit_Limit="9" * 5000, RateLimit_Remaining="-1e9")
    yield "no requests left", answer(200, RateLimit_Limit="0", RateLimit_Remaining="0")
    yield "cookies", answer(200, Set_Cookie="a=b; Domain=.example.org; Expires=" + far)
    for target in ("/api/3/deals", "http://169.254.169.254/", "//[::bad", "file:///etc/passwd", ""):
        yield f"redirect to {target!r}", answer(302, b"", Location=target)


def _echoes() -> Iterator[tuple[str, Wire]]:
    spellings: dict[str, Callable[[str], str]] = {
        "plain": str,
        "cut": lambda key: key[3:-5],
        "upper case": str.upper,
        "URL-encoded": lambda key: "".join(f"%{ord(c):02x}" for c in key),
        "encoded twice": lambda key: quote("".join(f"%{ord(c):02X}" for c in key)),
        "split by NUL": "\0".join,
        "split by escape": "\x1b".join,
        "split by line ends": "\n".join,
        "split by zero width": "\u200b".join,
        "JSON within JSON": lambda key: json.dumps({"k": "".join(f"\\u{ord(c):04x}" for c in key)}),
        "20,000 characters on": lambda key: "x " * 9_990 + key,
        "split by soft hyphen": "\xad".join,
        "split by hyphens": "-".join,
        "base64": lambda key: b64encode(key.encode()).decode(),
        "reversed": lambda key: key[::-1],
    }
    for place, (name, spell) in enumerate(spellings.items()):
        status = (403, 400)[place % 2]
        yield f"key {name} in {status}", echo(spell, status)

    def in_status(handler: Handler, _: bytes) -> None:
        key = handler.headers["Api-Token"]
        send(head(f"200 {key}", f"{key}", f"Location: http://{key}/") + b"{" + key.encode())(
            handler, b""
        )

    def in_length(handler: Handler, page: bytes) -> None:
        handler.answer(page, Content_Length=handler.headers["Api-Token"])

    def in_version(handler: Handler, _: bytes) -> None:
        send(f"{handler.headers['Api-Token']} 200 OK\r\n\r\n".encode())(handler, b"")

    def in_chunk(handler: Handler, _: bytes) -> None:
        key = handler.headers["Api-Token"].encode()
        send(head("200 OK", "Transfer-Encoding: chunked") + key + b"\r\n")(handler, b"")

    yield from (("key in the status line", in_status), ("key as a length", in_length))
    yield from (("key as a version", in_version), ("key as a chunk size", in_chunk))


def all_wires() -> Iterator[Scenario]:
    """Each in one stream."""
    kinds = (
        ("silence and drips", _silences), ("endless", _endlesses), ("bombs", _bombs),
        ("lengths and forms", _lengths), ("statuses and headers", _statuses),
        ("keys echoed", _echoes),
    )  # fmt: skip
    for kind, made in kinds:
        for name, wire in made():
            yield Scenario(name, kind, "deals", wire=wire, slow=kind == "silence and drips")
