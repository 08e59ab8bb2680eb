"""Comparing tables with the account that they were read from."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.warehouse.pivot import unique_labels
from tests.helpers import Table


def truth(account: Account, stream: str) -> dict[int, dict[str, Any]]:
    """A stream's records by id, as a full sync should land them."""
    records = account.truth(STREAMS[stream].endpoint.collection)
    if stream == "contacts":
        tags = unique_labels(
            (field["id"], field["perstag"]) for field in account.truth("fields").values()
        )
        for record in records.values():
            record["customFields"] = {}
        for value in account.truth("fieldValues").values():
            tag = tags.get(value["field"], value["field"])
            records[int(value["contact"])]["customFields"][tag] = value["value"]
    return records


def differences(account: Account, found: Table, stream: str) -> list[str]:
    """Where the live rows of a stream's table are not what the account holds."""
    expected = truth(account, stream)
    out = [f"{stream} {i} is missing" for i in expected.keys() - found.keys()]
    out += [f"{stream} {i} is not in the account" for i in found.keys() - expected.keys()]
    for i in expected.keys() & found.keys():
        record, row = expected[i], found[i]
        if record.get("isDisabled") and not row["isDisabled"]:
            continue  # a full row that has become a stub stays as it was
        out += [
            f"{stream} {i}.{key}: {record[key]!r} is {row[key]!r}"
            for key in record
            if key in row and not same(record[key], row[key])
        ]
    return out


def same(sent: Any, landed: Any) -> bool:
    """Whether a value in the table is what the account sent."""
    if isinstance(landed, datetime):
        moment = datetime.fromisoformat(str(sent))
        return landed == moment if moment.tzinfo else landed.replace(tzinfo=None) == moment
    if landed is None:
        return sent is None or sent == "" or str(sent).startswith("0000-00-00")
    if isinstance(landed, bool):
        return str(sent).lower() in ({"true", "1"} if landed else {"false", "0"})
    if isinstance(sent, list):
        return True  # ids in place of which side-loaded records have landed
    if isinstance(sent, dict):
        return bool(sent == json.loads(landed))
    return str(landed) == str(sent)
