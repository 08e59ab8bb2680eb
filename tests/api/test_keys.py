"""A record's key is text, and what is no proper id is no key."""

from __future__ import annotations

from typing import Any

import pytest

from activecampaign_dagster.api.keys import keys, numeric_id


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ("7", "7"),
        (7, "7"),
        ("007", "7"),
        ("9" * 18, "9" * 18),
        ("0", None),
        ("000", None),
        (0, None),
        ("", None),
        (None, None),
        ("-7", None),
        ("7.0", None),
        (7.0, None),
        (True, None),
        ("٣", None),
        (" 7", None),
        ("9" * 19, None),
        ([7], None),
    ],
)
def test_an_id_is_digits_without_leading_zeros_or_none_at_all(sent: Any, key: str | None) -> None:
    assert numeric_id({"id": sent}) == key


@pytest.mark.parametrize("record", [{}, None, 7, "7", ["id"]])
def test_what_has_no_id_has_no_key(record: Any) -> None:
    assert numeric_id(record) is None


def test_records_without_a_key_are_told_apart_by_their_content() -> None:
    records = [{"id": "01"}, {"name": "a"}, {"name": "b"}]
    assert keys(records, numeric_id) == ["1", "{'name': 'a'}", "{'name': 'b'}"]
    assert keys(records, lambda record: record.get("name")) == ["{'id': '01'}", "a", "b"]


def test_a_record_too_deep_for_a_text_is_told_apart_too() -> None:
    def deep(inner: object) -> object:
        for _ in range(1_000):
            inner = [inner]
        return {"a": inner}

    one, other, again = keys([deep(1), deep(2), deep(1)], numeric_id)
    assert one == again != other
