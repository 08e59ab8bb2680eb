"""The image and the compose file, as far as that goes without a container engine."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from activecampaign_dagster.sandbox.server import Sandbox
from tests.deploy.chroot import Image, image_in
from tests.deploy.files import DEPLOY, loaded
from tests.orchestration.servers import postgres, shown
from tests.orchestration.setup import small

pytestmark = pytest.mark.slow
SERVICES = loaded("docker-compose.yaml")["services"]
PATIENCE = 600  # seconds, of which a busy machine needs many


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image, built by its own steps."""
    made = image_in(tmp_path_factory.mktemp("image"))
    yield made
    made.stop()


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def test_the_services_come_up_and_sync_by_themselves(
    image: Image, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All are healthy, a first full refresh succeeds, and nothing is written but to the volumes."""
    ports = {"4000": free_port(), "3000": free_port()}

    def on_free_ports(command: list[str]) -> list[str]:
        return [replaced(part) for part in command]

    def replaced(text: str) -> str:
        for port, other in ports.items():
            text = text.replace(port, other)
        return text

    workspace = image.at("/opt/activecampaign/deploy/workspace.yaml")
    workspace.write_text(replaced(workspace.read_text()))
    folder = image.root.parent
    (folder / "hosts.dagster" / "dagster.yaml").write_text((DEPLOY / "dagster.yaml").read_text())
    (folder / "hosts.dagster" / "dagster.yaml").chmod(0o644)
    with postgres() as url, Sandbox(small(), requests_per_second=None) as sandbox:
        settings = {"DAGSTER_POSTGRES_URL": shown(url)}
        keys = {"ACTIVECAMPAIGN_URL": sandbox.url, "ACTIVECAMPAIGN_API_KEY": sandbox.api_key}
        try:
            for name in ("code", "webserver", "daemon"):
                service = SERVICES[name]
                known = keys if "env_file" in service else {}
                image.start(on_free_ports(service["command"]), **settings, **known)
                healthy(image, on_free_ports(service["healthcheck"]["test"][1:]), settings)
            monkeypatch.setenv("DAGSTER_POSTGRES_URL", shown(url))
            (tmp_path / "dagster.yaml").write_text((DEPLOY / "dagster.yaml").read_text())
            with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
                run = ended(instance, image)
        finally:
            image.stop()
    assert run.job_name == "full_refresh"
    assert run.status is dg.DagsterRunStatus.SUCCESS, image.said()
    with duckdb.connect(folder / "hosts.data" / "warehouse.duckdb", read_only=True) as db:
        assert db.execute("select count(*) > 0 from marts.deals").fetchall() == [(True,)]
    written = [path for name in ("data", "dagster") for path in folder.glob(f"hosts.{name}/**/*")]
    owners = {path.lstat().st_uid for path in written if path.name != "dagster.yaml"}
    assert owners == {int(image.user.split(":")[0])}


def healthy(image: Image, check: list[str], settings: dict[str, str]) -> None:
    """Wait until a health check succeeds."""
    deadline = time.monotonic() + PATIENCE
    while True:
        probe = image.start(check, **settings)
        try:
            if probe.wait(60) == 0:
                return
        except subprocess.TimeoutExpired:
            probe.kill()
        assert time.monotonic() < deadline, image.said()
        time.sleep(2)


def ended(instance: dg.DagsterInstance, image: Image) -> dg.DagsterRun:
    """The first run, once it has ended."""
    deadline = time.monotonic() + PATIENCE
    while True:
        runs = instance.get_runs()
        if runs and runs[-1].is_finished:
            return runs[-1]
        assert time.monotonic() < deadline, image.said()
        time.sleep(2)
