"""The compose file starts what is there, with the settings and folders that it goes by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._core.workspace.load import location_origins_from_yaml_paths

from tests.deploy.files import (
    DEPLOY,
    ROOT,
    assert_exists,
    dockerfile,
    image_environment,
    loaded,
)

COMPOSE = loaded("docker-compose.yaml")
OWN = {name: s for name, s in COMPOSE["services"].items() if "command" in s}
RUNS_CODE = "code"


@pytest.mark.parametrize("name", OWN)
def test_each_command_and_health_check_exists_with_its_options(name: str) -> None:
    assert_exists(OWN[name]["command"])
    kind, *check = OWN[name]["healthcheck"]["test"]
    assert kind == "CMD"
    if check[0] != "python":  # which asks the web server; see test_image
        assert_exists(check)


@pytest.mark.parametrize("name", OWN)
def test_a_service_can_write_only_where_the_settings_point_to(name: str) -> None:
    service, settings = OWN[name], image_environment()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["user"] == dict(dockerfile())["USER"]
    kept = {str(Path(settings["ACTIVECAMPAIGN_DATABASE"]).parent), settings["DAGSTER_HOME"]}
    assert settings["HOME"] in kept
    mounts = [volume.split(":") for volume in service["volumes"]]
    assert {target for _, target, *mode in mounts if mode != ["ro"]} == kept
    for source, target, *mode in mounts:
        if mode == ["ro"]:
            assert (DEPLOY / source).is_file()
            assert target == f"{settings['DAGSTER_HOME']}/dagster.yaml"
        else:
            assert source in COMPOSE["volumes"]


def test_only_what_reads_the_accounts_knows_their_keys() -> None:
    knowing = {name for name, service in COMPOSE["services"].items() if "env_file" in service}
    assert knowing == {RUNS_CODE}
    named = {line.split("=")[0] for line in (DEPLOY / ".env.example").read_text().splitlines()}
    assert {"ACTIVECAMPAIGN_URL", "ACTIVECAMPAIGN_API_KEY", "DAGSTER_POSTGRES_PASSWORD"} <= named


def test_nothing_listens_but_the_web_server_on_this_machine_alone() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:3000:3000"]


def test_the_workspace_names_the_service_that_serves_the_code() -> None:
    for name in ("webserver", "daemon"):
        command = OWN[name]["command"]
        path = command[command.index("--workspace") + 1]
        assert ROOT / path.removeprefix("/opt/activecampaign/") == DEPLOY / "workspace.yaml"
    [origin] = location_origins_from_yaml_paths([str(DEPLOY / "workspace.yaml")])
    command = OWN[RUNS_CODE]["command"]
    assert origin.host == RUNS_CODE
    assert str(origin.port) == command[command.index("--port") + 1]
    assert origin.location_name == command[command.index("--location-name") + 1]


def test_logs_of_containers_do_not_grow_for_ever() -> None:
    for service in COMPOSE["services"].values():
        assert service["logging"]["options"]["max-size"]


def test_the_image_is_made_of_what_its_context_holds() -> None:
    allowed = {
        line[1:]
        for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {
        source for name, text in dockerfile() if name == "COPY" for source in text.split()[:-1]
    }
    assert copied == allowed
    assert all((ROOT / source).exists() for source in copied)


def merged(base: Any, more: Any) -> bool:
    """Whether one structure holds all that another does."""
    if isinstance(base, dict):
        return all(key in more and merged(base[key], more[key]) for key in base)
    return bool(base == more)


def test_the_settings_of_several_processes_hold_all_of_those_of_one() -> None:
    assert merged(yaml.safe_load((ROOT / "dagster.yaml").read_text()), loaded("dagster.yaml"))


def test_the_workspace_of_several_hosts_has_an_entry_for_each() -> None:
    origins = location_origins_from_yaml_paths([str(DEPLOY / "hosts.workspace.yaml")])
    assert len({origin.location_name for origin in origins}) == len(origins) > 1
