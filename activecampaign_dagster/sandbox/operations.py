"""The ways an account changes: what its users do, and what the API does with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from activecampaign_dagster.sandbox import campaigns, custom_fields, deal_history, pipelines, stamps
from activecampaign_dagster.sandbox.deals import CURRENCIES, LOST, OPEN, WON
from activecampaign_dagster.sandbox.relations import Relations, change
from activecampaign_dagster.sandbox.store import Rows

_LAST_SECOND = 1 << 32
_DEAL_COLUMNS = ("contact", "owner", "stage", "status", "value")


class Operations(Relations):
    """The changes of one account, safe to make from several threads.

    Values of changes are written into the record verbatim, under the API's own names; stamps
    (`cdate`, `udate`, `mdate`) may be aware datetimes or ISO text and then also move the record
    in orders and date filters. `ABSENT` leaves a key out. An id that is not there: KeyError.
    """

    # contacts

    @change
    def add_contact(self, **overrides: Any) -> int:
        """A new contact, created now; returns its id."""
        now = self._second()
        contact = self.contacts.add(now, now)
        self._lay_over(self.contacts, contact, overrides, "udate")
        return contact

    @change
    def update_contact(self, contact: int, /, **changes: Any) -> None:
        """Change a contact and move its `udate` (to now, unless it is among the changes)."""
        self._lay_over(self.contacts, contact, {"udate": self.clock()} | changes, "udate")

    @change
    def delete_contact(self, contact: int) -> None:
        """Delete a contact with its field values; its deals stay and point nowhere."""
        self.contacts.remove(contact)
        self._drop_children("contacts", contact)

    # deals

    @change
    def add_deal(self, **overrides: Any) -> int:
        """A new open deal in the first stage of the first accessible pipeline; returns its id."""
        now = self._second()
        group = next(iter(self.visible_ids("dealGroups")), 1)
        contact = self.contacts.live[-1] if len(self.contacts) else None
        deal = self.deals.add(now, now)
        defaults = {
            "group": group,
            "owner": 1,
            "value": 100 * (1000 + deal % 977),
            "contact": contact,
        }
        if "stage" in overrides:
            del defaults["group"]
        self._change_deal(deal, defaults | overrides)
        return deal

    @change
    def update_deal(self, deal: int, /, **changes: Any) -> None:
        """Change a deal and move its `mdate` (to now, unless it is among the changes).

        `value` is in cents; a `group` without a `stage` puts the deal into its first stage.
        """
        before = self._watched(deal)
        self._change_deal(deal, {"mdate": self.clock()} | changes)
        for kind, old in before.items():
            new = self._watched(deal)[kind]
            if new != old:
                stage, log = self._watched(deal)["d_stageid"], self.children["dealActivities"]
                what = (kind, new, old)
                log.add(deal_history.change(deal, self.me, stage, what, self._second()))

    def _watched(self, deal: int) -> dict[str, int]:
        """Read what the deal's log records when it changes."""
        rows, slot = self.deals, self.deals.slot(deal)
        return {
            "d_groupid": self.pipeline_of(deal),
            "d_stageid": rows.stage[slot],
            "status": rows.status[slot],
            "value": rows.value[slot],
        }

    @change
    def delete_deal(self, deal: int) -> None:
        """Delete a deal with what belongs to it."""
        self._drop_children("deals", deal)
        self.deals.remove(deal)

    def move_deal(self, deal: int, stage: int) -> None:
        """Put a deal into a stage, also one of another pipeline."""
        self.update_deal(deal, stage=stage)

    def win_deal(self, deal: int) -> None:
        """Close a deal as won, now."""
        self.update_deal(deal, status=WON, edate=self.clock())

    def lose_deal(self, deal: int) -> None:
        """Close a deal as lost, now."""
        self.update_deal(deal, status=LOST, edate=self.clock())

    def reopen_deal(self, deal: int) -> None:
        """Open a closed deal again."""
        self.update_deal(deal, status=OPEN, edate=None)

    # fields and their values

    @change
    def add_field(self, title: str, kind: str = "text", options: tuple[str, ...] = ()) -> int:
        """A new custom field; returns its id."""
        return custom_fields.add_field(self.fields, title, kind, options, self._second())

    @change
    def delete_field(self, field: int) -> None:
        """Delete a custom field with its options and values."""
        record = self.fields.fields.pop(field)
        for option in record["options"]:
            del self.fields.options[int(option)]
        for relation in record["relations"]:
            del self.fields.relations[int(relation)]
        for number in [n for n in self.values.live if self.values.owner(n)[1] == field]:
            self.values.remove(number)

    @change
    def set_field_value(self, contact: int, field: int, value: object) -> int:
        """Add or update a contact's value in a field; returns the value's id."""
        self.contacts.slot(contact)
        if field not in self.fields.fields:
            raise KeyError(field)
        number = self.values.put(contact, field, value, self._second())
        self._touched(contact)
        return number

    @change
    def delete_field_value(self, number: int) -> None:
        """Delete a field value by its id."""
        contact, _ = self.values.owner(number)
        self.values.remove(number)
        self._touched(contact)

    def _touched(self, contact: int) -> None:
        if self.field_values_touch_contact and contact in self.contacts:
            self._lay_over(self.contacts, contact, {"udate": self.clock()}, "udate")

    # pipelines

    def stages_of(self, group: int) -> list[int]:
        """A pipeline's stages in their order, also when the pipeline is deleted."""
        table = self.tables["dealStages"]
        found = [number for number, stage in table.items() if stage["group"] == str(group)]
        return sorted(found, key=lambda number: int(table[number]["order"]))

    @change
    def add_pipeline(self, title: str, stages: tuple[str, ...]) -> int:
        """A new accessible pipeline with its stages; returns its id."""
        groups, rows = self.tables["dealGroups"], self.tables["dealStages"]
        group = max([*groups, *(int(stage["group"]) for stage in rows.values())], default=0) + 1
        first = max(rows, default=0) + 1
        numbers = tuple(range(first, first + len(stages)))
        for order, (number, name) in enumerate(zip(numbers, stages, strict=True), start=1):
            rows[number] = pipelines.stage(number, name, group, order)
        groups[group] = pipelines.group(group, title, numbers, self._second())
        return group

    @change
    def delete_pipeline(self, group: int) -> None:
        """Delete a pipeline: its deals become stubs, its stages stay listed (as recorded)."""
        del self.tables["dealGroups"][group]

    @change
    def hide_pipeline(self, group: int) -> None:
        """Take the key's permission for a pipeline away; no stamp moves."""
        if group not in self.tables["dealGroups"]:
            raise KeyError(group)
        self.hidden.add(group)

    @change
    def show_pipeline(self, group: int) -> None:
        """Give the permission (back); no stamp moves."""
        self.hidden.discard(group)

    @change
    def delete_stage(self, stage: int) -> None:
        """Delete a stage without deals; its pipeline's `udate` gets UTC digits (as recorded)."""
        group = int(self.tables["dealStages"].pop(stage)["group"])
        record = self.tables["dealGroups"].get(group)
        if record is not None:
            record["stages"] = [number for number in record["stages"] if number != str(stage)]
            record["udate"] = stamps.mislabelled(self._second())

    # campaigns and users

    @change
    def add_campaign(self, name: str = "New campaign", **overrides: Any) -> int:
        """A new draft campaign; returns its id."""
        table = self.tables["campaigns"]
        number = max(table, default=0) + 1
        table[number] = campaigns.campaign(number, name, self._second(), overrides)
        return number

    @change
    def bump_campaign(self, campaign: int, /, **counters: int) -> None:
        """Raise counters (`opens=3`) by so much; moves `updated_timestamp`, not `mdate`."""
        record = self.tables["campaigns"][campaign]
        for name, more in counters.items():
            record[name] = str(int(record[name]) + more)
        record["updated_timestamp"] = stamps.naive(self._second()).decode()

    @change
    def delete_user(self, user: int) -> None:
        """Delete a user; deals go on naming them as owner."""
        del self.tables["users"][user]

    @change
    def add_user(self, first: str, last: str) -> int:
        """A new user; returns the id."""
        number = max(self.tables["users"], default=0) + 1
        self.tables["users"][number] = pipelines.user(number, first, last, self._second())
        return number

    def _change_deal(self, deal: int, changes: dict[str, Any]) -> None:
        changes = dict(changes)
        slot = self.deals.slot(deal)
        laid = self.deals.changes.get(deal, {})
        if "group" in changes and "stage" not in changes:
            stages = self.stages_of(int(changes["group"]))
            if stages:
                changes["stage"] = stages[0]
                del changes["group"]
        for name in _DEAL_COLUMNS:
            if name not in changes:
                continue
            column = getattr(self.deals, name)
            try:
                column[slot] = int(changes[name])
            except (TypeError, ValueError, OverflowError):
                continue
            del changes[name]
            laid.pop(name, None)
        if changes.get("currency") in CURRENCIES:
            self.deals.currency[slot] = CURRENCIES.index(changes.pop("currency"))
            laid.pop("currency", None)
        closed = stamps.parse(changes.get("edate"))
        if closed is not None:
            self.deals.closed[slot] = closed
            laid.pop("edate", None)
            del changes["edate"]
        self._lay_over(self.deals, deal, changes, "mdate")

    def _lay_over(self, rows: Rows, record: int, changes: Mapping[str, Any], update: str) -> None:
        changes = dict(changes)
        laid = rows.changes.get(record, {})
        for name in ("cdate", update):
            if name not in changes:
                continue
            epoch = stamps.parse(changes[name])
            if epoch is not None and not 0 < epoch < _LAST_SECOND:
                epoch = None
            if epoch is not None:
                del changes[name]
                laid.pop(name, None)
            # a stamp that is no date is NULL to the account's filters
            if name == "cdate":
                rows.restamp(record, created=epoch or 0)
            else:
                rows.restamp(record, updated=epoch or 0)
        rows.change(record, changes)
