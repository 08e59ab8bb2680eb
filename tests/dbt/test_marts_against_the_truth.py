"""The marts against figures computed in Python from the account's own records, for several seeds.

Nothing here is shared with the SQL: records are read as the API sends them and counted by hand.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from statistics import fmean, median

import pytest

from tests.dbt.conftest import AS_OF, NOW, Observed

pytestmark = pytest.mark.slow

STATUS = {"0": "open", "1": "won", "2": "lost"}
DECIMALS = {"JPY": 0}
DAY = timedelta(days=1)
WITH_HIDDEN_PIPELINES = 4  # the seed of such an account
HIDDEN_AT = NOW + DAY


@pytest.fixture(scope="session")
def accounts() -> dict[int, Observed]:
    return {}


@pytest.fixture(params=[2, 3, 4])
def observed(request, accounts, make_observed) -> Observed:
    """An account for each seed, built once in whatever order the tests come."""
    if request.param not in accounts:
        made = accounts[request.param] = make_observed(request.param)
        made.sync(at=NOW + timedelta(minutes=5))
        made.dbt.build()
        if request.param == WITH_HIDDEN_PIPELINES:
            hide_pipelines(made)
    return accounts[request.param]


def hide_pipelines(observed) -> None:
    """Hide a pipeline and delete another; the truth is then what was last seen of their deals."""
    account = observed.account
    before = observed.tables
    del observed.tables
    observed.clock.now = HIDDEN_AT
    account.hide_pipeline(4)
    account.delete_pipeline(2)
    unseen = {n: d for n, d in before["deals"].items() if d.get("group") in {"2", "4"}}
    account.win_deal(next(number for number, deal in unseen.items() if deal["status"] == "0"))
    observed.sync(at=HIDDEN_AT)
    observed.dbt.build(tests=True)
    for number, deal in unseen.items():
        observed.tables["deals"][number] = deal | {"isDisabled": True}
    observed.tables["dealGroups"] = before["dealGroups"]


def money(deal) -> Decimal:
    currency = deal["currency"].upper()
    return Decimal(deal["value"]).scaleb(-DECIMALS.get(currency, 2))


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def days(span: timedelta) -> float:
    return span / DAY


def share(part, whole) -> float | None:
    return float(part) / float(whole) if whole else None


def seen(observed) -> list[dict]:
    """The deals that count: those seen in full, now or decided when they were seen last."""
    return [deal for deal in observed.tables["deals"].values() if counts(deal)]


def counts(deal) -> bool:
    return not deal["isDisabled"] or ("mdate" in deal and deal["status"] != "0")


def figures(deals) -> dict:
    """Counts, values and rates of some deals of one currency."""
    by_status = defaultdict(list)
    for deal in deals:
        by_status[STATUS[deal["status"]]].append(money(deal))
    count = {status: len(by_status[status]) for status in STATUS.values()}
    value = {status: sum(by_status[status], Decimal(0)) for status in STATUS.values()}
    return {
        "deals": len(deals),
        **{f"{status}_deals": count[status] for status in count},
        **{f"{status}_value": value[status] for status in value},
        "win_rate": close(share(count["won"], count["won"] + count["lost"])),
        "win_rate_by_value": close(share(value["won"], value["won"] + value["lost"])),
    }


def close(figure, **tolerance):
    """`figure` but for rounding, also if it is None."""
    return None if figure is None else pytest.approx(float(figure), **tolerance)


def grouped(deals, *keys) -> dict[tuple, list]:
    groups = defaultdict(list)
    for deal in deals:
        key = tuple(int(deal[key] or 0) for key in keys)
        groups[*key, deal["currency"].upper()].append(deal)
    return groups


def by_key(rows, *keys) -> dict[tuple, dict]:
    found = {tuple(row[key] for key in keys): row for row in rows}
    assert len(found) == len(rows)
    return found


def assert_rows(found, expected) -> None:
    assert found.keys() == expected.keys()
    for key, figure in expected.items():
        assert {name: found[key][name] for name in figure} == figure, key


def test_pipelines_agree(observed):
    expected = {key: figures(deals) for key, deals in grouped(seen(observed), "group").items()}
    for pipeline_id, pipeline in observed.tables["dealGroups"].items():
        if not any(key[0] == pipeline_id for key in expected):
            expected[pipeline_id, pipeline["currency"].upper()] = figures([])
    rows = observed.dbt.rows("from marts.pipelines")
    assert_rows(by_key(rows, "pipeline_id", "currency"), expected)
    for row in rows:
        assert row["pipeline"] == observed.tables["dealGroups"][row["pipeline_id"]]["title"]


def test_pipeline_stages_agree(observed):
    expected = {
        key: figures(deals) for key, deals in grouped(seen(observed), "group", "stage").items()
    }
    rows = observed.dbt.rows("from marts.pipeline_stages where deals > 0")
    assert_rows(by_key(rows, "pipeline_id", "stage_id", "currency"), expected)
    idle = observed.dbt.rows("select stage_id from marts.pipeline_stages where deals = 0")
    used = {key[1] for key in expected}
    assert {row["stage_id"] for row in idle} == observed.tables["dealStages"].keys() - used


def test_deals_agree(observed):
    rows = by_key(observed.dbt.rows("from marts.deals"), "deal_id")
    assert rows.keys() == {(number,) for number in observed.tables["deals"]}
    for (number,), row in rows.items():
        deal = observed.tables["deals"][number]
        assert row["title"] == deal["title"].strip()
        assert row["is_hidden"] == deal["isDisabled"]
        assert row["status"] == (STATUS[deal["status"]] if "status" in deal else None)
        assert row["is_counted"] == counts(deal)
        if "mdate" not in deal:
            continue
        created, updated = moment(deal["cdate"]), moment(deal["mdate"])
        assert row["value"] == money(deal)
        assert row["created_at"] == created
        contact = observed.tables["contacts"].get(int(deal["contact"] or 0))
        assert row["contact_email"] == (contact and (contact["email"] or None))
        assert row["is_contact_missing"] == (contact is None and int(deal["contact"] or 0) > 0)
        if row["status"] == "open":
            assert row["days_open"] == pytest.approx(days(AS_OF - created), abs=0.006)
            assert row["days_to_close"] is None
        else:
            assert row["closed_at"] == updated
            assert row["days_to_close"] == pytest.approx(days(updated - created), abs=0.006)
            assert row["days_open"] is None


def test_contacts_agree(observed):
    per_contact = defaultdict(list)
    for deal in seen(observed):
        per_contact[int(deal["contact"] or 0)].append(deal)
    rows = by_key(observed.dbt.rows("from marts.contacts"), "contact_id")
    assert rows.keys() == {(number,) for number in observed.tables["contacts"]}
    for (number,), row in rows.items():
        mine = per_contact[number]
        assert row["deals"] == len(mine)
        for status in ("open", "won"):
            values = defaultdict(Decimal)
            for deal in mine:
                if STATUS[deal["status"]] == status:
                    values[deal["currency"].upper()] += money(deal)
            assert (row[f"{status}_value_by_currency"] or {}) == values
        assert row["deal_list"] == (
            [
                {
                    "deal_id": int(deal["id"]),
                    "status": STATUS[deal["status"]],
                    "value": money(deal),
                    "currency": deal["currency"].upper(),
                }
                for deal in sorted(mine, key=lambda d: (moment(d["cdate"]), int(d["id"])))
            ]
            or None
        )
        assert row["email"] == (observed.tables["contacts"][number]["email"] or None)


def test_win_rates_agree(observed):
    decided = [deal for deal in seen(observed) if deal["status"] != "0"]
    expected = defaultdict(list)
    for deal in decided:
        closed = moment(deal["mdate"]).astimezone(NOW.tzinfo)
        month = closed.date().replace(day=1)
        key = (int(deal["group"]), int(deal["owner"]), month, deal["currency"].upper())
        expected[key].append(deal)
    wanted = {
        key: {name: figure for name, figure in figures(deals).items() if "open" not in name}
        for key, deals in expected.items()
    }
    for figure in wanted.values():
        del figure["deals"]
    rows = observed.dbt.rows("from marts.win_rates")
    assert_rows(by_key(rows, "pipeline_id", "owner_id", "closed_month", "currency"), wanted)


def test_owner_performance_agrees(observed):
    expected = {}
    for key, deals in grouped(seen(observed), "owner").items():
        won = [deal for deal in deals if deal["status"] == "1"]
        cycles = [days(moment(deal["mdate"]) - moment(deal["cdate"])) for deal in won]
        expected[key] = figures(deals) | {
            "average_won_value": close(fmean(map(money, won)) if won else None),
            "median_days_to_win": close(median(cycles) if cycles else None, abs=0.006),
        }
    rows = observed.dbt.rows("from marts.owner_performance")
    assert_rows(by_key(rows, "owner_id", "currency"), expected)


def test_sales_velocity_agrees(observed):
    expected = {}
    since = AS_OF - timedelta(days=365)
    for key, deals in grouped(seen(observed), "group").items():
        recent = [d for d in deals if d["status"] == "0" or moment(d["mdate"]) > since]
        if not recent:
            continue
        count = Counter(STATUS[deal["status"]] for deal in recent)
        won = [deal for deal in recent if deal["status"] == "1"]
        rate = share(count["won"], count["won"] + count["lost"])
        value = fmean(map(money, won)) if won else None
        cycle = fmean(days(moment(d["mdate"]) - moment(d["cdate"])) for d in won) if won else None
        velocity = count["open"] * rate * float(value) / cycle if won else None
        expected[key] = {
            "open_deals": count["open"],
            "win_rate": close(rate),
            "average_won_value": close(value),
            "average_days_to_win": close(cycle, abs=0.006),
            "value_per_day": close(velocity, rel=1e-3),
        }
    rows = observed.dbt.rows("from marts.sales_velocity")
    assert_rows(by_key(rows, "pipeline_id", "currency"), expected)


def ordered_stages(observed) -> dict[int, list[int]]:
    """Pipeline id → the ids of its stages in their order."""
    stages = sorted(
        observed.tables["dealStages"].values(), key=lambda s: (int(s["order"]), int(s["id"]))
    )
    found = defaultdict(list)
    for stage in stages:
        found[int(stage["group"])].append(int(stage["id"]))
    return found


def test_the_funnel_agrees(observed):
    stages = ordered_stages(observed)
    reached, won = Counter(), Counter()
    for deal in seen(observed):
        month = moment(deal["cdate"]).astimezone(NOW.tzinfo).date().replace(day=1)
        pipeline = int(deal["group"])
        position = stages[pipeline].index(int(deal["stage"]))
        for stage in stages[pipeline][: position + 1]:
            reached[pipeline, month, stage] += 1
            won[pipeline, month, stage] += deal["status"] == "1"
    rows = by_key(
        observed.dbt.rows("from marts.sales_funnel"), "pipeline_id", "created_month", "stage_id"
    )
    for key, row in rows.items():
        assert row["deals_reached"] == reached.pop(key, 0)
        assert row["won_deals"] == won[key]
        assert row["conversion_to_won"] == close(share(won[key], row["deals_reached"]))
    assert not reached
    for pipeline, month in {key[:2] for key in rows}:
        counts = [rows[pipeline, month, stage] for stage in stages[pipeline]]
        for here, there in pairwise(counts):
            assert here["next_stage_deals"] == there["deals_reached"]
        assert counts[-1]["next_stage_deals"] is None


def test_the_forecast_agrees(observed):
    stages = ordered_stages(observed)
    expected = {}
    for key, deals in grouped(seen(observed), "group", "stage").items():
        pipeline, stage, _ = key
        value = sum((money(deal) for deal in deals if deal["status"] == "0"), Decimal(0))
        count = sum(deal["status"] == "0" for deal in deals)
        if not count:
            continue
        later = stages[pipeline][stages[pipeline].index(stage) :]
        decided = [
            deal["status"]
            for deal in seen(observed)
            if int(deal["group"]) == pipeline and int(deal["stage"]) in later
            if deal["status"] != "0"
        ]
        rate = share(decided.count("1"), len(decided))
        expected[key] = {
            "open_deals": count,
            "open_value": value,
            "decided_deals": len(decided),
            "won_deals": decided.count("1"),
            "win_rate": close(rate),
            "weighted_value": close(None if rate is None else float(value) * rate),
        }
    rows = observed.dbt.rows("from marts.forecast")
    assert_rows(by_key(rows, "pipeline_id", "stage_id", "currency"), expected)


def test_the_pipelines_past_agrees_as_far_as_stamps_tell(observed):
    days_back = [AS_OF, NOW, NOW - 30 * DAY, NOW - 400 * DAY, NOW - 1200 * DAY]
    for end in days_back:
        day = end.date()
        expected = defaultdict(lambda: [0, Decimal(0)])
        for deal in observed.tables["deals"].values():
            if not counts(deal) and (day >= HIDDEN_AT.date() or "mdate" not in deal):
                continue
            started = moment(deal["cdate"]).astimezone(NOW.tzinfo).date()
            ended = moment(deal["mdate"]).astimezone(NOW.tzinfo).date()
            if started <= day and (deal["status"] == "0" or ended > day):
                key = (int(deal["group"]), int(deal["stage"]), deal["currency"].upper())
                expected[key][0] += 1
                expected[key][1] += money(deal)
        rows = observed.dbt.rows(
            "from marts.pipeline_daily where day = ? and open_deals > 0", [day]
        )
        found = {
            (row["pipeline_id"], row["stage_id"], row["currency"]): [
                row["open_deals"],
                row["open_value"],
            ]
            for row in rows
        }
        assert found == expected
        assert {row["is_observed"] for row in rows} <= {day >= NOW.date()}


def test_campaigns_agree(observed):
    rows = by_key(observed.dbt.rows("from marts.campaign_performance"), "campaign_id")
    assert rows.keys() == {(number,) for number in observed.tables["campaigns"]}
    for (number,), row in rows.items():
        record = observed.tables["campaigns"][number]
        sends, opens = int(record["send_amt"]), int(record["uniqueopens"])
        verified, clicks = int(record["verified_unique_opens"]), int(record["subscriberclicks"])
        bounces = int(record["hardbounces"]) + int(record["softbounces"])
        assert row["sends"] == sends
        assert row["unique_machine_opens"] == opens - verified
        assert row["open_rate"] == close(share(opens, sends))
        assert row["verified_open_rate"] == close(share(verified, sends))
        assert row["click_to_open_rate"] == close(share(clicks, opens))
        assert row["bounce_rate"] == close(share(bounces, sends))
        assert row["unsubscribe_rate"] == close(share(int(record["unsubscribes"]), sends))


def test_custom_field_values_agree(observed):
    rows = by_key(observed.dbt.rows("from marts.contact_custom_fields"), "custom_field_value_id")
    assert rows.keys() == {(number,) for number in observed.tables["fieldValues"]}
    for (number,), row in rows.items():
        record = observed.tables["fieldValues"][number]
        text = (record["value"] or "").strip() or None
        assert (row["contact_id"], row["value"]) == (int(record["contact"]), text)
        field = observed.tables["fields"].get(int(record["field"]))
        assert row["is_field_missing"] == (field is None)
        if field:
            assert row["personalization_tag"] == field["perstag"]
            if field["type"] in {"checkbox", "listbox"} and text:
                assert row["choices"] == [c.strip() for c in text.split("||") if c.strip()]
