"""The command `activecampaign`: looks at accounts before the first sync."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click
import dagster as dg
from dotenv import load_dotenv

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.commands.forget import forget
from activecampaign_dagster.components.errors import configuration_errors
from activecampaign_dagster.components.source import accounts
from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.resources import database_path
from activecampaign_dagster.streams.declaration import Stream
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.survey.survey import INCLUDE_WORKS, Effort, Hidden, Survey, survey
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.ledger import OFFSETS_HONOURED, store_facts
from activecampaign_dagster.warehouse.warehouse import WarehouseError

_PATIENCE = 10.0  # seconds to wait for the database, which a sync may be writing


@click.group()
def main() -> None:
    """Look at ActiveCampaign accounts and at the streams that can be read from them."""
    # as Dagster's commands do, for which it goes before the environment
    load_dotenv(Path.cwd() / ".env", override=True)


main.add_command(forget)


@main.command()
@click.argument("account", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
def check(account: str | None, *, as_json: bool) -> None:
    """Check what a sync of ACCOUNT (default: all) needs, in about twenty requests.

    Findings about date filters are stored in the database, where syncs use them.
    Exit code: 0 if every enabled stream can be read, 1 if not, 2 if the configuration is invalid.
    """
    found = {one.name: one for one in configured()}
    if account and account not in found:
        raise click.UsageError(f"There is no account {account!r}; there are {', '.join(found)}.")
    results, failed = [], False
    for one in [found[account]] if account else found.values():
        try:
            surveyed = _survey(one)
        except ActiveCampaignError as error:
            failed = True
            results.append({"account": one.name, "error": str(error)})
            if not as_json:
                click.echo(f"{one.name}: {error}", err=True)
            continue
        failed = failed or not surveyed.is_readable
        results.append(_as_dict(surveyed))
        if not as_json:
            click.echo(_as_text(surveyed))
    if as_json:
        click.echo(json.dumps(results, indent=2))
    sys.exit(1 if failed else 0)


@main.command()
@click.argument("word", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
def streams(word: str | None, *, as_json: bool) -> None:
    """List all streams, those that mention WORD, or the details of the stream called WORD."""
    chosen = [one for one in STREAMS.values() if word is None or _mentions(one, word)]
    if not chosen:
        raise click.ClickException(f"No stream mentions {word!r}.")
    if word in STREAMS:
        chosen = [STREAMS[word]]
    if as_json:
        click.echo(json.dumps([_described(one) for one in chosen], indent=2))
    elif word in STREAMS:
        click.echo(_detailed(chosen[0]))
    else:
        for one in chosen:
            click.echo(_summarised(one, word))


def configured() -> list[Account]:
    """The accounts of the project; raises ConfigurationError."""
    with configuration_errors():
        tree = dg.ComponentTree.for_project(Path(__file__).parent)
        return [one.account() for one in accounts(tree.load_context)]


def _survey(account: Account) -> Survey:
    with account.api.client() as client:
        surveyed = survey(client, account.source)
    try:
        store_facts(
            partial(connect, database_path(), patience=_PATIENCE), account.name, surveyed.facts
        )
    except WarehouseError as error:
        click.echo(f"The findings could not be stored: {error}", err=True)
    return surveyed


def _as_dict(surveyed: Survey) -> dict[str, Any]:
    """The survey for machines: of hidden records the numbers and names, by stream and by hider."""
    shown = asdict(surveyed)
    del shown["hidden"]
    for hidden in surveyed.hidden:
        shown[f"{hidden.stream}_seen"] = hidden.seen
        shown[f"hidden_{hidden.stream}"] = hidden.stubs
        if hidden.hiders:
            shown[f"hidden_{hidden.hiders}"] = hidden.by
    return shown


def _as_text(surveyed: Survey) -> str:
    rows = [("stream", "table", "sync type", "rows")]
    notes = []
    for access in surveyed.streams:
        count = "?" if access.rows is None else f"{access.rows:,}"
        state = "no access" if access.error else count if access.enabled else f"({count})"
        rows.append((access.stream, access.table, access.sync_type, state))
        if access.error:
            notes.append(f"{access.stream}: {access.error}")
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    table = [
        f"  {name:{widths[0]}}  {table:{widths[1]}}  {kind:{widths[2]}}  {count:>{widths[3]}}"
        for name, table, kind, count in rows
    ]
    if any(not access.enabled for access in surveyed.streams):
        table.append("  (in brackets: not enabled)")
    return "\n".join(
        [
            f"{surveyed.account}: {surveyed.url}, with the key of {surveyed.user}",
            *table,
            *notes,
            *_findings(surveyed),
        ]
    )


def _findings(surveyed: Survey) -> list[str]:
    return [
        f"First full sync: {_cost(surveyed.first_full_sync)}. "
        f"A sync when nothing changed: {_cost(surveyed.quiet_incremental_sync)}.",
        *(_about_hidden(hidden) for hidden in surveyed.hidden if hidden.stubs),
        _about_filters(surveyed.facts),
        *_about_children(surveyed.facts),
    ]


def _about_hidden(hidden: Hidden) -> str:
    text = f"{hidden.stubs} of {hidden.seen} {hidden.stream} looked at are hidden from this key"
    if not hidden.hiders:
        return f"{text}."
    named = f", in the {hidden.hiders} {', '.join(hidden.by)}" if hidden.by else ""
    return (
        f"{text}{named}: their {hidden.hiders} were deleted, or the key's user may not manage them."
    )


def _about_filters(facts: Mapping[str, str]) -> str:
    answers = _answers(facts, OFFSETS_HONOURED)
    shown = ", ".join(f"{stream}: {answer}" for stream, answer in answers.items())
    overlap = "10 minutes" if answers and set(answers.values()) == {"yes"} else "24 hours"
    return f"Date filters honour time-zone offsets? {shown}. Syncs overlap by {overlap}."


def _about_children(facts: Mapping[str, str]) -> Iterator[str]:
    for child, answer in _answers(facts, INCLUDE_WORKS).items():
        beside = STREAMS[child].beside
        if beside:
            asked = f"include={beside.include}"
            yield f"{child} come beside the pages of {beside.parent} ({asked})? {answer}."


def _answers(facts: Mapping[str, str], fact: str) -> dict[str, str]:
    """Stream → the answer to a question that is asked for several."""
    return {
        name.partition(":")[2]: value
        for name, value in facts.items()
        if name.partition(":")[0] == fact
    }


def _cost(effort: Effort) -> str:
    if effort.requests is None:
        return "unknown, because the account does not report its totals"
    if effort.seconds is None:
        return f"{effort.requests:,} requests"
    minutes, seconds = divmod(int(effort.seconds), 60)
    shown = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    return f"{effort.requests:,} requests, {shown}"


def _mentions(stream: Stream, word: str) -> bool:
    text = f"{stream.name} {stream.description}".casefold()
    return word.casefold() in text or bool(_fields(stream, word))


def _fields(stream: Stream, word: str) -> list[str]:
    word = word.casefold()
    return [f.name for f in stream.fields if word in f"{f.name} {f.description}".casefold()]


def _summarised(stream: Stream, word: str | None) -> str:
    key = f", by {stream.replication_key}" if stream.replication_key else ""
    line = f"{stream.name:20} {stream.sync_type}{key}; {len(stream.fields)} fields"
    matching = _fields(stream, word) if word else []
    return f"{line}: {', '.join(matching)}" if matching else line


def _detailed(stream: Stream) -> str:
    lines = [_summarised(stream, None), stream.description, ""]
    lines += [f"  {f.name:32} {f.type:12} {f.description}" for f in stream.fields]
    return "\n".join(lines)


def _described(stream: Stream) -> dict[str, object]:
    return {
        "name": stream.name,
        "path": stream.endpoint.path,
        "description": stream.description,
        "sync_type": str(stream.sync_type),
        "replication_key": stream.replication_key,
        "fields": [
            {"name": f.name, "type": str(f.type), "description": f.description}
            for f in stream.fields
        ],
    }


if __name__ == "__main__":
    main()
