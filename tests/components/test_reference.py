"""The pages under docs/ say what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import activecampaign_dagster
from activecampaign_dagster import components
from activecampaign_dagster.components.reference import PAGE, PAGES, streams, updated
from activecampaign_dagster.components.settings import CheckSettings
from activecampaign_dagster.components.source import ActiveCampaignSource
from activecampaign_dagster.orchestration.checks import CHECKS
from activecampaign_dagster.streams.registry import STREAMS
from tests.components.projects import load


def example() -> str:
    return PAGE.read_text(encoding="utf-8").split("```yaml")[1].split("```")[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_reference_is_current(page: Path) -> None:
    written = page.read_text(encoding="utf-8")
    assert updated(page) == written, "run python -m activecampaign_dagster.components.reference"


def test_the_page_of_streams_names_every_stream_and_how_it_is_read() -> None:
    rows = [line.strip("| ").split(" | ") for line in streams().splitlines() if line[:3] == "| `"]
    assert {row[0].strip("`"): (row[2], row[4], row[5]) for row in rows} == {
        s.name: (
            ", ".join(f"`{name}`" for name in s.key),
            str(len(s.fields)),
            "on" if s.default else "off",
        )
        for s in STREAMS.values()
    }
    ways = {row[0].strip("`"): row[3] for row in rows}
    assert ways["contacts"] == "INCREMENTAL by `udate`, cursor"
    assert ways["contact_tags"] == "INCREMENTAL by `cdate`, with `contacts`"
    assert ways["tags"] == "FULL_TABLE, overlapping pages"
    assert all(10 < len(row[1]) < 200 for row in rows)


def test_the_example_in_the_docs_is_right() -> None:
    source = ActiveCampaignSource.model_validate(yaml.safe_load(example())["attributes"])
    assert source.mistakes() == []
    assert source.source().enabled == {"deals", "contacts", "deal_groups", "deal_stages", "users"}


def test_every_check_has_a_severity_setting_with_its_own_description() -> None:
    fields = CheckSettings.model_fields
    assert {name: f.description for name, f in fields.items()} == {
        check.name: check.description for check in CHECKS
    }


@pytest.mark.parametrize("package", ["components", "components.source"])
def test_a_file_may_name_the_component_as_earlier_versions_did(
    tmp_path: Path, package: str
) -> None:
    type_ = f"activecampaign_dagster.{package}.ActiveCampaignSource"
    definitions = load(tmp_path, {"shop": f"type: {type_}\nattributes: {{name: shop}}\n"})
    assert "shop__full_refresh" in {job.name for job in definitions.jobs or []}


def test_components_and_resources_are_all_that_is_public() -> None:
    assert set(components.__all__) == {
        "ActiveCampaignAccounts",
        "ActiveCampaignResource",
        "ActiveCampaignSource",
        "DbtModels",
        "WarehouseResource",
    }
    assert set(activecampaign_dagster.__all__) == set(components.__all__)
    for name in components.__all__:
        assert getattr(activecampaign_dagster, name) is getattr(components, name)


def test_a_source_file_becomes_definitions(tmp_path: Path) -> None:
    attributes = example().split("attributes:\n")[1]
    definitions = load(tmp_path, shop=attributes)
    assert {job.name for job in definitions.jobs or []} == {
        "shop__incremental_sync",
        "shop__full_refresh",
    }
    assert {s.name for s in definitions.schedules or []} == {
        "shop__incremental_sync_schedule",
        "shop__full_refresh_schedule",
    }
