from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from urllib.request import Request, urlopen

import pytest

COMMAND = [sys.executable, "-m", "activecampaign_dagster.sandbox"]
SMALL = ["--contacts", "30", "--deals", "20", "--field-values", "50"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_how_to_reach_it_and_stops_quietly(number: signal.Signals) -> None:
    with subprocess.Popen(
        [*COMMAND, "--port", "0", "--live", "600", *SMALL],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        lines = [process.stdout.readline().removeprefix("export ").strip() for _ in range(2)]
        exported = dict(line.split("=", 1) for line in lines)
        headers = {"Api-Token": exported["ACTIVECAMPAIGN_API_KEY"]}
        request = Request(exported["ACTIVECAMPAIGN_URL"] + "/api/3/users/me", headers=headers)
        with urlopen(request, timeout=5) as response:
            assert json.load(response)["user"]["id"] == "1"
        process.send_signal(number)
        assert process.wait(5) == 0
        assert process.stderr.read() == ""


def test_what_cannot_be_had_is_said_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for options in (
            ["--port", port],
            ["--port", "70000"],
            ["--contacts", "many"],
            ["--contacts", "-1"],
            ["--contacts", "0", "--field-values", "5"],
            ["--host", "0.0.0.0"],
            ["--latency", "nan"],
            ["--jitter", "-1"],
            ["--live", "0"],
            ["--zone", "Springfield"],
            ["--size", "contactTag=3"],
            ["--size", "contactTags=many"],
        ):
            done = subprocess.run(
                [*COMMAND, *SMALL, "--port", "0", *options],
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
            assert (done.returncode, done.stdout) == (2, ""), options
            assert len(done.stderr.splitlines()) == 1, done.stderr


def test_the_help_has_defaults_and_other_sizes_follow_the_number_of_contacts() -> None:
    shown = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True).stdout
    assert "20000" in shown
    assert "None" not in shown
    options = ["--port", "0", "--contacts", "30"]
    with subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert "30 contacts, 15 deals, 90 fieldValues" in process.stdout.readline()
        process.terminate()
