"""A loader that dies in the middle of its transaction leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from fmdj_cloud.contracts import RunState
from fmdj_cloud.load.results import LoadEnd
from tests.integration.load.killing import LOADER, eventually, settings_json

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("table", ["MotionSVD", "Summary"])
def test_a_loader_killed_in_its_transaction_leaves_nothing_and_the_next_one_loads(world, table: str) -> None:
    key = world.insert_task()
    run = world.publish(key)
    locked = getattr(world.lab.element, table).full_table_name
    process = subprocess.Popen([sys.executable, "-c", LOADER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    with world.inserts_blocked(locked):
        process.stdin.write(settings_json(world))
        process.stdin.close()
        waiting = eventually(lambda: process.poll() is None and world.sessions_waiting())
        assert len(waiting) == 1
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert world.run(run).state is RunState.PUBLISHED
        assert set(world.rows(key).values()) == {0}
    process.stdout.close()
    eventually(lambda: waiting[0] not in world.sessions())

    assert world.run(run).state is RunState.PUBLISHED
    assert set(world.rows(key).values()) == {0}
    assert [result.end for result in world.loader().run_pass()] == [LoadEnd.LOADED]
    assert min(world.rows(key).values()) == 1


def test_a_loader_whose_connection_is_cut_loads_in_a_later_pass(world) -> None:
    now = [0.0]
    key = world.insert_task()
    world.publish(key)
    loader = world.loader(clock=lambda: now[0])
    world.cut(world.others[-1])

    results = loader.run_pass()
    if not results or results[0].end is not LoadEnd.LOADED:
        now[0] += 1000
        results = loader.run_pass()

    assert [result.end for result in results] == [LoadEnd.LOADED]
