"""A server of Dagster's storage that restarts ends no run: what it interrupts is begun again."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy

from activecampaign_dagster.orchestration import storage_errors
from activecampaign_dagster.orchestration.storage_errors import StorageLostError, outlast_restarts
from activecampaign_dagster.sandbox.server import Sandbox
from tests.orchestration.servers import Restart, home_with_postgres, postgres, shown
from tests.orchestration.setup import Setup

WAIT = "activecampaign_dagster.orchestration.{}.FIRST_WAIT"


@pytest.fixture
def stored(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[tuple[Setup, sqlalchemy.URL]]:
    """The account, with an instance whose storage is on a server."""
    with postgres() as url:
        home_with_postgres(tmp_path / "dagster")
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", shown(url))
        for module in ("failures", "storage_errors"):
            monkeypatch.setattr(WAIT.format(module), 0.0)
        with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
            setup.instance = instance
            yield setup, url
            storage_errors._servers.clear()


@pytest.mark.slow
def test_a_restart_while_an_account_is_read_fails_no_run(
    stored: tuple[Setup, sqlalchemy.URL], sandbox: Sandbox
) -> None:
    setup, url = stored
    restart, first = Restart(url, away=4), iter([True])

    def begin(*_: object) -> None:
        if next(first, False):  # several are asked at once
            restart.begin()

    sandbox.faults = [begin]
    setup.run()
    restart.join(60)
    assert restart.ended
    [run] = setup.instance.get_runs()
    assert run.status is dg.DagsterRunStatus.SUCCESS
    rows = setup.query("select count(*), count(distinct id) from activecampaign.contacts")
    assert rows == [(60, 60)]


@pytest.mark.slow
@pytest.mark.parametrize("away", [0.0, 4.0])
def test_a_step_is_begun_again_if_its_event_cannot_be_written(
    stored: tuple[Setup, sqlalchemy.URL], away: float
) -> None:
    """Dagster writes it, when the step's own code has handed it over."""
    instance, url = stored[0].instance, stored[1]
    restart = Restart(url, away)

    @dg.asset
    def landed(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        outlast_restarts(context.instance)
        if not context.op_execution_context.retry_number:
            restart.begin()
        return dg.MaterializeResult(metadata={"row_count": 3})

    result = dg.materialize([landed], instance=instance, raise_on_error=False)
    assert restart.ended
    assert result.success
    [event] = [e for e in result.all_events if e.is_step_up_for_retry]
    said = event.step_retry_data.error.to_string()
    assert "The connection to Dagster's storage on 127.0.0.1 was lost" in said
    assert "Stack Trace" not in said


def test_databases_of_others_fail_as_ever(stored: tuple[Setup, sqlalchemy.URL]) -> None:
    setup, url = stored
    outlast_restarts(setup.instance)
    other = sqlalchemy.create_engine(url.set(database="postgres"))
    with other.connect() as db, pytest.raises(sqlalchemy.exc.OperationalError) as raised:
        db.execute(sqlalchemy.text("select pg_terminate_backend(pg_backend_pid())"))
    assert not isinstance(raised.value, StorageLostError)
    other.dispose()
