"""Contacts: how they are made up and how the API writes them."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from random import Random

from activecampaign_dagster.sandbox import calendar, stamps, templates, values, words
from activecampaign_dagster.sandbox.store import Rows

_LINKS = templates.links(
    "contacts/<id>",
    "bounceLogs contactAutomations contactData contactGoals contactLists contactLogs "
    "contactTags contactDeals deals fieldValues geoIps notes organization plusAppend "
    "trackingLogs scoreValues accountContacts automationEntryCounts",
)

_SHAPES = values.shapes(
    "contacts",
    {
        "cdate": "<<cdate:text>>",
        "email": "<<email:text>>",
        "phone": "<<phone:text>>",
        "firstName": "<<first:text>>",
        "lastName": "<<last:text>>",
        "orgname": "<<orgname:text>>",
        "bounced_hard": "<<bounced:text>>",
        "hash": "<<hash:text>>",
        "email_domain": "<<domain:text>>",
        "udate": "<<udate:text>>",
        **dict.fromkeys(("created_timestamp", "created_utc_timestamp"), "<<created:text>>"),
        **dict.fromkeys(("updated_timestamp", "updated_utc_timestamp"), "<<updated:text>>"),
        "links": _LINKS,
    },
)

# most records are of today, few are as old as those without counts of bounces
_VARIANT_OF = (*(0,) * 215, *(4, 6) * 18, 4, *(5, 7) * 2)
_FIRST = tuple(templates.inner(word) for word in words.FIRST)
_LAST = tuple(templates.inner(word) for word in words.LAST)
_ODD_FIRST = (b"", templates.inner("Zoëlia"), templates.inner("Ми́рта"))
_ODD_LAST = (b"", templates.inner("Østavår"), b"")
_COMPANIES = tuple(templates.inner(word) for word in words.COMPANY)
_DOMAINS = tuple(word.encode() for word in words.DOMAINS)
_PHONES = tuple(words.phone(number).encode() for number in range(100))
Name = tuple[bytes, bytes, bytes]


class Contacts(Rows):
    """The account's contacts; a record is a function of seed and id, plus what was changed."""

    def __init__(
        self, seed: int, ids: array[int], created: array[int], updated: array[int]
    ) -> None:
        super().__init__(ids, created, updated)
        self._seed = words.salted(seed, "contact")

    def name(self, contact: int) -> Name:
        """First name, last name and e-mail as generated (JSON-escaped, without changes)."""
        bits = words.mix(self._seed, contact)
        first = _FIRST[bits % len(_FIRST)]
        last = _LAST[(bits >> 8) % len(_LAST)]
        domain = _DOMAINS[(bits >> 16) % 3]
        email = b"%b.%b.%d@%b" % (first.lower(), last.lower(), contact, domain)
        if contact % 37 == 11:
            first, last = _ODD_FIRST[bits % 3], _ODD_LAST[bits % 3]
        return first, last, email

    def sort_name(self, contact: int) -> tuple[str, str, str]:
        """First name, last name and e-mail in lower case, changes included."""
        generated = self.name(contact)
        changes = self.changes.get(contact, {})
        first, last, email = (
            str(changes.get(key, value.decode()) or "").lower()
            for key, value in zip(("firstName", "lastName", "email"), generated, strict=True)
        )
        return first, last, email

    def status(self, contact: int) -> int:
        """0 unconfirmed, 1 active, 2 unsubscribed, 3 bounced; a filter, not in the record."""
        share = words.mix(self._seed, contact) >> 40 & 0xFF
        if share < 6:
            return 0
        return 3 if share < 14 else 2 if share < 34 else 1

    def render(self, contact: int) -> bytes:
        """One contact as the API lists it."""
        slot = self.slot(contact)
        bits = words.mix(self._seed, contact)
        first, last, email = self.name(contact)
        cdate, created = stamps.both(self.created[slot])
        stamp = self.updated[slot]
        udate, updated = (cdate, created) if stamp == self.created[slot] else stamps.both(stamp)
        holes: dict[bytes, bytes | int] = {
            b"cdate": cdate,
            b"udate": udate,
            b"created": created,
            b"updated": updated,
            b"email": email,
            b"first": first,
            b"last": last,
            b"phone": _PHONES[(bits >> 32) % 100] if bits & 3 else b"",
            b"orgname": _COMPANIES[(bits >> 36) % len(_COMPANIES)] if bits & 12 else b"",
            b"bounced": b"1" if self.status(contact) == 3 else b"0",
            b"hash": b"%016x%016x" % (bits, bits * 31 & 0xFFFFFFFFFFFFFFFF),
            b"domain": email[email.index(b"@") + 1 :] if bits & 16 else b"",
        }
        raw = _SHAPES[_VARIANT_OF[bits >> 24 & 0xFF]].fill(contact, holes)
        return templates.merged(raw, self.changes.get(contact))


def generate(seed: int, count: int, start: int, end: int, bulk_import: int) -> Contacts:
    """`count` contacts created in [start, end); an import gave a stretch of them one stamp."""
    random = Random(words.salted(seed, "contacts"))
    tied = min(bulk_import, count // 3)
    created = calendar.spread(random, count - tied, start, end)
    middle = len(created) * 2 // 5
    created[middle:middle] = array("I", created[middle : middle + 1] * tied)
    draw = random.random
    updated = array("I", created)
    for slot, stamp in enumerate(created):
        chance = draw()
        if chance > 0.4:
            # squared: most changes come soon after creation
            updated[slot] = stamp + int((end - stamp) * draw() ** 2)
    mass_edit = start + (end - start) * 3 // 4
    known = bisect_right(created, mass_edit)
    for slot in range(known // 4, known // 4 + min(bulk_import, known // 4)):
        updated[slot] = mass_edit
    return Contacts(seed, calendar.ids(count, 29), created, updated)
