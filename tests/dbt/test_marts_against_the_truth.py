"""The marts against figures computed in Python from the account's own records, for several seeds.

Nothing here is shared with the SQL: records are read as the API sends them and counted by hand.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from statistics import fmean, median
from zoneinfo import ZoneInfo

import pytest

from activecampaign_dagster.streams.registry import STREAMS
from tests.dbt.conftest import AS_OF, NOW, Observed

pytestmark = pytest.mark.slow

STATUS = {"0": "open", "1": "won", "2": "lost"}
DECIMALS = {"JPY": 0}
DAY = timedelta(days=1)
WITH_HIDDEN_PIPELINES = 4  # the seed of such an account
SYNCED_AT = NOW + timedelta(minutes=5)
HIDDEN_AT = NOW + DAY
HIDDEN_PIPELINE, DELETED_PIPELINE = 4, 2
CHICAGO = ZoneInfo("America/Chicago")


@pytest.fixture(scope="session")
def accounts() -> dict[int, Observed]:
    return {}


@pytest.fixture(params=[2, 3, 4])
def observed(request, accounts, make_observed) -> Observed:
    """An account for each seed, built once in whatever order the tests come."""
    if request.param not in accounts:
        made = accounts[request.param] = make_observed(request.param)
        add_what_is_rare(made.account)
        made.sync(at=SYNCED_AT)
        made.dbt.build()
        if request.param == WITH_HIDDEN_PIPELINES:
            hide_pipelines(made)
    return accounts[request.param]


def add_what_is_rare(account) -> None:
    """What the made-up account lacks: mails that were read, bounces, automations and the like."""
    contacts = [
        {"anonymized": "1", "email": ""},
        {"bounced_hard": "1", "bounced_soft": "2", "sentcnt": "7"},
        {"last_open_date": "2026-02-28 23:30:00", "last_click_date": "2026-02-27 08:00:00"},
        {"last_open_date": "2025-07-01 00:30:00", "last_click_date": "2026-02-28 08:00:00"},
        {"last_mpp_open_date": "2026-02-28 12:00:00"},
        {"email": "", "orgid": "5", "orgname": " Büro "},
        {"firstName": " ", "lastName": "Zo ", "phone": " "},
    ]
    for contact, changes in zip(reversed(account.contacts.live), contacts, strict=False):
        account.update_contact(contact, **changes)
    campaigns = [
        {"status": "1", "automation": "12"},
        {"status": "1", "automation": None, "seriesid": "9"},
        {"status": "1", "user": None, "userid": "2"},
        {"status": "3", "statusString": "Paused", "trackreads": "0", "sdate": None},
        {"status": "2", "statusString": "SENDING", "trackreads": None},
        {"status": "4", "statusString": "stopped", "trackreads": None, "opens": "0"},
        {"status": "7", "statusString": "Under review", "sdate": None},
        {"send_amt": "0", "uniqueopens": "0", "hardbounces": "0", "softbounces": "0"},
        {"send_amt": "2", "uniqueopens": "0", "hardbounces": "1", "softbounces": "1"},
    ]
    sent = [n for n, c in account.tables["campaigns"].items() if c["status"] == "5"]
    for campaign, changes in zip(sent, campaigns, strict=False):
        account.update_record("campaigns", campaign, **changes)
    rare_field = {"isrequired": "1", "visible": "0", "defval": " none ", "descript": "Why?"}
    account.update_record("fields", 2, **rare_field)
    account.update_record("users", 2, firstName=None, lastName="")
    for deal in account.deals.live[:20]:
        account.update_deal(deal, nextdate=NOW + DAY, winProbability="40", title=" Spaced ")
    account.update_deal(account.deals.live[0], owner="99")


def hide_pipelines(observed) -> None:
    """Hide a pipeline and delete another; the truth is then what was last seen of their deals."""
    account = observed.account
    before = observed.tables
    del observed.tables
    observed.clock.now = HIDDEN_AT
    account.hide_pipeline(HIDDEN_PIPELINE)
    account.delete_pipeline(DELETED_PIPELINE)
    gone = {str(HIDDEN_PIPELINE), str(DELETED_PIPELINE)}
    unseen = {n: d for n, d in before["deals"].items() if d.get("group") in gone}
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


def in_chicago(text: str | None) -> datetime | None:
    """A stamp without an offset."""
    stamp = moment(text)
    return stamp and stamp.replace(tzinfo=CHICAGO)


def local(when: datetime | None) -> date | None:
    return when and when.astimezone(UTC).date()


def month_of(when: datetime | None) -> date | None:
    return when and local(when).replace(day=1)


def words(text: str | None) -> str | None:
    return (text or "").strip() or None


def full_name(record) -> str | None:
    found = words(f"{(record['firstName'] or '').strip()} {(record['lastName'] or '').strip()}")
    return found or words(record.get("username"))


def days(span: timedelta) -> float:
    return span / DAY


def span(start: datetime, end: datetime):
    return pytest.approx(days(end - start), abs=0.006)


def share(part, whole) -> float | None:
    return float(part) / float(whole) if whole and part is not None else None


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


def of_unknown_date(deals) -> int:
    """How many were decided at some time before their last modification: no activities are read."""
    return sum(
        deal["status"] != "0"
        and moment(deal["mdate"]) > moment(deal["cdate"]) + timedelta(minutes=1)
        for deal in deals
    )


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


def rows_of(observed, mart: str, key: str) -> dict[int, dict]:
    """All columns of a mart but for the account and what is for the models alone."""
    rows = by_key(observed.dbt.rows(f"from marts.{mart}"), key)
    unnamed = {"account", "row_version"}
    return {
        number: {name: row[name] for name in row.keys() - unnamed}
        for (number,), row in rows.items()
    }


def assert_rows(observed, mart: str, keys: tuple[str, ...], expected) -> None:
    """That a mart has these rows and no other, with all their columns."""
    found = by_key(observed.dbt.rows(f"from marts.{mart}"), *keys)
    assert found.keys() == expected.keys()
    for key, figures_of_key in expected.items():
        row, ids = found[key], dict(zip(keys, key, strict=True))
        names = names_in(observed, row)
        assert row == {"account": "activecampaign", **ids, **names, **figures_of_key}, key


def names_in(observed, row) -> dict:
    """What a mart's row should say of its pipeline, stage and owner, where it says anything."""
    return {name: value for name, value in named(observed, row).items() if name in row}


def named(observed, ids) -> dict:
    """What there is to say of a pipeline, a stage and an owner."""
    names = {}
    if pipeline_id := ids.get("pipeline_id"):
        pipeline = observed.tables["dealGroups"].get(pipeline_id)
        names["pipeline"] = pipeline and pipeline["title"]
        names["is_pipeline_missing"] = is_pipeline_missing(observed, pipeline_id)
    if stage_id := ids.get("stage_id"):
        names["stage"] = observed.tables["dealStages"][stage_id]["title"]
        names["stage_position"] = ordered_stages(observed)[pipeline_id].index(stage_id) + 1
        names["is_stage_missing"] = False
    if owner_id := ids.get("owner_id"):
        owner = observed.tables["users"].get(owner_id)
        names |= {"owner": owner and full_name(owner), "is_owner_missing": owner is None}
    return names


def is_pipeline_missing(observed, pipeline_id: int) -> bool:
    """Whether the account does not list it, as it is hidden or gone."""
    return pipeline_id not in set(map(int, observed.account.visible_ids("dealGroups")))


def test_pipelines_agree(observed):
    expected = {key: figures(deals) for key, deals in grouped(seen(observed), "group").items()}
    for pipeline_id, pipeline in observed.tables["dealGroups"].items():
        if not any(key[0] == pipeline_id for key in expected):
            expected[pipeline_id, pipeline["currency"].upper()] = figures([])
    assert_rows(observed, "pipelines", ("pipeline_id", "currency"), expected)


def test_pipeline_stages_agree(observed):
    expected = {
        key: figures(deals) for key, deals in grouped(seen(observed), "group", "stage").items()
    }
    used = {key[1] for key in expected}
    for stage_id, stage in observed.tables["dealStages"].items():
        if stage_id not in used:
            pipeline_id = int(stage["group"])
            pipeline = observed.tables["dealGroups"].get(pipeline_id)
            currency = pipeline["currency"].upper() if pipeline else "unknown"
            expected[pipeline_id, stage_id, currency] = figures([])
    assert_rows(observed, "pipeline_stages", ("pipeline_id", "stage_id", "currency"), expected)


def test_deals_agree(observed):
    rows = rows_of(observed, "deals", "deal_id")
    assert rows.keys() == observed.tables["deals"].keys()
    for number, deal in observed.tables["deals"].items():
        row = rows[number]
        if "mdate" in deal:
            assert row == deal_row(observed, number, deal), number
            continue
        assert row["title"] == deal["title"].strip()
        assert row["status"] == (STATUS[deal["status"]] if "status" in deal else None)
        assert row["hidden_at"] == SYNCED_AT
        assert (row["is_hidden"], row["is_counted"], row["created_at"]) == (True, False, None)


def deal_row(observed, number: int, deal) -> dict:
    """A deal that was seen in full."""
    created, updated, status = moment(deal["cdate"]), moment(deal["mdate"]), STATUS[deal["status"]]
    contact_id = int(deal["contact"] or 0) or None
    contact = observed.tables["contacts"].get(contact_id)
    places = {
        "owner_id": int(deal["owner"]),
        "pipeline_id": int(deal["group"]),
        "stage_id": int(deal["stage"]),
    }
    closed = None if status == "open" else updated
    return {
        "deal_id": number,
        "contact_id": contact_id,
        **places,
        **named(observed, places),
        "closed_owner_id": places["owner_id"] if closed else None,
        "closed_owner": named(observed, places)["owner"] if closed else None,
        "company_id": int(deal["customerAccount"] or deal["account"] or 0) or None,
        "title": words(deal["title"]),
        "contact": contact and full_name(contact),
        "contact_email": contact and words(contact["email"]),
        "status": status,
        "currency": deal["currency"].upper(),
        "value": money(deal),
        "closed_currency": deal["currency"].upper() if closed else None,
        "closed_value": money(deal) if closed else None,
        "win_probability_percent": deal["winProbability"] and int(deal["winProbability"]),
        "activity_count": int(deal["activitycount"]),
        "times_reopened": 0,
        "age_days": span(created, closed or AS_OF),
        "days_open": span(created, AS_OF) if status == "open" else None,
        "days_to_close": closed and span(created, closed),
        "is_counted": counts(deal),
        "is_hidden": deal["isDisabled"],
        "is_deleted": False,
        "is_contact_missing": contact_id is not None and contact is None,
        "is_closed_at_known": closed is not None and updated <= created + timedelta(minutes=1),
        "created_at": created,
        "updated_at": updated,
        "closed_at": closed,
        "last_reopened_at": None,
        "next_action_at": moment(deal["nextdate"]),
        "next_action_date": local(moment(deal["nextdate"])),
        "hidden_at": HIDDEN_AT if deal["isDisabled"] else None,
        "deleted_at": None,
        "created_date": local(created),
        "created_month": month_of(created),
        "closed_date": local(closed),
        "closed_month": month_of(closed),
    }


def test_contacts_agree(observed):
    per_contact = defaultdict(list)
    for deal in seen(observed):
        per_contact[int(deal["contact"] or 0)].append(deal)
    values = defaultdict(dict)
    for value in observed.tables["fieldValues"].values():
        field = observed.tables["fields"].get(int(value["field"]))
        tag = field["perstag"] if field else value["field"]
        values[int(value["contact"])][tag] = value["value"]
    rows = rows_of(observed, "contacts", "contact_id")
    for row in rows.values():
        row["custom_fields"] = json.loads(row["custom_fields"])
        for status in ("open", "won"):
            row[f"{status}_value_by_currency"] = row[f"{status}_value_by_currency"] or {}
    assert rows.keys() == observed.tables["contacts"].keys()
    for number, contact in observed.tables["contacts"].items():
        expected = contact_row(number, contact, per_contact[number], values[number])
        assert rows[number] == expected, number


def contact_row(number: int, contact, deals, values) -> dict:
    created = moment(contact["cdate"])
    opened, clicked, by_machine = (
        in_chicago(contact.get(f"last_{what}_date")) for what in ("open", "click", "mpp_open")
    )
    count = Counter(STATUS[deal["status"]] for deal in deals)
    worth = defaultdict(lambda: defaultdict(Decimal))
    for deal in deals:
        worth[STATUS[deal["status"]]][deal["currency"].upper()] += money(deal)
    is_anonymized, bounces = contact.get("anonymized") == "1", int(contact.get("bounced_hard", 0))
    email, status = words(contact["email"]), "not bounced"
    if is_anonymized:
        status = "anonymized"
    elif not email:
        status = "no e-mail"
    elif bounces:
        status = "bounced"
    return {
        "contact_id": number,
        "organization_id": int(contact["orgid"] or 0) or None,
        "email": email,
        "first_name": words(contact["firstName"]),
        "last_name": words(contact["lastName"]),
        "full_name": full_name(contact),
        "phone": words(contact["phone"]),
        "organization": words(contact["orgname"]),
        "status": status,
        "custom_fields": values,
        "mails_received": None if "sentcnt" not in contact else int(contact["sentcnt"]),
        "hard_bounces": None if "bounced_hard" not in contact else bounces,
        "soft_bounces": None if "bounced_soft" not in contact else int(contact["bounced_soft"]),
        "subscribed_lists": 0,
        "deals": len(deals),
        "open_deals": count["open"],
        "won_deals": count["won"],
        "lost_deals": count["lost"],
        "open_value_by_currency": worth["open"],
        "won_value_by_currency": worth["won"],
        "deal_list": [
            {
                "deal_id": int(deal["id"]),
                "status": STATUS[deal["status"]],
                "value": money(deal),
                "currency": deal["currency"].upper(),
            }
            for deal in sorted(deals, key=lambda d: (moment(d["cdate"]), int(d["id"])))
        ]
        or None,
        "is_anonymized": is_anonymized,
        "is_deleted": False,
        "created_at": created,
        "updated_at": moment(contact["udate"]),
        "last_opened_at": opened,
        "last_clicked_at": clicked,
        "last_machine_opened_at": by_machine,
        "last_form_at": None,
        "last_engaged_at": max(filter(None, (opened, clicked)), default=None),
        "last_deal_change_at": max((moment(deal["mdate"]) for deal in deals), default=None),
        "deleted_at": None,
        "created_date": local(created),
        "created_month": month_of(created),
    }


def test_win_rates_agree(observed):
    decided = [deal for deal in seen(observed) if deal["status"] != "0"]
    expected = defaultdict(list)
    for deal in decided:
        month = month_of(moment(deal["mdate"]))
        key = (int(deal["group"]), int(deal["owner"]), month, deal["currency"].upper())
        expected[key].append(deal)
    wanted = {
        key: {n: v for n, v in figures(deals).items() if n != "deals" and "open" not in n}
        | {"decided_deals_of_unknown_date": of_unknown_date(deals)}
        for key, deals in expected.items()
    }
    keys = ("pipeline_id", "owner_id", "closed_month", "currency")
    assert_rows(observed, "win_rates", keys, wanted)


def test_owner_performance_agrees(observed):
    expected = {}
    for key, deals in grouped(seen(observed), "owner").items():
        won = [deal for deal in deals if deal["status"] == "1"]
        cycles = [days(moment(deal["mdate"]) - moment(deal["cdate"])) for deal in won]
        expected[key] = figures(deals) | {
            "decided_deals_of_unknown_date": of_unknown_date(deals),
            "average_won_value": close(fmean(map(money, won)) if won else None),
            "average_days_to_win": close(fmean(cycles) if cycles else None, abs=0.006),
            "median_days_to_win": close(median(cycles) if cycles else None, abs=0.006),
        }
    assert_rows(observed, "owner_performance", ("owner_id", "currency"), expected)


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
        cycles = [days(moment(d["mdate"]) - moment(d["cdate"])) for d in won]
        cycle = fmean(cycles) if won else None
        velocity = count["open"] * rate * float(value) / cycle if won else None
        expected[key] = {
            "window_days": 365,
            "open_deals": count["open"],
            "won_deals": count["won"],
            "lost_deals": count["lost"],
            "decided_deals_of_unknown_date": of_unknown_date(recent),
            "won_value": sum(map(money, won), Decimal(0)),
            "win_rate": close(rate),
            "average_won_value": close(value),
            "average_days_to_win": close(cycle, abs=0.006),
            "median_days_to_win": close(median(cycles) if won else None, abs=0.006),
            "value_per_day": close(velocity, rel=1e-3),
        }
    assert_rows(observed, "sales_velocity", ("pipeline_id", "currency"), expected)


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
    reached, won, decided, went_on = Counter(), Counter(), Counter(), Counter()
    for deal in seen(observed):
        month = month_of(moment(deal["cdate"]))
        pipeline = int(deal["group"])
        position = stages[pipeline].index(int(deal["stage"]))
        for stage in stages[pipeline][: position + 1]:
            reached[pipeline, month, stage] += 1
            won[pipeline, month, stage] += deal["status"] == "1"
            if deal["status"] != "0":
                decided[pipeline, month, stage] += 1
                went_on[pipeline, month, stage] += stage != int(deal["stage"])
    rows = by_key(
        observed.dbt.rows("from marts.sales_funnel"), "pipeline_id", "created_month", "stage_id"
    )
    for key, row in rows.items():
        assert row.items() >= names_in(observed, row).items()
        assert row["deals_reached"] == reached.pop(key, 0)
        assert row["won_deals"] == won[key]
        assert row["conversion_to_won"] == close(share(won[key], row["deals_reached"]))
    assert not reached
    for pipeline, month in {key[:2] for key in rows}:
        counts = [rows[pipeline, month, stage] for stage in stages[pipeline]]
        for here, there in pairwise(counts):
            assert here["next_stage_deals"] == there["deals_reached"]
            rate = share(there["deals_reached"], here["deals_reached"])
            assert here["conversion_to_next"] == close(rate)
            key = pipeline, month, here["stage_id"]
            assert here["decided_next_stage_deals"] == went_on[key]
            rate = share(went_on[key], decided[key])
            assert here["decided_conversion_to_next"] == close(rate)
        assert counts[-1]["next_stage_deals"] is None


def test_the_forecast_agrees(observed):
    stages = ordered_stages(observed)
    expected = {}
    for key, deals in grouped(seen(observed), "group", "stage").items():
        pipeline, stage, _ = key
        still_open = [deal for deal in deals if deal["status"] == "0"]
        if not still_open:
            continue
        value = sum(map(money, still_open), Decimal(0))
        likely = [deal for deal in still_open if deal["winProbability"] is not None]
        by_probability = [float(money(deal)) * int(deal["winProbability"]) / 100 for deal in likely]
        later = stages[pipeline][stages[pipeline].index(stage) :]
        decided = [
            deal
            for deal in seen(observed)
            if int(deal["group"]) == pipeline and int(deal["stage"]) in later
            if deal["status"] != "0"
        ]
        won = sum(deal["status"] == "1" for deal in decided)
        rate = share(won, len(decided))
        expected[key] = {
            "open_deals": len(still_open),
            "open_value": value,
            "decided_deals": len(decided),
            "won_deals": won,
            "decided_deals_of_unknown_date": of_unknown_date(decided),
            "decided_in_stage": sum(int(deal["stage"]) == stage for deal in decided),
            "win_rate": close(rate),
            "weighted_value": close(None if rate is None else float(value) * rate),
            "deals_with_probability": len(likely),
            "weighted_value_by_probability": close(sum(by_probability) if likely else None),
            "expected_close_month": None,
        }
    assert_rows(observed, "forecast", ("pipeline_id", "stage_id", "currency"), expected)


def test_the_pipelines_past_agrees_as_far_as_stamps_tell(observed):
    days_back = [AS_OF, NOW, NOW - 30 * DAY, NOW - 400 * DAY, NOW - 1200 * DAY]
    for end in days_back:
        day = end.date()
        expected = defaultdict(lambda: [0, Decimal(0)])
        for deal in observed.tables["deals"].values():
            if not counts(deal) and (day >= HIDDEN_AT.date() or "mdate" not in deal):
                continue
            started, ended = local(moment(deal["cdate"])), local(moment(deal["mdate"]))
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
        assert all(row.items() >= names_in(observed, row).items() for row in rows)
        assert {row["is_observed"] for row in rows} <= {day >= NOW.date()}


def test_campaigns_agree(observed):
    rows = rows_of(observed, "campaign_performance", "campaign_id")
    assert rows.keys() == observed.tables["campaigns"].keys()
    for number, campaign in observed.tables["campaigns"].items():
        assert rows[number] == campaign_row(number, campaign), number


def campaign_row(number: int, campaign) -> dict:
    automation = int(campaign["automation"] or 0) or int(campaign["seriesid"] or 0) or None
    label = campaign.get("statusString")
    status = label.lower() if label in {"Paused", "SENDING", "stopped"} else "other"
    if campaign["status"] == "1":
        status = "automation" if automation else "scheduled"
    elif campaign["status"] in {"0", "5"}:
        status = "sent" if campaign["status"] == "5" else "draft"
    count = {
        name: int(campaign[field])
        for name, field in {
            "recipients": "total_amt",
            "sends": "send_amt",
            "opens": "opens",
            "unique_opens": "uniqueopens",
            "verified_opens": "verified_opens",
            "verified_unique_opens": "verified_unique_opens",
            "clicks": "linkclicks",
            "unique_clicks": "uniquelinkclicks",
            "clickers": "subscriberclicks",
            "hard_bounces": "hardbounces",
            "soft_bounces": "softbounces",
            "unsubscribes": "unsubscribes",
            "forwards": "forwards",
            "replies": "replies",
        }.items()
    }
    bounces, sends = count["hard_bounces"] + count["soft_bounces"], count["sends"]
    delivered = sends - bounces
    tracked = {"1": True, "0": False, None: count["opens"] > 0 or None}[campaign["trackreads"]]
    opened = count["unique_opens"] if tracked else None
    verified = count["verified_unique_opens"] if tracked else None
    sent, last = moment(campaign["sdate"]), moment(campaign["ldate"])
    first_sent = (sent or last) if sends else None
    return {
        "campaign_id": number,
        "automation_id": automation,
        "campaign": campaign["name"].strip(),
        "campaign_type": campaign["type"],
        "status": status,
        "status_label": label,
        **dict.fromkeys(("subject", "sender", "sender_email")),
        **count,
        "delivered": delivered,
        "unverified_opens": count["opens"] - count["verified_opens"],
        "unverified_unique_opens": count["unique_opens"] - count["verified_unique_opens"],
        "bounces": bounces,
        "open_rate": close(share(opened, sends)),
        "open_rate_of_delivered": close(share(opened, delivered)),
        "verified_open_rate": close(share(verified, sends)),
        "click_rate": close(share(count["clickers"], sends)),
        "click_rate_of_delivered": close(share(count["clickers"], delivered)),
        "click_to_open_rate": close(share(count["clickers"], opened)),
        "bounce_rate": close(share(bounces, sends)),
        "unsubscribe_rate": close(share(count["unsubscribes"], sends)),
        "unsubscribe_rate_of_delivered": close(share(count["unsubscribes"], delivered)),
        "is_automated": automation is not None,
        "are_opens_tracked": tracked,
        "is_deleted": False,
        "created_at": moment(campaign["cdate"]),
        "sent_at": sent,
        "last_sent_at": last,
        "counted_at": in_chicago(campaign["updated_timestamp"]),
        "deleted_at": None,
        "sent_date": local(first_sent),
        "sent_month": month_of(first_sent),
    }


def test_custom_field_values_agree(observed):
    rows = rows_of(observed, "contact_custom_fields", "custom_field_value_id")
    assert rows.keys() == observed.tables["fieldValues"].keys()
    for number, record in observed.tables["fieldValues"].items():
        field = observed.tables["fields"].get(int(record["field"]), {})
        text, choices = words(record["value"]), None
        if field.get("type") in {"checkbox", "listbox"} and text:
            choices = [choice.strip() for choice in text.split("||") if choice.strip()]
        assert rows[number] == {
            "custom_field_value_id": number,
            "contact_id": int(record["contact"]),
            "custom_field_id": int(record["field"]),
            "custom_field": field.get("title"),
            "personalization_tag": field.get("perstag"),
            "field_type": field.get("type"),
            "value": text,
            "choices": choices,
            "is_field_missing": not field,
            "is_malformed": False,
            "is_deleted": False,
            "created_at": moment(record["cdate"]),
            "updated_at": moment(record["udate"]),
            "deleted_at": None,
            "observed_at": SYNCED_AT,
        }, number


def test_what_fields_users_pipelines_and_stages_are_called_agrees(observed):
    expected = {
        "custom_fields": {
            "custom_field_id": ("id", int),
            "custom_field": ("title", words),
            "personalization_tag": ("perstag", words),
            "field_type": ("type", str.lower),
            "description": ("descript", words),
            "default_value": ("defval", words),
            "field_order": ("ordernum", int),
            "is_required": ("isrequired", lambda flag: flag == "1"),
            "is_visible": ("visible", lambda flag: flag == "1"),
            "created_at": ("cdate", moment),
            "updated_at": ("udate", moment),
        },
        "users": {
            "user_id": ("id", int),
            "username": ("username", words),
            "email": ("email", words),
            "created_at": ("cdate", moment),
        },
        "deal_groups": {
            "pipeline_id": ("id", int),
            "pipeline": ("title", words),
            "default_currency": ("currency", str.upper),
            "created_at": ("cdate", moment),
        },
        "deal_stages": {
            "stage_id": ("id", int),
            "pipeline_id": ("group", int),
            "stage": ("title", words),
            "stage_order": ("order", int),
            "created_at": ("cdate", moment),
        },
    }
    for stream, columns in expected.items():
        key = next(iter(columns))
        listed = observed.account.truth(STREAMS[stream].endpoint.collection)
        rows = observed.dbt.rows(f"from staging.stg_activecampaign__{stream} order by {key}")
        kept = {*columns, "full_name", "options", "account", "observed_at"}
        for row, record in zip(rows, listed.values(), strict=True):
            assert {name: row[name] for name in columns} == {
                name: read(record[field]) for name, (field, read) in columns.items()
            }
            marks = {name: row[name] for name in row.keys() - kept}
            assert marks == {"is_deleted": False, "deleted_at": None}
            if stream == "users":
                assert row["full_name"] == full_name(record)


def test_the_calendar_agrees(observed):
    rows = observed.dbt.rows("from marts.calendar order by day")
    first, last = date(2003, 1, 1), date(AS_OF.year, 12, 31)
    days = [first + number * DAY for number in range((last - first).days + 1)]
    assert rows == [
        {
            "day": day,
            "week": day - day.weekday() * DAY,
            "month": day.replace(day=1),
            "quarter": date(day.year, (day.month - 1) // 3 * 3 + 1, 1),
            "year": date(day.year, 1, 1),
            "weekday": day.isoweekday(),
            "is_weekday": day.isoweekday() < 6,
        }
        for day in days
    ]
