"""Making up a whole account from a seed and a few sizes."""

from __future__ import annotations

import time
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from activecampaign_dagster.sandbox import (
    calendar,
    campaigns,
    contacts,
    custom_fields,
    deals,
    pipelines,
    stamps,
)
from activecampaign_dagster.sandbox.catalogue import CATALOGUE
from activecampaign_dagster.sandbox.children import Parents
from activecampaign_dagster.sandbox.family import Origin
from activecampaign_dagster.sandbox.stamps import DAY
from activecampaign_dagster.sandbox.state import Beginning, Clock
from activecampaign_dagster.sandbox.store import Rows

_MOST = {
    "contacts": 10_000_000,
    "deals": 10_000_000,
    "field_values": 50_000_000,
    "campaigns": 10_000,
    "bulk_import": 10_000_000,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Sizes of an account to make up."""

    seed: int
    contacts: int
    deals: int
    field_values: int
    years: float
    campaigns: int
    users: int
    bulk_import: int
    stub_share: float
    sizes: Mapping[str, float]

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"the number of {name.replace('_', ' ')} must be 0 to {most}")
        unknown = sorted(self.sizes.keys() - CATALOGUE.keys())
        if unknown:
            raise ValueError(f"sizes must be of collections, not of {', '.join(unknown)}")
        if not all(0 <= size <= 1_000_000 for size in self.sizes.values()):
            raise ValueError("sizes must be 0 to 1000000")
        if self.field_values and not self.contacts:
            raise ValueError("field values need contacts")
        if not 0.1 <= self.years <= 20:
            raise ValueError("years must be between 0.1 and 20")
        if not 1 <= self.users <= 60:
            raise ValueError("users must be between 1 and 60")


def ticking(start: datetime) -> Clock:
    """A clock that shows `start` now and runs from there."""
    began = time.monotonic()
    return lambda: start + timedelta(seconds=time.monotonic() - began)


def begin(scale: Scale, now: datetime | None, clock: Clock | None) -> Beginning:
    """The records of an account of a scale, as of `now`."""
    moment = now or (clock() if clock else datetime.now(tz=UTC))
    end = stamps.seconds(moment)
    start = calendar.first_day(moment, scale.years)
    people = contacts.generate(scale.seed, scale.contacts, start, end, scale.bulk_import)
    # deals begin when there are contacts to sell to
    selling = min(end - DAY, start + 14 * DAY)
    business = deals.generate(
        scale.seed,
        scale.deals,
        people,
        selling,
        end,
        users=scale.users,
        bulk_import=scale.bulk_import,
        stub_share=scale.stub_share,
    )
    made = custom_fields.tables(custom_fields.width(scale.field_values, scale.contacts), start)
    tables = {
        "dealGroups": pipelines.groups(start),
        "dealStages": pipelines.stages(start),
        "campaigns": campaigns.generate(scale.seed, scale.campaigns, people.created, start, end),
        "fields": made.fields,
        "fieldOptions": made.options,
        "fieldRels": made.relations,
        "users": pipelines.users(scale.seed, start, scale.users),
    }
    known = {name: len(table) for name, table in tables.items()}
    known |= {"contacts": scale.contacts, "deals": scale.deals, "fieldValues": scale.field_values}
    parents = {"contacts": _parents(people), "deals": _parents(business)}
    kinds = [
        (made.fields[number]["type"], custom_fields.labels(made, number))
        for number in sorted(made.fields)
    ]
    return Beginning(
        origin=Origin(scale.seed, start, end, _sizes(known, scale.sizes), parents),
        contacts=people,
        deals=business,
        values=custom_fields.FieldValues(
            "contact", parents["contacts"], scale.field_values, scale.seed, kinds, end
        ),
        fields=made,
        tables=tables,
        clock=clock or ticking(moment),
    )


def _parents(rows: Rows) -> Parents:
    created, updated = array("I", rows.created), array("I", rows.updated)
    return Parents(array("I", rows.ids), created.__getitem__, updated.__getitem__)


def _sizes(known: Mapping[str, int], asked: Mapping[str, float]) -> dict[str, int]:
    """Say how many records every collection begins with."""
    sizes = dict(known)
    for name, collection in CATALOGUE.items():
        if name not in sizes:
            per = asked.get(name, collection.size)
            sizes[name] = round(per * sizes[collection.parent] if collection.parent else per)
    return sizes
