"""A person is removed from every table of a database.

Rows about the person (the contact, its field values, …) are deleted. Rows about something else that
refer to the person (a deal) stay, since sums depend on them, but the reference becomes NULL, and so
does each text in them that holds one of the person's own values. And wherever else the person's
address stands in a text, that text becomes NULL. Tables of dbt count like those of streams.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

import duckdb

from activecampaign_dagster.streams.declaration import Stream
from activecampaign_dagster.streams.person import (
    ADDRESS,
    ID_COLUMNS,
    PERSON,
    TABLE_PREFIX,
    columns_of_person,
    personal_texts,
    tells_of_persons,
)
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.warehouse import builds, ledger, rejected
from activecampaign_dagster.warehouse.hashing import has_key, hash_of
from activecampaign_dagster.warehouse.sql import SCHEMA, literal, quoted, relations
from activecampaign_dagster.warehouse.tables import key_sql
from activecampaign_dagster.warehouse.warehouse import WarehouseError, commit

_SHORTEST_TEXT = 3  # characters; shorter ones stand in too many texts by chance


@dataclass(frozen=True, slots=True)
class Person:
    """One contact of one account, or an address that no contact has. texts: its own values."""

    account: str | None
    ids: tuple[int, ...] = ()
    addresses: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed from one table."""

    table: str
    rows: int
    texts: int


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of the database; stream and account are None where it is not a stream's."""

    schema: str
    name: str
    types: dict[str, str]
    nullable: frozenset[str]
    stream: Stream | None = None
    account: str | None = None
    keys: set[str] = field(default_factory=set)

    @property
    def relation(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    @property
    def tells_of_persons(self) -> bool:
        if self.stream:
            return tells_of_persons(self.stream)
        return self.name.casefold().startswith(TABLE_PREFIX)

    @property
    def id_columns(self) -> list[str]:
        wanted = (
            {n.casefold() for n in columns_of_person(self.stream)} if self.stream else ID_COLUMNS
        )
        return [name for name in self.types if name.casefold() in wanted]

    @property
    def text_columns(self) -> list[str]:
        return [n for n, t in self.types.items() if "VARCHAR" in t or "JSON" in t]


def find(db: duckdb.DuckDBPyConnection, who: str, account: str | None) -> list[Person]:
    """The persons that `who` means: an id or an e-mail address; account: of this one alone.

    Raises WarehouseError if it is neither, or an id without saying of which account.
    """
    listed = _listed(db, account)
    address = who.strip().casefold() if "@" in who else None
    if address is None and not who.strip().isdecimal():
        raise WarehouseError(
            f"{who!r} is neither the id nor the e-mail address of a contact: write a number as in "
            f"the column id of the table {PERSON.name}, or an address."
        )
    if address is None and len(listed) > 1:
        raise WarehouseError(
            f"Contacts of several accounts have the id {who}: name the account with --account, one "
            f"of {', '.join(sorted(listed))}."
        )
    found = []
    for name, table in sorted(listed.items()):
        present = _present(db, table)
        texts = [quoted(each) for each in personal_texts() if each.casefold() in present]
        places = ", ".join([quoted(PERSON.key[0]), quoted(ADDRESS), *texts])
        where, values = f"{quoted(PERSON.key[0])} = ?", [who.strip()]
        if address:
            same = [
                address,
                *([hash_of(db, who.strip()), hash_of(db, address)] if has_key() else []),
            ]
            where, values = f"lower({quoted(ADDRESS)}) in (select unnest(?))", [same]  # type: ignore[list-item]
        rows = db.execute(
            f"select {places} from {SCHEMA}.{quoted(table)} where {where}", values
        ).fetchall()
        ids = [row[0] for row in rows] or ([] if address else [int(who)])
        known = {row[1].casefold() for row in rows if row[1]} | ({address} if address else set())
        own = {str(text) for row in rows for text in row[1:] if text}
        found.append(
            Person(
                name,
                tuple(ids),
                tuple(sorted(known)),
                tuple(sorted(text for text in own if len(text) >= _SHORTEST_TEXT)),
            )
        )
    return found or [Person(None, addresses=(address,) if address else ())]


def forget(db: duckdb.DuckDBPyConnection, persons: Sequence[Person]) -> list[Removed]:
    """Remove persons from all tables in one transaction; returns what was removed from which."""
    tables = list(_tables(db))
    accounts = {table.account for table in tables if table.account}

    def gone() -> list[Removed]:
        removed = []
        for table in tables:
            if (table.schema, table.name) == (SCHEMA, rejected.NAME):
                continue
            rows = texts = 0
            for person in persons:
                where = _refers(table, person, len(accounts))
                if where and table.tells_of_persons:
                    rows += _delete(db, table, where)
                elif where:
                    texts += _detach(db, table, where, person)
                texts += sum(_clear(db, table, column, person) for column in table.text_columns)
            if rows or texts:
                removed.append(Removed(f"{table.schema}.{table.name}", rows, texts))
            if rows and table.stream and table.account:
                ledger.recount(db, table.account, table.stream.name, table.name)
        if values := _forget_rejected(db, tables, persons):
            removed.append(Removed(f"{SCHEMA}.{rejected.NAME}", values, 0))
        if removed:
            builds.forget(db)
        return removed

    return commit(db, gone)


def _refers(table: _Table, person: Person, accounts: int) -> str | None:
    """SQL: whether a row is of the person or refers to it; None if the table's rows cannot."""
    names = table.id_columns
    if not names or not person.ids:
        return None
    ids = ", ".join(literal(str(each)) for each in person.ids)
    where = " or ".join(f"{quoted(name)}::varchar in ({ids})" for name in names)
    if table.stream:
        return where if table.account == person.account else None
    if "account" in table.types:
        return f"({where}) and account = {literal(str(person.account))}"
    return where if accounts < 2 else None


def _delete(db: duckdb.DuckDBPyConnection, table: _Table, where: str) -> int:
    if table.stream and table.account:
        key = db.execute(
            f"select ({key_sql(table.stream, 't')})::varchar from {table.relation} as t "
            f"where {where}"
        ).fetchall()
        table.keys.update(each for (each,) in key)
    return _count(db.execute(f"delete from {table.relation} where {where}"))


def _detach(db: duckdb.DuckDBPyConnection, table: _Table, where: str, person: Person) -> int:
    """Clear the reference to a person, and the texts of those rows that hold its values."""
    cleared = 0
    for column in table.text_columns:
        name = f"lower({quoted(column)}::varchar)"
        holds = " or ".join(f"contains({name}, {literal(t.casefold())})" for t in person.texts)
        if holds:
            cleared += _set_null(db, table, column, f"({where}) and ({holds})")
    named = [name for name in table.id_columns if name in table.nullable]
    if len(named) < len(table.id_columns):
        return cleared + _count(db.execute(f"delete from {table.relation} where {where}"))
    changes = ", ".join(f"{quoted(name)} = null" for name in named)
    return cleared + _count(db.execute(f"update {table.relation} set {changes} where {where}"))


def _clear(db: duckdb.DuckDBPyConnection, table: _Table, column: str, person: Person) -> int:
    """Clear the texts of a column that hold the person's address."""
    if not person.addresses:
        return 0
    return _set_null(db, table, column, _holds_address(quoted(column), person))


def _holds_address(column: str, person: Person) -> str:
    spellings = {s for a in person.addresses for s in (a, quote(a).casefold())}
    any_of = "|".join(re.escape(each) for each in sorted(spellings))
    # no other address may end or begin like it
    pattern = rf"(^|[^a-z0-9._%+\-])({any_of})($|[^a-z0-9.\-]|\.($|[^a-z0-9]))"
    return f"regexp_matches(lower({column}::varchar), {literal(pattern)})"


def _set_null(db: duckdb.DuckDBPyConnection, table: _Table, column: str, where: str) -> int:
    where = f"{quoted(column)} is not null and {where}"
    if column not in table.nullable:
        return _count(db.execute(f"delete from {table.relation} where {where}"))
    return _count(db.execute(f"update {table.relation} set {quoted(column)} = null where {where}"))


def _forget_rejected(
    db: duckdb.DuckDBPyConnection, tables: Sequence[_Table], persons: Sequence[Person]
) -> int:
    gone = sum(
        rejected.forget_keys(db, table.account, table.stream.name, sorted(table.keys))
        for table in tables
        if table.stream and table.keys
    )
    for person in persons:
        if person.addresses:
            gone += rejected.forget_values(db, _holds_address('"value"', person))
    return gone


def _count(result: duckdb.DuckDBPyConnection) -> int:
    row = result.fetchone()
    return int(row[0]) if row else 0


def _listed(db: duckdb.DuckDBPyConnection, account: str | None) -> dict[str, str]:
    """Account → its table of persons; raises WarehouseError if the named account is not there."""
    listed = {
        name: table
        for name, stream, table in ledger.entries(db)
        if stream == PERSON.name and _present(db, table)
    }
    if account is None:
        return listed
    if account not in listed:
        raise WarehouseError(
            f"The database has no account {account!r}; it has {', '.join(sorted(listed))}."
        )
    return {account: listed[account]}


def _present(db: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    """The columns of a table of streams, in lower case; none if it is not there."""
    rows = db.execute(
        "select lower(column_name) from duckdb_columns() where database_name = current_database() "
        "and schema_name = ? and table_name = ?",
        [SCHEMA, table],
    ).fetchall()
    return {name for (name,) in rows}


def _tables(db: duckdb.DuckDBPyConnection) -> Iterator[_Table]:
    """All tables of the database."""
    streams = {
        table: (account, STREAMS[stream])
        for account, stream, table in ledger.entries(db)
        if stream in STREAMS
    }
    rows = db.execute("""
        select schema_name, table_name, list(column_name order by column_index),
            list(data_type order by column_index), list(is_nullable order by column_index)
        from duckdb_columns()
        where database_name = current_database() group by all order by all
    """).fetchall()
    kinds = relations(db)
    for schema, name, columns, types, nullable in rows:
        if kinds.get((schema, name)) != "BASE TABLE":
            continue
        account, stream = streams.get(name, (None, None)) if schema == SCHEMA else (None, None)
        can_be_null = (c for c, free in zip(columns, nullable, strict=True) if free)
        yield _Table(
            *(schema, name, dict(zip(columns, types, strict=True)), frozenset(can_be_null)),
            *(stream, account),
        )
