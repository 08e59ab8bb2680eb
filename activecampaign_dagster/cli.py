"""The command `activecampaign`: looks at accounts, their streams and their syncs."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import dagster as dg
from dotenv import load_dotenv

from activecampaign_dagster.api.errors import ActiveCampaignError, ApiError
from activecampaign_dagster.api.printable import printable
from activecampaign_dagster.commands import catalogue, costs
from activecampaign_dagster.commands import status as status_report
from activecampaign_dagster.commands.access import about_access
from activecampaign_dagster.commands.backup import backup
from activecampaign_dagster.commands.beginning import about_start
from activecampaign_dagster.commands.forget import forget
from activecampaign_dagster.commands.output import AS_JSON, print_json
from activecampaign_dagster.commands.warehouse import warehouse as warehouse_commands
from activecampaign_dagster.components.errors import configuration_errors
from activecampaign_dagster.components.source import accounts
from activecampaign_dagster.orchestration.account import Account
from activecampaign_dagster.orchestration.dagster_internals import project_folder
from activecampaign_dagster.orchestration.resources import use_project, warehouse
from activecampaign_dagster.orchestration.shipped import shipped
from activecampaign_dagster.streams.registry import STREAMS
from activecampaign_dagster.survey import effort
from activecampaign_dagster.survey.survey import (
    INCLUDE_WORKS,
    Access,
    Effort,
    Hidden,
    Survey,
    survey,
)
from activecampaign_dagster.survey.totals import totals
from activecampaign_dagster.warehouse import clock
from activecampaign_dagster.warehouse.clock import UNLESS_KNOWN, Clock
from activecampaign_dagster.warehouse.ledger import (
    OFFSETS_HONOURED,
    TOTALS_FOLLOW_FILTERS,
    store_facts,
)
from activecampaign_dagster.warehouse.location import DATABASE_VARIABLE
from activecampaign_dagster.warehouse.warehouse import WarehouseError

_PATIENCE = 10.0  # seconds to wait for the database, which a sync may be writing


@click.group()
@click.version_option(package_name="activecampaign-dagster", prog_name="activecampaign")
def main() -> None:
    """Look at ActiveCampaign accounts, their streams and their syncs.

    With --json, a command prints one JSON object to stdout, with a list under `accounts` or
    `streams` where it is about several. Times are in ISO 8601 with an offset, counts are numbers,
    and unknown values are null. Errors go to stderr as plain sentences. The exit code is 0, 1 after
    an error, or 2 if the arguments or the configuration are invalid.
    """
    for stream in (sys.stdout, sys.stderr):  # what a terminal's encoding lacks is no reason to end
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    _load_env_files(Path.cwd())
    if project := _project():
        use_project(project)


main.add_command(backup)
main.add_command(forget)
main.add_command(warehouse_commands)


def _load_env_files(folder: Path) -> None:
    """Set the variables of the project's file, then those of the folder's own, which go before."""
    project = project_folder(folder)
    if project and project != folder:
        _load_env(project / ".env")
        database = project / os.environ.get(DATABASE_VARIABLE, "")
        if database.is_file():  # a path there counts from the project
            os.environ[DATABASE_VARIABLE] = str(database)
    _load_env(folder / ".env")


def _load_env(file: Path) -> None:
    """Set the variables in a file, as Dagster's commands do: it goes before the environment."""
    try:
        load_dotenv(file, override=True, encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise click.ClickException(
            f"{file} is not encoded in UTF-8: save it in that encoding."
        ) from None
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read ({error.strerror}).") from None


@main.command()
@click.argument("account", required=False)
@AS_JSON
def check(account: str | None, *, as_json: bool) -> None:
    """Check the key, permissions and size of ACCOUNT (default: all) before a sync.

    Sends a request or two for each stream. Stores what it finds about date filters in the
    database, where syncs use it. Exit code: 0 if every enabled stream can be read, 1 if not, 2 if
    the configuration is invalid. A feature that the account lacks is not a failure, nor is a
    missing permission for a stream that is neither listed by name nor part of `core`.
    """
    found = {one.name: one for one in configured()}
    if account and account not in found:
        raise click.UsageError(
            f"There is no account {account!r}. The accounts are {', '.join(found)}."
        )
    results, failed = [], False
    for one in [found[account]] if account else found.values():
        try:
            surveyed = _survey(one)
        except ApiError as error:
            failed = True
            results.append({"account": one.name, "error": str(error)})
            _say(f"{one.name}: {error}", err=True)
            continue
        failed = failed or not surveyed.is_readable
        results.append(_as_dict(surveyed))
        if not as_json:
            _say(_as_text(surveyed))
            for line in about_start(surveyed.began, one.partitions):
                _say(line)
            for line in about_access(one.source, surveyed.hidden):
                _say(line)
    if as_json:
        print_json(accounts=results)
    sys.exit(1 if failed else 0)


@main.command()
@AS_JSON
def status(*, as_json: bool) -> None:
    """Show when each stream was last synced, what failed last and when the next run is due.

    Reads the warehouse and Dagster's storage in DAGSTER_HOME, and sends no request to the
    accounts. May run while a sync writes.
    """
    accounts = configured()
    try:
        found = status_report.report(accounts, warehouse())
    except ActiveCampaignError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        print_json(**status_report.as_dict(found))
        return
    for line in status_report.as_text(found):
        _say(line)


@main.command()
@click.argument("word", required=False)
@click.option(
    "--cost", is_flag=True, help="Show how many requests each stream of the accounts takes."
)
@AS_JSON
def streams(word: str | None, *, cost: bool, as_json: bool) -> None:
    """List all streams by family, those that mention WORD, or the details of the stream WORD.

    With --cost: the requests that the enabled streams of each account take, from one request for
    each that does not come with another one.
    """
    chosen = [STREAMS[word]] if word in STREAMS else catalogue.mentioning(word)
    if not chosen:
        raise click.ClickException(f"No stream mentions {word!r}.")
    if cost:
        _print_costs({one.name for one in chosen}, as_json=as_json)
    elif as_json:
        print_json(streams=[catalogue.described(one) for one in chosen])
    elif word in STREAMS:
        click.echo("\n".join(catalogue.detailed(chosen[0])))
    else:
        click.echo("\n".join(catalogue.by_family(chosen, word)))


def _print_costs(names: set[str], *, as_json: bool) -> None:
    """Print what the enabled streams among `names` take, for each account."""
    results = []
    for one in configured():
        try:
            with one.api.client() as client:
                asked = totals(client, one.source)
        except ApiError as error:
            raise click.ClickException(f"{one.name}: {error}") from None
        # what cannot be read costs no more than the attempt
        rows = {name: 0 if total.error else total.rows for name, total in asked.items()}
        found = [cost for cost in effort.costs(one.source, rows) if cost.stream in names]
        results.append(
            {"account": one.name, "streams": [costs.described(cost, asked) for cost in found]}
        )
        if not as_json:
            _say("\n".join(costs.table(one.name, found, asked)))
    if as_json:
        print_json(accounts=results)


def configured() -> list[Account]:
    """The accounts of the project; raises ConfigurationError, or ClickException without any."""
    project = _project()
    if project is None:
        raise click.ClickException(
            f"{Path.cwd()} is not in a Dagster project: run this command in the folder whose "
            f"pyproject.toml has a table [tool.dg.project]."
        )
    try:
        tree = dg.ComponentTree.for_project(project)
    except dg.DagsterError as error:
        raise click.ClickException(str(error)) from None
    with configuration_errors(tree.defs_module_path):
        found = [one.account() for one in accounts(tree.load_context)]
    if not found:
        raise click.ClickException(
            f"No account is configured in {project}: run `dg scaffold defs "
            "activecampaign_dagster.ActiveCampaignSource NAME` there."
        )
    return found


def _project() -> Path | None:
    """The root of the Dagster project in which the command runs, else in which it is installed."""
    return project_folder(Path.cwd()) or project_folder(shipped("pyproject.toml").parent)


def _survey(account: Account) -> Survey:
    with account.api.client() as client:
        surveyed = survey(client, account.source)
    open_database = partial(warehouse().connect, patience=_PATIENCE)
    try:
        store_facts(open_database, account.name, surveyed.facts)
        found = clock.learn(open_database, account.name, surveyed.offsets)
    except WarehouseError as error:
        _say(f"The findings could not be stored: {error}", err=True)
        found = Clock().after(surveyed.offsets)
    return replace(surveyed, facts={**surveyed.facts, **found.facts})


def _say(text: str, *, err: bool = False) -> None:
    """Print lines that may hold texts of the account."""
    click.echo("\n".join(map(printable, text.splitlines())), err=err)


def _as_dict(surveyed: Survey) -> dict[str, Any]:
    """The survey for machines: of hidden records the numbers and names, by stream and by hider."""
    shown = asdict(replace(surveyed, rereads=()))
    shown["rereads"] = [costs.as_dict(reread) for reread in surveyed.rereads]
    del shown["hidden"], shown["offsets"]
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
        rows.append((access.stream, access.table, access.sync_type, _state(access)))
        if access.unavailable:
            notes.append(f"{access.stream}: the account lacks {access.unavailable}.")
        elif access.error:
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


def _state(access: Access) -> str:
    if access.unavailable:
        return "not on this plan"
    if access.error:
        return "no access"
    if access.rows is None and access.comes_with:
        return f"with {access.comes_with}"
    count = "?" if access.rows is None else f"{access.rows:,}"
    return count if access.enabled else f"({count})"


def _findings(surveyed: Survey) -> list[str]:
    return [
        f"First full sync: {_cost(surveyed.first_full_sync)}. "
        f"A sync when nothing changed: {_cost(surveyed.quiet_incremental_sync)}.",
        costs.about_rereads(surveyed.rereads),
        *(_about_hidden(hidden) for hidden in surveyed.hidden if hidden.stubs),
        _about_filters(surveyed.facts),
        *_about_totals(surveyed.facts),
        *_about_children(surveyed.facts),
        _about_clock(Clock.noted(surveyed.facts)),
    ]


def _about_hidden(hidden: Hidden) -> str:
    text = (
        f"{hidden.stubs} of {hidden.seen} {hidden.stream} that were checked are hidden from "
        f"this key"
    )
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


def _about_clock(found: Clock) -> str:
    if found.zone:
        why = "because the account's other timestamps have its offsets"
    elif found.days:
        offsets = ", ".join(sorted({f"{day:%z}" for day in found.days}))
        why = f"because no time zone has all offsets of the account's other timestamps ({offsets})"
    else:
        why = "because no timestamp with an offset was found"
    return f"Timestamps without an offset are read as times of {found.zone or UNLESS_KNOWN}, {why}."


def _about_totals(facts: Mapping[str, str]) -> Iterator[str]:
    if answers := _answers(facts, TOTALS_FOLLOW_FILTERS):
        shown = ", ".join(f"{stream}: {answer}" for stream, answer in answers.items())
        yield (
            f"Totals follow filters? {shown}. Where they do not, only full syncs find deletions."
        )


def _about_children(facts: Mapping[str, str]) -> Iterator[str]:
    of_parents: dict[str, list[str]] = {}
    for child, answer in _answers(facts, INCLUDE_WORKS).items():
        of_parents.setdefault(str(STREAMS[child].parent), []).append(f"{child}: {answer}")
    for parent, answers in of_parents.items():
        yield f"Records that come with the pages of {parent}? {', '.join(answers)}."


def _answers(facts: Mapping[str, str], fact: str) -> dict[str, str]:
    """Stream → the answer to a question that is asked for several."""
    return {
        name.partition(":")[2]: value
        for name, value in facts.items()
        if name.partition(":")[0] == fact
    }


def _cost(effort: Effort) -> str:
    count = f"{'at least ' if effort.at_least else ''}{effort.requests:,} requests"
    if effort.seconds is None:
        return count
    minutes, seconds = divmod(int(effort.seconds), 60)
    shown = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    return f"{count}, {shown}"


if __name__ == "__main__":
    main()
