"""Keyed hashes instead of personal values: equal values stay equal, and nobody can guess them.

A hash without a key would not do: all telephone numbers of a country are tried in seconds. So it is
an HMAC-SHA256, made by DuckDB itself. The key comes from the environment. It is in no statement and
no table: a connection knows it as two variables.
"""

from __future__ import annotations

import os
from hashlib import sha256

import duckdb

from activecampaign_dagster.warehouse.sql import literal
from activecampaign_dagster.warehouse.warehouse import WarehouseError

KEY_VARIABLE = "ACTIVECAMPAIGN_HASH_KEY"
_BLOCK = 64  # bytes that SHA-256 takes at a time
_SHORTEST = 16  # characters
_INNER, _OUTER = "activecampaign_hash_inner", "activecampaign_hash_outer"
_FORM = "[0-9a-f]{64}"


def set_key(db: duckdb.DuckDBPyConnection) -> None:
    """Let a connection make hashes; raises WarehouseError if the environment holds no key."""
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if len(key) < _SHORTEST:
        raise WarehouseError(
            f"hash_fields needs a key of at least {_SHORTEST} characters in {KEY_VARIABLE}: set it "
            "to a random text, and keep it, because hashes made with another key do not match."
        )
    # as RFC 2104 has it
    secret = key.encode()
    block = sha256(secret).digest() if len(secret) > _BLOCK else secret
    for name, pad in ((_INNER, 0x36), (_OUTER, 0x5C)):
        value = bytes(byte ^ pad for byte in block.ljust(_BLOCK, b"\0"))
        db.execute("create or replace temp table pad as select ?::blob as pad", [value])
        db.execute(f"set variable {name} = (select pad from temp.pad)")
    db.execute("drop table temp.pad")


def has_key() -> bool:
    """Whether the environment holds a key."""
    return len(os.environ.get(KEY_VARIABLE, "").strip()) >= _SHORTEST


def hash_of(db: duckdb.DuckDBPyConnection, text: str) -> str:
    """The hash of a text; raises WarehouseError if the environment holds no key."""
    set_key(db)
    (made,) = db.execute(
        f"select {hashed_sql('t')} from (select ?::varchar as t)", [text]
    ).fetchone() or ("",)
    return str(made)


def hashed_sql(text: str) -> str:
    """SQL: the hash of a text; NULL and empty texts stay what they are, they tell of nobody."""
    inner = f"sha256(getvariable({literal(_INNER)})::blob || encode({text}))"
    outer = f"sha256(getvariable({literal(_OUTER)})::blob || unhex({inner}))"
    return f"case when {text} = '' then '' when {text} is not null then {outer} end"


def hashed_values_sql(document: str) -> str:
    """SQL: a JSON object with the hash of each of its values; anything else hashed as a whole."""
    entry = f"{{'key': entry.key, 'value': {hashed_sql('entry.value')}}}"
    entries = f"map_entries({document}::map(varchar, varchar))"
    made = f"to_json(map_from_entries(list_transform({entries}, lambda entry: {entry})))"
    whole = f"to_json({hashed_sql(f'{document}::varchar')})"
    return (
        f"case when {document} is null then null "
        f"when json_type({document}) = 'OBJECT' then {made} else {whole} end"
    )


def is_hashed_sql(text: str) -> str:
    """SQL: whether a text is a hash already, or empty."""
    return f"coalesce({text} = '' or regexp_full_match({text}, {literal(_FORM)}), true)"


def all_hashed_sql(document: str) -> str:
    """SQL: whether all values of a JSON object are hashes already; true for what is empty."""
    values = f"map_values({document}::map(varchar, varchar))"
    each = f"list_bool_and(list_transform({values}, lambda value: {is_hashed_sql('value')}))"
    whole = is_hashed_sql(f"json_extract_string({document}, '$')")
    return (
        f"case when {document} is null then true when json_type({document}) = 'OBJECT' "
        f"then coalesce({each}, true) else {whole} end"
    )


def landing_sql(type_: str, value: str) -> str:
    """SQL: what lands of a value whose column is hashed."""
    return hashed_values_sql(value) if type_ == "JSON" else hashed_sql(value)
