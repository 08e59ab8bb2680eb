"""`python -m activecampaign_dagster.sandbox`: a made-up account to try things on."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any, NoReturn
from zoneinfo import available_timezones

from activecampaign_dagster.sandbox.account import Account
from activecampaign_dagster.sandbox.live import Live
from activecampaign_dagster.sandbox.server import Sandbox
from activecampaign_dagster.sandbox.stamps import DateFilter


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One sentence instead of the whole usage."""
        self.exit(2, f"{message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m activecampaign_dagster.sandbox",
        description="Serve a simulated ActiveCampaign account on loopback.",
    )

    def add(name: str, *, help: str, **options: Any) -> None:
        default = options.get("default")
        shown = f"{help} (default: {default})" if default not in (None, []) else help
        parser.add_argument(name, help=shown, **options)

    add("--host", default="127.0.0.1", help="a loopback address")
    add("--port", type=int, default=8765, help="0 takes any free port")
    add("--seed", type=int, default=1, help="the same seed makes the same account")
    add("--contacts", type=int, default=20_000, help="how many there are")
    add("--deals", type=int, help="how many there are (default: half the contacts)")
    add("--field-values", type=int, help="of contacts' custom fields (default: 3 for each contact)")
    add("--years", type=float, default=5, help="how far the account reaches back")
    add("--requests-per-second", type=int, default=5, help="0: no limit")
    add("--latency", type=float, default=0.0, help="seconds before every answer")
    add("--jitter", type=float, default=0.0, help="up to so many seconds before a request arrives")
    add("--api-key", default="sandbox-key", help="the key that requests must have")
    add(
        "--live",
        type=float,
        nargs="?",
        const=30.0,
        metavar="PER_MINUTE",
        help="keep changing the account, 30 times a minute by default",
    )
    add("--bulk-import", type=int, default=300, help="deals that share one creation stamp")
    add(
        "--size",
        action="append",
        default=[],
        metavar="COLLECTION=NUMBER",
        help="records of another collection, or records per parent: contactTags=3",
    )
    add("--off", action="append", default=[], help="a feature that the account does not have")
    add(
        "--date-filter",
        choices=[str(way) for way in DateFilter],
        default="offset_honoured",
        help="how date filters read time-zone offsets",
    )
    add("--zone", default="America/Chicago", help="the zone that stamps are written in")
    add("--ignore-include", action="store_true", help="include= on contacts does nothing")
    return parser


def _sandbox(options: argparse.Namespace) -> Sandbox:
    """Make what the options describe; ValueError or OSError when it cannot be had."""
    if not 0 <= options.port <= 65_535:
        raise ValueError("the port must be between 0 and 65535")
    if options.requests_per_second < 0:
        raise ValueError("the requests per second must not be negative")
    for option in ("latency", "jitter"):
        if not 0 <= getattr(options, option) <= 600:
            raise ValueError(f"the {option} must be 0 to 600 seconds")
    sizes: dict[str, float] = {}
    for size in options.size:
        name, _, number = size.partition("=")
        sizes[name] = float(number)
    if options.zone not in available_timezones():
        raise ValueError(f"there is no zone {options.zone}")
    account = Account.generate(
        seed=options.seed,
        contacts=options.contacts,
        deals=options.contacts // 2 if options.deals is None else options.deals,
        field_values=3 * options.contacts if options.field_values is None else options.field_values,
        years=options.years,
        bulk_import=options.bulk_import,
        date_filter=options.date_filter,
        include_honoured=not options.ignore_include,
        sizes=sizes,
        zone=options.zone,
    )
    for feature in options.off:
        account.switch_off(feature)
    return Sandbox(
        account,
        host=options.host,
        port=options.port,
        api_key=options.api_key,
        requests_per_second=options.requests_per_second or None,
        latency=options.latency,
        jitter=options.jitter,
        seed=options.seed,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; 0 then, 2 when the options cannot be met."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    options = _parser().parse_args(arguments)
    try:
        sandbox = _sandbox(options)
        live = (
            Live(sandbox.account, options.live, options.seed) if options.live is not None else None
        )
    except OSError as error:
        reason = error.strerror or str(error)
        print(f"cannot listen on {options.host}:{options.port}: {reason}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    with sandbox, live or contextlib.nullcontext():
        counts = ", ".join(
            f"{len(sandbox.account.visible_ids(name))} {name}"
            for name in ("contacts", "deals", "fieldValues", "campaigns", "users")
        )
        print(f"simulated account on {sandbox.url}, key {sandbox.api_key}: {counts}")
        print(f"export ACTIVECAMPAIGN_URL={sandbox.url}")
        print(f"export ACTIVECAMPAIGN_API_KEY={sandbox.api_key}", flush=True)
        # a plain wait would keep signals from being handled on some platforms
        while not stop.wait(0.5):
            pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
