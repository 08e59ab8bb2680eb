"""What a user does not want stored is not stored: hashed, left out, or purged in time."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from activecampaign_dagster.components.source import ActiveCampaignSource
from activecampaign_dagster.sandbox import faults
from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.sync.request import Mode
from activecampaign_dagster.warehouse.warehouse import WarehouseError
from tests.helpers import Warehouse, serving

KEY = "a key of more than sixteen characters"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIVECAMPAIGN_HASH_KEY", KEY)


def configured(**settings: object) -> Source:
    source = ActiveCampaignSource.model_validate(settings)
    assert source.mistakes() == []
    return source.source()


def hashed(text: str, key: str = KEY) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("first", [False, True], ids=["from the start", "later"])
@pytest.mark.parametrize("key_", [KEY, "k" * 16, "ü" * 70])
def test_hashed_fields_are_keyed_hashes_in_every_stream_and_in_custom_fields(
    tmp_path: Path, first: bool, key_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIVECAMPAIGN_HASH_KEY", key_)
    plain, kept = Warehouse(tmp_path / "plain.duckdb"), Warehouse(tmp_path / "kept.duckdb")
    wanted = configured(hash_fields=["email", "phone", "customFields"])
    with serving() as sandbox:
        plain.sync(sandbox)
        if first:
            kept.sync(sandbox)
        kept.source = wanted
        kept.sync(sandbox, Mode.INCREMENTAL if first else Mode.FULL)
        again = kept.sync(sandbox)
        assert again["contacts"].landed.updated == 0, "a hash is the same each time"
    for stream, fields in {
        "contacts": ["email", "phone"],
        "custom_field_values": ["value"],
        "users": ["email", "phone"],
    }.items():
        rows = kept.live(stream)
        for row_id, row in plain.live(stream).items():
            for name in fields:
                text = row.get(name)
                stored = rows[row_id].get(name)
                assert stored == (hashed(text, key_) if text else text), (stream, name)
    values = set(kept.query('select "value" from activecampaign.custom_field_values'))
    fields = kept.query("""
        select distinct unnest(map_values("customFields"::map(varchar, varchar)))
        from activecampaign.contacts
    """)
    assert {f for f in fields if f[0]} <= values, "joins go on working"
    assert any(f[0] for f in fields)


def test_without_a_key_nothing_is_read_and_a_sentence_says_so(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.source = configured(hash_fields=["email"])
    with serving() as sandbox:
        for short in ("", "too short"):
            monkeypatch.setenv("ACTIVECAMPAIGN_HASH_KEY", short)
            with pytest.raises(WarehouseError, match="ACTIVECAMPAIGN_HASH_KEY"):
                warehouse.sync(sandbox)
        assert not sandbox.requests


def test_neither_key_nor_value_is_in_the_file(warehouse: Warehouse) -> None:
    warehouse.source = configured(hash_fields=["email"])
    with serving() as sandbox:
        contact = sandbox.account.add_contact(email="canary-bird@example.com")
        warehouse.sync(sandbox)
    assert contact
    content = warehouse.path.read_bytes()
    assert KEY.encode() not in content
    assert b"canary-bird" not in content


def test_a_field_that_is_left_out_later_is_removed_from_what_is_stored(
    warehouse: Warehouse,
) -> None:
    with serving() as sandbox:
        warehouse.sync(sandbox)
        assert any(row["phone"] for row in warehouse.live("contacts").values())
        warehouse.source = configured(
            streams=[{"name": "contacts", "exclude_fields": ["phone", "ip"]}, "all"]
        )
        warehouse.sync(sandbox, Mode.INCREMENTAL)
        rows = warehouse.table("contacts").values()
        assert {row["phone"] for row in rows} == {row["ip"] for row in rows} == {None}
        assert any(row["email"] for row in rows)


def test_rows_of_deleted_records_are_purged_in_time_and_not_before(warehouse: Warehouse) -> None:
    warehouse.source = replace(configured(purge_deleted_after="30 days"))
    now = datetime.now(UTC)
    with serving() as sandbox:
        warehouse.sync(sandbox, at=now)
        gone = next(iter(warehouse.live("contacts")))
        sandbox.account.delete_contact(gone)
        warehouse.sync(sandbox, at=now)
        warehouse.sync(sandbox, at=now + timedelta(days=29))
        assert gone in warehouse.table("contacts")
        warehouse.sync(sandbox, Mode.INCREMENTAL, at=now + timedelta(days=31))
        assert gone not in warehouse.table("contacts")
        assert not warehouse.query(
            f"from activecampaign.custom_field_values where contact = {gone}"
        )
        ((deleted,),) = warehouse.query(
            "select deleted_rows from activecampaign._streams where stream = 'contacts'"
        )
        assert deleted == 0


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"hash_fields": ["emial"]}, "no stream has a field 'emial'"),
        ({"hash_fields": ["id"]}, "id cannot be hashed"),
        ({"hash_fields": ["udate"]}, "udate cannot be hashed"),
        ({"purge_deleted_after": "soon"}, "'soon' is not a time span"),
    ],
)
def test_what_cannot_be_is_a_mistake_of_the_configuration(
    settings: dict[str, object], text: str
) -> None:
    mistakes = ActiveCampaignSource.model_validate(settings).mistakes()
    assert [text in mistake.text for mistake in mistakes] == [True]


def test_a_record_without_an_id_is_not_kept_verbatim_where_its_fields_are_hashed(
    warehouse: Warehouse,
) -> None:
    warehouse.source = configured(hash_fields=["email"])
    strange = faults.record("users", id="", email="canary-bird@example.com")
    with serving(faults=[faults.always(strange, "users")]) as sandbox:
        warehouse.sync(sandbox, streams=["users"])
    kept = warehouse.query('select stream, "value" from activecampaign._rejected_values')
    assert kept == [("users", '"a record of which not all may be stored"')]
    assert b"canary-bird" not in warehouse.path.read_bytes()
