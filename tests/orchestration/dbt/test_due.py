"""What a build has to run: all whose ground has changed since it last succeeded, and no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from activecampaign_dagster.orchestration.dbt.due import Ground, Project

GROUND = Ground(
    common="code",
    streams={"deals": "1", "users": "1"},
    forms={"deals": "id, title", "users": "id, name"},
    day="2026-01-01",
)


def node(name: str, *parents: str, kind: str = "model", **more: Any) -> dict[str, Any]:
    return {
        "resource_type": kind,
        "schema": "marts",
        "alias": name,
        "raw_code": more.get("sql", "select 1"),
        "config": {
            "materialized": more.get("materialized", "table"),
            "contract": {"enforced": more.get("contract", True)},
        },
        "depends_on": {"nodes": list(parents), "macros": more.get("macros", [])},
    }


MACROS = {
    "macro.shop.age": {
        "name": "age",
        "package_name": "shop",
        "macro_sql": "{{ as_of() }}",
        "depends_on": {"macros": ["macro.shop.as_of"]},
    },
    "macro.shop.as_of": {
        "name": "as_of",
        "package_name": "shop",
        "macro_sql": "{{ run_started_at }}",
        "depends_on": {"macros": []},
    },
}
SOURCES = [f"source.shop.activecampaign.{stream}" for stream in ("deals", "users")]
PROJECT = Project(
    {
        "metadata": {"project_name": "shop"},
        "macros": MACROS,
        "nodes": {
            # a child before its parents
            "model.shop.both": node("both", "model.shop.deals", "model.shop.users"),
            "model.shop.deals": node("deals", SOURCES[0]),
            "model.shop.users": node("users", "model.shop.part"),
            "model.shop.part": node("part", SOURCES[1], materialized="ephemeral"),
            "model.shop.ages": node("ages", "model.shop.users", macros=["macro.shop.age"]),
            "seed.shop.units": node("units", kind="seed"),
            "test.shop.unique": node("unique", "model.shop.deals", kind="test"),
            "test.shop.related": node(
                "related", "model.shop.deals", "model.shop.users", kind="test"
            ),
        },
    }
)
ALL = PROJECT.runnable
PRESENT = set(PROJECT.tables.values())
BUILT = PROJECT.signatures(GROUND)


def due(ground: Ground = GROUND, **changed: Any) -> set[str]:
    found = due_of(PROJECT, ground, changed.get("recorded", BUILT), changed.get("present", PRESENT))
    return {name.rpartition(".")[2] for name in found}


def due_of(
    project: Project, ground: Ground, recorded: dict[str, str], present: set[tuple[str, str]]
) -> set[str]:
    return project.due(project.current(project.signatures(ground), recorded, present))


def names(nodes: set[str]) -> set[str]:
    return {name.rpartition(".")[2] for name in nodes}


def test_nothing_is_due_where_nothing_has_changed() -> None:
    assert due() == set()


def test_what_is_downstream_of_a_stream_that_changed_is_due_with_the_tests_that_read_it() -> None:
    changed = replace(GROUND, streams={"deals": "2", "users": "1"})
    assert due(changed) == {"deals", "both", "unique", "related"}
    # through an ephemeral model as well
    changed = replace(GROUND, streams={"deals": "1", "users": "2"})
    assert due(changed) == {"users", "both", "ages", "related"}


def test_all_is_due_after_a_change_of_code_or_settings_and_where_nothing_was_built() -> None:
    assert due(replace(GROUND, common="other")) == names(ALL)
    assert due(recorded={}) == names(ALL)


def test_on_a_new_day_what_asks_for_the_day_is_due_also_if_a_macro_does() -> None:
    assert due(replace(GROUND, day="2026-01-02")) == {"ages"}


def test_a_model_that_failed_and_what_was_skipped_after_it_are_due_again() -> None:
    succeeded = ALL - {"model.shop.deals", "model.shop.both", "test.shop.unique"}
    recorded = PROJECT.built(succeeded - {"test.shop.related"}, BUILT, {})
    assert due(recorded=recorded) == {"deals", "both", "unique", "related"}


def test_a_test_that_failed_is_due_again_without_its_model() -> None:
    recorded = PROJECT.built(ALL - {"test.shop.unique"}, BUILT, {})
    assert due(recorded=recorded) == {"unique"}


def test_a_table_that_is_gone_is_built_with_what_is_made_of_it() -> None:
    assert due(present=PRESENT - {("marts", "deals")}) == {"deals", "both", "unique", "related"}


def test_a_model_that_was_built_alone_on_old_ones_stays_due() -> None:
    changed = PROJECT.signatures(replace(GROUND, streams={"deals": "2", "users": "1"}))
    assert PROJECT.built({"model.shop.both"}, changed, BUILT) == {}
    both = {"model.shop.deals", "model.shop.both"}
    assert PROJECT.built(both, changed, BUILT).keys() == both


VIEWS = Project(
    {
        "metadata": {"project_name": "shop"},
        "macros": {
            f"macro.shop.{name}": {
                "name": name,
                "package_name": "shop",
                "macro_sql": "{{ run_query('select') }}",
                "depends_on": {"macros": []},
            }
            for name in ("account_tables", "kinds")
        },
        "nodes": {
            "model.shop.of_rows": node(
                "of_rows", SOURCES[0], materialized="view", macros=["macro.shop.kinds"]
            ),
            "model.shop.view": node(
                "view", SOURCES[0], materialized="view", macros=["macro.shop.account_tables"]
            ),
            "model.shop.on_view": node("on_view", "model.shop.view"),
            "test.shop.of_view": node("of_view", "model.shop.view", kind="test"),
            "model.shop.wide": node("wide", SOURCES[0], contract=False),
            "model.shop.of_wide": node("of_wide", "model.shop.wide", materialized="view"),
            "seed.shop.units": node("units", kind="seed"),
        },
    }
)
VIEWS_BUILT = VIEWS.signatures(GROUND)


def due_of_views(recorded: dict[str, str] = VIEWS_BUILT, **changed: Any) -> set[str]:
    ground = replace(GROUND, **changed)
    return names(due_of(VIEWS, ground, recorded, set(VIEWS.tables.values())))


def test_a_view_stays_where_rows_have_changed_and_what_reads_it_is_due() -> None:
    changed = {"streams": {"deals": "2", "users": "1"}}
    # a table without a contract may come out with other columns, and SQL may be made of rows
    assert due_of_views(**changed) == {"on_view", "of_view", "wide", "of_wide", "of_rows"}


def test_a_view_is_made_again_where_columns_have_changed() -> None:
    changed = {
        "streams": {"deals": "2", "users": "1"},
        "forms": {"deals": "id", "users": "id, name"},
    }
    everything = {"view", "on_view", "of_view", "wide", "of_wide", "of_rows"}
    assert due_of_views(**changed) == everything


def test_a_seed_is_loaded_again_with_other_code_only() -> None:
    assert "units" not in due_of_views(streams={"deals": "2", "users": "2"})
    assert "units" in due_of_views(common="other")


def test_what_reads_a_view_of_a_model_that_failed_is_due_again() -> None:
    first = VIEWS.built(VIEWS.runnable, VIEWS_BUILT, {})
    ground = replace(GROUND, streams={"deals": "2", "users": "1"})
    changed = VIEWS.signatures(ground)
    left = {name: signature for name, signature in first.items() if name != "model.shop.wide"}
    again = {"model.shop.on_view", "test.shop.of_view", "model.shop.of_rows"}
    recorded = left | VIEWS.built(again, changed, left)
    assert due_of_views(recorded, streams=ground.streams) == {"wide", "of_wide"}
