"""The recorded fields of every collection, and a value for whatever no story tells.

`recorded.txt` holds the evidence: per collection the kinds of values that responses showed,
the most frequent first, and the names of the fields that showed them. `missing`: not in every
record.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

from activecampaign_dagster.sandbox import words
from activecampaign_dagster.sandbox.catalogue import TARGETS
from activecampaign_dagster.sandbox.templates import HOST, Record, Shape

Kinds = tuple[str, ...]

# records come in so many variants, since recordings of different years and accounts differ
VARIANTS = 8

# field → the fact that it carries, where several spellings carry the same one
_SPELLINGS = {
    "contact": "subscriberid owner",
    "deal": "d_id dealId deal_id",
    "account": "accountId customer_account_id",
    "automation": "seriesid",
    "list": "listid",
    "user": "userid assignee",
    "campaign": "campaignid",
    "message": "messageid",
    "link": "linkid",
    "tag": "tag",
    "score": "score",
    "role": "role",
    "conversion": "conversion",
    "conversion_trigger": "conversion_trigger",
    "connection": "connectionid",
    "customer": "customerid",
    "order": "orderid ecomOrder",
    "group": "groupid",
    "goal": "goalid",
    "geoAddress": "geoaddrid",
    "dealGroup": "d_groupid",
    "dealTasktype": "tasktype tasktype_id",
    "outcome": "outcome_id",
    "contactAutomation": "subscriberseriesid",
    "automation_block": "blockid",
    "field": "customFieldId custom_field_id dealCustomFieldMetumId accountCustomFieldMetumId",
    "created": "cdate adddate sdate tstamp created_timestamp created_utc_timestamp "
    "createdTimestamp createdDate created_date created_at orderDate externalCreatedDate "
    "external_created_date sortdate duedate donedate scheduled_date sent_date timestamp "
    "attributes.created_date attributes.last_used_date lastSync geoTstamp deleted_at",
    "updated": "udate mdate edate ldate lastdate updated_timestamp updated_utc_timestamp "
    "updatedTimestamp updatedDate updated_date updated_at externalUpdatedDate "
    "external_updated_date abandoned_date attributes.updated_date remdate",
}
_FACT_OF = {
    spelling: fact for fact, names in _SPELLINGS.items() for spelling in (fact, *names.split())
}
_STAMPS = {"ts+offset": "iso", "ts-naive": "naive", "ts-Z": "utc"}
_SILENT = {"missing", "null", "zero-date"}
_PLAIN: dict[str, Any] = {
    "null": None,
    "string(int)": "0",
    "string(empty)": "",
    "string(float)": "0.0000",
    "zero-date": "0000-00-00 00:00:00",
    "uuid": "0c0ffee0-0000-4000-8000-000000000000",
    "bool": False,
    "int": 0,
}
_TEXTS = {
    "attributes.category": "contact",
    "channel": "email",
    "charset": "utf-8",
    "city": "Nimbrook",
    "country": "United States",
    "country2": "US",
    "currency": "usd",
    "encoding": "quoted-printable",
    "fieldType": "text",
    "format": "html",
    "fromemail": "news@example.com",
    "hash": "<id>c0ffee<id>",
    "html": "<!doctype html><html><body>Hello</body></html>",
    "htmlfetch": "now",
    "layout": "inline-form",
    "logic": "and",
    "matchType": "exact",
    "reltype": "contact",
    "sentiment": "positive",
    "state": "IL",
    "stringid": "list-<id>",
    "tagType": "contact",
    "textfetch": "now",
    "tz": "America/Chicago",
    "ua": "GMail",
    "visibility": "private",
    "zip": "60601",
}


@cache
def recorded() -> dict[str, dict[str, Kinds]]:
    """Collection → field → the kinds of its values."""
    tables: dict[str, dict[str, Kinds]] = {}
    kinds: Kinds = ()
    text = Path(__file__).with_name("recorded.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("["):
            fields = tables.setdefault(line[1:-1], {})
            continue
        before, colon, names = line.partition(":")
        if colon:
            kinds = tuple(before.split())
        fields.update(dict.fromkeys((names if colon else line).split(), kinds))
    return tables


def fact_of(field: str) -> str:
    """The fact that a field carries: its own name where no other spelling is known."""
    return _FACT_OF.get(field, field)


@cache
def references(collection: str) -> tuple[str, ...]:
    """The facts of a collection's records that are ids of other records."""
    fields = recorded()[collection]
    found: dict[str, None] = {}
    for name, kinds in fields.items():
        fact = _FACT_OF.get(name, "")
        # where the plain name is always null, the spelling beside it is "0"
        is_null = fields.get(fact, ("int",)) == ("null",)
        if fact in TARGETS and {"int", "string(int)"} & set(kinds) and not is_null:
            found[fact] = None
    return tuple(found)


def prototype(collection: str, variant: int, facts: Collection[str] = ()) -> Record:
    """A record of a collection in one of its variants, with holes for facts.

    A field that no fact tells has a value that says nothing ("0", "", null) or a made-up text.
    """
    record: Record = {}
    for name, kinds in recorded()[collection].items():
        kind = _kind(name, kinds, variant)
        if name in facts or (kind != "missing" and name != "links"):
            record[name] = _value(name, kind, kinds, facts)
    if "links" in recorded()[collection]:
        record["links"] = _links(collection, record)
    return record


def shapes(collection: str, own: Record) -> tuple[Shape, ...]:
    """All variants of a collection; `own` replaces what the variants have of its fields."""
    made = []
    for variant in range(VARIANTS):
        record = prototype(collection, variant)
        made.append(Shape(record | {key: own[key] for key in own if key in record}))
    return tuple(made)


@cache
def shape(collection: str, variant: int, facts: tuple[str, ...]) -> Shape:
    """The shape of a collection's records whose story tells these facts."""
    record = prototype(collection, variant, facts)
    if not any("." in name for name in record):
        return Shape(record)
    nested: Record = {"attributes": {}}
    for name, value in record.items():
        outer, _, name_inside = name.partition(".")
        if name_inside:
            nested[outer][name_inside] = value
        else:
            nested[name] = value
    return Shape(nested)


def _kind(name: str, kinds: Kinds, variant: int) -> str:
    if variant < VARIANTS // 2 or len(kinds) == 1:
        return kinds[0]
    return kinds[(variant + len(name)) % len(kinds)]


def _value(name: str, kind: str, kinds: Kinds, facts: Collection[str]) -> Any:
    if kind == "missing" or (kind in _SILENT and name in facts):
        kind = next((other for other in kinds if other not in _SILENT), "null")
    if name == "id" and "id" not in facts:
        return "<<number:json>>" if kind == "int" else "<id>"
    return _told(name, kind, facts) or _untold(name, kind)


def _told(name: str, kind: str, facts: Collection[str]) -> str | None:
    """The hole for a fact that a field carries."""
    fact = name if name in facts else _FACT_OF.get(name, "")
    if fact not in facts or (fact != name and kind in _SILENT | {"array", "object"}):
        return None
    if kind in _STAMPS:
        return f"<<{fact}:{_STAMPS[kind]}>>"
    if fact in {"created", "updated"}:
        return None
    return f"<<{fact}:{'quoted' if kind.startswith('string') else 'json'}>>"


def _untold(name: str, kind: str) -> Any:
    """A value that says nothing."""
    if kind in _STAMPS:
        return "0000-00-00 00:00:00" if kind == "ts-naive" else None
    if kind in {"array", "object"}:
        return [] if kind == "array" else {}
    if kind == "zero-date" and name.endswith(("_date", "rating_tstamp")):
        return "0000-00-00"
    return _PLAIN[kind] if kind in _PLAIN else _text(name)


def _text(name: str) -> str:
    if name in _TEXTS:
        return _TEXTS[name]
    lowered = name.lower()
    if "email" in lowered or lowered.endswith("address"):
        return "someone.<id>@example.com"
    if lowered.endswith(("url", "link", "logo", "logosmall", "screenshot")):
        return "https://www.example.com/<id>"
    return f"{words.TOPICS[len(name) % len(words.TOPICS)]} <id>"


def _links(collection: str, record: Record) -> Any:
    kinds = recorded()[collection]["links"]
    if kinds != ("object",):
        return _untold("links", kinds[0])
    names = [name for name in record if name in _SPELLINGS and name not in {"created", "updated"}]
    return {name: f"{HOST}/{collection}/<id>/{name}" for name in names}
