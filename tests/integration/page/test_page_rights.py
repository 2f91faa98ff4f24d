"""The status page needs to read only, and can't write even if it wanted to."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from fmdj_cloud.contracts import RunRecord
from fmdj_cloud.control.buckets import bucket_policy
from fmdj_cloud.control.grants import Program, database_grants, grant_statements
from fmdj_cloud.errors import DatabaseError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.ledger_search import RunFilter
from fmdj_cloud.serve.page.looking import Looker
from fmdj_cloud.settings import DatabaseSettings
from tests.support.kills.world import World

pytestmark = pytest.mark.integration


@pytest.fixture
def reader(world: World) -> Iterator[DatabaseSettings]:
    """A database user with the rights that `fmdj grants serve` prints, and no others."""
    admin, name = world.database, f"t{uuid.uuid4().hex[:10]}"
    if admin.backend == "postgresql":
        admin.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'secret'")
    else:
        admin.execute(f"CREATE USER '{name}'@'%' IDENTIFIED BY 'secret'")
    for statement in grant_statements(database_grants(Program.SERVE, admin, (world.lab,)), admin.backend, name):
        admin.execute(statement.rstrip(";"))
    yield world.settings.database.model_copy(update={"user": name, "password": SecretStr("secret")})
    if admin.backend == "postgresql":
        admin.execute(f'DROP OWNED BY "{name}"')
        admin.execute(f'DROP ROLE "{name}"')
    else:
        admin.execute(f"DROP USER '{name}'@'%'")


def test_reading_is_enough(world: World, reader: DatabaseSettings, runs: dict[str, RunRecord]) -> None:
    with contextlib.closing(Database(reader)) as database:
        looker = Looker(world.settings, database, world.store)
        assert looker.overview().status.counts["failed"] == 2
        assert looker.runs(RunFilter(task={"subject": "m1"}), 1).found == len(runs)
        assert len(looker.failures().classes) == 2
        for run in runs.values():
            assert looker.run(run.run_id).run.run_id == run.run_id
        looker.ready()


def test_nothing_more_is_given(world: World, reader: DatabaseSettings) -> None:
    grants = database_grants(Program.SERVE, world.database, (world.lab,))
    assert {right for grant in grants for right in grant.rights} <= {"SELECT", "REFERENCES"}
    with contextlib.closing(Database(reader)) as database:
        for grant in grants:
            with pytest.raises(DatabaseError):
                database.execute(f"DELETE FROM {database.quote(grant.schema_name, grant.table)}")
        with pytest.raises(DatabaseError):
            database.execute(f"CREATE TABLE {database.quote(database.ledger_schema, 'mine')} (a INT)")


def test_of_the_object_store_it_reads_outputs_alone(world: World) -> None:
    policy = bucket_policy(Program.SERVE, [world.lab.settings])
    actions = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert actions == {"s3:ListBucket", "s3:GetObject", "s3:GetObjectVersion"}
    resources = [resource for statement in policy["Statement"] for resource in statement["Resource"]]
    assert not any("/videos" in resource for resource in resources)
