"""Faults of the API during a sync: mended, or one stream fails and its neighbours are landed."""

from __future__ import annotations

import logging
import resource
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from activecampaign_dagster.api.errors import (
    CredentialsError,
    PermissionDeniedError,
    RequestError,
    TransientError,
)
from activecampaign_dagster.sandbox import faults, query
from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.faults import (
    Fault,
    Request,
    Rule,
    always,
    error,
    html,
    nth,
    times,
)
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.streams.registry import CORE
from activecampaign_dagster.streams.source import Source, StreamTable, default_stream_tables
from activecampaign_dagster.sync.outcomes import SyncError
from activecampaign_dagster.sync.request import Mode
from activecampaign_dagster.sync.shortfalls import Shortfalls
from activecampaign_dagster.sync.spool import zstd
from activecampaign_dagster.warehouse.land import land
from activecampaign_dagster.warehouse.warehouse import WarehouseError
from tests.helpers import Warehouse, live, serving
from tests.sync.truth import differences

pytestmark = pytest.mark.usefixtures("no_waits")


def assert_right(sandbox: Sandbox, warehouse: Warehouse, *, but: tuple[str, ...] = ()) -> None:
    """All tables are what the account holds, those of the streams in `but` excepted."""
    for name, table in warehouse.tables().items():
        if name not in but:
            assert differences(sandbox.account, live(table), name) == []


def one_in_ten(fault: Fault) -> Rule:
    return lambda _, number: fault if number % 10 == 3 else None


MENDED = {
    "reset": faults.RESET,
    "cut off": faults.TRUNCATED,
    "empty": faults.EMPTY_BODY,
    "500": html(500),
    "429": error(429, Retry_After="1e9"),
    "403": error(403),
}


@pytest.mark.parametrize("fault", MENDED.values(), ids=MENDED.keys())
def test_one_page_in_ten_failing_leaves_no_trace(fault: Fault, warehouse: Warehouse) -> None:
    with serving(faults=[one_in_ten(fault)]) as sandbox:
        warehouse.sync(sandbox)
        assert_right(sandbox, warehouse)


ODD = {
    "text/html": faults.HTML_HEADER,
    "gzip": faults.GZIPPED,
    "meta missing": faults.without("meta"),
    "meta null": faults.null("meta"),
    "total too small": faults.total(3),
    "total too large": faults.total("100000"),
    "total a word": faults.total("many"),
    "total of no collection": faults.total("1" + "0" * 20),
    "total infinite": faults.total(float("inf")),
    "total negative": faults.total(-5),
    "record twice": faults.changed(
        lambda body: {k: v[:1] + v if isinstance(v, list) else v for k, v in body.items()}
    ),
}


@pytest.mark.parametrize("fault", ODD.values(), ids=ODD.keys())
def test_odd_answers_end_in_the_right_tables(fault: Fault, warehouse: Warehouse) -> None:
    with serving(faults=[always(fault)]) as sandbox:
        warehouse.sync(sandbox)
        assert_right(sandbox, warehouse)


@pytest.mark.parametrize(
    ("stream", "collection"), [("contacts", "contacts"), ("deals", "deals"), ("users", "users")]
)
@pytest.mark.parametrize("fault", ["abc", None, [], 1.5, 1e300, "1_0", "٣", "9" * 30], ids=str)
def test_a_record_without_a_usable_id_is_kept_aside_and_the_others_land(
    stream: str, collection: str, fault: Any, warehouse: Warehouse
) -> None:
    with serving(faults=[nth({1}, faults.record(collection, id=fault), collection)]) as sandbox:
        outcome = warehouse.sync(sandbox, streams=[stream])[stream]
        wrong = differences(sandbox.account, warehouse.live(stream), stream)
    assert len(wrong) == 1
    assert wrong[0].endswith("is missing")
    assert outcome.landed.rejected == 1
    kept = warehouse.query('select stream, "column", "value" from activecampaign._rejected_values')
    assert [row[:2] for row in kept] == [(stream, "id")]
    assert '"cdate"' in kept[0][2], "the whole record is kept"


def test_a_record_that_lacks_an_id_is_kept_aside(warehouse: Warehouse) -> None:
    fault = faults.record_without("deals", "id")
    with serving(faults=[nth({1}, fault, "deals")]) as sandbox:
        assert warehouse.sync(sandbox, streams=["deals"])["deals"].landed.rejected == 1
        warehouse.sync(sandbox, streams=["deals"])
        assert_right(sandbox, warehouse, but=tuple(set(CORE) - {"deals"}))


@pytest.mark.parametrize("junk", [None, "text", 7, [1], [[]], True], ids=str)
def test_what_is_no_record_is_kept_aside(junk: Any, warehouse: Warehouse) -> None:

    def add(body: dict[str, Any]) -> None:
        for name in ("contacts", "deals", "users", "fieldValues"):
            if name in body:
                body[name].insert(1, junk)

    streams = ("contacts", "custom_fields", "custom_field_values", "deals", "users")
    with serving(faults=[always(faults.changed(add))]) as sandbox:
        outcomes = warehouse.sync(sandbox, streams=streams)
        assert_right(sandbox, warehouse, but=tuple(set(CORE) - set(streams)))
    assert outcomes["deals"].landed.rejected > 0


def test_strange_text_lands_as_it_was_sent(warehouse: Warehouse) -> None:
    odd = [
        nth({1}, faults.odd_text(name, key), name)
        for name, key in (("contacts", "firstName"), ("deals", "title"), ("users", "firstName"))
    ]
    with serving(faults=odd) as sandbox:
        warehouse.sync(sandbox)
    for name, column in (("contacts", "firstName"), ("deals", "title"), ("users", "firstName")):
        found = warehouse.query(
            f'select "{column}" from activecampaign.{name} where "{column}" like \'%\U0001f984%\''
        )
        assert found == [("a\x00b?c\u202e\U0001f984\u05d0\u2028\ufeff",)]


def test_a_value_of_five_megabytes_lands_whole(warehouse: Warehouse) -> None:
    with serving(faults=[nth({1}, faults.huge("deals", "title"), "deals")]) as sandbox:
        warehouse.sync(sandbox, streams=["deals"])
    lengths = "select max(length(title)) from activecampaign.deals"
    assert warehouse.query(lengths) == [(5_000_000,)]


def test_a_page_longer_than_asked_for_is_taken_whole(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "MAX_LIMIT", 140)
    asked, longest = set[str](), Counter[str]()

    def longer(request: Request, _: int) -> Fault:
        params = dict(request.params)
        asked.add(params.get("limit", ""))
        request.params[:] = (params | {"limit": "140"}).items()

        def measure(body: dict[str, Any]) -> None:
            records = body.get(request.path, ())
            longest[request.path] = max(longest[request.path], len(records))

        return faults.changed(measure)

    with serving(faults=[longer]) as sandbox:
        warehouse.sync(sandbox)
        assert_right(sandbox, warehouse)
    assert max(map(int, asked)) == 100
    assert longest["contacts"] == longest["deals"] == 140


@pytest.mark.parametrize("mode", [Mode.FULL, Mode.INCREMENTAL])
def test_what_was_staged_with_other_fields_is_read_again(mode: Mode, tmp_path: Path) -> None:
    few = frozenset({"id", "cdate", "mdate", "isDisabled"})
    warehouse = Warehouse(tmp_path / "a.duckdb", Source(stream_tables=targets_keeping(few)))
    with serving(faults=[nth({2}, error(400), "deals")]) as sandbox:
        with pytest.raises(SyncError):
            warehouse.sync(sandbox, mode, streams=["deals"])
        warehouse.source = Source()
        assert not warehouse.sync(sandbox, mode, streams=["deals"])["deals"].resumed
        assert differences(sandbox.account, warehouse.live("deals"), "deals") == []


def targets_keeping(fields: frozenset[str]) -> tuple[StreamTable, ...]:
    """All streams, with only these fields of deals."""
    return tuple(
        replace(t, keep=fields) if t.name == "deals" else t for t in default_stream_tables()
    )


PERMANENT = [
    (error(403, b'{"message":"Forbidden"}'), PermissionDeniedError, "may not read"),
    (error(422), RequestError, "422"),
    (error(404, b'{"message":"No Result found"}'), RequestError, "The account has no deals"),
    (html(502), TransientError, "status.activecampaign.com"),
    (faults.null("deals"), TransientError, "the list 'deals' is null"),
    (faults.RESET, TransientError, "Check the URL and the network"),
]


@pytest.mark.parametrize(("fault", "kind", "text"), PERMANENT)
def test_a_failing_stream_does_not_stop_the_others(
    fault: Fault, kind: type[Exception], text: str, warehouse: Warehouse
) -> None:
    with serving(faults=[always(fault, "deals")]) as sandbox:
        with pytest.raises(SyncError, match=text) as caught:
            warehouse.sync(sandbox)
        assert_right(sandbox, warehouse, but=("deals",))
    assert set(caught.value.failures) == {"deals"}
    assert isinstance(caught.value.failures["deals"], kind)
    assert caught.value.is_permanent == (kind is not TransientError)
    assert "deals" in str(caught.value)
    assert warehouse.query("select count(*) from activecampaign.deals") == [(0,)]
    known = "select stream from activecampaign._streams where last_synced_at is not null"
    assert ("deals",) not in warehouse.query(known)


@pytest.mark.usefixtures("synced")
def test_a_stream_that_cannot_land_keeps_none_from_landing_that_ends_with_it(
    warehouse: Warehouse,
) -> None:
    with serving() as sandbox:
        with warehouse.opened.connect() as db:
            db.execute("alter table activecampaign.deals rename to kept")
            db.execute("create view activecampaign.deals as from activecampaign.kept")
        changed = next(iter(sandbox.account.deals.live))
        sandbox.account.update_deal(changed, title="Renamed")
        sandbox.account.update_contact(next(iter(sandbox.account.contacts.live)), phone="123")
        with pytest.raises(SyncError) as caught:
            warehouse.sync(sandbox)
        assert set(caught.value.failures) == {"deals"}
        assert_right(sandbox, warehouse, but=("deals",))
        with warehouse.opened.connect() as db:
            db.execute("drop view activecampaign.deals")
            db.execute("alter table activecampaign.kept rename to deals")
        warehouse.sync(sandbox)
        assert_right(sandbox, warehouse)


@pytest.mark.usefixtures("synced")
def test_what_goes_wrong_once_a_stream_has_landed_costs_no_row_and_fails_no_other(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, failed = Shortfalls.find, []

    def once(self: Shortfalls, db: Any, complete: Any, landed: Any) -> Any:
        if complete.read.stream.name == "users" and not failed:
            failed.append(complete)
            raise duckdb.IOException("Could not write")
        return find(self, db, complete, landed)

    monkeypatch.setattr(Shortfalls, "find", once)
    with serving(faults=[always(faults.without("meta"), "users")]) as sandbox:
        with pytest.raises(SyncError) as caught:
            warehouse.sync(sandbox)
        assert set(caught.value.failures) == {"users"}
        assert_right(sandbox, warehouse)


def test_an_outage_is_told_once_and_what_differs_from_it_on_a_line_of_its_own(
    tmp_path: Path,
) -> None:
    outage = [always(error(503), path) for path in ("users", "campaigns")]
    with (
        serving(faults=[*outage, always(error(422), "deals")]) as sandbox,
        pytest.raises(SyncError) as caught,
    ):
        Warehouse(tmp_path / "a.duckdb").sync(sandbox, streams=["campaigns", "deals", "users"])
    host = sandbox.url.removeprefix("http://")
    told = dict(line.split(": ", maxsplit=1) for line in str(caught.value).splitlines())
    refused = told.pop("deals")
    assert refused.startswith(f"GET deals on {host} refused the request (422")
    ((names, outage_text),) = told.items()
    assert set(names.split(", ")) == {"campaigns", "users"}
    assert outage_text.startswith(f"GET … on {host} failed (503")


def test_a_read_of_which_nothing_had_come_does_not_say_that_it_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    warehouse = Warehouse(tmp_path / "a.duckdb")
    with serving(faults=[always(error(503), "contacts")]) as sandbox:
        with pytest.raises(SyncError):
            warehouse.sync(sandbox, streams=["contacts"])
        sandbox.faults.clear()
        warehouse.sync(sandbox, streams=["contacts"])
    assert "contacts: " in caplog.text
    assert "going on" not in caplog.text


@pytest.mark.usefixtures("synced")
def test_contacts_land_even_if_the_custom_fields_cannot_be_read(warehouse: Warehouse) -> None:
    with serving() as sandbox:
        before = warehouse.table("contacts")
        sandbox.faults.append(always(error(422), "fields"))
        changed = next(iter(before))
        sandbox.account.update_contact(changed, phone="123")
        with pytest.raises(SyncError) as caught:
            warehouse.sync(sandbox)
        assert set(caught.value.failures) == {"custom_fields"}
        after = warehouse.table("contacts")
        assert after[changed]["phone"] == "123"
        assert after[changed]["customFields"] == before[changed]["customFields"]
        del before[changed], after[changed]
        assert after == before, "customFields stay as they were"
        sandbox.faults.clear()
        warehouse.sync(sandbox)
        assert_right(sandbox, warehouse)


def test_contacts_that_came_before_their_first_custom_fields_are_read_again(
    warehouse: Warehouse,
) -> None:
    with serving(faults=[always(error(422), "fields")]) as sandbox:
        with pytest.raises(SyncError) as caught:
            warehouse.sync(sandbox, Mode.INCREMENTAL)
        assert set(caught.value.failures) == {"custom_fields"}
        assert len(warehouse.live("contacts")) == len(sandbox.account.contacts)
        sandbox.faults.clear()
        warehouse.sync(sandbox, Mode.INCREMENTAL)
        assert_right(sandbox, warehouse)


@contextmanager
def a_full_disk(room: int) -> Iterator[None]:
    """No file can have more than `room` bytes within the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("is_landing", "said"),
    [(False, r"cannot be written to .*staging.*make room"), (True, r"cannot be .*make room")],
)
def test_a_full_disk_is_said_in_one_sentence_and_the_next_run_goes_on(
    is_landing: bool, said: str, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account.generate(seed=1, contacts=3000, deals=10, field_values=90)
    with serving(account) as sandbox:
        warehouse.sync(sandbox, streams=["users"])
        with ExitStack() as stack, monkeypatch.context() as patch:

            def on_a_full_disk(*args: Any) -> object:
                stack.enter_context(a_full_disk(1_000))
                return land(*args)

            if is_landing:
                patch.setattr("activecampaign_dagster.sync.run.land", on_a_full_disk)
            else:
                stack.enter_context(a_full_disk(1_000))
            with pytest.raises(WarehouseError, match=said) as caught:
                warehouse.sync(sandbox, streams=["contacts"])
        assert "\n" not in str(caught.value)
        warehouse.sync(sandbox)
        assert_right(sandbox, warehouse)
        assert list(warehouse.staging.rglob("*.*")) == []


def test_a_bad_key_ends_the_sync_at_once(warehouse: Warehouse) -> None:
    with serving() as sandbox:
        right, sandbox.api_key = sandbox.api_key, "another"
        sandbox.faults.append(always(error(403)))
        with pytest.raises(CredentialsError):
            warehouse.sync(sandbox)
        sandbox.api_key = right


def test_the_key_is_nowhere_but_in_the_requests(
    warehouse: Warehouse,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = "1f2e3d4c-very-secret"
    echo = f'{{"message":"the key {key} is odd"}}'.encode()
    caplog.set_level(logging.DEBUG)
    rules = [
        times(1, faults.RESET, "contacts"),
        times(1, error(403, echo), "campaigns"),
        always(error(403, echo), "users"),
        nth({2, 3, 4, 5}, error(400, echo), "deals"),
    ]
    with serving(api_key=key, faults=rules) as sandbox:
        with pytest.raises(SyncError) as caught:
            warehouse.sync(sandbox)
        assert {request.headers["api-token"] for request in sandbox.requests} == {key}
    assert set(caught.value.failures) == {"users", "deals"}
    shown = "".join(traceback.format_exception(caught.value))
    for one in caught.value.failures.values():
        shown += "".join(traceback.format_exception(one)) + repr(vars(one))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    staged = [zstd.decompress(path.read_bytes()) for path in files if path.suffix == ".zst"]
    assert staged, "something stays staged"
    assert key not in shown
    assert key not in caplog.text
    for content in (*staged, *(path.read_bytes() for path in files)):
        assert key.encode() not in content
    for name in ("_streams", "_rejected_values", *CORE):
        assert key not in str(warehouse.query(f'from activecampaign."{name}"'))
