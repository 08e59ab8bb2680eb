"""The command `activecampaign`: look before you leap."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click
from dagster.components.core.component_tree import ComponentTree
from dotenv import load_dotenv

from activecampaign_dagster.api.errors import ActiveCampaignError
from activecampaign_dagster.commands.forget import forget
from activecampaign_dagster.components.mistakes import plainly
from activecampaign_dagster.components.source import accounts
from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.resources import database_path
from activecampaign_dagster.streams.declaration import Stream
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.survey.survey import INCLUDE_WORKS, Effort, Survey, survey
from activecampaign_dagster.warehouse.file import connect
from activecampaign_dagster.warehouse.ledger import OFFSETS_HONOURED, store_facts
from activecampaign_dagster.warehouse.warehouse import WarehouseError

_PATIENCE = 10.0  # seconds to wait for the database, which a sync may be writing


@click.group()
def main() -> None:
    """Look at ActiveCampaign accounts and at what can be read from them."""
    # as Dagster's commands do, for which it goes before the environment
    load_dotenv(Path.cwd() / ".env", override=True)


main.add_command(forget)


@main.command()
@click.argument("account", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
def check(account: str | None, *, as_json: bool) -> None:
    """Try what a sync of ACCOUNT (default: all) will need, in about twenty requests.

    What it finds out about date filters is kept in the database, where syncs use it.
    Exit code: 0 if all that is configured can be read, 1 if not, 2 if the configuration is wrong.
    """
    found = {one.name: one for one in configured()}
    if account and account not in found:
        raise click.UsageError(f"There is no account {account!r}; there are {', '.join(found)}.")
    reports, failed = [], False
    for one in [found[account]] if account else found.values():
        try:
            report = _survey(one)
        except ActiveCampaignError as error:
            failed = True
            reports.append({"account": one.name, "error": str(error)})
            if not as_json:
                click.echo(f"{one.name}: {error}", err=True)
            continue
        failed = failed or not report.is_readable
        reports.append(asdict(report))
        if not as_json:
            click.echo(_told(report))
    if as_json:
        click.echo(json.dumps(reports, indent=2))
    sys.exit(1 if failed else 0)


@main.command()
@click.argument("word", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
def streams(word: str | None, *, as_json: bool) -> None:
    """List the streams, those that WORD occurs in, or all about the stream called WORD."""
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
    with plainly():
        tree = ComponentTree.for_project(Path(__file__).parent)
        return [one.account() for one in accounts(tree.load_context)]


def _survey(account: Account) -> Survey:
    with account.api.client() as client:
        report = survey(client, account.source)
    try:
        store_facts(
            partial(connect, database_path(), patience=_PATIENCE), account.name, report.facts
        )
    except WarehouseError as error:
        click.echo(f"What was found out could not be kept: {error}", err=True)
    return report


def _told(report: Survey) -> str:
    rows = [("stream", "table", "sync type", "rows")]
    notes = []
    for access in report.streams:
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
    if any(not access.enabled for access in report.streams):
        table.append("  (in brackets: not enabled)")
    return "\n".join(
        [
            f"{report.account}: {report.url}, with the key of {report.user}",
            *table,
            *notes,
            *_findings(report),
        ]
    )


def _findings(report: Survey) -> list[str]:
    lines = [
        f"First full sync: {_cost(report.first_full_sync)}. "
        f"A sync when nothing changed: {_cost(report.quiet_incremental_sync)}."
    ]
    if report.hidden_deals:
        named = ", ".join(report.hidden_pipelines)
        lines.append(
            f"{report.hidden_deals} of {report.deals_seen} deals looked at are hidden from this "
            f"key{f', in the pipelines {named}' if named else ''}: their pipelines were deleted, "
            "or the key's user may not manage them."
        )
    answers = {
        name.partition(":")[2]: value
        for name, value in report.facts.items()
        if name.startswith(OFFSETS_HONOURED)
    }
    said = ", ".join(f"{stream}: {answer}" for stream, answer in answers.items())
    overlap = "10 minutes" if answers and set(answers.values()) == {"yes"} else "24 hours"
    lines.append(f"Date filters honour time-zone offsets? {said}. Syncs overlap by {overlap}.")
    works = report.facts.get(INCLUDE_WORKS, "unknown")
    lines.append(f"Custom field values come with the contacts (include=fieldValues)? {works}.")
    return lines


def _cost(effort: Effort) -> str:
    if effort.requests is None:
        return "unknown, as the account does not tell its totals"
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
