"""A load whose transaction crosses somebody else's is made again, not given up."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fmdj_cloud.contracts import RunState
from fmdj_cloud.load.results import LoadEnd
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.repeating import Repeating

pytestmark = pytest.mark.integration
HEAVY = 40
"""Rows that the other transaction has changed: of two, InnoDB undoes the one that has done less."""


@pytest.fixture
def other(world):
    database = Database(world.settings.database)
    yield database
    database.close()


def test_a_load_that_was_undone_is_made_again_at_once(world, other) -> None:
    key = world.insert_task()
    run = world.publish(key)
    pauses = []
    loader = world.loader()
    loader._database._repeating = Repeating(sleep=pauses.append)
    if other.backend == "postgresql":  # there, who has waited longer is undone
        other.execute("SET deadlock_timeout = '20s'")
    request = other.quote(other.ledger_schema, "request")
    task = world.lab.element.FacemapTask.full_table_name
    with ThreadPoolExecutor(1) as pool:
        with other.transaction():
            for number in range(HEAVY):
                other.execute(
                    f"INSERT INTO {request} (request_id, what, asked_by, state, sentence, created, updated) VALUES "
                    f"(%s, 'x', 'x', 'done', '', {other.dialect.now}, {other.dialect.now})",
                    (str(number),),
                )
            other.execute(
                f"UPDATE {task} SET task_description = 'edited' WHERE recording_id = %s", (key["recording_id"],)
            )
            future = pool.submit(loader.run_pass)
            give_up = time.monotonic() + 30
            while not world.sessions_waiting():
                assert time.monotonic() < give_up
                time.sleep(0.02)
            other.execute(f"UPDATE {world.ledger.run_table} SET priority = 3 WHERE run_id = %s", (run.run_id,))
        (result,) = future.result(60)
    assert result.end is LoadEnd.LOADED, result.sentence
    assert pauses == [0.01]
    assert world.run(run).state is RunState.LOADED
    assert world.rows(key)["Region"] == 5
