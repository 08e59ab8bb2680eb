"""Custom contact fields with their options, and the values contacts have in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import gcd

from activecampaign_dagster.sandbox import stamps, templates, values, words
from activecampaign_dagster.sandbox.children import Children, Parents
from activecampaign_dagster.sandbox.pipelines import Table
from activecampaign_dagster.sandbox.stamps import DAY
from activecampaign_dagster.sandbox.templates import Record

# title, type, options
Spec = tuple[str, str, tuple[str, ...]]

SINGLE_CHOICE = ("dropdown", "radio")
MULTIPLE_CHOICE = ("checkbox", "listbox")

SPECS: tuple[Spec, ...] = (
    ("Job title", "text", ()),
    ("Industry", "dropdown", ("Software", "Retail", "Health", "Transport", "Education", "Food")),
    ("Company size", "radio", ("1-10", "11-50", "51-200", "201-1000", "1000+")),
    ("Interests", "checkbox", ("Email", "CRM", "Automation", "Reporting", "Integrations")),
    ("Products in use", "listbox", ("Starter", "Team", "Company", "Add-on A", "Add-on B")),
    ("Renewal date", "date", ()),
    ("Last meeting", "datetime", ()),
    ("Notes", "textarea", ()),
    ("Lead source", "hidden", ()),
    ("Region", "dropdown", tuple(f"Region {number:02d}" for number in range(1, 31))),
    ("Employees", "text", ()),
    ("External score", "text", ()),
)
DEAL_SPECS: tuple[Spec, ...] = (
    ("Lost reason", "dropdown", ("Price", "Timing", "Competitor", "No need")),
    ("Contract months", "number", ()),
    ("Budget", "currency", ()),
    ("Kick-off", "date", ()),
    ("Remarks", "textarea", ()),
)
COMPANY_SPECS: tuple[Spec, ...] = (
    ("Sector", "dropdown", ("Software", "Retail", "Health")),
    ("Employees", "number", ()),
    ("Contract value", "currency", ()),
    ("Customer since", "date", ()),
)
_SOURCES = ("website", "webinar", "partner", "fair", "referral", "import")
_JOBS = ("Buyer", "Head of Sales", "Marketing lead", "Owner", "Operations", "R&D", "Chef d'équipe")


@dataclass(slots=True)
class FieldTables:
    """The three collections that `GET /fields` answers with."""

    fields: Table
    options: Table
    relations: Table


def spec(position: int) -> Spec:
    """The field to make up at a position; beyond the named ones plain text fields."""
    return SPECS[position] if position < len(SPECS) else (f"Custom {position + 1}", "text", ())


def tables(count: int, start: int) -> FieldTables:
    """The first `count` fields with their options."""
    made = FieldTables({}, {}, {})
    for position in range(count):
        title, kind, options = spec(position)
        add_field(made, title, kind, options, start + position * 11 * DAY)
    return made


def add_field(
    made: FieldTables, title: str, kind: str, options: tuple[str, ...], created: int
) -> int:
    """A further field; returns its id."""
    number = max(made.fields, default=0) + 1
    option_ids = []
    for order, label in enumerate(options, start=1):
        option = max(made.options, default=0) + 1
        option_ids.append(str(option))
        made.options[option] = _option(option, number, label, order, created)
    relation = max(made.relations, default=0) + 1
    made.relations[relation] = {
        "field": str(number),
        "relid": "0",
        "dorder": "0",
        "cdate": stamps.iso(created).decode(),
        "links": [],
        "id": str(relation),
    }
    stamp, plain = (text.decode() for text in stamps.both(created))
    empty = None if number % 3 else ""
    made.fields[number] = {
        "title": title,
        "descript": empty,
        "type": kind,
        "isrequired": "0",
        "perstag": "".join(c if c.isalnum() else "_" for c in title.upper()),
        "defval": empty,
        "show_in_list": "0",
        "rows": "4" if kind == "textarea" else "0",
        "cols": "40" if kind == "textarea" else "0",
        "visible": "1",
        "service": "",
        "ordernum": str(number),
        "cdate": stamp,
        "udate": stamp,
        "created_timestamp": plain,
        "updated_timestamp": plain,
        "created_by": None if number % 4 == 0 else "1",
        "updated_by": None if number % 4 == 0 else "1",
        "options": option_ids,
        "relations": [str(relation)],
        "links": templates.links(f"fields/{number}", "options relations"),
        "id": str(number),
    }
    return number


def _option(number: int, field: int, label: str, order: int, created: int) -> Record:
    stamp = stamps.iso(created).decode() if number % 20 == 1 else None
    option: Record = {
        "field": str(field),
        "orderid": str(order),
        "value": label,
        "label": label,
        "isdefault": "0",
        "cdate": stamp,
        "udate": stamp,
        "links": templates.links(f"fieldOptions/{number}", "field"),
        "id": str(number),
    }
    if number % 40 == 3:
        del option["orderid"], option["isdefault"]
    return option


def labels(made: FieldTables, field: int) -> list[str]:
    """The labels of a field's options, in order."""
    return [made.options[int(option)]["label"] for option in made.fields[field]["options"]]


def write_choices(kind: str, chosen: list[str]) -> str:
    """Several choices in one string: joined by `||`, around a checkbox's as well.

    Whether the real strings start and end with bars is not established, so both occur.
    """
    joined = "||".join(chosen)
    return f"||{joined}||" if kind == "checkbox" else joined


def _writer(kind: str, position: int, options: list[str], end: int) -> Callable[[int], object]:
    def write(bits: int) -> object:  # noqa: PLR0911 one line per type of field
        if kind in SINGLE_CHOICE:
            return options[bits % len(options)]
        if kind in MULTIPLE_CHOICE:
            chosen = [label for place, label in enumerate(options) if bits >> place & 1]
            return write_choices(kind, chosen or options[:1])
        if kind == "date":
            return stamps.iso(end + (bits % 720 - 180) * DAY)[:10].decode()
        if kind == "datetime":
            return stamps.iso(end - bits % (400 * DAY)).decode()
        if kind == "textarea":
            return f"Talked about the {words.OFFER[bits % len(words.OFFER)]}.\nFollow up."
        if kind == "hidden":
            return _SOURCES[bits % len(_SOURCES)]
        if kind in {"number", "currency"} or position in {10, 11}:
            return str(bits % (100 if position == 11 else 5000))
        return _JOBS[bits % len(_JOBS)] if position == 0 else f"{words.TOPICS[bits % 6]} {bits % 9}"

    return write


_CONTACTS_VALUE = values.shapes(
    "fieldValues",
    {
        "contact": "<<contact:int>>",
        "owner": "<<contact:int>>",
        "field": "<<field:int>>",
        "value": "<<value:raw>>",
        "cdate": "<<cdate:text>>",
        "udate": "<<udate:text>>",
        "links": templates.links("fieldValues/<id>", "owner field"),
    },
)[0]


class FieldValues(Children):
    """The values of contacts, deals or companies in their custom fields, one per field at most."""

    def __init__(
        self,
        owner: str,
        parents: Parents,
        count: int,
        seed: int,
        definitions: Sequence[tuple[str, list[str]]],
        end: int,
    ) -> None:
        width, starts = len(definitions), words.salted(seed, "values")
        super().__init__(owner, parents, count, starts, self._tell_value, width)
        self._values = words.salted(seed, "value")
        self._width = width
        self._step = next(step for step in (5, 7, 3, 1) if gcd(step, self._width) == 1)
        self._writers = [
            _writer(kind, position, options, end)
            for position, (kind, options) in enumerate(definitions)
        ]
        self._name = "value" if owner == "contact" else "fieldValue"

    def _tell_value(self, number: int, slot: int, place: int) -> Record:
        parent = self.parents.ids[slot]
        field = (parent * 13 + (place + 1) * self._step) % self._width + 1
        created = self.parents.created(slot)
        facts = self._told(parent, field, self._made_up(number, field), created)
        if not number % 3:
            facts["updated"] = self.parents.updated(slot)
        return facts

    def _told(self, parent: int, field: int, value: object, now: int) -> Record:
        return {
            self.parent_fact: parent,
            "field": field,
            self._name: value,
            "created": now,
            "updated": now,
        }

    def _made_up(self, number: int, field: int) -> object:
        bits = words.mix(self._values, number)
        if bits >> 50 & 0x7F == 1:
            return None
        return self._writers[field - 1](bits & 0xFFFFFFFF)

    def render(self, number: int) -> bytes:
        """One value of a contact as JSON: the same as from its facts, in less time.

        Three quarters of what is sent of a large account are these.
        """
        if number in self.added or number in self.changed:
            facts = self.facts(number)
            contact, field, value = facts["contact"], facts["field"], facts["value"]
            created, updated = facts["created"], facts["updated"]
        else:
            slot, place = self.place(number)
            contact = self.parents.ids[slot]
            field = (contact * 13 + (place + 1) * self._step) % self._width + 1
            value = self._made_up(number, field)
            created = self.parents.created(slot)
            updated = created if number % 3 else self.parents.updated(slot)
        cdate = stamps.iso(created)
        holes: dict[bytes, bytes | int] = {
            b"contact": contact,
            b"field": field,
            b"value": templates.dumps(value),
            b"cdate": cdate,
            b"udate": cdate if updated == created else stamps.iso(updated),
        }
        return templates.merged(_CONTACTS_VALUE.fill(number, holes), self.changes.get(number))

    def owner(self, number: int) -> tuple[int, int]:
        """The record that has a value, and the field that it is in."""
        facts = self.facts(number)
        return facts[self.parent_fact], facts["field"]

    def find(self, parent: int, field: int) -> int | None:
        """The id of a record's value in a field."""
        numbers = self.of_parent(parent)
        return next((n for n in numbers if self.owner(n)[1] == field), None)

    def put(self, parent: int, field: int, value: object, now: int) -> int:
        """Add or update a value; returns its id."""
        number = self.find(parent, field)
        if number is None:
            return self.add(self._told(parent, field, value, now))
        self.change(number, updated=now, **{self._name: value})
        return number

    def value(self, number: int) -> object:
        """A value's text, or None."""
        return self.facts(number)[self._name]


def side_loaded(facts: Record, kind: str) -> Record:
    """A value's facts in the shape that it has beside deals and companies.

    One column per type of value is filled; amounts are in cents.
    """
    column = _COLUMNS.get(kind, "text_value")
    told = {key: facts[key] for key in facts if key != "fieldValue"}
    told |= dict.fromkeys((f"custom_field_{other}" for other in _ALL_COLUMNS), None)
    if kind == "currency":
        told["custom_field_currency_type"] = "USD"
    return told | {f"custom_field_{column}": facts["fieldValue"]}


# type of field → the column that its values are in, beside deals and companies
_COLUMNS = {
    "date": "date_value",
    "datetime": "datetime_value",
    "number": "number_value",
    "currency": "currency_value",
    "textarea": "text_blob",
}
_ALL_COLUMNS = ("text_value", "currency_type", *_COLUMNS.values())


def width(count: int, contacts: int) -> int:
    """Count the fields that an account needs for so many values."""
    mean = count // contacts if contacts else 0
    return max(len(SPECS), mean + min(2, mean) + 1)
