"""A key is in no error and in no log, however a server spells it."""

from __future__ import annotations

import html
import json
import logging
import random
import traceback
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activecampaign_dagster.api.client import Client
from activecampaign_dagster.api.errors import ApiError
from activecampaign_dagster.api.secrets import HIDDEN, redact
from tests.api.wire import always_answering

KEY = "9f8E7d6c5b4a392817f6e5d4c3b2a19087f6e5d4c3b2a1908f7e6d5c4b3a29180a1b2c3d"

SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "its first half": lambda key: key[:36],
    "its last quarter": lambda key: key[-18:],
    "without its first character": lambda key: key[1:],
    "cut with dots": lambda key: f"{key[:20]}...{key[-20:]}",
    "spaced": " ".join,
    "in lines": "\n".join,
    "with controls": "\x00\x1b".join,
    "with what is not seen": "\u200b\u00ad".join,
    "in blocks": lambda key: " \t".join(key[i : i + 3] for i in range(0, len(key), 3)),
    "percent-encoded": lambda key: "".join(f"%{ord(c):02x}" for c in key),
    "percent-encoded twice": lambda key: "".join(f"%25{ord(c):02X}" for c in key),
    "partly percent-encoded": lambda key: key[:30] + "".join(f"%{ord(c):02X}" for c in key[30:]),
    "as JSON escapes": lambda key: "".join(f"\\u{ord(c):04x}" for c in key),
    "as a Python escape": lambda key: "".join(f"\\x{ord(c):02x}" for c in key),
    "as HTML entities": lambda key: "".join(f"&#{ord(c)};" for c in key),
    "as hexadecimal entities": lambda key: "".join(f"&#x{ord(c):X};" for c in key),
    "in wide letters": lambda key: "".join(chr(ord(c) + 0xFEE0) for c in key),
    "with escaped line breaks": "\\n".join,
    "with hyphens": "-".join,
    "with slashes and plus signs": "+/".join,
}


def shown(text: str) -> str:
    """The letters that somebody who tries reads in a text."""
    for _ in range(3):
        text = html.unescape(urllib.parse.unquote(text))
    return "".join(c for c in text if c.isalnum()).casefold()


def parts(size: int = 8) -> set[str]:
    return {KEY[i : i + size].casefold() for i in range(len(KEY) - size + 1)}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_a_secret_is_hidden_in_every_spelling(spell: Callable[[str], str]) -> None:
    hidden = redact(f"the key {spell(KEY)} is odd", [KEY])
    assert hidden.startswith("the key ")
    assert hidden.endswith(" is odd")
    assert HIDDEN in hidden
    assert len(hidden) < 25


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("status", [400, 401, 403, 422])
@pytest.mark.usefixtures("no_waits")
def test_no_error_shows_a_key_that_a_server_echoes(
    status: int, spell: Callable[[str], str]
) -> None:
    said = "x" * 150 + f" {spell(KEY)} is odd"  # where a message is cut
    body = json.dumps({"message": said}).encode()
    with (
        always_answering(b"HTTP/1.1 %d No\r\n" % status, body) as url,
        Client(url, KEY, per_second=None, read_timeout=0.2) as client,
        pytest.raises(ApiError) as caught,
    ):
        client.get("deals")
    told = "".join(traceback.format_exception(caught.value)) + caught.value.said
    assert HIDDEN in caught.value.said
    assert not [part for part in parts() if part in shown(told)]


ECHOES = {
    "status line": b"HTTP/1.1 " + KEY.encode() + b"\r\n",
    "no status line": KEY.encode() + b"\r\n",
    "reason": b"HTTP/1.1 400 " + KEY.encode() + b"\r\n",
    "header": b"HTTP/1.1 200 OK\r\n" + KEY.encode() + b"\r\n",
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: " + KEY.encode() + b"\r\n",
    "lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1, " + KEY.encode() + b"\r\n",
    "encoding": b"HTTP/1.1 200 OK\r\nContent-Encoding: " + KEY.encode() + b"\r\n",
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: https://x.com/" + KEY.encode() + b"\r\n",
    "wait": b"HTTP/1.1 429 No\r\nRetry-After: " + KEY.encode() + b"\r\n",
}


@pytest.mark.parametrize("head", ECHOES.values(), ids=ECHOES)
@pytest.mark.usefixtures("no_waits")
def test_no_head_of_an_answer_brings_the_key_into_an_error_or_a_log(
    head: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        always_answering(head, KEY.encode()) as url,
        Client(url, KEY, per_second=None, read_timeout=0.2) as client,
        pytest.raises(ApiError) as caught,
    ):
        client.get("deals")
    told = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert not [part for part in parts() if part in shown(told)]
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@given(st.text(), st.text(), st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_what_is_around_a_secret_is_left_as_it_is(before: str, after: str, seed: int) -> None:
    rng = random.Random(seed)
    spelt = "".join(rng.choice([c, c.upper(), f"%{ord(c):02x}", f"{c} "]) for c in KEY).strip()
    before, after = f"{before}»", f"«{after}"
    assert redact(before + spelt + after, [KEY]) == before + HIDDEN + after


@given(st.text())
def test_a_text_without_a_secret_is_left_as_it_is(text: str) -> None:
    assert redact(text, [KEY]) == text


def test_a_short_secret_is_hidden_as_a_whole_only() -> None:
    assert redact("key, ke, KEY", ["key"]) == "…, ke, …"
    assert redact("anything", [""]) == "anything"
