"""What launches runs elsewhere takes the settings that are written for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._config import process_config
from dagster_celery.launcher import CeleryRunLauncher
from dagster_docker import DockerRunLauncher
from dagster_k8s import K8sRunLauncher
from dagster_k8s.job import UserDefinedDagsterK8sConfig

from tests.deploy.files import DEPLOY, ROOT, loaded

VALUES = loaded("kubernetes-values.yaml")


@pytest.mark.parametrize(
    ("name", "kind"), [("docker", DockerRunLauncher), ("celery", CeleryRunLauncher)]
)
def test_an_instance_starts_with_the_launcher(
    name: str, kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, variable in enumerate(("CELERY_BROKER_URL", "CELERY_RESULT_URL")):
        monkeypatch.setenv(variable, f"redis://127.0.0.1:6379/{number}")
    settings = (ROOT / "dagster.yaml").read_text() + "\n"
    launcher = (DEPLOY / "launchers" / f"{name}.yaml").read_text()
    (tmp_path / "dagster.yaml").write_text(settings + launcher)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert isinstance(instance.run_launcher, kind)


def test_a_container_of_a_run_is_like_that_of_the_code() -> None:
    compose = loaded("docker-compose.yaml")
    config = loaded("launchers/docker.yaml")["run_launcher"]["config"]
    code, run = compose["services"]["code"], config["container_kwargs"]
    for setting in ("read_only", "cap_drop", "security_opt", "user"):
        assert run[setting] == code[setting]
    assert config["image"] == code["image"]
    assert config["network"] == f"{compose['name']}_default"
    named = [f"{compose['name']}_{volume}" for volume in code["volumes"][:2]]
    assert run["volumes"] == named
    assert set(config["env_vars"]) >= set(code["environment"])


def test_a_celery_worker_reads_where_the_launcher_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    config = loaded("launchers/celery.yaml")["run_launcher"]["config"]
    for name, value in (("broker", "redis://a/0"), ("backend", "redis://a/1")):
        monkeypatch.setenv(config[name]["env"], value)
    worker: dict[str, Any] = {}
    exec((DEPLOY / "launchers" / "dagster_celery_config.py").read_text(), worker)
    assert (worker["broker_url"], worker["result_backend"]) == ("redis://a/0", "redis://a/1")


def test_the_pods_of_runs_are_what_kubernetes_takes() -> None:
    """The chart's own schema is in no package: names are compared with what they become."""
    config = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
    assert VALUES["runLauncher"]["type"] == K8sRunLauncher.__name__
    assert set(config) == {"imagePullPolicy", "runK8sConfig"}
    names = {
        "containerConfig": "container_config",
        "podSpecConfig": "pod_spec_config",
        "jobSpecConfig": "job_spec_config",
    }
    made = {names[key]: value for key, value in config["runK8sConfig"].items()}
    found = process_config(
        K8sRunLauncher.config_type(),
        {
            "service_account_name": "dagster",
            "instance_config_map": "dagster-instance",
            "dagster_home": "/opt/dagster/dagster_home",
            "postgres_password_secret": VALUES["global"]["postgresqlSecretName"],
            "image_pull_policy": config["imagePullPolicy"],
            "run_k8s_config": made,
        },
    )
    assert found.success, found.errors
    UserDefinedDagsterK8sConfig.from_dict(found.value["run_k8s_config"])


def test_a_deployments_arguments_pods_and_secrets_are_what_kubernetes_takes() -> None:
    [deployment] = VALUES["dagster-user-deployments"]["deployments"]
    container = {
        "security_context": deployment["securityContext"],
        "resources": deployment["resources"],
        "volume_mounts": deployment["volumeMounts"],
        "env_from": [{"secret_ref": secret} for secret in deployment["envSecrets"]],
    }
    pod = {"security_context": deployment["podSecurityContext"], "volumes": deployment["volumes"]}
    made = {"container_config": container, "pod_spec_config": pod}
    UserDefinedDagsterK8sConfig.from_dict(made)
    mounted = {mount["name"] for mount in deployment["volumeMounts"]}
    assert mounted == {volume["name"] for volume in deployment["volumes"]}


def test_the_chart_gets_the_settings_of_one_host() -> None:
    one = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    assert VALUES["concurrency"]["pools"] == {
        "defaultLimit": one["concurrency"]["pools"]["default_limit"],
        "granularity": one["concurrency"]["pools"]["granularity"],
    }
    assert VALUES["dagsterDaemon"]["runRetries"] == {
        "enabled": one["run_retries"]["enabled"],
        "maxRetries": one["run_retries"]["max_retries"],
        "retryOnAssetOrOpFailure": one["run_retries"]["retry_on_asset_or_op_failure"],
    }
    assert VALUES["dagsterDaemon"]["runMonitoring"] == {
        "enabled": one["run_monitoring"]["enabled"],
        "pollIntervalSeconds": one["run_monitoring"]["poll_interval_seconds"],
        "freeSlotsAfterRunEndSeconds": one["run_monitoring"]["free_slots_after_run_end_seconds"],
    }
