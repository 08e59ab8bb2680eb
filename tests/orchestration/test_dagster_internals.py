"""What is borrowed from Dagster's private modules still does what it is borrowed for."""

from __future__ import annotations

import ast
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._utils.error import serializable_error_info_from_exc_info
from dagster_dbt import DagsterDbtTranslator, DbtProjectComponent
from pydantic import ValidationError

from activecampaign_dagster.components.dbt_models import DbtModels
from activecampaign_dagster.orchestration import dagster_internals as internals
from tests.components.projects import TYPE, project
from tests.orchestration.servers import home_with_postgres, postgres, shown

PACKAGE = Path(internals.__file__).parents[1]
PRIVATE = ("dagster._", "dagster_shared", "dagster_dbt.", "dagster.components.")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_no_other_module_imports_what_is_private_to_dagster(path: Path) -> None:
    if path != Path(internals.__file__):
        assert not {name for name in imports(path) if name.startswith(PRIVATE)}


def test_a_message_only_error_is_shown_without_a_stack_trace() -> None:
    class Shown(internals.MessageOnlyError):
        def __init__(self, message: str) -> None:
            self.show_message(message, "Shown")

    with pytest.raises(Shown) as raised:
        raise Shown("one sentence")
    error = raised.value
    shown = serializable_error_info_from_exc_info((Shown, error, error.__traceback__))
    assert (shown.message, shown.stack, shown.cls_name) == ("one sentence", [], "Shown")


def test_a_project_folder_is_found_from_anywhere_below_it(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.dg.project]\nroot_module = "shop"\n')
    below = tmp_path / "plain" / "src"
    below.mkdir(parents=True)
    (below.parent / "pyproject.toml").write_text("[project]\n")
    assert internals.project_folder(below) == tmp_path
    assert internals.project_folder(tmp_path.parent) is None


def test_a_dbt_components_settings_are_those_of_its_base() -> None:
    ours, base = (c.get_model_cls().model_fields for c in (DbtModels, DbtProjectComponent))
    assert ours.keys() == base.keys() | {"build_every"}
    for name in ("project", "translation_settings"):
        assert not ours[name].is_required()
        assert str(base[name].annotation) in str(ours[name].annotation)


def test_an_asset_job_is_what_dagster_defines() -> None:
    assert isinstance(dg.define_asset_job("both"), internals.AssetJob)


def test_a_job_has_those_resources_of_a_kind_only_that_its_assets_ask_for() -> None:
    class Api(dg.ConfigurableResource[Any]):
        url: str

    @dg.asset(required_resource_keys={"shop"})
    def deals() -> None: ...

    job = dg.define_asset_job("own", selection=[deals], tags={"kept": "yes"})
    own = internals.over_assets(job, without=Api, reported_by={})
    resources = {"shop": Api(url="a"), "other": Api(url="b"), "warehouse": "a value"}
    made = dg.Definitions([deals], jobs=[own], resources=resources).resolve_job_def("own")
    assert set(made.resource_defs) == {"shop", "warehouse", "io_manager"}
    assert made.tags["kept"] == "yes"


def test_what_depends_on_a_reported_asset_waits_in_a_job_for_the_one_that_reports_it() -> None:
    made = []

    @dg.asset
    def deals() -> None: ...

    @dg.asset
    def zz_all_streams() -> None:
        made.append("all_streams")

    @dg.asset(deps=[deals])
    def a_first_of_the_user() -> None:
        made.append("of the user")

    assets = [deals, zz_all_streams, a_first_of_the_user]
    job = dg.define_asset_job("own", selection=[zz_all_streams, a_first_of_the_user])
    own = internals.over_assets(
        job, without=dg.ConfigurableResource, reported_by={deals.key: zz_all_streams.key}
    )
    other = internals.over_assets(
        dg.define_asset_job("other", selection=[zz_all_streams, a_first_of_the_user]),
        without=dg.ConfigurableResource,
        reported_by={deals.key: zz_all_streams.key},
    )
    definitions = dg.Definitions(assets, jobs=[own, other])
    dg.Definitions.validate_loadable(definitions)
    run = definitions.resolve_job_def("own")
    assert run.execute_in_process().success
    assert made == ["all_streams", "of the user"]
    assert run.asset_layer.executable_asset_keys == {zz_all_streams.key, a_first_of_the_user.key}


def test_a_resource_that_is_set_in_code_refuses_configuration_of_a_run() -> None:
    class Api(internals.SetInCode):
        url: str

    @dg.op(required_resource_keys={"api"}, out=dg.Out(str))
    def read(context) -> Any:  # type: ignore[no-untyped-def]
        return context.resources.api.url

    @dg.job(resource_defs={"api": Api(url="a")})
    def reading() -> None:
        read()

    assert reading.execute_in_process().output_for_node("read") == "a"
    typed = {"resources": {"api": {"config": {"url": "canary"}}}}
    with pytest.raises(dg.DagsterInvalidConfigError, match="unexpected config entry") as caught:
        reading.execute_in_process(run_config=typed)
    assert "canary" not in str(caught.value)


def test_a_component_can_put_its_op_into_a_pool() -> None:
    assert internals.in_pool(None, "dbt").pool == "dbt"
    own = internals.in_pool(None, "of_the_user").model_copy(update={"name": "build"})
    kept = internals.in_pool(own, "dbt")
    assert (kept.name, kept.pool) == ("build", "of_the_user")


@dg.multi_asset(
    specs=[dg.AssetSpec(name, skippable=True) for name in ("read", "resting", "alone")],
    check_specs=[
        dg.AssetCheckSpec("sound", asset="read"),
        dg.AssetCheckSpec("full", asset="alone"),
    ],
    can_subset=True,
)
def streams(context):  # type: ignore[no-untyped-def]
    """Assets that land in one step, on two of which `model` is built."""
    passed = {"asset_key": dg.AssetKey("read"), "check_name": "sound", "passed": True}
    context.log_event(dg.AssetMaterialization("read", tags=internals.data_version_tags("7")))
    internals.log_evaluation(context, dg.AssetCheckEvaluation(**passed, metadata={}))
    for key in sorted(context.selected_asset_keys):
        if internals.feeds_another_step(context, key):
            yield internals.silent_output(context.assets_def.get_output_name_for_asset_key(key))


@dg.asset(deps=["read", "resting"])
def model() -> None:
    """An asset that is built on two others."""


def test_a_silent_output_lets_others_be_built_on_what_is_not_materialized() -> None:
    """Streams that rest have no output otherwise, and Dagster skips all models."""
    result = dg.materialize([streams, model])
    keys = [event.asset_key.path for event in result.get_asset_materialization_events()]
    assert keys == [["read"], ["model"]]  # once, as it was logged, and neither by an output
    outputs = [e.step_output_data.output_name for e in result.all_events if e.is_successful_output]
    assert outputs == ["read", "resting", "result"]  # nothing is built on the third
    kinds = {event.event_type for event in result.all_events}
    assert dg.DagsterEventType.ASSET_OBSERVATION not in kinds
    assert dg.DagsterEventType.STEP_SKIPPED not in kinds


def test_what_no_output_tells_of_skips_what_is_built_on_it() -> None:
    """Once Dagster does not, silent outputs can go."""

    @dg.multi_asset(specs=[dg.AssetSpec("read", skippable=True)], can_subset=True)
    def nothing() -> Iterator[dg.Output[None]]:
        yield from ()

    @dg.asset(deps=["read"])
    def built() -> None:
        """An asset that is built on the other."""

    result = dg.materialize([nothing, built])
    assert [e.step_key for e in result.all_events if e.is_step_skipped] == ["built"]


def test_the_addresses_of_a_storage_are_those_of_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By them the loss of Dagster's own storage is told from that of another database."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        assert internals.storage_urls(instance) == set()
    with postgres() as url:
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", shown(url))
        home_with_postgres(tmp_path / "server")
        with dg.DagsterInstance.from_config(str(tmp_path / "server")) as instance:
            assert internals.storage_urls(instance) == {url}


def test_an_evaluation_is_logged_whether_it_was_planned_or_not() -> None:
    """A yielded result makes an output as well, or a warning where the check is not selected."""
    with dg.DagsterInstance.ephemeral() as instance:
        for selection in (None, dg.AssetSelection.assets("read").without_checks()):
            result = dg.materialize([streams], selection=selection, instance=instance)
            [found] = result.get_asset_check_evaluations()
            assert found.passed
            log = instance.all_logs(result.run_id)
            assert all(entry.level < logging.WARNING for entry in log)
            [record] = instance.event_log_storage.get_asset_check_execution_history(
                dg.AssetCheckKey(dg.AssetKey("read"), "sound"), limit=1
            )
            assert (record.run_id, record.status.value) == (result.run_id, "SUCCEEDED")


def test_a_logged_materialization_has_the_version_that_dagster_reads() -> None:
    """By it the UI shows that a model is older than a stream that was read since."""
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize([streams, model], instance=instance)
        event = instance.get_latest_materialization_event(dg.AssetKey("model"))
        assert event
        assert event.asset_materialization
        assert event.asset_materialization.tags["dagster/input_data_version/read"] == "7"


def test_what_a_step_plans_is_under_way_until_it_ends() -> None:
    """Of what it only may make, Dagster is not told before."""

    @dg.asset
    def maker(context):  # type: ignore[no-untyped-def]
        internals.plan_materialization(context, dg.AssetKey("made"))

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([maker], instance=instance)
        kind = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
        records = instance.all_logs(result.run_id, of_type=kind)
        events = [record.dagster_event for record in records]
        planned = {(event.asset_key, event.step_key) for event in events if event}
        assert planned == {(dg.AssetKey(key), "maker") for key in ("maker", "made")}


def test_what_is_no_output_gets_the_versions_that_an_output_has() -> None:
    """By them the UI tells what is out of date."""
    specs = [dg.AssetSpec("above", deps=["read"], code_version="1")]
    specs.append(dg.AssetSpec("top", deps=["above", "never"], code_version="2"))

    @dg.multi_asset(specs=specs)
    def outputs() -> Iterator[dg.MaterializeResult[None]]:
        yield from (dg.MaterializeResult(asset_key=spec.key) for spec in specs)

    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize([streams], instance=instance)
        dg.materialize([outputs], instance=instance)
        versions = internals.Versions(instance)
        for spec in specs:
            event = instance.get_latest_materialization_event(spec.key)
            assert event
            assert event.asset_materialization
            theirs = event.asset_materialization.tags or {}
            ours = versions.tags(spec, "run")
            # where the event of an input stands matters for inputs with partitions only
            where = {tag for tag in theirs if "pointer" in tag and not tag.endswith("/read")}
            assert ours.keys() == theirs.keys()
            assert {k: ours[k] for k in ours.keys() - where} == {
                k: theirs[k] for k in theirs.keys() - where
            }


def test_a_run_of_a_command_gets_the_label_that_the_page_of_its_job_asks_for() -> None:
    module = "activecampaign_dagster.definitions"
    code = RepositoryPythonOrigin(sys.executable, ModuleCodePointer(module, "defs"))
    run = dg.DagsterRun("sync", job_code_origin=JobPythonOrigin("sync", code))
    target = LoadableTargetOrigin(module_name=module)
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, location_name=module)
    label = RemoteRepositoryOrigin(location, "__repository__").get_label()
    assert internals.job_page_tags(run) == {".dagster/repository": label}
    assert internals.job_page_tags(dg.DagsterRun("sync")) == {}


@pytest.mark.parametrize(("text", "valid"), [("0 6 * * 1-5", True), ("61 * * * *", False)])
def test_a_cron_expression_is_valid_if_the_scheduler_takes_it(text: str, valid: bool) -> None:
    assert internals.is_valid_cron(text) == valid


def test_ticks_of_several_cron_expressions_come_in_order_in_their_zone() -> None:
    start = datetime(2026, 3, 28, tzinfo=UTC)
    ticks = internals.cron_ticks(start, ["0 8 * * *", "0 6 * * *"], "Europe/Berlin")
    first = [next(ticks).astimezone(UTC).isoformat() for _ in range(3)]
    assert first == [
        "2026-03-28T05:00:00+00:00",
        "2026-03-28T07:00:00+00:00",
        "2026-03-29T04:00:00+00:00",  # clocks have changed
    ]
    assert next(ticks) - start < timedelta(days=2)


@pytest.mark.parametrize(
    ("owner", "valid"), [("team:data", True), ("a@example.com", True), ("me", False)]
)
def test_an_owner_is_valid_if_an_asset_may_have_it(owner: str, valid: bool) -> None:
    assert internals.is_valid_owner(owner) == valid
    if valid:
        dg.AssetSpec("asset", owners=[owner])
    else:
        with pytest.raises(dg.DagsterInvalidDefinitionError):
            dg.AssetSpec("asset", owners=[owner])


def load(root: Path, whole: str) -> BaseException | None:
    """The innermost error of loading a project with one file."""
    with project(root, {"shop": whole}) as package:
        try:
            dg.load_from_defs_folder(path_within_project=package)
        except Exception as error:
            cause: BaseException = error
            while cause.__cause__ is not None:
                cause = cause.__cause__
            return cause
    return None


def test_a_file_of_an_unknown_type_raises_an_unknown_symbol_error(tmp_path: Path) -> None:
    assert isinstance(load(tmp_path, f"type: {TYPE}s"), internals.UnknownSymbolError)


def test_an_empty_file_raises_a_broken_invariant_error(tmp_path: Path) -> None:
    error = load(tmp_path, "")
    assert isinstance(error, internals.BrokenInvariantError)
    assert "No components found in YAML file" in str(error)


def test_a_file_with_a_wrong_key_raises_a_validation_error_of_the_component_file(
    tmp_path: Path,
) -> None:
    error = load(tmp_path, f"type: {TYPE}\nattribute: {{}}")
    assert isinstance(error, ValidationError)
    assert error.title == internals.ComponentFile.__name__
    assert {"type", "attributes"} <= set(internals.ComponentFile.model_fields)


def test_a_template_that_cannot_be_filled_in_raises_a_template_error() -> None:
    with pytest.raises(internals.TemplateError, match="nothing"):
        dg.ResolutionContext.default().resolve_value("{{ nothing }}")


def test_the_lines_of_a_file_are_those_of_its_settings(tmp_path: Path) -> None:
    found: list[internals.FilePositions | None] = []

    class Seen(dg.Component, dg.Model, dg.Resolvable):
        name: str

        @classmethod
        def load(cls, attributes: object, context: dg.ComponentLoadContext) -> Seen:
            found.append(internals.file_positions(context.resolution_context))
            return cls(name="seen")

        def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
            return dg.Definitions()

    sys.modules[__name__].Seen = Seen  # type: ignore[attr-defined]
    whole = f"type: {TYPE}\n---\ntype: {__name__}.Seen\nattributes:\n  name: shop\n"
    assert load(tmp_path, whole) is None
    [positions] = found
    assert positions is not None
    assert positions.file.name == "defs.yaml"
    assert positions.first_line == 3
    assert positions.line(["attributes", "name"]) == 5
    assert positions.line(["attributes", "missing"]) == 4


def test_a_message_of_dbt_is_a_materialization_or_the_result_of_a_test() -> None:
    deals = {
        "resource_type": "model",
        "name": "deals",
        "config": {},
        "unique_id": "model.shop.deals",
    }
    keyed = {
        "resource_type": "test",
        "name": "deals_rules",
        "attached_node": "model.shop.deals",
        "config": {"severity": "error"},
        "depends_on": {"nodes": ["model.shop.deals"]},
    }
    nodes = {
        "model.shop.deals": deals | {"meta": {}, "fqn": ["shop", "deals"], "tags": []},
        "test.shop.deals_rules": keyed | {"meta": {}, "unique_id": "test.shop.deals_rules"},
    }
    manifest = {"metadata": {}, "nodes": nodes, "sources": {}, "macros": {}, "child_map": {}}

    def message(name: str, node: str, status: str) -> dict[str, Any]:
        times = {
            "node_started_at": "2026-01-01T00:00:00",
            "node_finished_at": "2026-01-01T00:00:01",
        }
        about = {
            "unique_id": node,
            "node_status": status,
            "resource_type": "x",
            "meta": {},
            **times,
        }
        return {
            "info": {"name": name, "invocation_id": "1", "msg": ""},
            "data": {"node_info": about, "status": status, "num_failures": 2},
        }

    found = list(
        internals.dbt_events(
            [
                message("LogModelResult", "model.shop.deals", "success"),
                message("LogTestResult", "test.shop.deals_rules", "fail"),
                message("LogStartLine", "model.shop.deals", "started"),
            ],
            manifest,
            DagsterDbtTranslator(),
            None,  # type: ignore[arg-type]
            None,
        )
    )
    made, tested = found
    assert isinstance(made, dg.AssetMaterialization)
    assert made.asset_key == dg.AssetKey("deals")
    assert isinstance(tested, dg.AssetCheckEvaluation)
    assert not tested.passed


def test_findings_are_added_to_the_result_of_a_check() -> None:
    more = {"rows": dg.MetadataValue.int(2)}
    planned = dg.AssetCheckResult(passed=False, check_name="keyed", metadata={"a": 1})
    logged = dg.AssetCheckEvaluation(
        check_name="keyed", asset_key=dg.AssetKey("deals"), passed=False, metadata={}
    )
    for event in (planned, logged):
        found = internals.with_findings(event, "2 rows", more)
        assert type(found) is type(event)
        assert (found.passed, found.description) == (False, "2 rows")
        assert found.metadata["rows"] == dg.MetadataValue.int(2)


def test_runs_of_a_command_without_a_home_are_forgotten(tmp_path: Path) -> None:
    run = dg.DagsterRun(job_name="one")
    for name, expected in ((".tmp_dagster_home_x1", True), ("home", False)):
        (tmp_path / name).mkdir()
        with dg.DagsterInstance.local_temp(str(tmp_path / name)) as instance:
            assert internals.is_forgotten(instance, run) is expected
    with dg.DagsterInstance.ephemeral() as instance:
        assert not internals.is_forgotten(instance, run)
