"""The report's asset where it cannot be rendered: one sentence, and what to do."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import duckdb
import pytest

from activecampaign_dagster.orchestration.assets.pipeline_report import pipeline_report
from activecampaign_dagster.orchestration.resources import WAREHOUSE_KEY, WarehouseResource
from tests.orchestration.setup import failure


def failed(database: Path) -> str:
    """What the failed run says."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [pipeline_report({})],
            instance=instance,
            resources={WAREHOUSE_KEY: WarehouseResource(database=str(database))},
            raise_on_error=False,
        )
    return failure(result)


def test_without_marts_it_says_to_build_the_models_first(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    duckdb.connect(path).close()
    assert failed(path) == (
        f"The marts that the report is made of are not all in {path}: build the models first, "
        "for instance with a full refresh."
    )


@pytest.mark.parametrize("content", [None, b"no database" * 1000])
def test_a_database_that_cannot_be_opened_is_one_sentence(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "a.duckdb"
    if content:
        path.write_bytes(content)
    said = failed(path)
    assert str(path) in said
    assert "Traceback" not in said
    assert len(said.splitlines()) == 1
