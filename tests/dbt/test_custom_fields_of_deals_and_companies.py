"""Custom fields of deals and companies against the account's own records, read in Python."""

from __future__ import annotations

import json
import math
import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from activecampaign_dagster.streams.registry import CORE
from tests.dbt.conftest import NOW, Observed
from tests.sync.everything import source

pytestmark = pytest.mark.slow

STREAMS = (
    *CORE,
    "deal_custom_fields",
    "deal_custom_field_values",
    "accounts",
    "account_custom_fields",
    "account_custom_field_values",
)
MODELS = (
    "+deal_custom_fields_wide",
    "+company_custom_fields_wide",
)
# object → its records, their custom fields, the values, and what names a value's record
COLLECTIONS = {
    "deal": ("deals", "dealCustomFieldMeta", "dealCustomFieldData", "dealId"),
    "company": ("accounts", "accountCustomFieldMeta", "accountCustomFieldData", "accountId"),
}
TITLES = {"deal": "title", "company": "name"}


@pytest.fixture(scope="module")
def observed(make_observed) -> Observed:
    """An account with fields and values of all kinds, synced and built."""
    observed = make_observed(61)
    observed.warehouse.source = source(*STREAMS)
    account = observed.account
    for collection in ("dealCustomFieldMeta", "accountCustomFieldMeta"):
        for label, kind in [
            ("Interests", "multiselect"),
            ("Call", "datetime"),
            ("Interests!", "checkbox"),
        ]:
            account.add_record(collection, fieldLabel=label, fieldType=kind, fieldOptions=None)
    deals, companies = account.deals.live[:4], sorted(account.truth("accounts"))[:4]
    for put, (first, second, third, fourth), fields in [
        (account.set_deal_value, deals, sorted(account.truth("dealCustomFieldMeta"))),
        (account.set_company_value, companies, sorted(account.truth("accountCustomFieldMeta"))),
    ]:
        several, moment, bars = fields[-3:]
        by_kind = {"date": fields[3], "currency": fields[2], "number": fields[1]}
        put(first, several, ["tea", "coffee, black"])
        put(second, bars, "||tea||milk||")
        put(first, moment, "2024-05-31 09:30:00")
        put(second, moment, "2024-05-31T09:30:00-05:00")
        put(third, by_kind["date"], "31/05/2024")
        put(third, by_kind["currency"], "12.50")
        put(third, by_kind["number"], "a dozen")
        put(fourth, by_kind["number"], -12.5)
        put(fourth, by_kind["currency"], -1250)
    observed.sync(at=NOW, streams=STREAMS)
    observed.dbt.build(*MODELS)
    return observed


def fields_of(observed: Observed, kind: str) -> dict[int, dict[str, Any]]:
    return observed.account.truth(COLLECTIONS[kind][1])


def values_of(observed: Observed, kind: str) -> dict[int, dict[str, Any]]:
    """The values in the account; those of deals that come as stubs are not sent."""
    records, _, collection, owner = COLLECTIONS[kind]
    found, owners = observed.account.truth(collection), observed.account.truth(records)
    stubs = {number for number, record in owners.items() if record.get("isDisabled")}
    return {number: value for number, value in found.items() if int(value[owner]) not in stubs}


def text_of(value: Any) -> str | None:
    """A value as text, as the sync lands it."""
    if isinstance(value, list):
        return json.dumps(value, separators=(",", ":"))
    return None if value is None else str(value).strip() or None


def parsed(text: str, kind: str) -> Any:
    """What a text is by its field's type; None if it is malformed."""
    match kind:
        case "date":
            return date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else None
        case "number":
            return float(text) if re.fullmatch(r"-?[\d.]+", text) else None
        case "currency":
            cents = re.fullmatch(r"-?\d+", text)
            return {"USD": Decimal(text).scaleb(-2)} if cents else None
        case "multiselect" | "checkbox":
            listed = json.loads(text) if text.startswith("[") else text.split("||")
            return [choice.strip() for choice in listed if choice.strip()]
    return text


def columns_of(observed: Observed, kind: str) -> dict[int, str]:
    """Field → the name of its column."""
    names: dict[int, str] = {}
    for number, field in sorted(fields_of(observed, kind).items()):
        name = re.sub("[^a-z0-9]+", "_", field["fieldLabel"].lower()).strip("_")
        names[number] = f"{name}_{number}" if name in names.values() else name
    return names


def assert_long_agrees(observed: Observed, kind: str, deleted: dict[int, dict[str, Any]]) -> None:
    """deleted: values that are gone from the account and were landed before."""
    owner = COLLECTIONS[kind][3]
    fields, values = fields_of(observed, kind), values_of(observed, kind)
    rows = observed.dbt.rows(f"from marts.{kind}_custom_fields order by custom_field_value_id")
    assert [row["custom_field_value_id"] for row in rows] == sorted(values | deleted)
    for row in rows:
        number = row["custom_field_value_id"]
        record = (values | deleted)[number]
        field = fields.get(int(record["customFieldId"]))
        type_ = field and field["fieldType"]
        text = text_of(record["fieldValue"])
        found = parsed(text, type_) if text is not None and type_ else None
        money = found if type_ == "currency" else None
        created = datetime.fromisoformat(record["createdTimestamp"])
        assert row == {
            "account": "activecampaign",
            "custom_field_value_id": number,
            f"{kind}_id": int(record[owner]),
            "custom_field_id": int(record["customFieldId"]),
            "custom_field": field and field["fieldLabel"],
            "personalization_tag": field and (field["personalization"] or None),
            "field_type": type_,
            "value": text,
            # money is known by its field's type when it is sent
            "currency": row["currency"] if field is None else "USD" if money_field(type_) else None,
            "choices": found if type_ in {"multiselect", "checkbox"} else None,
            "amount": money and money["USD"],
            "is_field_missing": field is None,
            "is_malformed": field is not None and text is not None and found is None,
            "is_deleted": number in deleted,
            "created_at": created,
            "updated_at": datetime.fromisoformat(record["updatedTimestamp"]),
            "deleted_at": row["deleted_at"],
        }, number
        assert (row["deleted_at"] is not None) == (number in deleted)


def money_field(type_: str | None) -> bool:
    return type_ == "currency"


def assert_wide_agrees(observed: Observed, kind: str, deleted: dict[int, dict[str, Any]]) -> None:
    """deleted: records that are gone from the account and were landed before."""
    records, _, _, owner = COLLECTIONS[kind]
    fields, names = fields_of(observed, kind), columns_of(observed, kind)
    filled: dict[int, dict[str, Any]] = {}
    for value in values_of(observed, kind).values():
        text = text_of(value["fieldValue"])
        if text is not None:
            filled.setdefault(int(value[owner]), {})[int(value["customFieldId"])] = text
    landed = observed.account.truth(records) | deleted
    rows = observed.dbt.rows(f"from marts.{kind}_custom_fields_wide order by {kind}_id")
    assert [row[f"{kind}_id"] for row in rows] == sorted(landed)
    for row in rows:
        number = row[f"{kind}_id"]
        texts = filled.get(number, {})
        title = landed[number][TITLES[kind]]
        assert row == {
            "account": "activecampaign",
            f"{kind}_id": number,
            {"deal": "title", "company": "company"}[kind]: title.strip() or None,
            "filled_fields": len(texts),
            "is_deleted": number in deleted,
            **{
                name: parsed(texts[field], fields[field]["fieldType"]) if field in texts else None
                for field, name in names.items()
            },
        }, number


@pytest.mark.parametrize("kind", COLLECTIONS)
def test_values_agree_with_the_account(observed, kind):
    assert_long_agrees(observed, kind, {})
    rows = observed.dbt.rows(
        f"select value from marts.{kind}_custom_fields where is_malformed order by value"
    )
    assert [row["value"] for row in rows] == ["12.50", "31/05/2024", "a dozen"]


@pytest.mark.parametrize("kind", COLLECTIONS)
def test_a_record_has_a_typed_column_for_each_field(observed, kind):
    assert_wide_agrees(observed, kind, {})
    described = observed.dbt.rows(f"describe marts.{kind}_custom_fields_wide")
    types = {row["column_name"]: row["column_type"] for row in described}
    by_kind = {
        "date": "DATE",
        "number": "DOUBLE",
        "currency": "MAP(VARCHAR, DECIMAL(24,4))",
        "multiselect": "VARCHAR[]",
        "checkbox": "VARCHAR[]",
    }
    for number, name in columns_of(observed, kind).items():
        expected = by_kind.get(fields_of(observed, kind)[number]["fieldType"], "VARCHAR")
        assert types[name] == expected, name


def test_malformed_values_are_counted(observed):
    tests = [
        f"values_of_{records}_have_the_form_of_their_custom_fields_type"
        for records in ("deals", "companies")
    ]
    results = observed.dbt.run("test", "--select", *tests).result.results
    counted = {each.node.name: (each.status, each.failures) for each in results}
    assert {name: counted[name] for name in tests} == dict.fromkeys(tests, ("warn", 3))


def test_amounts_of_one_currency_add_up(observed):
    [found] = observed.dbt.rows(
        "select sum(budget['USD']) as usd from marts.deal_custom_fields_wide"
    )
    values = values_of(observed, "deal").values()
    budgets = [text_of(each["fieldValue"]) for each in values if each["customFieldId"] == 3]
    cents = [int(text) for text in budgets if text and re.fullmatch(r"-?\d+", text)]
    assert math.isclose(found["usd"], sum(cents) / 100)


def test_changes_and_deletions_show_after_the_next_sync(observed):
    account = observed.account
    deals, values = account.truth("deals"), values_of(observed, "deal")
    gone_deal = next(number for number in account.deals.live[5:])
    gone_value = next(n for n, v in values.items() if int(v["dealId"]) == account.deals.live[6])
    gone = {n: v for n, v in values.items() if n == gone_value or int(v["dealId"]) == gone_deal}
    observed.clock.now = NOW + timedelta(hours=1)
    account.delete_deal(gone_deal)
    account.remove_record("dealCustomFieldData", gone_value)
    account.set_deal_value(account.deals.live[7], 1, "Price")
    account.update_record("dealCustomFieldMeta", 1, fieldLabel="Reason")
    account.remove_record("dealCustomFieldMeta", 5)
    companies = sorted(account.truth("accounts"))
    account.set_company_value(companies[7], 1, "Retail")
    account.remove_record("accounts", companies[5])
    account.update_record("accountCustomFieldMeta", 2, fieldLabel="Staff", fieldType="text")
    observed.sync(at=NOW + timedelta(hours=1), streams=STREAMS)
    observed.dbt.build_rows(*MODELS)
    assert_long_agrees(observed, "deal", gone)
    assert_wide_agrees(observed, "deal", {gone_deal: deals[gone_deal]})
    assert_long_agrees(observed, "company", {})
    assert_wide_agrees(observed, "company", {})
    columns = observed.dbt.rows("describe marts.deal_custom_fields_wide")
    names = {row["column_name"] for row in columns}
    assert "reason" in names
    assert not {"lost_reason", "remarks"} & names
