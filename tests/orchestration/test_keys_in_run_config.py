"""No file that a run writes holds a key: launchpads have no field for one, and a typed one goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from activecampaign_dagster.orchestration.account import JOBS
from tests.orchestration.machine import JOB, Machine
from tests.orchestration.setup import Setup

TYPED = "0123456789abcdef" * 4  # as long as a key


@pytest.mark.parametrize(
    "typed",
    [
        {"resources": {"activecampaign_api": {"config": {"api_key": TYPED}}}},
        {"resources": {"activecampaign_api": {"config": {"api_key_variable": TYPED}}}},
        {"resources": {"activecampaign_api": {"config": {"url_variable": TYPED}}}},
        {"resources": {"activecampaign_warehouse": {"config": {"database": f"md:x?t={TYPED}"}}}},
        {"ops": {"activecampaign_streams": {"config": {"mode": TYPED}}}},
        {"ops": {"activecampaign_streams": {"config": {"api_key": TYPED}}}},
    ],
)
@pytest.mark.parametrize("job", JOBS.values())
def test_a_key_has_no_place_in_the_configuration_of_a_run(
    setup: Setup, job: str, typed: dict[str, Any]
) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match=f"Error in config for job {job}"):
        dg.validate_run_config(setup.definitions.resolve_job_def(job), typed)


def test_a_launchpad_has_no_field_but_those_of_the_read(setup: Setup) -> None:
    schema = setup.definitions.resolve_job_def("full_refresh").run_config_schema
    fields = schema.config_type.fields
    resources = fields["resources"].config_type.fields
    for name in ("activecampaign_api", "activecampaign_warehouse"):
        assert resources[name].config_type.fields["config"].config_type.fields == {}
    ops = fields["ops"].config_type.fields
    assert set(ops["activecampaign_streams"].config_type.fields["config"].config_type.fields) == {
        "mode",
        "streams",
    }


def test_a_key_that_is_typed_into_a_launchpad_is_refused_before_there_is_a_run(
    machine: Machine,
) -> None:
    config = machine.folder.parent / "typed.yaml"
    typed = {"resources": {"activecampaign_api": {"config": {"api_key": TYPED}}}}
    config.write_text(json.dumps(typed))
    process = machine.start("job", "execute", "-j", JOB, "-c", str(config))
    said, _ = process.communicate(timeout=240)
    assert process.returncode
    assert 'Received unexpected config entry "api_key"' in said
    assert machine.statuses() == []
    assert not list(files_with(machine.folder, TYPED))


@pytest.mark.slow
def test_no_file_that_a_run_writes_holds_the_key(machine: Machine) -> None:
    process = machine.start("job", "execute", "-j", "full_refresh", models=True)
    said, _ = process.communicate(timeout=900)
    assert process.returncode == 0, said
    assert machine.sandbox.api_key not in said
    # Dagster's storage and logs, what was read and is not landed, the tables, dbt's artefacts
    assert (machine.home / "history" / "runs.db").exists()
    assert (machine.folder / "warehouse.duckdb.dbt").exists()
    assert not list(files_with(machine.folder, machine.sandbox.api_key))


def files_with(folder: Path, text: str) -> Iterator[Path]:
    """The files below a folder that hold a text."""
    for path in folder.rglob("*"):
        if path.is_file() and text.encode() in path.read_bytes():
            yield path
