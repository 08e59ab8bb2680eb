"""The tables of a large account, written by SQL where a sync over HTTP would take minutes.

The tables are those that the sync makes; the rows have the shapes that it lands, spread over three
years, six pipelines, four currencies and forty owners. Everything follows from the row's number.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from activecampaign_dagster.streams.source import Source
from activecampaign_dagster.warehouse import ledger, migrate, tables
from activecampaign_dagster.warehouse.file import connect

_FIRST_SYNC = datetime(2026, 3, 1, tzinfo=UTC)
_PIPELINES, _STAGES, _OWNERS, _CAMPAIGNS = 6, 7, 40, 500
_KINDS = "['text', 'text', 'text', 'date', 'dropdown', 'number', 'checkbox', 'text']"


def fill(database: Path, contacts: int, deals: int, values: int, fields: int) -> None:
    """Make a database as a first full sync leaves it."""
    with connect(database) as db:
        db.execute("set memory_limit = '2GB'")
        source = Source()
        migrate.prepare(db, source)
        for table, rows in (
            ("users", _users()),
            ("deal_groups", _pipelines()),
            ("deal_stages", _stages()),
            ("custom_fields", _fields(fields)),
            ("campaigns", _campaigns()),
            ("custom_field_values", _values(contacts, values, fields)),
            ("contacts", _contacts(contacts)),
            ("deals", _deals(contacts, deals)),
        ):
            db.execute(
                f"insert into activecampaign.{table} by name "
                f"select *, timestamptz '{_FIRST_SYNC}' as _synced_at, 'first' as _sync_id "
                f"from ({rows})"
            )
        entries = [
            ledger.Entry(
                stream_table=stream_table,
                at=_FIRST_SYNC,
                sync_id="first",
                watermark=_FIRST_SYNC,
                is_full=True,
                is_pass=True,
                live_rows=tables.count(db, stream_table)[0],
                deleted_rows=0,
            )
            for stream_table in source.stream_tables
        ]
        ledger.record(db, source, entries)


def change(database: Path, share: float, number: int) -> None:
    """Change a share of the contacts with their values, and of the deals, all over the tables.

    number: of the change, from 1; each picks other rows.
    """
    at = f"timestamptz '{_FIRST_SYNC}' + interval {number} day"
    next_stage = _stage_of('"group"', f"id + {number}")
    stamped = f"_synced_at = {at}, _sync_id = 'change {number}'"
    with connect(database) as db:
        for table, key, changes in (
            (
                "contacts",
                "id",
                f"phone = '+1-202-555-01{number:02d}', sentcnt = sentcnt + 1, udate = {at}",
            ),
            ("deals", "id", f"stage = {next_stage}, mdate = {at}"),
            ("custom_field_values", "contact", f"\"value\" = 'changed ' || id, udate = {at}"),
        ):
            picked = f"{_pick(key, f'change {number}', 10_000)} < {round(share * 10_000)}"
            db.execute(f"update activecampaign.{table} set {changes}, {stamped} where {picked}")


def _pick(number: str, what: str, choices: int) -> str:
    """A whole number below `choices`, well mixed, and another for every `what`."""
    return f"cast(hash({number}, '{what}') % {choices} as bigint)"


def _spread(number: str) -> str:
    """A stamp within the three years before the first sync."""
    return f"timestamptz '{_FIRST_SYNC}' - to_seconds({_pick(number, 'stamp', 3 * 365 * 86400)})"


def _users() -> str:
    return f"""
        select i as id, 'user' || i as username, 'user' || i || '@example.com' as email,
            'First' || i as "firstName", 'Last' || i as "lastName"
        from range(1, {_OWNERS + 1}) as t(i)"""


def _pipelines() -> str:
    return f"""
        select i as id, 'Pipeline ' || i as title, 'eur' as currency, {_spread("i")} as cdate
        from range(1, {_PIPELINES + 1}) as t(i)"""


def _stage_of(pipeline: str, number: str) -> str:
    return f"({pipeline} - 1) * {_STAGES} + {_pick(number, 'stage', _STAGES)} + 1"


def _stages() -> str:
    return f"""
        select i as id, 'Stage ' || i as title, (i - 1) // {_STAGES} + 1 as "group",
            (i - 1) % {_STAGES} + 1 as "order"
        from range(1, {_PIPELINES * _STAGES + 1}) as t(i)"""


def _fields(fields: int) -> str:
    return f"""
        select i as id, 'Field ' || i as title, 'FIELD_' || i as perstag,
            {_KINDS}[1 + i % 8] as type, {_spread("i")} as cdate
        from range(1, {fields + 1}) as t(i)"""


def _campaigns() -> str:
    return f"""
        select i as id, 'Campaign ' || i as name, 'single' as type, 5 as status,
            1000 + i as total_amt, 1000 + i as send_amt, 400 as opens, 300 as uniqueopens,
            200 as verified_opens, 150 as verified_unique_opens, 90 as linkclicks,
            80 as uniquelinkclicks, 70 as subscriberclicks, 3 as hardbounces, 2 as softbounces,
            1 as unsubscribes, 1 as trackreads, {_spread("i")} as cdate, {_spread("i")} as sdate
        from range(1, {_CAMPAIGNS + 1}) as t(i)"""


def _values(contacts: int, values: int, fields: int) -> str:
    per_contact = values // contacts
    return f"""
        select i as id, contact, contact as owner, field,
            case {_KINDS}[1 + field % 8]
                when 'date' then cast(date '2000-01-01' + cast(i % 9000 as integer) as varchar)
                when 'number' then cast(i % 1000 / 10 as varchar)
                when 'checkbox' then '||choice ' || i % 5 || '||choice ' || i % 7 || '||'
                else 'some text ' || i % 50000
            end as "value", stamp as cdate, stamp as udate
        from (
            select i, i % {contacts} + 1 as contact,
                (
                    {_pick(f"i % {contacts}", "field", fields)}
                    + i // {contacts} * {fields // per_contact}
                ) % {fields} + 1 as field,
                {_spread("i")} as stamp
            from range(1, {values + 1}) as t(i)
        )"""


def _contacts(contacts: int) -> str:
    return f"""
        select i as id, 'contact' || i || '@example.com' as email,
            'First' || i % 500 as "firstName", 'Last' || i % 7000 as "lastName",
            '+1-202-555-01' || i % 100 as phone,
            case when i % 5 = 0 then i // 5 end as orgid,
            case when i % 5 = 0 then 'Company ' || i // 5 end as orgname,
            i % 30 as sentcnt, case when i % 50 = 0 then 1 else 0 end as bounced_hard,
            0 as bounced_soft, 0 as anonymized, 0 as deleted, md5(cast(i as varchar)) as hash,
            cast({_spread("i")} as timestamp) as last_open_date,
            {_spread("i")} as cdate, {_spread("i")} as udate, found.fields as "customFields"
        from range(1, {contacts + 1}) as t(i)
        left join (
            select contact, to_json(map(list('FIELD_' || field), list("value"))) as fields
            from activecampaign.custom_field_values
            group by contact
        ) as found on found.contact = i"""


def _deals(contacts: int, deals: int) -> str:
    return f"""
        select * exclude (pipeline), pipeline as "group", {_stage_of("pipeline", "id")} as stage
        from (
            select i as id, {_pick("i", "contact", contacts)} + 1 as contact,
                i % {_OWNERS} + 1 as owner, {_pick("i", "pipeline", _PIPELINES)} + 1 as pipeline,
                ['eur', 'usd', 'gbp', 'jpy'][1 + i % 4] as currency,
                'Deal ' || i as title, 'About deal ' || i as description,
                {_pick("i", "value", 1_000_000)} as "value", {_pick("i", "status", 3)} as status,
                i % 12 as activitycount, false as "isDisabled", {_spread("i")} as cdate,
                least(
                    cdate + to_hours({_pick("i", "hours", 3000)}), timestamptz '{_FIRST_SYNC}'
                ) as mdate
            from range(1, {deals + 1}) as t(i)
        )"""
