from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from random import Random

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activecampaign_dagster.sandbox.account import Account
from tests.sandbox.conftest import NOW, Client

CREATED = ("orders[cdate]", "ASC")


def page(account: Account, *params: tuple[str, str]) -> list[dict[str, object]]:
    _, body = account.respond("deals", [("limit", "100"), *params])
    return orjson.loads(body)["deals"]


def walk(account: Account, *params: tuple[str, str]) -> list[int]:
    found: list[int] = []
    while records := page(account, ("offset", str(len(found))), *params):
        found += [int(record["id"]) for record in records]
    return found


def test_deals_without_an_order_do_not_come_by_id(account: Account) -> None:
    found = walk(account)
    assert sorted(found) == sorted(account.truth("deals"))
    assert found not in (sorted(found), sorted(found, reverse=True))


def test_orders_that_are_not_documented_are_ignored(account: Account) -> None:
    plain = walk(account)
    assert walk(account, ("orders[id]", "ASC")) == plain
    assert walk(account, ("orders[mdate]", "ASC")) == plain


def test_the_order_by_creation_has_every_deal_and_the_stubs_in_place() -> None:
    account = Account.generate(deals=700, now=NOW)
    created = {deal: account.deals.created[account.deals.slot(deal)] for deal in account.deals.live}
    found = walk(account, CREATED)
    assert sorted(found) == sorted(account.truth("deals"))
    assert [created[deal] for deal in found] == sorted(created.values())
    stubs = [deal for deal, record in account.truth("deals").items() if record["isDisabled"]]
    assert stubs
    assert walk(account, ("orders[cdate]", "DESC")) == found[::-1]


def test_an_import_gave_many_deals_one_stamp_and_others_an_older_one() -> None:
    account = Account.generate(deals=900, bulk_import=250, now=NOW)
    full = {n: r for n, r in account.truth("deals").items() if not r["isDisabled"]}
    stamp, tied = Counter(record["cdate"] for record in full.values()).most_common(1)[0]
    assert tied > 200  # more than two pages
    by_id = [datetime.fromisoformat(record["cdate"]) for _, record in sorted(full.items())]
    assert by_id != sorted(by_id)
    order = [n for n in walk(account, CREATED) if n in full and full[n]["cdate"] == stamp]
    assert order != sorted(order), "nothing may lean on the order inside one second"


def test_stubs_show_no_more_than_recorded(client: Client) -> None:
    account = client.sandbox.account
    account.delete_pipeline(2)
    shapes = set()
    for number, record in account.truth("deals").items():
        if record["isDisabled"]:
            shapes.add(tuple(sorted(record)))
            assert client.get(f"deals/{number}") == {"deal": record}
    assert shapes <= {("id", "isDisabled", "status", "title"), ("id", "isDisabled", "title")}
    assert len(shapes) == 2


def test_a_deleted_or_hidden_pipeline_turns_its_deals_into_stubs(client: Client) -> None:
    account = client.sandbox.account
    mine = [n for n, r in account.truth("deals").items() if r.get("group") == "1"]
    stamps = list(account.deals.updated)
    for hide in (account.hide_pipeline, account.delete_pipeline):
        hide(1)
        truth = account.truth("deals")
        assert all(truth[number]["isDisabled"] is True for number in mine)
        assert "1" not in {group["id"] for group in client.get("dealGroups")["dealGroups"]}
        assert "1" in {stage["group"] for stage in client.get("dealStages")["dealStages"]}
        client.get("dealGroups/1")
        assert client.status == 404
        account.show_pipeline(1)
    assert list(account.deals.updated) == stamps


def test_stubs_are_returned_for_updated_after_and_counted(client: Client) -> None:
    account = client.sandbox.account
    since = ("filters[updated_after]", "2000-01-01")
    hidden = [int(r["id"]) for r in page(account, since) if r["isDisabled"]]
    assert hidden
    body = client.get("deals")
    currencies = body["meta"]["currencies"].values()
    assert body["meta"]["total"] == sum(int(c["total"]) for c in currencies) == 100
    assert all(set(c) == {"currency", "total", "value", "isDisabled"} for c in currencies)


def test_currencies_are_an_empty_list_without_deals(client: Client) -> None:
    body = client.get("deals", ("filters[created_after]", "2100-01-01"))
    assert body == {"deals": [], "meta": {"currencies": [], "total": 0}}


def test_known_filters_select(account: Account) -> None:
    truth = account.truth("deals")
    full = {n: r for n, r in truth.items() if not r["isDisabled"]}
    account.update_deal(next(iter(full)), title="Something «else»")
    for name, value, key in (
        ("filters[stage]", "7", "stage"),
        ("filters[group]", "2", "group"),
        ("filters[status]", "1", "status"),
        ("filters[owner]", "1", "owner"),
    ):
        found = {int(r["id"]) for r in page(account, (name, value)) if not r["isDisabled"]}
        assert found == {n for n, r in full.items() if r[key] == value}
        assert found
    assert [r["id"] for r in page(account, ("filters[title]", "«ELSE»"))] == [str(next(iter(full)))]
    rich = page(account, ("filters[minimum_value]", "8000"))
    assert all(int(r["value"]) >= 800_000 for r in rich if not r["isDisabled"])
    dear = [int(r["value"]) for r in page(account, ("orders[value]", "DESC")) if "value" in r]
    assert dear == sorted(dear, reverse=True)
    titles = [str(r["title"]).lower() for r in page(account, ("orders[title]", "ASC"))]
    assert titles == sorted(titles)


def test_unknown_filters_are_ignored(account: Account) -> None:
    plain = walk(account, CREATED)
    for name in ("filters[updated_timestamp][gte]", "filters[mdate_after]", "id_greater", "email"):
        assert walk(account, CREATED, (name, "2100-01-01")) == plain


def test_life_of_a_deal(account: Account) -> None:
    moment = NOW + timedelta(days=1)
    account.clock = lambda: moment
    deal = account.add_deal(value=12_345, currency="eur", group=4, title="A & B")
    truth = account.truth("deals")[deal]
    assert (truth["value"], truth["currency"], truth["group"]) == ("12345", "eur", "4")
    assert (truth["title"], truth["status"], truth["stage"]) == ("A & B", "0", "15")
    moment += timedelta(hours=1)
    account.move_deal(deal, 17)
    moment += timedelta(hours=1)
    account.win_deal(deal)
    won = account.truth("deals")[deal]
    assert (won["status"], won["stage"]) == ("1", "17")
    assert datetime.fromisoformat(won["mdate"]) == moment
    assert won["edate"] == won["mdate"][:19].replace("T", " ")
    assert won["cdate"] == truth["cdate"]
    account.reopen_deal(deal)
    again = account.truth("deals")[deal]
    assert (again["status"], again["edate"]) == ("0", None)
    account.lose_deal(deal)
    assert account.truth("deals")[deal]["status"] == "2"
    account.delete_deal(deal)
    assert deal not in account.truth("deals")
    assert account.add_deal() > deal


def test_the_made_up_business_is_plausible() -> None:
    account = Account.generate(contacts=2000, deals=1500, now=NOW)
    contacts = account.truth("contacts")
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    years: Counter[str] = Counter()
    for record in account.truth("deals").values():
        if record["isDisabled"]:
            continue
        outcomes[record["group"]][record["status"]] += 1
        years[record["cdate"][:4]] += 1
        created, changed = (datetime.fromisoformat(record[key]) for key in ("cdate", "mdate"))
        assert created <= changed <= NOW
        if record["contact"] not in {None, "", "0"}:
            bought = datetime.fromisoformat(contacts[int(record["contact"])]["cdate"])
            assert bought <= created
        closed = record["edate"] not in {None, "", "0000-00-00 00:00:00"}
        assert closed == (record["status"] != "0")
    won = {group: count["1"] / (count["1"] + count["2"]) for group, count in outcomes.items()}
    assert won["1"] < won["4"] < won["2"]
    assert years["2022"] < years["2023"] < years["2025"]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 50),
    changes=st.integers(0, 60),
    after=st.integers(-60, 10),
    name=st.sampled_from(["created", "updated"]),
    order=st.sampled_from([("orders[cdate]", "ASC"), ("orders[cdate]", "DESC"), ("x", "")]),
)
def test_a_filtered_list_is_what_the_truth_says(
    seed: int, changes: int, after: int, name: str, order: tuple[str, str]
) -> None:
    account = Account.generate(seed=seed, contacts=30, field_values=0, deals=60, now=NOW, years=1)
    account.clock = lambda: NOW
    page(account, CREATED)
    page(account)  # indexes exist already
    account.churn(Random(seed), changes)
    low = NOW + timedelta(days=after * 6)
    column = account.deals.created if name == "created" else account.deals.updated
    expected = {
        deal for deal in account.deals.live if column[account.deals.slot(deal)] >= low.timestamp()
    }
    params = [(f"filters[{name}_after]", low.isoformat()), order]
    assert sorted(walk(account, *params)) == sorted(expected)
    meta = orjson.loads(account.respond("deals", params)[1])["meta"]
    assert meta["total"] == len(expected)
    value = sum(account.deals.value[account.deals.slot(deal)] for deal in expected)
    currencies = meta["currencies"].values() if expected else []
    assert sum(int(currency["value"]) for currency in currencies) == value


def test_the_pipelines_of_hidden_deals_are_named_where_asked_for() -> None:
    account = Account.generate(seed=1, contacts=50, field_values=0, deals=200, now=NOW)
    stubs = [deal for deal, record in account.truth("deals").items() if record["isDisabled"]]
    path = "dealGroup/get_inaccessible_deal_groups"
    params = [*(("dealIds[]", str(deal)) for deal in stubs), ("userId", "1")]
    status, body = account.respond(path, params)
    assert status == 200
    assert [group["title"] for group in orjson.loads(body)["dealGroups"]] == ["Board projects"]
    assert account.respond(path, params[:-1])[0] == 422
