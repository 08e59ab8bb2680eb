"""The generic tests fail when they should, and tables do not fill up with rows that are dead."""

from __future__ import annotations

import shutil

import pytest

from tests.dbt.conftest import NOW

pytestmark = pytest.mark.slow

MODELS = "+contact_custom_fields_wide"
KEY = "primary_key_int_contacts__deal_totals_account__contact_id"
REFERENCE = (
    "relationships_in_account_contact_custom_fields_wide_contact_id__contact_id__ref_contacts_"
)


@pytest.fixture(scope="module")
def dbt(make_observed):
    observed = make_observed(11, contacts=150, deals=100, field_values=50)
    observed.sync(at=NOW)
    observed.dbt.build(MODELS)
    return observed.dbt


@pytest.fixture
def tampered(dbt, tmp_path):
    """Executes SQL on what was built, which is as it was afterwards."""
    shutil.copy(dbt.database, tmp_path)
    yield dbt.execute
    shutil.copy(tmp_path / dbt.database.name, dbt.database)


def outcome(dbt, test: str) -> str:
    """What dbt says of a test that fails."""
    with pytest.raises(pytest.fail.Exception) as failed:
        dbt.run("test", "--select", test)
    return str(failed.value)


@pytest.mark.parametrize("copied", ["contact_id", "63", "64", "127", "-1", "9223372036854775807"])
def test_a_key_that_occurs_twice_fails(dbt, tampered, copied):
    table = "intermediate.int_contacts__deal_totals"
    row = f"select * replace ({copied} as contact_id) from {table} limit 1"
    if copied != "contact_id":
        tampered(f"insert into {table} {row}")
        dbt.run("test", "--select", KEY)
    tampered(f"insert into {table} {row}")
    assert "Got 1 result," in outcome(dbt, KEY)


@pytest.mark.parametrize("column", ["account", "contact_id"])
def test_a_key_that_lacks_a_part_fails(dbt, tampered, column):
    table = "intermediate.int_contacts__deal_totals"
    tampered(f"insert into {table} select * replace (null as {column}) from {table} limit 1")
    assert "Got 1 result," in outcome(dbt, KEY)


def test_the_same_id_in_two_accounts_is_two_keys(dbt, tampered):
    table = "intermediate.int_contacts__deal_totals"
    tampered(f"insert into {table} select * replace ('two' as account) from {table}")
    dbt.run("test", "--select", KEY)


def test_each_id_that_is_not_in_the_other_model_fails(dbt, tampered):
    table = "marts.contact_custom_fields_wide"
    dbt.run("test", "--select", REFERENCE)
    tampered(
        f"insert into {table} by name select 'activecampaign' as account, unnest("
        "[-1, 5063, 5064, 5119, 5120, 9223372036854775807, 5064]) as contact_id"
    )
    assert "Got 6 results," in outcome(dbt, REFERENCE)


def test_an_id_of_another_account_does_not_count(dbt, tampered):
    tampered(
        "insert into marts.contact_custom_fields_wide by name "
        "select 'two' as account, contact_id from marts.contacts"
    )
    assert "Got 150 results," in outcome(dbt, REFERENCE)


def test_rows_that_are_replaced_again_and_again_are_gathered(dbt, tampered):
    def rows() -> tuple[int, int]:
        sizes = "from duckdb_tables() where table_name = 'contacts' and schema_name = 'marts'"
        found = dbt.rows(
            f"select (select max(estimated_size) {sizes}) as size, count(*) as live "
            "from marts.contacts"
        )[0]
        return found["size"], found["live"]

    dead = "where contact_id % 3 > 0"
    tampered(
        "set max_vacuum_tasks = 0; "
        f"create temp table rows as from marts.contacts {dead}; "
        f"delete from marts.contacts {dead}; insert into marts.contacts from rows"
    )
    size, live = rows()
    assert size > 1.5 * live
    dbt.build(MODELS)
    assert rows() == (live, live)
