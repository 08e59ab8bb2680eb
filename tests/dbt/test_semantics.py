"""The semantic model's expressions, asked of the mart that it is about."""

from __future__ import annotations

import pytest

from tests.dbt.conftest import NOW

pytestmark = pytest.mark.slow

NAMES = {"title", "firstName", "lastName", "username"}


@pytest.fixture(scope="module")
def namesakes(make_observed):
    """An account in which two pipelines, two owners and two stages have the same name."""
    observed = make_observed(5, contacts=60, deals=60, field_values=0)
    for collection in ("dealGroups", "users", "dealStages"):
        first, second = list(observed.account.truth(collection).items())[:2]
        names = {name: first[1][name] for name in NAMES & first[1].keys()}
        observed.account.update_record(collection, second[0], **names)
    observed.sync(at=NOW)
    observed.dbt.build("+deals")
    return observed


@pytest.fixture
def deals(manifest):
    [model] = manifest["semantic_models"].values()
    return model


@pytest.mark.parametrize("entity", ["pipeline", "stage", "owner"])
def test_deals_are_grouped_by_id_so_that_two_of_one_name_stay_two(namesakes, deals, entity):
    [key] = [each["expr"] for each in deals["entities"] if each["name"] == entity]
    [measure] = [each["expr"] for each in deals["measures"] if each["name"] == "deals_created"]
    by_entity, by_id = (
        namesakes.dbt.rows(
            f"select any_value({entity}) as name, sum({measure}) as deals "
            f"from marts.deals group by {group} order by all"
        )
        for group in (key, f"account, {entity}_id")
    )
    assert by_entity == by_id
    assert len({row["name"] for row in by_id}) < len(by_id)


def test_each_name_has_an_entity_to_group_by(deals):
    entities = {each["name"] for each in deals["entities"]}
    names = {each["name"] for each in deals["dimensions"] if each["name"].endswith("_name")}
    assert {name.removesuffix("_name") for name in names} == {"pipeline", "stage", "owner"}
    assert entities >= {"pipeline", "stage", "owner"}
