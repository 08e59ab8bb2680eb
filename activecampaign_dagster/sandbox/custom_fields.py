"""Custom contact fields with their options, and the values contacts have in them."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from math import gcd
from random import Random

from activecampaign_dagster.sandbox import stamps, templates, values, words
from activecampaign_dagster.sandbox.pipelines import Table
from activecampaign_dagster.sandbox.stamps import DAY
from activecampaign_dagster.sandbox.store import Rows
from activecampaign_dagster.sandbox.templates import Record

SINGLE_CHOICE = ("dropdown", "radio")
MULTIPLE_CHOICE = ("checkbox", "listbox")

# title, type, options
SPECS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
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
_SOURCES = ("website", "webinar", "partner", "fair", "referral", "import")
_JOBS = ("Buyer", "Head of Sales", "Marketing lead", "Owner", "Operations", "R&D", "Chef d'équipe")


@dataclass(slots=True)
class FieldTables:
    """The three collections that `GET /fields` answers with."""

    fields: Table
    options: Table
    relations: Table


def spec(position: int) -> tuple[str, str, tuple[str, ...]]:
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
        "links": templates.links(f"fields/{number}", ("options", "relations")),
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
        "links": templates.links(f"fieldOptions/{number}", ("field",)),
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


def _writer(kind: str, position: int, options: list[str], end: int) -> Callable[[int], str]:
    def write(bits: int) -> str:  # noqa: PLR0911 one line per type of field
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
        if position in {10, 11}:
            return str(bits % (5000 if position == 10 else 100))
        return _JOBS[bits % len(_JOBS)] if position == 0 else f"{words.TOPICS[bits % 6]} {bits % 9}"

    return write


_SHAPES = values.shapes(
    "fieldValues",
    {
        "contact": "<<contact:quoted>>",
        "owner": "<<contact:quoted>>",
        "field": "<<field:quoted>>",
        "value": "<<value:json>>",
        "cdate": "<<cdate:iso>>",
        "udate": "<<udate:iso>>",
    },
)
_SHAPE = _SHAPES[0]


class FieldValues:
    """The values of contacts in fields.

    The generated ones are numbered in a row per contact: `_starts[slot]` values belong to the
    contacts before the one at `slot`. Values that were set later are kept in `_added` and
    `_changed`. Stamps are in seconds.
    """

    def __init__(
        self, seed: int, count: int, contacts: Rows, made: FieldTables, end: int, spare: int
    ) -> None:
        self._seed = words.salted(seed, "value")
        self._starts = _starts(words.salted(seed, "values"), count, len(contacts.ids), spare)
        self._contacts = array("I", contacts.ids)
        self._created = array("I", contacts.created)
        self._updated = array("I", contacts.updated)
        self._width = len(made.fields)
        self._step = next(step for step in (5, 7, 3, 1) if gcd(step, self._width) == 1)
        self._writers = [
            _writer(made.fields[number]["type"], number - 1, labels(made, number), end)
            for number in sorted(made.fields)
        ]
        self._last = count
        self.live = array("I", range(1, count + 1))
        # value id → contact, field, value, created, updated
        self._added: dict[int, tuple[int, int, object, int, int]] = {}
        self._changed: dict[int, tuple[object, int]] = {}
        self._added_of: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return len(self.live)

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        position = bisect_right(self.live, number) - 1
        return position >= 0 and self.live[position] == number

    def _place(self, number: int) -> tuple[int, int]:
        """Slot of the contact and field of a generated value."""
        slot = bisect_right(self._starts, number - 1) - 1
        first = self._contacts[slot] * 13
        return slot, (first + (number - self._starts[slot]) * self._step) % self._width + 1

    def owner(self, number: int) -> tuple[int, int]:
        """Contact and field of a value."""
        if number in self._added:
            contact, field, *_ = self._added[number]
            return contact, field
        slot, field = self._place(number)
        return self._contacts[slot], field

    def of_contact(self, contact: int) -> list[int]:
        """The ids of a contact's values."""
        found: list[int] = []
        slot = bisect_right(self._contacts, contact) - 1
        if slot >= 0 and self._contacts[slot] == contact:
            numbers = range(self._starts[slot] + 1, self._starts[slot + 1] + 1)
            low = bisect_right(self.live, numbers.start - 1)
            found.extend(self.live[low : bisect_right(self.live, numbers.stop - 1)])
        return found + self._added_of.get(contact, [])

    def find(self, contact: int, field: int) -> int | None:
        """The id of a contact's value in a field."""
        return next((n for n in self.of_contact(contact) if self.owner(n)[1] == field), None)

    def put(self, contact: int, field: int, value: object, now: int) -> int:
        """Add or update a value; returns its id."""
        number = self.find(contact, field)
        if number is None:
            self._last += 1
            number = self._last
            self.live.append(number)
            self._added[number] = (contact, field, value, now, now)
            self._added_of.setdefault(contact, []).append(number)
        elif number in self._added:
            self._added[number] = (contact, field, value, self._added[number][3], now)
        else:
            self._changed[number] = (value, now)
        return number

    def remove(self, number: int) -> None:
        """Take a value away; KeyError when it is not there."""
        if number not in self:
            raise KeyError(number)
        del self.live[bisect_right(self.live, number) - 1]
        self._changed.pop(number, None)
        if number in self._added:
            self._added_of[self._added.pop(number)[0]].remove(number)

    def value(self, number: int) -> object:
        """A value's text, or None."""
        if number in self._added:
            return self._added[number][2]
        if number in self._changed:
            return self._changed[number][0]
        return self._made_up(number, self._place(number)[1])

    def _made_up(self, number: int, field: int) -> str | None:
        bits = words.mix(self._seed, number)
        if bits >> 50 & 0x7F == 1:
            return None
        return self._writers[field - 1](bits & 0xFFFFFFFF)

    def render(self, number: int) -> bytes:
        """One value as the API lists it."""
        if number in self._added:
            contact, field, value, created, updated = self._added[number]
        else:
            slot, field = self._place(number)
            contact, created = self._contacts[slot], self._created[slot]
            if number in self._changed:
                value, updated = self._changed[number]
            else:
                value = self._made_up(number, field)
                updated = created if number % 3 else self._updated[slot]
        facts = {
            "contact": contact,
            "field": field,
            "value": value,
            "cdate": created,
            "udate": updated,
        }
        return _SHAPE.render(number, facts)


def width(values: int, contacts: int) -> tuple[int, int]:
    """How many fields an account needs, and by how much a contact may differ from the mean."""
    mean = values // contacts if contacts else 0
    spare = min(2, mean)
    return max(len(SPECS), mean + spare + 1), spare


def _starts(seed: int, count: int, contacts: int, spare: int) -> array[int]:
    """Running totals of values per contact; neighbours differ from the mean by ± the same."""
    mean, extra = divmod(count, contacts) if contacts else (0, 0)
    random = Random(seed)
    draw = random.random
    sizes: list[int] = []
    for _ in range(contacts // 2):
        shift = int(draw() * (spare + 1))
        sizes += (mean + shift, mean - shift)
    if contacts % 2:
        sizes.append(mean)
    if extra:
        sizes = [
            size + ((slot + 1) * extra // contacts - slot * extra // contacts)
            for slot, size in enumerate(sizes)
        ]
    return array("I", accumulate(sizes, initial=0))
