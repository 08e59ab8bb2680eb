from __future__ import annotations

import json
import socket
import threading
import time
import zlib
from http.client import IncompleteRead, RemoteDisconnected
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from activecampaign_dagster.sandbox import faults
from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.faults import Fault
from activecampaign_dagster.sandbox.server import Sandbox
from tests.sandbox.conftest import Client

COLLECTIONS = (
    "contacts",
    "deals",
    "dealGroups",
    "dealStages",
    "campaigns",
    "fields",
    "fieldValues",
    "users",
)


@pytest.mark.parametrize(
    "headers", [{}, {"Api-Token": "wrong"}, {"Authorization": "Bearer sandbox-key"}]
)
def test_a_bad_key_is_answered_with_403(client: Client, headers: dict[str, str]) -> None:
    body = client.raw("/api/3/users/me", **headers)
    assert (client.status, json.loads(body)) == (403, {"message": "Forbidden"})


def test_the_key_belongs_to_a_user(client: Client) -> None:
    user = client.get("users/me")["user"]
    assert client.status == 200
    assert user["id"] == "1"
    assert user["cdate"] is None


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_every_collection_is_listed_by_20_unless_asked_otherwise(
    client: Client, collection: str
) -> None:
    body = client.get(collection)
    total = len(client.sandbox.account.truth(collection))
    assert client.response.headers["Content-Type"] == "application/json"
    assert len(body[collection]) == min(20, total)
    as_int = collection in {"deals", "dealGroups", "dealStages"}
    assert body["meta"]["total"] == (total if as_int else str(total))


@pytest.mark.parametrize(
    ("limit", "got"),
    [("100", 100), ("9999", 100), ("7", 7), ("0", 20), ("-3", 20), ("ten", 20), ("12abc", 12)],
)
def test_a_page_never_holds_more_than_100(client: Client, limit: str, got: int) -> None:
    assert len(client.get("contacts", ("limit", limit))["contacts"]) == got


def test_offset_counts_from_zero_and_ends_in_an_empty_page(client: Client) -> None:
    whole = [r["id"] for r in client.get("fieldValues", ("limit", "100"))["fieldValues"]]
    part = client.get("fieldValues", ("limit", "10"), ("offset", "30"))["fieldValues"]
    assert [record["id"] for record in part] == whole[30:40]
    assert client.get("fieldValues", ("offset", "600"))["fieldValues"] == []
    odd = client.get("fieldValues", ("limit", "100"), ("offset", "-5"))["fieldValues"]
    assert [record["id"] for record in odd] == whole


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("contacts/99999", 404, "No Result found for Subscriber with id 99999"),
        ("deals/99999", 404, "No Result found for Deal with id 99999"),
        ("deals/x", 404, "No Result found for Deal with id x"),
        ("fieldValues/99999", 403, "No Result found for FieldValue with id 99999"),
        ("nothing", 404, None),
        ("contacts/1/2/3", 404, None),
    ],
)
def test_what_is_not_there_is_answered_with_a_message(
    client: Client, path: str, status: int, message: str | None
) -> None:
    body = client.get(path)
    assert client.status == status
    assert message is None or body == {"message": message}


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_one_record_is_the_record_of_the_list(client: Client, collection: str) -> None:
    truth = client.sandbox.account.truth(collection)
    number = min(truth)
    body = client.get(f"{collection}/{number}")
    record = body[collection.removesuffix("s")]
    assert {key: record[key] for key in truth[number]} == truth[number]


def test_meta_can_be_left_out_or_null(client: Client) -> None:
    client.sandbox.account.meta = {"contacts": "absent", "deals": "null"}
    assert "meta" not in client.get("contacts")
    assert client.get("deals")["meta"] is None


def test_the_sixth_request_in_a_second_is_refused(account: Account) -> None:
    with Sandbox(account) as sandbox, Client(sandbox) as client:
        statuses = []
        for _ in range(7):
            client.get("users/me")
            statuses.append(client.status)
        assert statuses == [200] * 5 + [429] * 2
        assert client.response.headers["Retry-After"] == "1"
        assert "RateLimit-Limit" not in client.response.headers
        time.sleep(1.05)
        client.get("users/me")
        assert client.status == 200


def test_others_use_the_same_limit(account: Account) -> None:
    with Sandbox(account, rate_limit_headers=True) as sandbox, Client(sandbox) as client:
        sandbox.spend(4)
        client.get("users/me")
        assert client.status == 200
        assert client.response.headers["RateLimit-Limit"] == "5"
        assert client.response.headers["RateLimit-Remaining"] == "0"
        client.get("users/me")
        assert client.status == 429


def test_requests_are_recorded_as_sent(client: Client) -> None:
    client.get("deals", ("orders[cdate]", "ASC"), ("filters[created_after]", "2024-01-01 00:00:00"))
    client.raw("/api/3/contacts")
    first, second = client.sandbox.requests
    assert first.path == "deals"
    assert first.params == [
        ("orders[cdate]", "ASC"),
        ("filters[created_after]", "2024-01-01 00:00:00"),
    ]
    assert (first.status, second.status) == (200, 403)
    assert first.time <= second.time


def test_one_connection_serves_many_requests(client: Client) -> None:
    client.get("users/me")
    address = client.connection.sock.getsockname()
    client.get("contacts")
    assert client.connection.sock.getsockname() == address


def test_requests_are_served_side_by_side(account: Account) -> None:
    with Sandbox(account, requests_per_second=None, latency=0.3) as sandbox:
        began = time.monotonic()

        def ask() -> None:
            with Client(sandbox) as client:
                client.get("users/me")

        threads = [threading.Thread(target=ask) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 0.3 <= time.monotonic() - began < 1.0


def test_closing_frees_the_port_and_ends_waiting_requests(account: Account) -> None:
    with Sandbox(account, latency=60) as sandbox:
        port = sandbox.port
        open_one = socket.create_connection(("127.0.0.1", port))
        open_one.sendall(b"GET /api/3/users/me HTTP/1.1\r\n\r\n")
    began = time.monotonic()
    with Sandbox(account, port=port):
        assert time.monotonic() - began < 2
    open_one.close()


def test_it_listens_on_loopback_only(account: Account) -> None:
    with pytest.raises(ValueError, match="loopback"):
        Sandbox(account, host="0.0.0.0")


def test_a_page_of_another_origin_cannot_change_it(client: Client) -> None:
    before = client.sandbox.account.truth("contacts")
    address = f"{client.sandbox.url}/sandbox/churn?changes=40"
    request = Request(address, method="POST", headers={"Origin": "https://example.com"})
    with pytest.raises(HTTPError, match="403"):
        urlopen(request)
    assert client.sandbox.account.truth("contacts") == before


def test_other_processes_can_change_it_and_read_its_statistics(client: Client) -> None:
    sandbox = client.sandbox
    client.get("contacts")
    client.get("contacts")
    before = sandbox.account.truth("contacts"), sandbox.account.truth("deals")
    done = json.loads(client.raw("/sandbox/churn", [("changes", "40")], method="POST"))
    assert len(done["changes"]) == 40
    assert before != (sandbox.account.truth("contacts"), sandbox.account.truth("deals"))
    stats = json.loads(client.raw("/sandbox/stats"))
    assert stats["requests"] == 2
    assert stats["rate_limited"] == 0
    assert stats["max_requests_in_a_second"] == 2
    assert stats["paths"] == {"contacts": 2}
    assert stats["records"] == sandbox.account.counts()
    client.raw("/sandbox/reset-stats", method="POST")
    assert json.loads(client.raw("/sandbox/stats"))["requests"] == 0
    client.raw("/sandbox/churn", [("changes", "many")], method="POST")
    assert client.status == 400
    client.raw("/sandbox/hide-pipeline", [("id", "2")], method="POST")
    assert 2 in sandbox.account.hidden
    client.raw("/sandbox/hide-pipeline", [("id", "none")], method="POST")
    assert client.status == 400
    client.raw("/sandbox/else")
    assert client.status == 404


def test_a_fault_hits_the_request_it_is_meant_for(client: Client) -> None:
    client.sandbox.faults.append(faults.nth({2}, faults.error(503, Retry_After="3"), "deals"))
    statuses = []
    for path in ("deals", "contacts", "deals", "deals"):
        client.get(path)
        statuses.append(client.status)
        if client.status == 503:
            assert client.response.headers["Retry-After"] == "3"
    assert statuses == [200, 200, 503, 200]
    assert [request.status for request in client.sandbox.requests] == statuses


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.RESET, (ConnectionResetError, RemoteDisconnected)),
        (faults.TRUNCATED, IncompleteRead),
    ],
)
def test_a_connection_can_break(client: Client, fault: Fault, error: type[Exception]) -> None:
    client.sandbox.faults.append(faults.times(1, fault))
    with pytest.raises(error):
        client.get("contacts")
    client.connection.close()
    assert len(client.get("contacts")["contacts"]) == 20


def test_bodies_can_be_no_json(client: Client) -> None:
    def body(fault: Fault) -> bytes:
        client.sandbox.faults[:] = [faults.always(fault)]
        return client.raw("/api/3/contacts", **{"Api-Token": client.sandbox.api_key})

    whole = body(Fault())
    assert body(faults.EMPTY_BODY) == b""
    assert client.status == 200
    assert whole.startswith(body(faults.CUT_JSON))
    assert body(faults.GLUED) == whole + b'{"links": []}'
    assert body(faults.html(502)).startswith(b"<!DOCTYPE html>")
    assert client.status == 502
    assert client.response.headers["Content-Type"].startswith("text/html")
    assert body(faults.HTML_HEADER) == whole
    assert client.response.headers["Content-Type"].startswith("text/html")
    assert zlib.decompress(body(faults.GZIPPED), 31) == whole
    assert client.response.headers["Content-Encoding"] == "gzip"


def test_bodies_can_be_wrong(client: Client) -> None:
    def page(fault: Fault) -> dict[str, object]:
        client.sandbox.faults[:] = [faults.always(fault)]
        return client.get("contacts", ("limit", "3"))

    assert "contacts" not in page(faults.without("contacts"))
    assert page(faults.null("contacts"))["contacts"] is None
    assert "meta" not in page(faults.without("meta"))
    assert page(faults.total("12"))["meta"]["total"] == "12"
    assert len(page(faults.duplicated("contacts"))["contacts"]) == 4
    assert "id" not in page(faults.record_without("contacts", "id"))["contacts"][0]
    assert page(faults.record("contacts", id="abc"))["contacts"][0]["id"] == "abc"
    assert len(page(faults.huge("contacts", "ua"))["contacts"][0]["ua"]) == 5_000_000
    odd = page(faults.odd_text("contacts", "ua"))["contacts"][0]["ua"]
    assert "\x00" in odd
    assert "\ud800" in odd


def test_an_answer_can_be_late(client: Client) -> None:
    client.sandbox.faults.append(faults.times(1, faults.late(0.2)))
    began = time.monotonic()
    client.get("users/me")
    assert time.monotonic() - began >= 0.2
