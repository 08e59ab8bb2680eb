"""Values of custom fields become dates, instants and numbers if they have the form of one.

The forms are compared with parsers of Python that know one form each, on texts that are made up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import duckdb
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.dbt.conftest import NOW

TYPES = ("DATE", "TIMESTAMP WITH TIME ZONE", "DOUBLE")
MACROS = "".join(f"{{{{ typed('text', '{type_}') }}}} ;" for type_ in TYPES)

Typed = Callable[[str], dict[str, Any]]
quickly = settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def typed(built) -> Iterator[Typed]:
    """What the project's SQL makes of a text, by type."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
        compiled = built.dbt.run("compile", "--inline", MACROS).result.results[0].node
    DuckDBConnectionManager.close_all_connections()
    values = [sql.strip() for sql in compiled.compiled_code.split(";") if sql.strip()]
    assert len(values) == len(TYPES)
    query = f"select {', '.join(values)} from (select ?::varchar as text)"
    with duckdb.connect() as db:
        db.execute("set TimeZone = 'UTC'")
        yield lambda text: dict(zip(TYPES, db.execute(query, [text]).fetchone() or (), strict=True))


def number(text: str) -> float | None:
    """A plain decimal."""
    sign, digits = (text[0], text[1:]) if text[:1] in {"+", "-"} else ("", text)
    whole, _, fraction = digits.partition(".")
    is_plain = all(c in "0123456789" for c in whole + fraction) and len(whole + fraction) > 0
    if not is_plain or max(len(whole), len(fraction)) > 15:
        return None
    return float(f"{sign}{whole or '0'}.{fraction or '0'}")


def day(text: str) -> date | None:
    """A date as ISO 8601 writes it with hyphens, in a year that all tools can read."""
    if len(text) != 10 or text[4:5] != "-" or not text.isascii():
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 1000 <= found.year <= 9998 else None


def instant(text: str) -> datetime | None:
    """A date, a time to the second or finer, and an offset."""
    before, separator, after = text[:10], text[10:11], text[11:]
    time, sign, offset = re.match(r"([^Z+-]*)([Z+-]?)(.*)$", after, re.DOTALL).groups()  # type: ignore[union-attr]
    if day(before) is None or separator not in {"T", " "} or not sign or not text.isascii():
        return None
    whole, point, fraction = time.partition(".")
    if len(whole) != 8 or whole[2] != ":" or (sign == "Z") != (offset == ""):
        return None
    if point and not (fraction.isdecimal() and len(fraction) <= 9):
        return None
    try:
        # of more than six digits Python takes the first six
        found = datetime.fromisoformat(f"{before}T{whole}{point}{fraction}{sign}{offset}")
    except ValueError:
        return None
    return found if len(offset) in {0, 2, 4, 5} else None


PARSERS: dict[str, Callable[[str], Any]] = {
    "DATE": day,
    "TIMESTAMP WITH TIME ZONE": instant,
    "DOUBLE": number,
}
OFFSETS = st.from_regex(r"(Z|[+-][0-2]\d(:?[0-6]\d)?)?", fullmatch=True)
TIMES = st.from_regex(r"[0-2]\d:[0-6]\d(:[0-6]\d(\.\d{1,10})?)?", fullmatch=True)
DAYS = st.one_of(
    st.dates().map(str),
    st.from_regex(r"\d{1,5}[-/.]\d{1,2}[-/.]\d{1,2}", fullmatch=True),
)
TEXTS = st.one_of(
    DAYS,
    st.builds(
        "{}{}{}{}{}".format,
        DAYS,
        st.sampled_from("T t"),
        TIMES,
        st.sampled_from(["", " "]),
        OFFSETS,
    ),
    st.datetimes(timezones=st.timezones()).map(datetime.isoformat),
    st.floats().map(str),
    st.decimals().map(str),
    st.integers(-(10**17), 10**17).map(str),
    st.from_regex(r"[+-]?\d{0,17}\.?\d{0,17}", fullmatch=True),
    st.text("0123456789-+.:/TZ eE_,\n", max_size=30),
    st.text(max_size=12).filter(lambda text: "\0" not in text),
)


@quickly
@given(TEXTS)
@example("epoch")
@example("infinity")
@example("nan")
@example("1e400")
@example("1_000")
@example("9" * 400)
@example("2024-02-30")
@example("9999-12-31")
@example("2024-05-01T24:00:00Z")
@example("2024-05-01T10:00Z")
@example("2024-05-01T10:00:00 Z")
@example("2024-05-01T10:00:60Z")
@example("2024-05-01T10:00:00.123456789Z")
@example("2024-05-01\n")
@example("\u0662\u0660\u0662\u0664-\u0660\u0665-\u0660\u0661")  # digits, but not ASCII
def test_a_text_is_a_value_where_a_strict_parser_of_python_says_so_and_the_same_one(typed, text):
    found = typed(text)
    for type_, parse in PARSERS.items():
        expected = parse(text)
        if isinstance(expected, datetime):
            # DuckDB rounds what is finer than microseconds
            assert found[type_] is not None, (type_, text)
            assert abs((found[type_] - expected).total_seconds()) <= 1e-6, (type_, text)
        else:
            assert found[type_] == expected, (type_, text)


@quickly
@given(st.lists(st.from_regex(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?", fullmatch=True), min_size=1))
def test_numbers_can_always_be_summed_up(typed, texts):
    assert math.isfinite(sum(typed(text)["DOUBLE"] for text in texts))


@quickly
@given(st.integers(-(10**15) + 1, 10**15 - 1))
def test_a_whole_number_stays_the_same_number(typed, whole):
    assert typed(str(whole))["DOUBLE"] == whole


@quickly
@given(st.datetimes(datetime(1000, 1, 1), datetime(9998, 12, 31), timezones=st.timezones()))
def test_an_instant_that_python_writes_is_read_back(typed, stamp):
    if stamp.utcoffset().seconds % 60:  # type: ignore[union-attr] # local mean time, before railways
        return
    assert typed(stamp.isoformat())["TIMESTAMP WITH TIME ZONE"] == stamp.astimezone(UTC)


# custom field type → texts that DuckDB's casts would take for a value
MALFORMED = {
    "date": ["01/02/03", "10-11-12", "epoch", "infinity", "2024-5-1", "0024-05-01", "9999-12-31"],
    "datetime": [
        "epoch",
        "2024-05-01",
        "2024-05-01T10:00:00",
        "2024-05-01T10:00Z",
        "10-11-12 10:00Z",
        "infinity",
    ],
    "number": ["nan", "1e400", "1_000", "inf", "1e5", "0x1F", "1234567890123456"],
}
WELL_FORMED = {
    "date": "2024-05-31",
    "datetime": "2024-05-31T09:30:00-05:00",
    "number": "-1234.5",
}


@pytest.fixture
def written(make_observed) -> Any:
    """An account whose fields of three types hold values of all forms, a contact for each."""
    observed = make_observed(17, contacts=10, deals=2, field_values=0)
    observed.sync(at=NOW)
    observed.dbt.execute("delete from activecampaign.custom_fields")
    number = 0
    for field, (kind, malformed) in enumerate(MALFORMED.items(), 1):
        observed.dbt.execute(
            "insert into activecampaign.custom_fields (id, title, perstag, type, _synced_at) "
            f"values ({field}, 'A {kind}', '{kind}_field', '{kind}', '{NOW}')"
        )
        for contact, text in enumerate([WELL_FORMED[kind], *malformed], 1):
            number += 1
            observed.dbt.execute(
                "insert into activecampaign.custom_field_values "
                "(id, contact, field, value, _synced_at) "
                f"values ({number}, {contact}, {field}, '{text}', '{NOW}')"
            )
    return observed


WIDE = "from marts.contact_custom_fields_wide order by contact_id"
LONG = "from marts.contact_custom_fields order by custom_field_value_id"


@pytest.mark.slow
def test_a_malformed_value_is_empty_in_the_wide_table_kept_as_text_and_counted(written):
    dbt = written.dbt
    dbt.build("+contact_custom_fields_wide")
    first, *others = dbt.rows(WIDE)
    assert first["date_field"] == date(2024, 5, 31)
    assert first["datetime_field"].isoformat() == "2024-05-31T14:30:00+00:00"
    assert first["number_field"] == -1234.5
    assert {row[f"{kind}_field"] for row in others for kind in MALFORMED} == {None}
    kept = {kind: [] for kind in MALFORMED}
    for row in dbt.rows(LONG):
        if row["is_malformed"]:
            kept[row["field_type"]].append(row["value"])
    assert kept == MALFORMED
    counted = dbt.run("test", "--select", "values_have_the_form_of_their_custom_fields_type")
    result = counted.result.results[0]  # after it come the project's hooks
    assert (result.status, result.failures) == ("warn", sum(map(len, MALFORMED.values())))


@pytest.mark.slow
def test_what_an_older_version_made_of_malformed_values_is_made_anew_by_the_next_build(written):
    dbt = written.dbt
    dbt.build("+contact_custom_fields_wide")
    expected = dbt.rows(f"select * exclude row_version {WIDE}"), dbt.rows(LONG)
    dbt.execute("alter table marts.contact_custom_fields drop column is_malformed")
    # the versions as they were counted without malformed values
    dbt.execute(
        "update intermediate.int_contacts__custom_fields as fields set fingerprint = versions.was "
        "from (select contact_id, bit_xor(hash(custom_field_value_id, row_version)) as was "
        "from marts.contact_custom_fields group by all) as versions "
        "where fields.contact_id = versions.contact_id"
    )
    dbt.execute(
        "update marts.contacts as contacts set row_version = "
        "hash(staged.observed_at, fields.fingerprint, deals.fingerprint, 'UTC') "
        "from staging.stg_activecampaign__contacts as staged "
        "left join intermediate.int_contacts__custom_fields as fields using (contact_id) "
        "left join intermediate.int_contacts__deal_totals as deals using (contact_id) "
        "where contacts.contact_id = staged.contact_id"
    )
    dbt.execute(
        "update marts.contact_custom_fields_wide as wide set row_version = contacts.row_version, "
        "date_field = '0001-02-03', number_field = 'nan' "
        "from marts.contacts as contacts where wide.contact_id = contacts.contact_id "
        "and wide.contact_id between 2 and 8"
    )
    dbt.build_rows("+contact_custom_fields_wide")
    assert dbt.rows(f"select * exclude row_version {WIDE}") == expected[0]
    assert dbt.rows(LONG) == expected[1]
