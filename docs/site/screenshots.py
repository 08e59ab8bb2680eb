"""Take the pictures of docs/images: `make screenshots`.

Runs the demo in a folder of its own, serves Dagster's UI on what it left, and opens its pages in
headless Chromium. Without Chromium it says so and leaves the pictures as they are.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

IMAGES = Path(__file__).parents[1] / "images"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_PORT = 3977
_SIZE = (1200, 750)
_MOST_BYTES = 150_000
_LOADING = 30_000  # milliseconds of the page's own time, which runs faster than the clock
_LAST_RUN = "{runsOrError(filter: {statuses: [SUCCESS]}, limit: 1) {... on Runs {results {runId}}}}"


def main() -> None:
    """Parse the arguments and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where a demo has been run already")
    parser.add_argument("--contacts", type=int, default=600, help="size of the simulated account")
    options = parser.parse_args()
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        sys.exit(f"No browser was found ({', '.join(_BROWSERS)}): the pictures stay as they are.")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not options.folder:
            _run(
                [*_python("activecampaign_dagster.demo"), "--contacts", str(options.contacts)],
                folder,
            )
        with _ui(folder / "data") as url:
            for name, page in _pages(url, folder / "data").items():
                _take(browser, page, IMAGES / f"{name}.png")


def _pages(url: str, data: Path) -> dict[str, str]:
    """The name of each picture and the page that it shows."""
    [run] = _ask(url, _LAST_RUN)["runsOrError"]["results"]
    group = _group_of(url, "ecommerce_orders")  # a small one, whose lineage fits
    location = f"{url}/locations/__repository__@activecampaign_demo.definitions"
    return {
        "lineage": f"{location}/asset-groups/{quote(group)}/lineage",
        "stream": f"{url}/assets/activecampaign/deals?view=overview",
        "run": f"{url}/runs/{run['runId']}",
        "mart": f"{url}/assets/marts/pipelines?view=overview",
        "report": (data / "demo_report.html").absolute().as_uri(),
    }


def _group_of(url: str, stream: str) -> str:
    assets = _ask(url, "{assetNodes {groupName assetKey {path}}}")["assetNodes"]
    return next(each["groupName"] for each in assets if each["assetKey"]["path"][-1] == stream)


def _ask(url: str, query: str) -> dict[str, Any]:
    answer = requests.post(f"{url}/graphql", json={"query": query}, timeout=120)
    answer.raise_for_status()
    return dict(answer.json()["data"])


@contextmanager
def _ui(data: Path) -> Iterator[str]:
    """Dagster's web server on the runs and tables of a demo; gives its URL."""
    home, url = data.absolute() / "demo" / "home", f"http://127.0.0.1:{_PORT}"
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "ACTIVECAMPAIGN_DATABASE": str(data.absolute() / "demo.duckdb"),
        "ACTIVECAMPAIGN_URL": "http://127.0.0.1:9",  # nothing is read for a picture
        "ACTIVECAMPAIGN_API_KEY": "none",
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }
    command = [Path(sys.executable).with_name("dagster-webserver"), "--port", str(_PORT)]
    command += ["--module-name", "activecampaign_demo.definitions"]
    with subprocess.Popen(command, cwd=home.parent, env=environment) as server:
        try:
            _wait(f"{url}/server_info")
            yield url
        finally:
            server.terminate()


def _wait(url: str) -> None:
    for _ in range(180):
        try:
            requests.get(url, timeout=5).raise_for_status()
        except requests.RequestException:
            time.sleep(1)
        else:
            return
    sys.exit(f"{url} does not answer.")


def _take(browser: str, page: str, picture: Path) -> None:
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, "--headless", "--disable-gpu", "--hide-scrollbars", "--mute-audio"]
        command += [f"--window-size={_SIZE[0]},{_SIZE[1]}", f"--user-data-dir={profile}"]
        command += [f"--virtual-time-budget={_LOADING}", f"--screenshot={picture}"]
        if os.geteuid() == 0:
            command.append("--no-sandbox")  # Chromium has none for root
        subprocess.run([*command, page], check=True, capture_output=True, timeout=300)
    if picture.stat().st_size > _MOST_BYTES:
        sys.exit(f"{picture} has {picture.stat().st_size:,} bytes, more than {_MOST_BYTES:,}.")
    print(picture)


def _python(module: str) -> list[str]:
    return [sys.executable, "-m", module]


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True)


if __name__ == "__main__":
    main()
