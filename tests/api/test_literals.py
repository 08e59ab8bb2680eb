"""A number arrives equal to what was sent, or as the text of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activecampaign_dagster.api import literals
from activecampaign_dagster.api.client import Client
from tests.api.wire import always_answering

KEPT: dict[str, Any] = {
    "7": 7,
    "-0": 0,
    "1.10": 1.1,
    "1e5": 100000.0,
    "1E22": 1e22,
    "-1.5e-10": -1.5e-10,
    "18446744073709551615": 18446744073709551615,
    "-9223372036854775808": -9223372036854775808,
    "0.12345678901234568": 0.12345678901234568,
    "0.00000000000000000000": 0.0,
}
VERBATIM = [
    "18446744073709551616",
    "-9223372036854775809",
    "123456789012345678.5",
    "0.1234567890123456789",
    "1e400",
    "-1e400",
    "1E+400",
    "1e-400",
    "1e99999999999999999999",
    "1e-99999999999999999999",
    "NaN",
    "Infinity",
    "-Infinity",
    "9" * 400,
    "9" * 5000,
    "-" + "9" * 5000,
    "0." + "0" * 400 + "1",
]
BEFORE = ["", " ", "\n\t"]


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("literal", KEPT)
def test_a_number_that_we_have_is_that_number(literal: str, before: str) -> None:
    found = literals.loads(f'{{"n":{before}{literal}}}'.encode())["n"]
    assert found == KEPT[literal]
    assert type(found) is type(KEPT[literal])


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("template", ['{{"n":{}}}', '{{"n":[1,{}]}}', '{{"n":[{}],"t":"\\ud800"}}'])
@pytest.mark.parametrize("literal", VERBATIM, ids=lambda literal: literal[:24])
def test_a_number_that_we_do_not_have_is_its_text(literal: str, template: str, before: str) -> None:
    found = literals.loads(template.format(before + literal).encode())
    values = found["n"] if isinstance(found["n"], list) else [found["n"]]
    assert values[-1] == literal
    assert orjson.dumps(found), "it can be written again"


numbers = st.from_regex(
    r"-?(0|[1-9][0-9]{0,25})([.][0-9]{1,25})?([eE][-+]?[0-9]{1,4})?", fullmatch=True
)
scalars = numbers | st.sampled_from(["true", "null", '"1e400"', '"99999999999999999999"'])


@given(st.lists(st.tuples(st.sampled_from(BEFORE), scalars), min_size=1, max_size=8))
@settings(max_examples=1_000, deadline=None)
def test_whatever_is_beside_it_a_number_is_equal_to_what_was_sent(
    sent: list[tuple[str, str]],
) -> None:
    found = literals.loads(f"[{','.join(before + each for before, each in sent)}]".encode())
    for (_, literal), value in zip(sent, found, strict=True):
        if isinstance(value, str) and not literal.startswith('"'):
            assert value == literal
        elif isinstance(value, int | float) and not isinstance(value, bool):
            assert Decimal(repr(value)) == Decimal(literal)


@pytest.mark.parametrize("content", [b"", b"[", b"{'a': 1}", b"[1e]", b"[--1]", b"\xff", b"[01]"])
def test_what_is_no_json_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        literals.loads(content)


@pytest.mark.parametrize("depth", [253, 254, 255, 900])
def test_what_is_nested_deeply_arrives_as_it_is(depth: int) -> None:
    found = literals.loads(b"[" * depth + b"]" * depth)
    for _ in range(depth - 1):
        (found,) = found
    assert found == []


@pytest.mark.parametrize("inner", [b"1", b"1e400", b"99999999999999999999"])
@pytest.mark.parametrize("depth", [3_000, 200_000])
def test_what_is_nested_too_deeply_is_a_value_error(depth: int, inner: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        literals.loads(b"[" * depth + inner + b"]" * depth)


def test_a_client_hands_on_what_it_was_sent() -> None:
    body = b'{"users": [{"id": "1", "n": 18446744073709551616, "a\\u0000b": 1e400, "x": NaN}]}'
    with (
        always_answering(b"HTTP/1.1 200 OK\r\n", body) as url,
        Client(url, "secret-key", per_second=None) as client,
    ):
        page = client.page("users", "users", {})
    assert page.records == [{"id": "1", "n": "18446744073709551616", "a\x00b": "1e400", "x": "NaN"}]
