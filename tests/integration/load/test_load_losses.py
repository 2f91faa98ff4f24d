"""Connections that end, and loaders that die, between any two statements: all rows or none, and never twice."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fmdj_cloud.contracts import RunState
from fmdj_cloud.errors import DatabaseError
from fmdj_cloud.load.loop import Loader
from fmdj_cloud.load.results import LoadEnd, LoadResult
from fmdj_cloud.pipeline.database import Database
from tests.support.wire_proxy import Wire, proxied

pytestmark = pytest.mark.integration
ALL_ROWS = {
    "FacemapProcessing": 1,
    "FacialSignal": 1,
    "Region": 5,
    "MotionSVD": 14,
    "MovieSVD": 14,
    "Summary": 1,
    "Pupil": 1,
    "Blink": 1,
    "Running": 1,
}
MOST_TURNS = 200
"""More than a load takes."""


class Far:
    """A world whose loaders reach the database through a wire."""

    def __init__(self, world: Any, settings: Any, wire: Wire) -> None:
        self.world = world
        self.settings = world.settings.model_copy(update={"database": settings})
        self.wire = wire

    def loader(self) -> Loader:
        database = Database(self.settings.database)
        self.world.others.append(database)
        return Loader(self.settings, database, self.world.store)

    def load(self) -> list[LoadResult]:
        """Do a pass with a fresh loader; none where the database can't be reached."""
        return self.loader().run_pass()

    def load_forked(self, turn: int) -> int:
        """Do a pass in a process that is killed when it speaks for the nth time; return how it ended."""
        ready, go = os.pipe()
        if (child := os.fork()) == 0:
            code = 1
            try:
                os.read(ready, 1)
                self.load()
                code = 0
            finally:
                os._exit(code)

        def kill() -> None:
            os.kill(child, signal.SIGKILL)

        self.wire.cut_at(turn, kill)
        os.write(go, b"x")
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.close(ready)
        os.close(go)
        return code


@pytest.fixture
def far(world) -> Iterator[Far]:
    with proxied(world.settings.database) as (settings, wire):
        yield Far(world, settings, wire)
        for connection in world.others:
            connection.close()


def all_or_none(far: Far, key: dict[str, Any], run: Any) -> bool:
    """Tell whether the run is loaded; all its rows are there then, and none otherwise."""
    loaded = far.world.run(run).state is RunState.LOADED
    assert far.world.run(run).state in (RunState.LOADED, RunState.PUBLISHED)
    assert far.world.rows(key) == (ALL_ROWS if loaded else dict.fromkeys(ALL_ROWS, 0))
    return loaded


def everywhere(far: Far, attempt: Callable[[int], object], *, first: int, step: int) -> None:
    """Disturb loads at one turn after the other, until one of them ends before that."""
    key = far.world.insert_task()
    run = far.world.publish(key)
    failed = 0
    for turn in range(first, MOST_TURNS, step):
        attempt(turn)
        disturbed = far.wire.cuts > 0
        far.wire.reset()
        loaded = all_or_none(far, key, run)
        failed += not loaded
        if not disturbed:
            break
        if loaded:  # the connection was made anew before anything was begun
            key = far.world.insert_task()
            run = far.world.publish(key)
    assert loaded
    assert turn > 30  # which is less than a load takes
    assert failed > 20 // step


def lose(far: Far, turn: int) -> None:
    far.wire.cut_at(turn)
    with contextlib.suppress(DatabaseError):
        far.load()


def test_a_connection_lost_between_any_two_statements_leaves_all_or_nothing(far: Far) -> None:
    everywhere(far, lambda turn: lose(far, turn), first=1, step=5)


@pytest.mark.long
def test_a_connection_lost_at_every_statement_leaves_all_or_nothing(far: Far) -> None:
    everywhere(far, lambda turn: lose(far, turn), first=1, step=1)


def test_a_loader_killed_between_any_two_statements_leaves_all_or_nothing(far: Far) -> None:
    everywhere(far, far.load_forked, first=10, step=9)


@pytest.mark.long
def test_a_loader_killed_at_every_statement_leaves_all_or_nothing(far: Far) -> None:
    everywhere(far, far.load_forked, first=1, step=1)


def test_a_commit_whose_answer_is_lost_is_resolved_by_looking(far: Far, caplog: pytest.LogCaptureFixture) -> None:
    key = far.world.insert_task()
    run = far.world.publish(key)
    loader = far.loader()
    far.wire.lose_answer_to(b"COMMIT")

    (result,) = loader.run_pass()

    assert far.wire.cuts == 1
    assert (result.end, result.rows["MotionSVD"]) == (LoadEnd.LOADED, 14)
    assert all_or_none(far, key, run)
    assert "The answer to the commit" in caplog.text
    assert not loader.run_pass()


def test_several_loaders_load_every_run_once(world) -> None:
    keys = [world.insert_task() for _ in range(4)]
    runs = [world.publish(key) for key in keys]
    loaders = [world.loader() for _ in range(3)]
    barrier = threading.Barrier(len(loaders))

    def load(loader: Loader) -> list[LoadResult]:
        barrier.wait()
        return loader.run_pass()

    with ThreadPoolExecutor(len(loaders)) as pool:
        results = [result for found in pool.map(load, loaders) for result in found]

    loaded = [result.run_id for result in results if result.end is LoadEnd.LOADED]
    assert sorted(loaded) == sorted(run.run_id for run in runs)
    assert {result.end for result in results} <= {LoadEnd.LOADED, LoadEnd.LOST}
    assert all(world.rows(key) == ALL_ROWS for key in keys)
