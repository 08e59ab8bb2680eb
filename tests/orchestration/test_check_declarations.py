"""The checks go by declarations: of any stream, whatever its name, key and references."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from activecampaign_dagster.orchestration import checks
from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.partitions import partitions
from activecampaign_dagster.orchestration.resources import ActiveCampaignResource
from activecampaign_dagster.streams.columns import bigint, boolean, instant, text
from activecampaign_dagster.streams.declaration import (
    Beside,
    ByOffset,
    Changes,
    Endpoint,
    Family,
    HiddenBy,
    Stream,
    Stub,
)
from activecampaign_dagster.streams.source import Source, StreamTable

SHOPS = Stream(
    name="shops",
    family=Family.ECOMMERCE,
    description="Shops, told apart by a text.",
    endpoint=Endpoint(path="shops", collection="shops"),
    walk=ByOffset(),
    key=("code",),
    changes=Changes(stamp="moved", created="made", after="since"),
    stub=Stub(
        flag="veiled",
        fields=("code", "label"),
        hidden_by=HiddenBy(
            name="districts", path="d", ids="i[]", user="u", collection="d", title="label"
        ),
    ),
    fields=(
        text("code", "Code"),
        text("label", "Label"),
        instant("moved", "Update stamp"),
        instant("made", "Creation stamp"),
        boolean("veiled", "True for a stub"),
    ),
)
PRICES = Stream(
    name="prices",
    family=Family.ECOMMERCE,
    description="Prices, told apart by two fields.",
    endpoint=Endpoint(path="prices", collection="prices"),
    walk=ByOffset(),
    key=("article", "shop"),
    changes=Changes(stamp="moved"),
    beside=Beside(parent="shops", include="prices", array="prices", owner="shop"),
    fields=(
        bigint("article", "Number", references="articles"),
        text("shop", "Code of the shop", references="shops"),
        instant("moved", "Update stamp"),
    ),
)
TABLES = tuple(StreamTable(s, s.name, s.sync_type) for s in (SHOPS, PRICES))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNT = Account(
    source=Source(stream_tables=TABLES, enabled=frozenset({"shops", "prices"})),
    api=ActiveCampaignResource(),
    partitions=partitions("month", "2025-01-01", "UTC"),
)


@pytest.fixture
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(
            "create schema activecampaign;"
            "create table activecampaign.shops (code varchar, label varchar, moved timestamptz, "
            "made timestamptz, veiled boolean, _deleted_at timestamptz, _hidden_at timestamptz);"
            "create table activecampaign.prices (article bigint, shop varchar, moved timestamptz, "
            "_sync_id varchar, _deleted_at timestamptz);"
            "insert into activecampaign.shops (code, made, _hidden_at) values "
            "('north', '2025-01-01 00:00:00Z', null), "
            "('south', '2025-12-31 00:00:00Z', '2025-12-31 00:00:00Z');"
            "insert into activecampaign.prices (article, shop, _sync_id) values "
            "(1, 'north', 'this'), (1, 'south', 'this'), (2, 'north', 'earlier'), "
            "(3, '', 'earlier'), (4, 'west', 'earlier');"
        )
        yield connection


def found(db: duckdb.DuckDBPyConnection, check: checks.Check, stream: Stream) -> checks.Finding:
    stream_table = next(t for t in TABLES if t.stream is stream)
    return check.find(
        checks.Evidence(
            account=ACCOUNT,
            stream_table=stream_table,
            db=db,
            sync_id="this",
            hidden_by=["Old town"],
            since=NOW - timedelta(days=7),
            is_full=True,
        )
    )


def test_rows_are_duplicates_if_they_share_their_whole_key(db: duckdb.DuckDBPyConnection) -> None:
    assert found(db, checks.DUPLICATE_IDS, PRICES).count == 0
    db.execute("insert into activecampaign.prices (article, shop) values (1, 'north')")
    finding = found(db, checks.DUPLICATE_IDS, PRICES)
    assert (finding.count, finding.text) == (
        1,
        "1 rows have the article and shop of another row.",
    )


def test_a_reference_by_text_is_followed_and_an_empty_one_is_not(
    db: duckdb.DuckDBPyConnection,
) -> None:
    finding = found(db, checks.ORPHANED_REFERENCES, PRICES)
    assert (
        finding.text == "Rows whose reference points to a missing row, by shop (1)."
    )  # articles are not read


def test_stubs_are_told_by_the_names_of_their_stream_and_of_what_hides_them(
    db: duckdb.DuckDBPyConnection,
) -> None:
    finding = found(db, checks.HIDDEN_DEALS, SHOPS)
    assert finding.text.startswith("1 shops are shown to this key with code and label only")
    assert "Hidden districts: Old town." in finding.text
    assert finding.details == {"hidden_districts": ["Old town"]}
    assert checks.newest_hidden(db, TABLES[0], most=50) == ["south"]


def test_changes_are_missed_if_the_parents_stamps_are_old(db: duckdb.DuckDBPyConnection) -> None:
    assert found(db, checks.MISSED_CHANGES, PRICES).count == 1  # the north moved long ago


def test_a_check_applies_by_what_the_stream_declares() -> None:
    names = [{c.name for c in checks.applicable(ACCOUNT, table)} for table in TABLES]
    assert "hidden_deals" in names[0] - names[1]
    assert {"missed_changes", "orphaned_references"} <= names[1] - names[0]
    without_parent = replace(ACCOUNT, source=replace(ACCOUNT.source, enabled=frozenset({"prices"})))
    alone = {check.name for check in checks.applicable(without_parent, TABLES[1])}
    assert not alone & {"missed_changes", "orphaned_references"}
