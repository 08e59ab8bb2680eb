"""Contacts: how they are made up and how the API writes them."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from random import Random

from activecampaign_dagster.sandbox import calendar, stamps, templates, words
from activecampaign_dagster.sandbox.store import Rows
from activecampaign_dagster.sandbox.templates import Record

_LINKS = templates.links(
    "contacts/<id>",
    (
        "bounceLogs",
        "contactAutomations",
        "contactData",
        "contactGoals",
        "contactLists",
        "contactLogs",
        "contactTags",
        "contactDeals",
        "deals",
        "fieldValues",
        "geoIps",
        "notes",
        "organization",
        "plusAppend",
        "trackingLogs",
        "scoreValues",
        "accountContacts",
        "automationEntryCounts",
    ),
)

_CORE: Record = {
    "cdate": "<cdate>",
    "email": "<email>",
    "phone": "<phone>",
    "firstName": "<first>",
    "lastName": "<last>",
    "orgid": "<orgid>",
    "orgname": "<orgname>",
    "segmentio_id": "",
    "bounced_hard": "<bounced>",
    "bounced_soft": "0",
    "bounced_date": "<<zero_day>>",
    "ip": "0",
    "ua": "<<ua>>",
    "hash": "<hash>",
    "socialdata_lastcheck": "<<zero_stamp>>",
    "email_local": "",
    "email_domain": "<domain>",
    "sentcnt": "0",
    "rating_tstamp": "<<zero_day>>",
    "gravatar": "<gravatar>",
    "deleted": "0",
    "anonymized": "0",
    "adate": "<<adate>>",
    "udate": "<udate>",
    "edate": None,
    "deleted_at": "<<zero_stamp>>",
    "created_utc_timestamp": "<created>",
    "updated_utc_timestamp": "<updated>",
    "created_timestamp": "<created>",
    "updated_timestamp": "<updated>",
    "created_by": "<<user>>",
    "updated_by": "<<user>>",
}
_RECENT: Record = {
    "mpp_tracking": "<mpp>",
    "last_click_date": None,
    "last_open_date": None,
    "last_mpp_open_date": None,
    "best_send_hour": "<<hour>>",
    "whatsapp_id": None,
    "whatsapp_username": None,
    "sms_consent": "<<consent>>",
    "sms_consent_updated_at": "<<consent_at>>",
    "email_empty": False,
    "accountContacts": [],
    "scoreValues": [],
}
_TAIL: Record = {"links": _LINKS, "id": "<id>", "organization": "<<organization>>"}

# Recordings of different years and accounts differ in their keys; most records are of today.
_TODAY = templates.compile_shape(_CORE | _RECENT | _TAIL)
_OLDER = templates.compile_shape(
    _CORE | {"mpp_tracking": "<mpp>", "email_empty": "0", "accountContacts": []} | _TAIL
)
_OLDEST = templates.compile_shape(
    {
        key: value
        for key, value in _CORE.items()
        if key in {"cdate", "email", "phone", "firstName", "lastName", "orgid", "hash", "udate"}
    }
    | {"emailDomain": "", "orgname": "<orgname>", "sentiment": None}
    | _TAIL
)

_ZERO_DAYS = (b"null", b'"0000-00-00"', b"null", b"null")
_ZERO_STAMPS = (b"null", b"null", b'"0000-00-00 00:00:00"', b"null", b'""')
_ORGANIZATIONS = ((b"0", b"null"), (b"0", b"null"), (b"", b'""'), (b"0", b'"0"'))
_FIRST = tuple(templates.inner(word) for word in words.FIRST)
_LAST = tuple(templates.inner(word) for word in words.LAST)
_ODD_FIRST = (b"", templates.inner("Zoëlia"), templates.inner("Ми́рта"))
_ODD_LAST = (b"", templates.inner("Østavår"), b"")
_COMPANIES = tuple(templates.inner(word) for word in words.COMPANY)
_DOMAINS = tuple(word.encode() for word in words.DOMAINS)
_PHONES = tuple(words.phone(number).encode() for number in range(100))
_USERS = (b"null", b"null", b"null", b'"1"', b'"0"')
_HOURS = (b"null", b'"9"', b"null", b'"14"')

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
        style = bits >> 24 & 0xFF
        orgid, organization = _ORGANIZATIONS[style & 3]
        consent = style & 7 == 5
        template = _TODAY if style < 215 else _OLDER if style < 252 else _OLDEST
        holes = {
            b"cdate": cdate,
            b"udate": udate,
            b"created": created,
            b"updated": updated,
            b"email": email,
            b"first": first,
            b"last": last,
            b"phone": _PHONES[(bits >> 32) % 100] if bits & 3 else b"",
            b"orgid": orgid,
            b"orgname": _COMPANIES[(bits >> 36) % len(_COMPANIES)] if bits & 12 else b"",
            b"organization": organization,
            b"bounced": b"1" if self.status(contact) == 3 else b"0",
            b"zero_day": _ZERO_DAYS[style & 3],
            b"zero_stamp": _ZERO_STAMPS[style % 5],
            b"adate": b'"%b"' % cdate if style == 9 else b"null",
            b"ua": b'""' if style % 11 == 3 else b"null",
            b"hash": b"%016x%016x" % (bits, bits * 31 & 0xFFFFFFFFFFFFFFFF),
            b"domain": email[email.index(b"@") + 1 :] if bits & 16 else b"",
            b"gravatar": b"1" if bits & 32 else b"0",
            b"user": _USERS[style % 5],
            b"mpp": b"1" if bits & 64 else b"0",
            b"hour": _HOURS[style >> 2 & 3],
            b"consent": b'"1"' if consent else b"null",
            b"consent_at": b'"0000-00-00 00:00:00"' if consent else b"null",
        }
        raw = templates.fill(template, contact, holes)
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
