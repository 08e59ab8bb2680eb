"""`contact_custom_fields_wide`: columns that are known only when it is built.

Also that the incremental models stay right when the account changes behind them.
"""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tests.dbt.conftest import NOW

pytestmark = pytest.mark.slow

MODELS = "+contact_custom_fields_wide"
INCREMENTAL = {
    "contacts": "contact_id",
    "contact_custom_fields": "custom_field_value_id",
    "contact_custom_fields_wide": "contact_id",
}


class Raw:
    """The raw tables of custom fields, to be written by hand."""

    def __init__(self, dbt) -> None:
        self.dbt = dbt
        self.hours = 1000

    def field(self, number: int, tag: str, kind: str) -> None:
        self.hours += 1
        self.dbt.execute(f"delete from activecampaign.custom_fields where id = {number}")
        self.dbt.execute(
            "insert into activecampaign.custom_fields (id, title, perstag, type, _synced_at) "
            f"values ({number}, '{tag}', '{tag}', '{kind}', {self.now})"
        )

    def value(self, number: int, contact: int, field: int, value: str | None) -> None:
        self.hours += 1
        self.dbt.execute(f"delete from activecampaign.custom_field_values where id = {number}")
        self.dbt.execute(
            "insert into activecampaign.custom_field_values "
            "(id, contact, field, value, cdate, udate, _synced_at) values "
            f"({number}, {contact}, {field}, {value!r}, {self.now}, {self.now}, {self.now})"
        )

    @property
    def now(self) -> str:
        return f"timestamptz '{NOW + timedelta(hours=self.hours)}'"


@pytest.fixture(scope="module")
def observed(make_observed):
    observed = make_observed(7, contacts=12, deals=5, field_values=0)
    observed.sync(at=NOW)
    observed.dbt.build(MODELS)
    return observed


@pytest.fixture
def raw(observed) -> Raw:
    raw = Raw(observed.dbt)
    observed.dbt.execute("delete from activecampaign.custom_fields")
    observed.dbt.execute("delete from activecampaign.custom_field_values")
    return raw


def wide(dbt) -> dict[int, dict]:
    dbt.build_rows(MODELS)
    return {row["contact_id"]: row for row in dbt.rows("from marts.contact_custom_fields_wide")}


def own_columns(dbt) -> dict[str, str]:
    described = dbt.rows("describe marts.contact_custom_fields_wide")
    fixed = {"account", "contact_id", "email", "filled_fields", "is_deleted", "row_version"}
    return {
        row["column_name"]: row["column_type"]
        for row in described
        if row["column_name"] not in fixed
    }


def test_columns_are_typed_by_the_kind_of_field(raw):
    for number, (tag, kind) in enumerate(
        [("CITY", "text"), ("BORN", "date"), ("SIZE", "number"), ("LIKES", "checkbox")], start=1
    ):
        raw.field(number, tag, kind)
    raw.field(5, "SEEN", "datetime")
    raw.value(1, 1, 1, " Zürich ")
    raw.value(2, 1, 2, "1980-02-29")
    raw.value(3, 1, 3, "12.5")
    raw.value(4, 1, 4, "||tea||coffee, black||")
    raw.value(5, 1, 5, "2024-05-01T10:00:00-05:00")
    raw.value(6, 2, 2, "no date")
    raw.value(7, 2, 4, "tea")
    rows = wide(raw.dbt)
    assert own_columns(raw.dbt) == {
        "city": "VARCHAR",
        "born": "DATE",
        "size": "DOUBLE",
        "likes": "VARCHAR[]",
        "seen": "TIMESTAMP WITH TIME ZONE",
    }
    assert rows[1]["city"] == "Zürich"
    assert rows[1]["born"] == date(1980, 2, 29)
    assert rows[1]["size"] == 12.5
    assert rows[1]["likes"] == ["tea", "coffee, black"]
    assert rows[1]["seen"].isoformat() == "2024-05-01T15:00:00+00:00"
    assert rows[1]["filled_fields"] == 5
    assert rows[2]["born"] is None
    assert rows[2]["likes"] == ["tea"]
    assert rows[3]["filled_fields"] == 0


def test_names_are_safe_and_unique_whatever_the_tags_are(raw):
    tags = {
        1: "FAVOURITE_COLOUR",
        2: "Favourite Colour",
        3: "SELECT",
        4: "CONTACT_ID",
        5: "2ND_CHOICE",
        6: "Straße; drop table x --",
        7: "***",
        8: "FAVOURITE_COLOUR_2",
        9: "favourite-colour",
    }
    for number, tag in tags.items():
        raw.field(number, tag, "text")
        raw.value(number, 1, number, f"value {number}")
    row = wide(raw.dbt)[1]
    assert list(own_columns(raw.dbt)) == [
        "favourite_colour",
        "favourite_colour_2",
        "select_field",
        "contact_id_field",
        "field_2nd_choice",
        "stra_e_drop_table_x",
        "field_7",
        "favourite_colour_2_8",
        "favourite_colour_9",
    ]
    for number, name in enumerate(own_columns(raw.dbt), start=1):
        assert row[name] == f"value {number}"


def test_a_field_that_is_added_renamed_retyped_or_removed_changes_its_column(raw):
    raw.field(1, "CITY", "text")
    raw.field(2, "SIZE", "text")
    raw.field(3, "GONE", "text")
    for number in (1, 2, 3):
        raw.value(number, 1, number, str(number))
    before = wide(raw.dbt)[1]
    assert (before["city"], before["size"], before["gone"]) == ("1", "2", "3")
    raw.field(1, "TOWN", "text")
    raw.field(2, "SIZE", "number")
    raw.field(4, "NEW", "text")
    raw.dbt.execute("delete from activecampaign.custom_fields where id = 3")
    raw.value(4, 2, 4, "4")
    after = wide(raw.dbt)
    assert own_columns(raw.dbt) == {"town": "VARCHAR", "size": "DOUBLE", "new": "VARCHAR"}
    assert (after[1]["town"], after[1]["size"], after[2]["new"]) == ("1", 2.0, "4")
    [gone] = raw.dbt.rows("from marts.contact_custom_fields where custom_field_id = 3")
    assert gone["is_field_missing"]
    assert gone["value"] == "3"


def test_the_latest_of_two_values_of_one_field_counts(raw):
    raw.field(1, "CITY", "text")
    raw.value(1, 1, 1, "old")
    raw.value(2, 1, 1, "new")
    assert wide(raw.dbt)[1]["city"] == "new"


def incremental_and_rebuilt(dbt) -> tuple[list, list]:
    """The incremental marts as they are, and as a build from nothing makes them."""

    def contents():
        return [
            dbt.rows(f"select * exclude row_version from marts.{model} order by {key}")
            if model != "contact_custom_fields"
            else dbt.rows(f"from marts.{model} order by {key}")
            for model, key in INCREMENTAL.items()
        ]

    dbt.build_rows(MODELS)
    grown = contents()
    dbt.run(
        *("run", "--full-refresh", "--select", *INCREMENTAL, "int_contacts__custom_fields"),
    )
    return grown, contents()


def test_late_changes_leave_the_incremental_models_as_if_built_anew(raw):
    dbt = raw.dbt
    raw.field(1, "CITY", "text")
    raw.field(2, "LIKES", "checkbox")
    for number in range(1, 9):
        raw.value(number, number % 4 + 1, number % 2 + 1, f"v{number}")
    dbt.build_rows(MODELS)

    # an older stamp than what was built, a deletion, a row that is gone, a new deal, a rename
    dbt.execute(
        "update activecampaign.custom_field_values "
        "set value = 'late', _synced_at = timestamptz '2020-01-01' where id = 1"
    )
    dbt.execute(
        f"update activecampaign.custom_field_values set _deleted_at = {raw.now} where id = 2"
    )
    dbt.execute("delete from activecampaign.custom_field_values where id = 3")
    dbt.execute("delete from activecampaign.contacts where id = 5")
    dbt.execute(
        "update activecampaign.contacts "
        f"set email = 'new@example.com', _synced_at = {raw.now} where id = 6"
    )
    dbt.execute(
        "insert into activecampaign.deals (id, contact, value, currency, status, _synced_at) "
        f"values (99, 7, 12300, 'usd', 1, {raw.now})"
    )
    raw.field(2, "LIKED", "checkbox")
    grown, rebuilt = incremental_and_rebuilt(dbt)
    assert grown == rebuilt
    contacts = {row["contact_id"]: row for row in grown[0]}
    assert 5 not in contacts
    assert contacts[6]["email"] == "new@example.com"
    assert contacts[7]["won_value_by_currency"]["USD"] >= 123
    values = {row["custom_field_value_id"]: row for row in grown[1]}
    assert values[1]["value"] == "late"
    assert values[2]["is_deleted"]
    assert 3 not in values
    assert {row["personalization_tag"] for row in grown[1]} == {"CITY", "LIKED"}


def test_a_build_without_changes_writes_no_contact_anew(raw):
    raw.field(1, "CITY", "text")
    raw.value(1, 1, 1, "Ulm")
    dbt = raw.dbt
    dbt.build_rows(MODELS)
    dbt.execute("update marts.contacts set email = 'untouched' where contact_id = 1")
    dbt.execute("update marts.contact_custom_fields_wide set email = 'untouched'")
    dbt.build_rows(MODELS)
    [contact] = dbt.rows("select email from marts.contacts where contact_id = 1")
    assert contact["email"] == "untouched"
    emails = dbt.rows("select distinct email from marts.contact_custom_fields_wide")
    assert emails == [{"email": "untouched"}]


def test_five_hundred_fields_are_five_hundred_columns(raw):
    raw.dbt.execute(
        "insert into activecampaign.custom_fields (id, title, perstag, type, _synced_at) "
        f"select i, 'F' || i, 'TAG_' || i, 'text', {raw.now} from range(1, 501) as t(i)"
    )
    raw.dbt.execute(
        "insert into activecampaign.custom_field_values (id, contact, field, value, _synced_at) "
        f"select i, 1 + i % 3, 1 + i % 500, 'v' || i, {raw.now} from range(0, 1500) as t(i)"
    )
    row = wide(raw.dbt)[1]
    assert len(own_columns(raw.dbt)) == 500
    assert row["tag_1"] == "v0"
    assert row["filled_fields"] == 500
