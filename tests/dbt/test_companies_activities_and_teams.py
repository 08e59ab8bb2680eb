"""Companies, contacts in roles, tasks and notes, months and teams against the account's records."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import ANY

import pytest

from activecampaign_dagster.streams.registry import CORE
from tests.dbt.conftest import AS_OF, NOW, Observed
from tests.dbt.test_marts_against_the_truth import (
    STATUS,
    close,
    counts,
    full_name,
    local,
    moment,
    money,
    month_of,
    share,
    words,
)
from tests.sync.everything import source

pytestmark = pytest.mark.slow

STREAMS = (
    *CORE,
    "accounts",
    "account_contacts",
    "contact_deals",
    "deal_roles",
    "tasks",
    "task_types",
    "task_outcomes",
    "notes",
    "groups",
    "user_groups",
)
MODELS = ("+companies", "+deal_contacts", "+activities", "+deals_monthly", "+teams")
LATER = NOW + timedelta(hours=1)
LINKS = ("accountContacts", "contactDeals")

Records = dict[int, dict[str, Any]]


class Company:
    """An account that is watched: its records, and the links that are gone from it."""

    def __init__(self, observed: Observed) -> None:
        self.observed = observed
        self.gone: dict[str, Records] = {name: {} for name in LINKS}
        self.gone_deals: Records = {}
        self.gone_companies: Records = {}

    def truth(self, collection: str) -> Records:
        return self.observed.account.truth(collection)

    def links(self, collection: str) -> Records:
        """All links that were ever landed."""
        return self.gone[collection] | self.truth(collection)

    def rows(self, mart: str, *keys: str) -> dict[tuple, dict[str, Any]]:
        """A mart's rows by key, without the account."""
        found = self.observed.dbt.rows(f"select * exclude account from marts.{mart}")
        rows = {tuple(row[key] for key in keys): row for row in found}
        assert len(rows) == len(found)
        return rows

    def user(self, number: int | None) -> str | None:
        record = self.truth("users").get(number or 0)
        return record and full_name(record)


@pytest.fixture(scope="module")
def company(make_observed) -> Company:
    """Synced and built, changed, synced and built again."""
    observed = make_observed(62)
    observed.warehouse.source = source(*STREAMS)
    account = observed.account
    deals, contacts = list(account.deals.live), list(account.contacts.live)
    for number, deal in enumerate(deals[:30]):
        account.update_deal(deal, customerAccount=str(1 + number % 4))
    primary = account.truth("deals")[deals[0]]["contact"]
    account.add_secondary_contact(deals[0], int(primary), 1)
    account.add_secondary_contact(deals[0], contacts[-1], 2)
    account.employ(contacts[-2], 1, "Buyer")
    undone = account.add_task(deals[1], "Call back")
    account.update_record("dealTasks", undone, duedate=None, assignee="0")
    account.update_record("dealTasks", 1, reltype="CustomerAccount", relid="2")
    account.update_record("notes", 1, reltype="DealTask", is_draft="1")
    account.add_record("userGroups", user=2, group=1)
    observed.sync(at=NOW, streams=STREAMS)
    observed.dbt.build(*MODELS)
    watched = Company(observed)
    before = {name: watched.truth(name) for name in (*LINKS, "deals", "accounts")}
    observed.clock.now = LATER
    account.win_deal(next(deal for deal in deals if before["deals"][deal].get("status") == "0"))
    account.delete_deal(deals[2])
    account.delete_contact(contacts[-2])
    account.remove_record("contactDeals", next(iter(before["contactDeals"])))
    account.dismiss(
        *(
            int(next(iter(before["accountContacts"].values()))[name])
            for name in ("contact", "account")
        )
    )
    for number in (4, 60):
        account.remove_record("accounts", number)
    account.complete_task(undone)
    account.remove_record("notes", 2)
    account.remove_record("dealTasks", 5)
    observed.sync(at=LATER, streams=STREAMS)
    observed.dbt.build_rows(*MODELS)
    for name in LINKS:
        gone = before[name].keys() - watched.truth(name).keys()
        watched.gone[name] = {number: before[name][number] for number in gone}
    gone = before["accounts"].keys() - watched.truth("accounts").keys()
    watched.gone_companies = {number: before["accounts"][number] for number in gone}
    watched.gone_deals = {deals[2]: before["deals"][deals[2]]}
    return watched


def number(text: Any) -> int | None:
    """An id, None where there is none."""
    return int(text or 0) or None


def counted(company: Company) -> list[dict[str, Any]]:
    return [deal for deal in company.truth("deals").values() if counts(deal)]


def test_contacts_of_companies_agree(company):
    rows = company.rows("company_contacts", "account_contact_id")
    links, contacts = company.links("accountContacts"), company.truth("contacts")
    assert rows.keys() == {(link,) for link in links}
    for (link,), row in rows.items():
        record = links[link]
        named = company.truth("accounts").get(int(record["account"]))
        contact = contacts.get(int(record["contact"]))
        assert row == {
            "account_contact_id": link,
            "company_id": int(record["account"]),
            "contact_id": int(record["contact"]),
            "company": named and words(named["name"]),
            "contact": contact and full_name(contact),
            "contact_email": contact and words(contact["email"]),
            "job_title": words(record["jobTitle"]),
            "is_company_missing": named is None,
            "is_contact_missing": contact is None,
            "is_deleted": link in company.gone["accountContacts"],
            "created_at": moment(record["createdTimestamp"]),
            "updated_at": moment(record["updatedTimestamp"]),
            "deleted_at": row["deleted_at"],
        }, link


def test_companies_agree(company):
    deals = defaultdict(list)
    for deal in counted(company):
        deals[number(deal["customerAccount"] or deal["account"])].append(deal)
    contacts = defaultdict(set)
    for link in company.truth("accountContacts").values():
        if int(link["contact"]) in company.truth("contacts"):
            contacts[int(link["account"])].add(link["contact"])
    expected = {}
    for company_id, record in (company.gone_companies | company.truth("accounts")).items():
        is_gone = company_id in company.gone_companies
        by_currency = defaultdict(list)
        for deal in deals[company_id]:
            by_currency[deal["currency"].upper()].append(deal)
        idle = {} if is_gone else {"unknown": []}
        for currency, some in (by_currency or idle).items():
            expected[company_id, currency] = {
                "company_id": company_id,
                "owner_id": number(record.get("owner")),
                "currency": currency,
                "company": words(record["name"]),
                "website": words(record.get("accountUrl")),
                "owner": company.user(number(record.get("owner"))),
                "contacts": len(contacts[company_id]),
                **figures(some),
                "is_deleted": is_gone,
                "created_at": moment(record["createdTimestamp"]),
                "updated_at": moment(record["updatedTimestamp"]),
                "last_deal_updated_at": max((moment(deal["mdate"]) for deal in some), default=None),
                "deleted_at": LATER if is_gone else None,
            }
    assert {row["is_deleted"] for row in expected.values()} == {True, False}
    assert company.rows("companies", "company_id", "currency") == expected


def figures(deals: list[dict[str, Any]]) -> dict[str, Any]:
    of = {name: [d for d in deals if STATUS[d["status"]] == name] for name in STATUS.values()}
    value = {name: sum(map(money, some), Decimal(0)) for name, some in of.items()}
    won, decided = len(of["won"]), len(of["won"]) + len(of["lost"])
    return {
        "deals": len(deals),
        **{f"{name}_deals": len(some) for name, some in of.items()},
        **{f"{name}_value": value[name] for name in of},
        "win_rate": close(share(won, decided)),
        "win_rate_by_value": close(share(value["won"], value["won"] + value["lost"])),
    }


def test_contacts_of_deals_agree(company):
    deals = company.gone_deals | company.truth("deals")
    links, gone = company.links("contactDeals"), company.gone["contactDeals"]
    expected = {
        (deal_id, int(deal["contact"])): {"is_primary": True, "role_id": None, "added_at": None}
        for deal_id, deal in deals.items()
        if number(deal.get("contact"))
    }
    for link, record in sorted(links.items()):
        key = int(record["deal"]), int(record["contact"])
        about = expected.setdefault(key, {"is_primary": False, "is_removed": link in gone})
        about |= {"role_id": number(record.get("role")), "added_at": moment(record["cdate"])}
    rows = company.rows("deal_contacts", "deal_id", "contact_id")
    assert rows.keys() == expected.keys()
    for (deal_id, contact_id), about in expected.items():
        contact = company.truth("contacts").get(contact_id)
        role = company.truth("dealRoles").get(about["role_id"] or 0)
        assert rows[deal_id, contact_id] == {
            "deal_id": deal_id,
            "contact_id": contact_id,
            "role_id": about["role_id"],
            "title": words(deals[deal_id]["title"]),
            "status": STATUS.get(deals[deal_id].get("status", "")),
            "contact": contact and full_name(contact),
            "contact_email": contact and words(contact["email"]),
            "role": role and role["title"],
            "is_primary": about["is_primary"],
            "is_contact_missing": contact is None,
            "is_deleted": deal_id in company.gone_deals or about.get("is_removed", False),
            "added_at": about["added_at"],
        }, (deal_id, contact_id)


def places(record: dict[str, Any]) -> dict[str, Any]:
    kinds = {"Deal": "deal_id", "Subscriber": "contact_id", "CustomerAccount": "company_id"}
    related = number(record["relid"])
    ids = dict.fromkeys(kinds.values())
    if record["reltype"] in kinds:
        ids[kinds[record["reltype"]]] = related
    return ids | {"related_id": related, "related_type": record["reltype"]}


def activity(company: Company, kind: str, record: dict[str, Any], own: dict[str, Any]) -> dict:
    """What a row says of a task or note; `own`: what only one of them has."""
    creator = number(record["user"])
    owner = number(record.get("assignee")) or creator
    created, due, done = moment(record["cdate"]), own.get("due_at"), own.get("done_at")
    fields = (
        "task_type_id task_type outcome_id outcome outcome_sentiment outcome_info title is_done "
        "is_done_at_known is_overdue is_draft due_at done_at"
    )
    return {
        **dict.fromkeys(fields.split()),
        "activity_id": int(record["id"]),
        "activity_type": kind,
        **places(record),
        "owner_id": owner,
        "created_by_id": creator,
        "owner": company.user(owner),
        "note": words(record["note"]),
        "is_deleted": False,
        "created_at": created,
        "deleted_at": None,
        "created_date": local(created),
        "due_date": local(due),
        "done_date": local(done),
        **own,
    }


def of_task(company: Company, record: dict[str, Any]) -> dict[str, Any]:
    done, due = int(record["status"]) == 1, moment(record["duedate"])
    kind, outcome = number(record["dealTasktype"]), number(record["outcomeId"])
    type_, result = company.truth("dealTasktypes").get(kind or 0), company.truth("taskOutcomes")
    outcome_record = result.get(outcome or 0)
    return {
        "task_type_id": kind,
        "task_type": type_ and type_["title"],
        "outcome_id": outcome,
        "outcome": outcome_record and outcome_record["title"],
        "outcome_sentiment": outcome_record and outcome_record["sentiment"],
        "outcome_info": words(record["outcomeInfo"]),
        "title": words(record["title"]),
        "is_done": done,
        "is_done_at_known": False,
        "is_overdue": not done and due is not None and due < AS_OF,
        "updated_at": moment(record["udate"]),
        "due_at": due,
        "done_at": moment(record["udate"]) if done else None,
    }


def of_note(record: dict[str, Any]) -> dict[str, Any]:
    return {"is_draft": record["is_draft"] == "1", "updated_at": moment(record["mdate"])}


def test_tasks_and_notes_agree(company):
    expected = {
        ("task", n): activity(company, "task", record, of_task(company, record))
        for n, record in company.truth("dealTasks").items()
    }
    for n, record in company.truth("notes").items():
        expected["note", n] = activity(company, "note", record, of_note(record))
    assert {"CustomerAccount", "Deal", "Subscriber", "DealTask"} == {
        row["related_type"] for row in expected.values()
    }
    rows = company.rows("activities", "activity_type", "activity_id")
    assert rows.keys() == expected.keys()
    for key, row in expected.items():
        assert rows[key] == row, key


def test_months_agree(company):
    found: dict[tuple, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    for deal in counted(company):
        key = number(deal["group"]), number(deal["owner"]), deal["currency"].upper()
        found[month_of(moment(deal["cdate"])), *key]["created"].append(money(deal))
        if deal["status"] != "0":
            closed = month_of(moment(deal["mdate"])), *key
            found[closed][STATUS[deal["status"]]].append(money(deal))
    rows = company.rows("deals_monthly", "month", "pipeline_id", "owner_id", "currency")
    assert rows.keys() == found.keys()
    for key, values in found.items():
        count = {event: len(values[event]) for event in ("created", "won", "lost")}
        value = {event: sum(values[event], Decimal(0)) for event in count}
        pipeline = company.truth("dealGroups").get(key[1])
        assert rows[key] == {
            **dict(zip(("month", "pipeline_id", "owner_id", "currency"), key, strict=True)),
            "pipeline": pipeline and pipeline["title"],
            "owner": company.user(key[2]),
            **{f"{event}_deals": count[event] for event in count},
            **{f"{event}_value": value[event] for event in count},
            "decided_deals_of_unknown_date": ANY,
            "net_deals": count["created"] - count["won"] - count["lost"],
            "net_value": value["created"] - value["won"] - value["lost"],
            "win_rate": close(share(count["won"], count["won"] + count["lost"])),
        }, key


def test_teams_agree(company):
    groups = company.truth("groups")
    assert company.rows("teams", "user_id", "group_id") == {
        (user, group): {
            "user_id": user,
            "group_id": group,
            "team": groups[group]["title"],
            "user_name": company.user(user),
            "is_user_missing": False,
        }
        for user, group in {
            (int(record["user"]), int(record["group"]))
            for record in company.truth("userGroups").values()
        }
    }


def test_figures_by_team_are_one_join(company):
    [found] = company.observed.dbt.rows(
        "select sum(won_deals) as won from marts.deals_monthly as months inner join marts.teams "
        "on months.account = teams.account and owner_id = user_id where group_id = 1"
    )
    members = {r["user"] for r in company.truth("userGroups").values() if r["group"] == "1"}
    won = [d for d in counted(company) if d["status"] == "1" and d["owner"] in members]
    assert found["won"] == len(won)


def test_without_their_streams_the_marts_are_empty_and_fail_nothing(make_observed):
    observed = make_observed(63)
    observed.sync(at=NOW)
    observed.dbt.build(tests=True)
    deals = observed.account.truth("deals")
    with_contact = [deal for deal in deals.values() if number(deal.get("contact"))]
    expected = {
        "companies": 0,
        "company_contacts": 0,
        "deal_contacts": len(with_contact),
        "activities": 0,
        "teams": 0,
        "deal_custom_fields": 0,
        "deal_custom_fields_wide": len(deals),
        "company_custom_fields": 0,
        "company_custom_fields_wide": 0,
    }
    for mart, rows in expected.items():
        [found] = observed.dbt.rows(f"select count(*) as rows from marts.{mart}")
        assert found["rows"] == rows, mart
