"""The declared streams: what every table promises, and guards against fields that get lost."""

import pytest

from activecampaign_dagster.streams.declaration import Field, Stream, SyncType, Type
from activecampaign_dagster.streams.registry import STREAMS, stream
from activecampaign_dagster.warehouse.tables import HELPERS

# API v3 docs and recorded responses together show this many fields, plus contacts.customFields
FIELD_COUNTS = {
    "deals": 27,
    "contacts": 55,
    "deal_groups": 13,
    "deal_stages": 15,
    "campaigns": 118,
    "custom_fields": 22,
    "custom_field_values": 10,
    "users": 13,
}

KEY_COLUMNS = {
    "deals": {
        "id": "BIGINT",
        "title": "VARCHAR",
        "value": "BIGINT",
        "currency": "VARCHAR",
        "status": "BIGINT",
        "isDisabled": "BOOLEAN",
        "group": "BIGINT",
        "stage": "BIGINT",
        "owner": "BIGINT",
        "contact": "BIGINT",
        "account": "BIGINT",
        "customerAccount": "BIGINT",
        "organization": "BIGINT",
        "nexttaskid": "BIGINT",
        "percent": "BIGINT",
        "winProbability": "BIGINT",
        "hash": "VARCHAR",
        "cdate": "TIMESTAMPTZ",
        "mdate": "TIMESTAMPTZ",
        "nextdate": "TIMESTAMPTZ",
        "winProbabilityMdate": "TIMESTAMPTZ",
        "edate": "TIMESTAMP",
        "links": "JSON",
    },
    "contacts": {
        "id": "BIGINT",
        "email": "VARCHAR",
        "email_domain": "VARCHAR",
        "emailDomain": "VARCHAR",
        "email_empty": "BOOLEAN",
        "phone": "VARCHAR",
        "ip": "VARCHAR",
        "organization": "BIGINT",
        "orgid": "BIGINT",
        "sentcnt": "BIGINT",
        "best_send_hour": "BIGINT",
        "cdate": "TIMESTAMPTZ",
        "udate": "TIMESTAMPTZ",
        "adate": "TIMESTAMPTZ",
        "edate": "TIMESTAMPTZ",
        "created_timestamp": "TIMESTAMP",
        "updated_utc_timestamp": "TIMESTAMP",
        "last_open_date": "TIMESTAMP",
        "bounced_date": "TIMESTAMP",
        "deleted_at": "TIMESTAMP",
        "fieldValues": "JSON",
        "customFields": "JSON",
    },
    "deal_groups": {
        "id": "BIGINT",
        "title": "VARCHAR",
        "currency": "VARCHAR",
        "stages": "JSON",
        "cdate": "TIMESTAMPTZ",
        "udate": "TIMESTAMPTZ",
    },
    "deal_stages": {
        "id": "BIGINT",
        "title": "VARCHAR",
        "group": "BIGINT",
        "order": "BIGINT",
        "color": "VARCHAR",
        "dealOrder": "VARCHAR",
        "cardRegion1": "VARCHAR",
        "udate": "TIMESTAMPTZ",
    },
    "campaigns": {
        "id": "BIGINT",
        "name": "VARCHAR",
        "type": "VARCHAR",
        "status": "BIGINT",
        "automation": "BIGINT",
        "user": "BIGINT",
        "basetemplateid": "VARCHAR",
        "ip4": "VARCHAR",
        "send_amt": "BIGINT",
        "uniqueopens": "BIGINT",
        "verified_unique_opens": "BIGINT",
        "subscriberclicks": "BIGINT",
        "unsubscribes": "BIGINT",
        "groupLimitViolation": "BOOLEAN",
        "isDoubleOptInCampaign": "BOOLEAN",
        "cdate": "TIMESTAMPTZ",
        "sdate": "TIMESTAMPTZ",
        "ldate": "TIMESTAMPTZ",
        "updated_timestamp": "TIMESTAMP",
        "repair_timestamp": "TIMESTAMP",
        "series_send_lock_time": "TIMESTAMP",
    },
    "custom_fields": {
        "id": "BIGINT",
        "title": "VARCHAR",
        "type": "VARCHAR",
        "perstag": "VARCHAR",
        "defval": "VARCHAR",
        "ordernum": "BIGINT",
        "options": "JSON",
        "relations": "JSON",
        "udate": "TIMESTAMPTZ",
    },
    "custom_field_values": {
        "id": "BIGINT",
        "contact": "BIGINT",
        "owner": "BIGINT",
        "field": "BIGINT",
        "value": "VARCHAR",
        "cdate": "TIMESTAMPTZ",
        "udate": "TIMESTAMPTZ",
    },
    "users": {
        "id": "BIGINT",
        "email": "VARCHAR",
        "username": "VARCHAR",
        "phone": "VARCHAR",
        "mfaEnabled": "BIGINT",
        "cdate": "TIMESTAMPTZ",
        "udate": "TIMESTAMPTZ",
    },
}

every_stream = pytest.mark.parametrize("declared", STREAMS.values(), ids=STREAMS.keys())


def test_the_registry_lists_the_streams_in_their_order():
    assert list(STREAMS) == list(FIELD_COUNTS)
    assert [declared.name for declared in STREAMS.values()] == list(STREAMS)


def test_a_stream_is_found_by_its_name():
    assert stream("deals") is STREAMS["deals"]


def test_an_unknown_name_is_answered_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"unknown stream 'deal'.*deals, contacts") as caught:
        stream("deal")
    assert "custom_field_values" in str(caught.value)


@every_stream
def test_no_field_got_lost(declared: Stream):
    assert len(declared.fields) == FIELD_COUNTS[declared.name]


@every_stream
def test_key_columns_keep_their_types(declared: Stream):
    expected = KEY_COLUMNS[declared.name]
    assert {name: declared.field(name).type.value for name in expected} == expected


@every_stream
def test_no_two_columns_differ_only_by_case(declared: Stream):
    names = [field.name.casefold() for field in declared.fields]
    assert len(set(names)) == len(names)


@every_stream
def test_the_id_comes_first_and_the_rest_in_order(declared: Stream):
    first, *rest = [field.name for field in declared.fields]
    assert first == "id"
    assert rest == sorted(rest)


@every_stream
def test_no_column_takes_a_name_that_the_sync_keeps_for_itself(declared: Stream):
    names = [field.name for field in declared.fields]
    assert not [name for name in names if name.startswith("_") or name.casefold() in HELPERS]


@every_stream
def test_every_field_is_described(declared: Stream):
    def is_fine(field: Field) -> bool:
        text = field.description
        return len(text) >= 10 and text == text.strip() and "\n" not in text and "  " not in text

    assert [field.name for field in declared.fields if not is_fine(field)] == []


@every_stream
def test_every_stream_is_described_in_two_sentences_or_more(declared: Stream):
    assert declared.description.startswith("One row per ")
    assert declared.description.endswith(".")
    assert declared.description.count(". ") >= 1
    assert "  " not in declared.description


@every_stream
def test_replication_keys_are_points_in_time(declared: Stream):
    for key in declared.stamps:
        assert declared.field(key).type is Type.TIMESTAMPTZ


@every_stream
def test_only_incremental_streams_have_a_replication_key(declared: Stream):
    incremental = declared.sync_type is SyncType.INCREMENTAL
    assert (declared.replication_key is not None) == incremental


@every_stream
def test_nested_records_have_a_json_column_to_go_to(declared: Stream):
    for field in declared.fields:
        assert field.nested_from is None or field.type is Type.JSON


def test_no_two_streams_read_the_same_collection():
    assert len({declared.endpoint.path for declared in STREAMS.values()}) == len(STREAMS)


def test_custom_fields_bring_their_options_and_relations_along():
    fields = stream("custom_fields")
    assert fields.field("options").nested_from == "fieldOptions"
    assert fields.field("relations").nested_from == "fieldRels"


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("deals", "customFieldSaveStatus"),
        ("deals", "fields"),
        ("deal_groups", "dealGroupGroups"),
        ("deal_groups", "dealGroupUsers"),
        ("users", "userGroup"),
        ("users", "userConversationsPermission"),
    ],
)
def test_what_only_answers_to_writes_carry_is_not_declared(name: str, field: str):
    with pytest.raises(KeyError):
        stream(name).field(field)


@pytest.mark.parametrize("field", ["created_utc_timestamp", "updated_utc_timestamp"])
def test_stamps_that_claim_to_be_utc_are_declared_not_to_be(field: str):
    declared = stream("contacts").field(field)
    assert declared.type is Type.TIMESTAMP
    assert "NOT UTC" in declared.description


@pytest.mark.parametrize("name", ["deal_groups", "deal_stages"])
def test_stamps_that_can_lie_in_the_future_say_so(name: str):
    assert "5 h in the future" in stream(name).field("udate").description
