"""The first and the last touch before each deal, against the account's own records."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activecampaign_dagster.streams.registry import CORE
from tests.dbt.conftest import NOW, Observed
from tests.dbt.test_marts_against_the_truth import STATUS, counts, moment, money, words

pytestmark = pytest.mark.slow

LATER = NOW + timedelta(hours=1)
STREAMS = (
    *CORE,
    "lists",
    "contact_lists",
    "forms",
    "tags",
    "contact_tags",
    "automations",
    "contact_automations",
    "link_data",
    "mpp_link_data",
    "campaign_links",
    "send_logs",
)
# kind of touch → the account's collection, and the field with its name
NAMES = {
    "form": ("forms", "name"),
    "campaign click": ("campaigns", "name"),
    "campaign open": ("campaigns", "name"),
    "list": ("lists", "name"),
    "tag": ("tags", "tag"),
    "automation": ("automations", "name"),
}
FIRST_TO_LAST = list(NAMES)  # of touches at the same instant

Touch = tuple[datetime, str, int]


class Touched:
    """An account that was synced and built, lived on, and was synced and built again."""

    def __init__(self, observed: Observed) -> None:
        self.observed, self.account = observed, observed.account
        for number, record in self.account.truth("contactLists").items():
            if number % 3:
                self.account.update_record("contactLists", number, form=str(1 + number % 3))
            if number % 5 == 0:
                self.account.update_record("contactLists", number, status=str(number % 4))
            assert record["sdate"]
        self.sync(NOW)
        self.removed = self.account.truth("contactTags")
        observed.clock.now = LATER
        self.live_on()
        self.sync(LATER)

    def sync(self, at: datetime) -> None:
        self.observed.sync(at=at, streams=STREAMS)
        self.observed.dbt.build("+attribution")

    def live_on(self) -> None:
        account = self.account
        first, second, third = account.contacts.live[5:8]
        account.subscribe(first, 1)
        account.enter_automation(first, 1)
        account.click(second, 1)
        for contact in (first, second, third):
            account.add_deal(contact=contact)
        account.remove_record("contactTags", account.owned("contactTags", third)[0])
        account.win_deal(next(n for n, d in self.deals().items() if d["status"] == "0"))
        account.delete_deal(next(iter(self.deals())))

    def deals(self) -> dict[int, dict[str, Any]]:
        deals = self.account.truth("deals")
        return {n: d for n, d in deals.items() if counts(d) and int(d["contact"] or 0)}

    def touches(self) -> dict[int, list[Touch]]:
        """Contact → its touches, in any order."""
        truth, found = self.account.truth, defaultdict(list)

        def add(contact: Any, kind: str, number: Any, at: str | None) -> None:
            if at and int(number or 0):
                found[int(contact)].append((moment(at), kind, int(number)))

        for record in truth("contactLists").values():
            if record["status"] in {"1", "2"}:
                add(record["contact"], "list", record["list"], record["sdate"])
                add(record["contact"], "form", record["form"], record["sdate"])
        for record in (self.removed | truth("contactTags")).values():
            add(record["contact"], "tag", record["tag"], record["cdate"])
        for record in truth("contactAutomations").values():
            automation = record["automation"] or record["seriesid"]
            add(record["contact"], "automation", automation, record["adddate"])
        for record in truth("linkData").values():
            pixel = truth("links").get(int(record["link"]), {}).get("link") == "open"
            kind = "campaign open" if record["isread"] == "1" or pixel else "campaign click"
            add(record["subscriberid"], kind, record["campaignid"], record["tstamp"])
        return found


@pytest.fixture(scope="module")
def touched(make_observed) -> Touched:
    return Touched(make_observed(66))


def test_the_first_and_the_last_touch_before_a_deal_get_it(touched):
    touches, expected = touched.touches(), {}
    for number, deal in touched.deals().items():
        created, contact = moment(deal["cdate"]), int(deal["contact"])
        before = [touch for touch in touches[contact] if touch[0] <= created]

        def place(touch: Touch) -> tuple[int, int]:
            return FIRST_TO_LAST.index(touch[1]), touch[2]

        for model, end in (("first", min), ("last", max)):
            at = end((touch[0] for touch in before), default=None)
            same = [touch for touch in before if touch[0] == at]
            _, kind, record_id = min(same, key=place, default=(None, None, None))
            expected[number, model] = {
                "account": "activecampaign",
                "deal_id": number,
                "model": model,
                "contact_id": contact,
                "touch_id": record_id,
                "touch_type": kind,
                "touch": name_of(touched, kind, record_id),
                "status": STATUS[deal["status"]],
                "currency": deal["currency"].upper(),
                "value": money(deal),
                "touched_at": at,
                "created_at": created,
            }
    rows = {
        (row["deal_id"], row["model"]): row
        for row in touched.observed.dbt.rows(
            "select * exclude (days_to_deal, closed_at) from marts.attribution"
        )
    }
    assert rows == expected
    assert {row["touch_type"] for row in rows.values()} == {None, *NAMES}


def name_of(touched: Touched, kind: str | None, number: int | None) -> str | None:
    if kind is None:
        return None
    collection, field = NAMES[kind]
    record = touched.account.truth(collection).get(number)
    return record and words(record[field])


def test_values_add_up_to_the_deals_with_a_contact_in_each_model(touched):
    rows = touched.observed.dbt.rows(
        "select model, currency, sum(value) as value from marts.attribution group by all"
    )
    totals = defaultdict(int)
    for deal in touched.deals().values():
        for model in ("first", "last"):
            totals[model, deal["currency"].upper()] += money(deal)
    assert {(row["model"], row["currency"]): row["value"] for row in rows} == totals


def test_without_the_streams_of_marketing_no_deal_has_a_touch(make_observed):
    observed = make_observed(67)
    observed.sync(at=NOW, streams=("deals", "contacts"))
    observed.dbt.build("+attribution")
    [found] = observed.dbt.rows(
        "select count(*) as rows, count(touch_type) as touches from marts.attribution"
    )
    deals = [d for d in observed.account.truth("deals").values() if counts(d) and d["contact"]]
    assert found == {"rows": 2 * len(deals), "touches": 0}


def test_the_last_touch_may_be_a_click_between_the_campaigns_first_and_last(make_observed):
    observed = make_observed(68, contacts=5, deals=5, field_values=5)
    account, clock = observed.account, observed.clock
    first, second, third = [n for n, r in account.truth("links").items() if r["link"] != "open"][:3]

    def click(contact: int, link: int) -> None:
        account.update_record("linkData", account.click(contact, link), campaignid="1")

    clock.now = datetime(2026, 1, 29, 12, tzinfo=UTC)
    contact = account.add_contact()
    stories = (
        (datetime(2026, 1, 30, 12, tzinfo=UTC), click, first),
        (datetime(2026, 2, 9, 12, tzinfo=UTC), account.add_tag, 1),
        (datetime(2026, 2, 23, 12, tzinfo=UTC), click, second),
    )
    for clock.now, happens, record in stories:
        happens(contact, record)
    clock.now = datetime(2026, 2, 24, 12, tzinfo=UTC)
    order = account.add_order(contact, (1000,))
    clock.now = datetime(2026, 2, 26, 12, tzinfo=UTC)
    deal = account.add_deal(contact=contact)
    clock.now = NOW
    click(contact, third)
    observed.sync(at=NOW, streams=(*STREAMS, "ecommerce_orders", "ecommerce_customers"))
    observed.dbt.build("+attribution", "+orders")
    [last] = observed.dbt.rows(
        "select touch_type, touch_id, touched_at from marts.attribution "
        "where model = 'last' and deal_id = ?",
        [deal],
    )
    assert last == {
        "touch_type": "campaign click",
        "touch_id": 1,
        "touched_at": datetime(2026, 2, 23, 12, tzinfo=UTC),
    }
    bought_after = observed.dbt.rows(
        "select order_id, touched_at from marts.touches "
        "join marts.orders using (account, contact_id) "
        "where touch_type = 'campaign click' and contact_id = ? "
        "and ordered_at between touched_at and touched_at + interval 5 day",
        [contact],
    )
    assert bought_after == [{"order_id": order, "touched_at": last["touched_at"]}]
