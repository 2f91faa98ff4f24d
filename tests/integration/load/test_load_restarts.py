"""The database server crashes in the middle of a load, and comes back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from fmdj_cloud.contracts import RunState
from fmdj_cloud.load.loop import Loader
from fmdj_cloud.load.results import LoadEnd
from fmdj_cloud.pipeline.database import Database
from tests.integration.load.conftest import World, _world
from tests.support.restarting import RestartableMariadb, RestartablePostgres, restartable
from tests.support.wire_proxy import proxied

pytestmark = pytest.mark.integration
TURNS = (15, 23)
"""Of some 27: in the transaction, after some rows and after most."""


@pytest.fixture(params=["postgres", "mariadb"])
def server(request, tmp_path: Path) -> Iterator[RestartablePostgres | RestartableMariadb]:
    with restartable(request.param, tmp_path) as server:
        yield server


@pytest.fixture
def world(server, s3_settings, store, bucket, tmp_path) -> Iterator[World]:
    with _world(World, server.settings, s3_settings, store, bucket, tmp_path) as made:
        yield made


def test_a_server_that_restarts_in_the_middle_of_a_load_costs_a_pass(server, world, caplog) -> None:
    now = [0.0]
    with proxied(world.settings.database) as (settings, wire), contextlib.ExitStack() as stack:
        database = Database(settings)
        stack.callback(database.close)
        loader = Loader(
            world.settings.model_copy(update={"database": settings}), database, world.store, clock=lambda: now[0]
        )
        loader.run_pass()  # its pipeline is open now
        for turn in TURNS:
            key = world.insert_task()
            run = world.publish(key)
            wire.cut_at(turn, server.restart)

            (result,) = loader.run_pass()

            assert (wire.cuts, result.end) == (1, LoadEnd.LATER)
            world.database.ensure_connected()
            assert world.run(run).state is RunState.PUBLISHED
            assert set(world.rows(key).values()) == {0}
            wire.reset()
            now[0] += 1000
            assert [result.end for result in loader.run_pass()] == [LoadEnd.LOADED]
            assert world.rows(key)["MotionSVD"] == 14
