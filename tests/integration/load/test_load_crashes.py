"""A loader that dies in the middle of its transaction leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from fmdj_cloud.contracts import RunState
from fmdj_cloud.load.results import LoadEnd

pytestmark = pytest.mark.integration

_LOADER = """
import sys
from fmdj_cloud.load.loop import Loader
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import open_store

settings = Settings.model_validate_json(sys.stdin.read())
loader = Loader(settings, Database(settings.database), open_store(settings.storage))
print([result.end.value for result in loader.run_pass()], flush=True)
"""


def _settings_json(world) -> str:
    """Settings with their secrets, which the usual dump hides."""

    def reveal(value):
        if isinstance(value, dict):
            return {name: reveal(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [reveal(item) for item in value]
        return value.get_secret_value() if hasattr(value, "get_secret_value") else value

    import json

    return json.dumps(reveal(world.settings.model_dump(mode="python")), default=str)


def _await(condition):
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@pytest.mark.parametrize("table", ["MotionSVD", "Summary"])
def test_a_loader_killed_in_its_transaction_leaves_nothing_and_the_next_one_loads(world, table: str) -> None:
    key = world.insert_task()
    run = world.publish(key)
    locked = getattr(world.lab.element, table).full_table_name
    process = subprocess.Popen(
        [sys.executable, "-c", _LOADER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    with world.inserts_blocked(locked):
        process.stdin.write(_settings_json(world))
        process.stdin.close()
        waiting = _await(lambda: process.poll() is None and world.sessions_waiting())
        assert len(waiting) == 1
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert world.run(run).state is RunState.PUBLISHED
        assert set(world.rows(key).values()) == {0}
    process.stdout.close()
    _await(lambda: waiting[0] not in world.sessions())

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
