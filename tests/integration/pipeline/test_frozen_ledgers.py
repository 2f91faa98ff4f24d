"""The ledger of every release is migrated to this one's; see tests/support/frozen_ledger.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fmdj_cloud.contracts import FailureClass, RunState
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.ledger_schema import SCHEMA_VERSION, migrate, open_schema, version_of
from fmdj_cloud.settings import DatabaseSettings
from tests.support import frozen_ledger

pytestmark = pytest.mark.integration
RELEASES = sorted(path.name for path in frozen_ledger.FIXTURES.iterdir())


@pytest.fixture(params=RELEASES)
def frozen(request: pytest.FixtureRequest, database_server: DatabaseSettings) -> Iterator[Database]:
    """A database with the ledger that a release left there."""
    prefix = f"{database_server.prefix}r{RELEASES.index(request.param)}_"
    database = Database(database_server.model_copy(update={"prefix": prefix}))
    frozen_ledger.restore(database, request.param)
    yield database
    cascade = " CASCADE" if database.backend == "postgresql" else ""
    database.execute(f"DROP SCHEMA {database.identifier(database.ledger_schema)}{cascade}")
    database.close()


def test_its_runs_are_what_they_were(frozen: Database) -> None:
    before = version_of(frozen)
    if before != SCHEMA_VERSION:
        with pytest.raises(ConfigError, match="run `fmdj migrate`"):
            open_schema(frozen)
    assert migrate(frozen).before == before
    assert version_of(frozen) == SCHEMA_VERSION
    open_schema(frozen)

    ledger = Ledger(frozen)
    names = [name for (name,) in frozen.query(f"SELECT run_id FROM {frozen.quote(frozen.ledger_schema, 'run')}")]
    runs = {run.state: run for run in map(ledger.run, names) if run is not None}
    assert runs.keys() == {RunState.LOADED, RunState.FAILED}
    assert runs[RunState.LOADED].manifest_sha256 == frozen_ledger.SHA
    failed = runs[RunState.FAILED]
    assert (failed.failure_class, failed.sentence) == (FailureClass.INPUT, "v.avi is cut off.")
    assert ledger.plan_of(failed.run_id) == frozen_ledger.PLAN
    (attempt,) = ledger.attempts(failed.run_id)
    assert (attempt.attempt, attempt.outcome, attempt.evidence) == (1, "input", {"exit": "10"})


def test_a_ledger_of_a_later_release_is_refused(frozen: Database) -> None:
    table = frozen.quote(frozen.ledger_schema, "schema_version")
    frozen.execute(f"UPDATE {table} SET version = %s", (SCHEMA_VERSION + 1,))
    for program in (open_schema, migrate):
        with pytest.raises(ConfigError, match="made by a newer fmdj"):
            program(frozen)
