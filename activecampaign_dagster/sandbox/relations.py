"""Contacts, deals and companies come by tags, lists, automations, notes and orders here."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from activecampaign_dagster.sandbox import settings, stamps, values
from activecampaign_dagster.sandbox.catalogue import CATALOGUE, FACTS
from activecampaign_dagster.sandbox.custom_fields import FieldValues
from activecampaign_dagster.sandbox.family import owner_fact
from activecampaign_dagster.sandbox.state import AccountRecords

Method = TypeVar("Method", bound=Callable[..., Any])


def change(method: Method) -> Method:
    """Give a method the account for itself, and make it forget what it had cached."""

    @functools.wraps(method)
    def locked(self: AccountRecords, /, *args: Any, **kwargs: Any) -> Any:
        with self.lock:
            self.forget()
            return method(self, *args, **kwargs)

    return cast("Method", locked)


class Relations(AccountRecords):
    """Changes of what belongs to contacts, deals and companies, and of any small collection.

    Facts are called like the API's fields (`status=2`); `created` and `updated` are seconds.
    """

    def _second(self) -> int:
        return stamps.seconds(self.clock())

    # any collection

    @change
    def add_record(self, collection: str, /, **facts: Any) -> int:
        """A further record of any collection but the core ones; returns its number.

        A record that belongs to another one names it: `add_record("notes", contact=3)`.
        """
        now = self._second()
        if self.is_table(collection):
            table = self.tables[collection]
            number = max(table, default=0) + 1
            sizes, seed = self.origin.sizes, self.origin.seed
            table[number] = settings.record(collection, number, sizes, seed, now, facts)
            return number
        parent = CATALOGUE[collection].parent
        if not self.has(parent, int(facts[owner_fact(collection)])):
            raise KeyError(facts[owner_fact(collection)])
        others = dict.fromkeys(values.references(collection), 0)
        number = self.family(collection).add(others | {"created": now, "updated": now} | facts)
        self._touch(collection, number)
        return number

    @change
    def change_record(self, collection: str, number: int, /, **facts: Any) -> None:
        """Tell other facts of a record that belongs to another one; moves its update stamp."""
        self.family(collection).change(number, **{"updated": self._second()} | facts)
        self._touch(collection, number)

    @change
    def update_record(self, collection: str, number: int, /, **changes: Any) -> None:
        """Overwrite fields of a record verbatim, under the API's names; moves no stamp."""
        if self.is_table(collection):
            self.tables[collection][number].update(changes)
            return
        if not self.has(collection, number):
            raise KeyError(number)
        laid = self.store(collection).changes
        laid[number] = laid.get(number, {}) | changes

    @change
    def remove_record(self, collection: str, number: int) -> None:
        """Delete a record with what belongs to it; nothing of it stays."""
        self._drop_children(collection, number)
        if self.is_table(collection):
            fact = FACTS.get(collection)
            for name in self.children:
                if fact is not None and CATALOGUE[name].distinct == fact:
                    for child in list(self.related(name, fact, number)):
                        self.family(name).remove(child)
            del self.tables[collection][number]
            return
        if self.removals_touch:
            self._touch(collection, number)
        self.family(collection).remove(number)

    def _drop_children(self, collection: str, number: int) -> None:
        for name in self.children:
            if CATALOGUE[name].parent != collection:
                continue
            if any(other.parent == name for other in CATALOGUE.values()):
                for child in self.owned(name, number):
                    self._drop_children(name, child)
            self.family(name).orphan(number)

    def _touch(self, collection: str, number: int) -> None:
        """Move the parent's update stamp where changes of a collection do that."""
        if collection not in self.touching:
            return
        parent = self.family(collection).parent_of(number)
        if CATALOGUE[collection].parent == "contacts" and parent in self.contacts:
            self._move_stamp("contacts", parent)
        elif CATALOGUE[collection].parent == "deals" and parent in self.deals:
            self._move_stamp("deals", parent)

    def _move_stamp(self, collection: str, number: int) -> None:
        rows = self.contacts if collection == "contacts" else self.deals
        rows.restamp(number, updated=self._second())
        rows.changes.get(number, {}).pop("udate" if collection == "contacts" else "mdate", None)

    def _find(self, collection: str, parent: int, fact: str, value: int) -> int | None:
        family = self.family(collection)
        numbers = family.of_parent(parent)
        return next((n for n in numbers if family.facts(n)[fact] == value), None)

    def _found(self, collection: str, parent: int, fact: str, value: int) -> int:
        number = self._find(collection, parent, fact, value)
        if number is None:
            raise KeyError((parent, value))
        return number

    # contacts

    def add_tag(self, contact: int, tag: int) -> int:
        """Tag a contact; moves its `udate`. A tag that it has stays as it is (as recorded)."""
        if tag not in self.tables["tags"]:
            raise KeyError(tag)
        known = self._find("contactTags", contact, "tag", tag)
        return known or self.add_record("contactTags", contact=contact, tag=tag)

    def remove_tag(self, contact: int, tag: int) -> None:
        """Take a tag off a contact; nothing of it stays, and by default its `udate` does, too."""
        self.remove_record("contactTags", self._found("contactTags", contact, "tag", tag))

    def subscribe(self, contact: int, mailing_list: int) -> int:
        """Put a contact on a list (again); does not move its `udate` (as recorded)."""
        if mailing_list not in self.tables["lists"]:
            raise KeyError(mailing_list)
        number = self._find("contactLists", contact, "list", mailing_list)
        now = self._second()
        active = {"status": 1, "sdate": now, "udate": None, "unsubreason": ""}
        if number is None:
            return self.add_record("contactLists", contact=contact, list=mailing_list, **active)
        self.change_record("contactLists", number, **active)
        return number

    def unsubscribe(self, contact: int, mailing_list: int, reason: str = "") -> None:
        """Take a contact off a list: the row stays, with status 2."""
        number = self._found("contactLists", contact, "list", mailing_list)
        gone = {"status": 2, "udate": self._second(), "unsubreason": reason}
        self.change_record("contactLists", number, **gone)

    def enter_automation(self, contact: int, automation: int) -> int:
        """Let a contact enter an automation, also a second time; returns the entry's id."""
        if automation not in self.tables["automations"]:
            raise KeyError(automation)
        steps = {"completedElements": 0, "completeValue": 0, "timespan": None, "remdate": None}
        return self.add_record(
            "contactAutomations", contact=contact, automation=automation, status=1, completed=0,
            **steps,
        )  # fmt: skip

    def leave_automation(self, entry: int) -> None:
        """Let a contact reach an automation's end."""
        now = self._second()
        began = self.family("contactAutomations").facts(entry)["created"]
        done = {"completedElements": 5, "completeValue": 100, "completed": 1}
        self.change_record(
            "contactAutomations", entry, status=2, remdate=now, timespan=now - began, **done
        )

    def add_note(self, contact: int, text: str) -> int:
        """Write a note about a contact; moves its `udate`."""
        return self.add_record("notes", contact=contact, note=text, user=self.me)

    def set_score(self, contact: int, score: int, points: int) -> int:
        """Give a contact points of a score; returns the value's id."""
        number = self._find("scoreValues", contact, "score", score)
        if number is None:
            return self.add_record("scoreValues", contact=contact, score=score, scoreValue=points)
        self.change_record("scoreValues", number, scoreValue=points)
        return number

    def send_mail(self, contact: int, campaign: int) -> int:
        """Send a campaign's message to a contact: a send and a mail; returns the send's id."""
        which = {"contact": contact, "campaign": campaign, "message": campaign}
        reference = {"type": "campaign", "id": str(campaign)}
        self.add_record("emailActivities", **which, reference=reference)
        return self.add_record("logs", **which)

    def click(self, contact: int, link: int) -> int:
        """Let a contact open (the link `open`) or click; a repeated hit raises `times`."""
        family, facts = self.family("linkData"), self.family("links").facts(link)
        number = self._find("linkData", contact, "link", link)
        if number is not None:
            self.change_record("linkData", number, times=family.facts(number)["times"] + 1)
            return number
        about = {"campaign": facts["campaign"], "message": facts["message"]}
        is_open = int(facts["link"] == "open")
        return self.add_record(
            "linkData", contact=contact, link=link, isread=is_open, times=1, **about
        )

    def add_order(self, contact: int, prices: tuple[int, ...]) -> int:
        """Let a contact buy products at prices in cents; returns the order's id."""
        customers = self.owned("ecomCustomers", contact)
        customer = customers[0] if customers else self.add_record("ecomCustomers", contact=contact)
        order = self.add_record("ecomOrders", customer=customer, state=1)
        for price in prices:
            self.add_record("ecomOrderProducts", order=order, price=price, quantity=1)
        return order

    # companies

    def add_company(self, name: str) -> int:
        """A new company; returns its id."""
        return self.add_record("accounts", name=name)

    def employ(self, contact: int, account: int, job_title: str = "") -> int:
        """Make a contact one of a company; returns the relation's id."""
        if account not in self.tables["accounts"]:
            raise KeyError(account)
        number = self._find("accountContacts", contact, "account", account)
        if number is None:
            return self.add_record(
                "accountContacts", contact=contact, account=account, jobTitle=job_title
            )
        self.change_record("accountContacts", number, jobTitle=job_title)
        return number

    def dismiss(self, contact: int, account: int) -> None:
        """Take a contact out of a company."""
        number = self._found("accountContacts", contact, "account", account)
        self.remove_record("accountContacts", number)

    def set_company_value(self, account: int, field: int, value: object) -> int:
        """Add or update a company's value in a field; returns the value's id."""
        return self._put("accountCustomFieldData", account, field, value)

    # deals

    def set_deal_value(self, deal: int, field: int, value: object) -> int:
        """Add or update a deal's value in a custom field; returns the value's id."""
        return self._put("dealCustomFieldData", deal, field, value)

    @change
    def _put(self, collection: str, parent: int, field: int, value: object) -> int:
        if not self.has(CATALOGUE[collection].parent, parent):
            raise KeyError(parent)
        store = cast("FieldValues", self.family(collection))
        number = store.put(parent, field, value, self._second())
        self._touch(collection, number)
        return number

    def add_task(self, deal: int, title: str) -> int:
        """Plan a task for a deal, due now; returns its id."""
        return self.add_record("dealTasks", deal=deal, title=title, user=self.me, status=0)

    def complete_task(self, task: int, outcome: int = 1) -> None:
        """Get a task done."""
        now = self._second()
        self.change_record("dealTasks", task, status=1, edate=now, outcomeId=outcome)

    def add_secondary_contact(self, deal: int, contact: int, role: int = 0) -> int:
        """Add a contact to a deal beside the primary one."""
        return self.add_record("contactDeals", deal=deal, contact=contact, role=role)
