"""Making up a whole account from a seed and a few sizes."""

from __future__ import annotations

import time
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
from activecampaign_dagster.sandbox.stamps import DAY
from activecampaign_dagster.sandbox.state import Clock, Stock

_MOST = {
    "contacts": 10_000_000,
    "deals": 10_000_000,
    "field_values": 50_000_000,
    "campaigns": 10_000,
    "bulk_import": 10_000_000,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much to make up."""

    seed: int
    contacts: int
    deals: int
    field_values: int
    years: float
    campaigns: int
    users: int
    bulk_import: int
    stub_share: float

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"the number of {name.replace('_', ' ')} must be 0 to {most}")
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


def stock(scale: Scale, now: datetime | None, clock: Clock | None) -> Stock:
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
    width, spare = custom_fields.width(scale.field_values, scale.contacts)
    made = custom_fields.tables(width, start)
    values = custom_fields.FieldValues(scale.seed, scale.field_values, people, made, end, spare)
    return Stock(
        contacts=people,
        deals=business,
        values=values,
        fields=made,
        tables={
            "dealGroups": pipelines.groups(start),
            "dealStages": pipelines.stages(start),
            "campaigns": campaigns.generate(
                scale.seed, scale.campaigns, people.created, start, end
            ),
            "fields": made.fields,
            "fieldOptions": made.options,
            "fieldRels": made.relations,
            "users": pipelines.users(scale.seed, start, scale.users),
        },
        clock=clock or ticking(moment),
    )
