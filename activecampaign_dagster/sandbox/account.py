"""A simulated ActiveCampaign account: made up from a seed, changed, and asked over its API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from random import Random
from zoneinfo import ZoneInfo

from activecampaign_dagster.sandbox import activity, answers, generation
from activecampaign_dagster.sandbox.operations import Operations
from activecampaign_dagster.sandbox.query import Params
from activecampaign_dagster.sandbox.stamps import DateFilter, in_zone
from activecampaign_dagster.sandbox.state import Clock


class SimulatedAccount(Operations):
    """One account, safe to use from several threads."""

    @classmethod
    def generate(
        cls,
        seed: int = 1,
        contacts: int = 200,
        deals: int = 100,
        field_values: int = 600,
        years: float = 5,
        now: datetime | None = None,
        *,
        clock: Clock | None = None,
        campaign_count: int = 40,
        user_count: int = 8,
        bulk_import: int = 300,
        stub_share: float = 0.02,
        date_filter: DateFilter | str = DateFilter.OFFSET_HONOURED,
        include_honoured: bool = True,
        field_values_touch_contact: bool = True,
        meta: Mapping[str, str] | None = None,
        sizes: Mapping[str, float] | None = None,
        zone: str = "America/Chicago",
    ) -> SimulatedAccount:
        """The account that belongs to these arguments, always the same one.

        `years` is how far it reaches back from `now` (aware; by default the real now).
        `bulk_import` is how many deals, and how many contacts, share one creation stamp (at most a
        third of them); `stub_share` the part of the deals whose pipeline is not accessible.
        `sizes` says how many records other collections have, or have per parent: `{"tags": 40,
        "contactTags": 3}`; nothing is made of them before it is read.
        `zone` is the one that its stamps are written in.
        Without a `clock` changes are stamped by one that shows `now` at first and runs on.
        """
        scale = generation.Scale(
            seed=seed,
            contacts=contacts,
            deals=deals,
            field_values=field_values,
            years=years,
            campaigns=campaign_count,
            users=user_count,
            bulk_import=bulk_import,
            stub_share=stub_share,
            sizes=sizes or {},
        )
        with in_zone(ZoneInfo(zone)):
            made = generation.begin(scale, now, clock)
        account = cls(made, ZoneInfo(zone))
        account.date_filter = DateFilter(date_filter)
        account.include_honoured = include_honoured
        account.field_values_touch_contact = field_values_touch_contact
        account.meta = dict(meta or {})
        return account

    def respond(self, path: str, params: Params = ()) -> tuple[int, bytes]:
        """Status and body for a GET of a path below `/api/3/`: no key, no limit, no faults."""
        with self.lock:
            return answers.answer(self, path, params)

    def churn(self, random: Random, changes: int) -> list[str]:
        """Apply random changes; returns a line about each."""
        return [activity.change(self, random) for _ in range(changes)]


Account = SimulatedAccount
