"""The declared streams: what every table promises, and guards against fields that get lost."""

import re
from importlib import import_module
from pkgutil import iter_modules

import pytest

from activecampaign_dagster import streams
from activecampaign_dagster.streams.declaration import Family, Field, Stream, SyncType, Type
from activecampaign_dagster.streams.registry import CORE, STREAMS, stream
from activecampaign_dagster.warehouse.tables import HELPERS

every_stream = pytest.mark.parametrize("declared", STREAMS.values(), ids=STREAMS.keys())


def test_the_core_comes_first_and_the_rest_family_by_family():
    core = (
        "deals contacts deal_groups deal_stages campaigns custom_fields custom_field_values users"
    )
    assert core.split() == list(CORE) == list(STREAMS)[: len(CORE)]
    rest = [declared.family for declared in list(STREAMS.values())[len(CORE) :]]
    assert rest == sorted(rest, key=list(Family).index)


def test_every_declared_stream_is_listed():
    modules = [
        import_module(f"{streams.__name__}.{m.name}") for m in iter_modules(streams.__path__)
    ]
    declared = {v.name: v for m in modules for v in vars(m).values() if isinstance(v, Stream)}
    assert declared == STREAMS
    assert [declared.name for declared in STREAMS.values()] == list(STREAMS)


def test_the_core_is_on_and_what_is_off_says_so():
    assert all(STREAMS[name].default for name in CORE)
    off = [declared for declared in STREAMS.values() if not declared.default]
    assert [one.name for one in off if ". Off by default: " not in one.description] == []


def test_a_stream_is_found_by_its_name():
    assert stream("deals") is STREAMS["deals"]


def test_an_unknown_name_is_answered_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"unknown stream 'deal'.*deals, contacts") as caught:
        stream("deal")
    assert "custom_field_values" in str(caught.value)


@every_stream
def test_no_two_columns_differ_only_by_case(declared: Stream):
    names = [field.name.casefold() for field in declared.fields]
    assert len(set(names)) == len(names)


@every_stream
def test_the_fields_of_the_key_come_first_and_the_rest_in_order(declared: Stream):
    names = [field.name for field in declared.fields]
    parts = len(declared.key)
    assert tuple(names[:parts]) == declared.key
    assert names[parts:] == sorted(names[parts:])


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
    read = {(stream.endpoint.path, stream.endpoint.collection) for stream in STREAMS.values()}
    assert len(read) == len(STREAMS)


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


def test_what_tells_of_a_person_is_declared_to_be_personal() -> None:
    tells = re.compile(
        "e-?mail(_local)?|(first|last|user)Name|username|phone|ip|ua|whatsapp_.*", re.I
    )
    found = {
        f"{name}.{field.name}"
        for name in ("contacts", "users")
        for field in STREAMS[name].fields
        if tells.fullmatch(field.name)
    }
    personal = {
        f"{name}.{field.name}"
        for name in ("contacts", "custom_field_values", "users")
        for field in STREAMS[name].fields
        if field.personal
    }
    made_of = {"contacts.customFields", "custom_field_values.value"}
    assert personal == found | made_of | {"contacts.segmentio_id", "users.signature"}
