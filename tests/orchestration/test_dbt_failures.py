"""What a run says when dbt fails: what is wrong, without stack traces."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from tests.components.projects import DBT, load
from tests.orchestration.setup import environment, failure

ROOT = Path(__file__).parents[2]

# dagster-dbt itself calls what Dagster has deprecated
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:dagster")

Build = Callable[[str], str]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """Builds one model or seed on a database without streams; what the run's failure says."""
    root = tmp_path_factory.mktemp("models")
    models = root / "dbt_project"
    shutil.copytree(ROOT / "dbt_project", models, ignore=shutil.ignore_patterns("target", "logs"))
    with pytest.MonkeyPatch.context() as patch, environment(patch, root) as instance:
        definitions = load(root, {"dbt": DBT.format(models)}, activecampaign="streams: [deals]")

        def built(key: str) -> str:
            job = dg.define_asset_job("models", dg.AssetSelection.assets(key))
            result = (
                dg.Definitions.merge(definitions, dg.Definitions(jobs=[job]))
                .resolve_job_def("models")
                .execute_in_process(instance=instance, raise_on_error=False)
            )
            return failure(result)

        yield built


def test_a_model_that_fails_is_named_with_the_reason_and_no_stack_trace(build: Build) -> None:
    said = build("staging/stg_activecampaign__deals")
    assert said.startswith("dbt failed; all it said is in ")
    log = Path(said.split(" is in ")[1].split("\n")[0].rstrip("."))
    assert "stg_activecampaign__deals" in log.read_text()
    assert "stg_activecampaign__deals" in said
    assert "exist" in said
    assert "Traceback" not in said


def test_a_memory_limit_that_is_no_size_is_named_before_dbt_starts(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIVECAMPAIGN_DBT_MEMORY", "lots")
    assert build("seeds/currency_decimals") == (
        "ACTIVECAMPAIGN_DBT_MEMORY is 'lots', which is no size: set it to one such as '2GB'."
    )
